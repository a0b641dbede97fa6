/** The chain of most tests, and how its verdicts are asked for. */
import type { Test } from 'tap';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { type EkVerdict, judgeEkCertificate } from '../../../daemon/attest/certificates/ek-verdict.ts';
import type { EkPolicy } from '../../../daemon/attest/certificates/rules.ts';
import { authority, der, now, type Signer } from './making.ts';

export const strict: EkPolicy = { mayLeafBeExpired: false, mayRootBeIntermediate: false };

export const root = await authority({ subject: 'CN=Root', signer: null });
export const middle = await authority({ subject: 'CN=Middle, O=Vendor', signer: root });

export const judge = (
  leaf: Signer | Uint8Array,
  {
    chain = [middle],
    roots = [root],
    policy = strict,
    at = now,
  }: {
    chain?: readonly Signer[];
    roots?: readonly Signer[];
    policy?: EkPolicy;
    at?: number;
  } = {},
): EkVerdict =>
  judgeEkCertificate({
    certificate: leaf instanceof Uint8Array ? leaf : der(leaf),
    intermediates: chain.map(der),
    roots: roots.map((one) => readCertificate(der(one))),
    now: at,
    policy,
  });

export const codes = ({ problems }: EkVerdict) => problems.map(({ code }) => code);
export const refuses = (t: Test, verdict: EkVerdict, ...expected: string[]) => {
  t.equal(verdict.isTrusted, false);
  t.strictSame(codes(verdict), expected);
};
