/** Every field of an exchange tampered with, swapped, replayed, cut or blown up: each names the check that must refuse it. */
import t from 'tap';
import {
  type Attest,
  algorithm,
  encode,
  type Signature,
  signature,
} from '../../../daemon/attest/tpm2/index.ts';
import { akEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import type { Case, Rules } from '../../../daemon/attest/verifier/types.ts';
import type { CheckName } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { attestationKeys, eccKey, encodePublic, otherEk, signed } from './paper-tpm.ts';
import { allPcrs, bytesOf, caseOf, flipped, refused, rulesOf } from './world.ts';

const ak = attestationKeys['ECDSA P-256']();
const otherAk = eccKey(akEccP256);
const good = caseOf();
const { attest, signature: goodSignature, pcrs: goodPcrs } = good.evidence;
const none = Buffer.alloc(0);
const more = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(1)]);

const withEvidence = (changes: Partial<Case['evidence']>): Case => ({
  ...good,
  evidence: { ...good.evidence, ...changes },
});
const withSecret = (secret: Uint8Array | null) => withEvidence({ secret });
const withSignature = (bytes: Uint8Array) => withEvidence({ signature: bytes });
const signature256 = (made: Partial<Signature>) =>
  withSignature(encode(signature, { hash: algorithm.sha256, ...made } as Signature));
const ecdsa = (r: Uint8Array, s: Uint8Array) => signature256({ algorithm: algorithm.ecdsa, r, s });
const withPcr = (pcr: number, value: Uint8Array) => withEvidence({ pcrs: new Map(goodPcrs).set(pcr, value) });
const withLogs = (logs: Partial<Case['logs']>): Case => ({ ...good, logs: { ...good.logs, ...logs } });
const boundTo = (bound: Partial<Case['expected']>) => caseOf({ bound });
const expecting = (expected: Partial<Case['expected']>) => caseOf({ expected });
/** Other bytes, signed by the right key: what only a TPM that lies could sign. */
const resigned = (bytes: Uint8Array) => withEvidence({ attest: bytes, signature: signed(ak, bytes) });
const saying = (change: (made: Attest) => Partial<Attest>) =>
  caseOf({ attest: (made) => ({ ...made, ...change(made) }) });
type Quote = Extract<Attest['attested'], { type: 0x8018 }>;
const quoting = (change: (quote: Quote) => Partial<Quote>) =>
  saying(({ attested }) => ({ attested: { ...(attested as Quote), ...change(attested as Quote) } }));
const selecting = (...pcrSelect: Quote['pcrSelect']) => quoting(() => ({ pcrSelect }));
const ima = good.logs.ima ?? none;
const imaFrom = (bytes: number, records: number) =>
  caseOf({ sent: { ima: { from: { bytes, records }, bytes: ima.subarray(bytes) } } });

type Row = readonly [what: string, reason: RegExp, made: () => Case, rules?: Partial<Rules>];
const table: Partial<Record<CheckName, readonly Row[]>> = {
  // More about keys in keys.test.ts.
  'ek-approved': [
    ['another endorsement key', /is not the key that was approved/, () => caseOf({ ek: otherEk })],
    ['no approved key', /no surface is approved/, () => good, { approvedEkSha256: null }],
  ],
  'ek-certificate': [['none', /none was sent/, () => good, { isCertificateRequired: true }]],
  activation: [
    ['another secret', /not that of the credential/, () => withSecret(bytesOf('guess'))],
    ['a secret that is too short', /not that/, () => withSecret(bytesOf('secret').subarray(1))],
    ['no secret', /missing/, () => withSecret(null)],
    ['an empty secret', /not that of/, () => withSecret(none)],
    [
      'a secret where no credential was sent',
      /no credential was sent/,
      () => caseOf({ expected: { secret: null }, evidence: { secret: none } }),
    ],
  ],
  signature: [
    ['a changed attestation', /over these bytes/, () => withEvidence({ attest: flipped(attest, 60) })],
    ['an attestation with a byte more', /over these/, () => withEvidence({ attest: more(attest) })],
    ['no attestation', /over these bytes/, () => withEvidence({ attest: none })],
    ['a changed signature', /over these bytes/, () => withSignature(flipped(goodSignature, 20))],
    ['the signature of another key', /over these bytes/, () => withSignature(signed(otherAk, attest))],
    [
      'another attestation key',
      /over these bytes/,
      () => ({ ...good, claims: { ...good.claims, akPublic: encodePublic(otherAk.area) } }),
    ],
    ['SHA-1', /hash: 0x4/, () => withSignature(signed(ak, attest, algorithm.sha1))],
    ['another hash', /scheme: not that/, () => withSignature(signed(ak, attest, algorithm.sha384))],
    [
      'an RSA signature of an ECC key',
      /scheme: not that/,
      () => signature256({ algorithm: algorithm.rsassa, signature: Buffer.alloc(256, 1) }),
    ],
    ['r and s of zero', /over these/, () => ecdsa(Buffer.alloc(32), Buffer.alloc(32))],
    ['empty r and s', /over these/, () => ecdsa(none, none)],
    ['r and s that are too large', /over these/, () => ecdsa(Buffer.alloc(66, 255), Buffer.alloc(66, 255))],
    ['a signature with a byte more', /1 bytes too many/, () => withSignature(more(goodSignature))],
    ['half a signature', /are left/, () => withSignature(goodSignature.subarray(0, 30))],
    ['no signature', /expected 2 bytes/, () => withSignature(none)],
    ['a scheme that is not known', /scheme 0x1a/, () => withSignature(Buffer.from('001a000b0000', 'hex'))],
  ],
  attest: [
    ['another magic', /magic 0x/, () => resigned(flipped(attest, 0))],
    ['a byte too many', /1 bytes too many/, () => resigned(more(attest))],
    ['a byte too few', /are left/, () => resigned(attest.subarray(0, -1))],
    ['nothing', /expected 4 bytes/, () => resigned(none)],
    ['a type that is not known', /type 0x8118/, () => resigned(flipped(attest, 4))],
    [
      'a certification instead of a quote',
      /type: 0x8017/,
      () => saying(() => ({ attested: { type: 0x8017, name: none, qualifiedName: none } })),
    ],
    [
      'a time instead of a quote',
      /type: 0x8019/,
      () =>
        saying(({ clockInfo }) => ({ attested: { type: 0x8019, time: 1n, clockInfo, firmwareVersion: 1n } })),
    ],
  ],
  binding: [
    ['an old nonce', /extraData/, () => boundTo({ nonce: bytesOf('an earlier nonce') })],
    ['another connection', /extraData/, () => boundTo({ channel: bytesOf('another connection') })],
    ['the key of another certificate', /extraData/, () => boundTo({ keySha256: bytesOf('another key') })],
    ['another secret in the binding', /extraData/, () => boundTo({ secret: bytesOf('another') })],
    ['no secret in the binding', /extraData/, () => boundTo({ secret: null })],
    ['other logs', /extraData/, () => boundTo({ sentLogs: { ...good.expected.sentLogs, ima: null } })],
    ['the nonce itself', /extraData/, () => saying(() => ({ extraData: bytesOf('nonce') }))],
    ['no extraData', /extraData/, () => saying(() => ({ extraData: none }))],
    ['extraData cut', /extraData/, () => saying(({ extraData }) => ({ extraData: extraData.subarray(1) }))],
    ['extraData and more', /extraData/, () => saying(({ extraData }) => ({ extraData: more(extraData) }))],
    ['a log that was not sent', /measured: does not end with/, () => withLogs({ measured: bytesOf('it') })],
    ['a log with a byte more', /ima: does not end with/, () => withLogs({ ima: more(ima) })],
    ['a log that is missing', /ima: does not end with/, () => withLogs({ ima: null })],
    ['a log too many', /ima: was not sent/, () => caseOf({ sent: { ima: null } })],
    ['a log that begins in the middle', /logs, ima: begins at byte 10/, () => imaFrom(10, 1)],
    ['a log that begins at another record', /logs, ima: begins/, () => imaFrom(0, 1)],
  ],
  signer: [
    [
      'a key of another hierarchy',
      /qualifiedSigner/,
      () => saying(({ qualifiedSigner }) => ({ qualifiedSigner: flipped(qualifiedSigner, 5) })),
    ],
    ['no signer', /qualifiedSigner/, () => saying(() => ({ qualifiedSigner: none }))],
  ],
  selection: [
    ['one PCR less was asked for', /was asked for/, () => expecting({ pcrs: allPcrs.slice(1) })],
    [
      'one PCR more',
      /sha256:0,1.* and sha256:.*16 was asked for/,
      () => expecting({ pcrs: [...allPcrs, 16] }),
    ],
    ['another bank', /and sha384:0.*was asked for/, () => expecting({ bank: 'sha384' })],
    ['nothing was asked for', /no PCR was asked for/, () => caseOf({ pcrs: new Map() })],
    ['SHA-1', /sha1:0/, () => selecting({ hash: algorithm.sha1, pcrs: allPcrs })],
    ['a bank that is not there', /pcrSelect: empty/, () => selecting()],
    ['no PCR', /pcrSelect: sha256:,/, () => selecting({ hash: algorithm.sha256, pcrs: [] })],
    [
      'two banks',
      /\+sha1:0,/,
      () => quoting(({ pcrSelect }) => ({ pcrSelect: [...pcrSelect, { hash: algorithm.sha1, pcrs: [0] }] })),
    ],
    [
      'an empty bank more',
      /\+sha384:,/,
      () => quoting(({ pcrSelect }) => ({ pcrSelect: [...pcrSelect, { hash: algorithm.sha384, pcrs: [] }] })),
    ],
  ],
  'pcr-values': [
    ['what the policy wants', /not those that were signed/, () => withPcr(14, bytesOf('good'))],
    [
      'a value that is missing',
      /PCR 0 is missing/,
      () => withEvidence({ pcrs: new Map([...goodPcrs].slice(1)) }),
    ],
    ['no values', /PCR 0 is missing/, () => withEvidence({ pcrs: new Map() })],
    ['a value more', /PCR 16 was not asked for/, () => withPcr(16, bytesOf('it'))],
    ['a value cut', /PCR 3 has 31 bytes/, () => withPcr(3, Buffer.alloc(31))],
    ['a value with a byte more', /PCR 3 has 33 bytes/, () => withPcr(3, Buffer.alloc(33))],
    ['another digest', /pcrDigest/, () => quoting(() => ({ pcrDigest: bytesOf('it') }))],
    ['no digest', /pcrDigest/, () => quoting(() => ({ pcrDigest: none }))],
  ],
};

for (const [check, rows] of Object.entries(table))
  t.test(`evidence that the check ${check} refuses`, async (t) => {
    for (const [what, reason, made, rules] of rows)
      refused(t, verify(made(), rulesOf(rules)), check as CheckName, reason, what);
  });
