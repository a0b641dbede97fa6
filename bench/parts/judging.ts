/** A part: the verifier at work on one piece of evidence, and what a signature check alone would take. */
import { type KeyObject, verify as verifySignature } from 'node:crypto';
import { decode, publicArea, publicKeyOf, signature } from '../../daemon/attest/tpm2/index.ts';
import { firstFailure } from '../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../daemon/attest/verifier/verify.ts';
import { readSample, type Sample } from '../evidence-samples.ts';
import { memoryOf } from '../memory.ts';
import { serve } from '../processes.ts';
import { perSecond } from '../statistics.ts';

let judge = (): void => {
  throw new Error('nothing to judge yet');
};
let bare: { readonly key: KeyObject; readonly signature: Uint8Array; readonly attest: Uint8Array } | null =
  null;

serve({
  start: async (sample: Sample) => {
    const { subject, rules } = await readSample(sample);
    judge = () => {
      const verdict = verify(subject, rules);
      if (!verdict.isTrusted) throw new Error(`refused: ${firstFailure(verdict)?.reason}`);
    };
    const { attest } = subject.evidence;
    const signed = decode('signature', signature, subject.evidence.signature);
    if (!('r' in signed)) throw new Error('the benches have ECDSA keys');
    const halves = [signed.r, signed.s].map((half) => Buffer.concat([Buffer.alloc(32 - half.length), half]));
    const key = publicKeyOf(decode('attestation key', publicArea, subject.claims.akPublic));
    bare = { key, signature: Buffer.concat(halves), attest };
  },
  /** Verdicts a second. */
  judge: (forMs: number) => perSecond(() => judge(), forMs),
  /** Checks of the quote's signature a second, with a key that is ready. */
  bareSignature: (forMs: number) => {
    if (bare === null) throw new Error('nothing to check yet');
    const { key, signature: bytes, attest } = bare;
    const check = (): void => {
      if (!verifySignature('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, bytes))
        throw new Error('it is signed by another key');
    };
    return perSecond(check, forMs);
  },
  memory: () => memoryOf(() => judge()),
});
