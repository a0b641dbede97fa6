/**
 * Judges a quote: that the attestation key of an endorsement hierarchy has signed it, for this exchange, over the PCRs
 * that the verifier chose (TPM 2.0 Part 3, section 18.4). Each check builds on the one before.
 */
import { timingSafeEqual } from 'node:crypto';
import { type LogDigests, qualifyingData } from '../evidence/binding.ts';
import { type Evidence, logNames } from '../evidence/evidence.ts';
import { bankDigest, isSameBytes } from '../logs/log.ts';
import {
  type Attest,
  type Attested,
  algorithm,
  attest,
  attestType,
  decode,
  handle,
  hashOf,
  isSignedBy,
  nameOfHandle,
  nameOfPublic,
  type Public,
  pcrDigest,
  qualifiedName,
  type Signature,
  signature,
} from '../tpm2/index.ts';
import { type Checklist, failed, passed, type Ruling } from './checks.ts';
import { isStrongHash } from './key-areas.ts';
import type { Case, Expected } from './types.ts';

/** A quote and what it must be for. */
export interface QuoteCase {
  /** An attestation key that `judgeKeys` accepted. */
  readonly ak: Public;
  readonly expected: Expected;
  readonly evidence: Pick<Evidence, 'attest' | 'signature' | 'pcrs'>;
  /** The logs as they will be judged; null: not at hand, then only their digests are known to be those that were signed. */
  readonly whole: Pick<Case, 'logs' | 'isIncremental'> | null;
}

/** Makes the checks `signature` to `pcr-values`; the attestation once all of them passed, else null. */
export function judgeQuote(checks: Checklist, { ak, expected, evidence, whole }: QuoteCase): Attest | null {
  const signed = checks.judge('signature', () => signatureRuling(ak, evidence));
  if (signed === null) return null;
  const quote = checks.judge('attest', () => attestRuling(evidence.attest));
  if (quote === null) return null;
  const { said, quoted } = quote;
  const isGood =
    checks.judge('binding', () => bindingRuling(said, { expected, whole })) &&
    checks.judge('signer', () => signerRuling(said, ak)) &&
    checks.judge('selection', () => selectionRuling(quoted, expected)) &&
    checks.judge('pcr-values', () => valuesRuling(quoted, { expected, evidence, hash: signed.hash }));
  return isGood ? said : null;
}

function signatureRuling(ak: Public, evidence: QuoteCase['evidence']): Ruling<Signature> | Ruling<null> {
  const read = decode('signature', signature, evidence.signature);
  const scheme = 'scheme' in ak ? ak.scheme : null;
  if (!isStrongHash(read.hash))
    return failed(`signature, hash: 0x${read.hash.toString(16)}, not SHA-256 or better`);
  if (read.algorithm !== scheme?.algorithm || read.hash !== scheme.hash)
    return failed('signature, scheme: not that of the attestation key');
  return isSignedBy(ak, evidence.attest, read)
    ? passed(`the attestation key has signed these bytes, with ${hashOf(read.hash).name}`, read)
    : failed('signature: not of the attestation key over these bytes');
}

type Quoted = Extract<Attested, { type: typeof attestType.quote }>;

function attestRuling(bytes: Uint8Array): Ruling<{ said: Attest; quoted: Quoted }> | Ruling<null> {
  const said = decode('attest', attest, bytes);
  const quoted = said.attested;
  return quoted.type === attestType.quote
    ? passed('a quote that a TPM has made', { said, quoted })
    : failed(`attest, type: 0x${quoted.type.toString(16)}, not that of a quote`);
}

function bindingRuling(
  { extraData }: Attest,
  { expected, whole }: Pick<QuoteCase, 'expected' | 'whole'>,
): Ruling<true> | Ruling<null> {
  const { nonce, keySha256, channel, secret, sentLogs } = expected;
  const wanted = qualifyingData({ nonce, keySha256, channel, secret, logs: sentLogs });
  if (!isSameSecret(extraData, wanted))
    return failed('attest, extraData: made for another challenge, connection or key, or for other logs');
  const fault = whole && logFault(sentLogs, whole);
  return fault === null
    ? passed('made for this challenge, connection, key and these logs', true)
    : failed(fault);
}

/** Whether each log ends with the part that was sent, and is no more than it where nothing was kept before. */
function logFault(
  sent: LogDigests,
  { logs, isIncremental }: Pick<Case, 'logs' | 'isIncremental'>,
): string | null {
  for (const name of logNames) {
    const [part, whole] = [sent[name], logs[name]];
    if (part === null) {
      // A log that was there before and is not any more: what was kept of it must still replay.
      if (whole !== null && !isIncremental) return `logs, ${name}: was not sent with this evidence`;
      continue;
    }
    if (!isIncremental && (part.from.bytes !== 0 || part.from.records !== 0))
      return `logs, ${name}: begins at byte ${part.from.bytes}, and nothing was kept of what is before`;
    const tail = whole?.subarray(part.from.bytes);
    const isTail = tail?.length === part.length && isSameBytes(bankDigest('sha256', tail), part.sha256);
    if (!isTail) return `logs, ${name}: does not end with what was sent`;
  }
  return null;
}

/** The handle of the hierarchy is in the name, so that this proves it, too. */
function signerRuling({ qualifiedSigner }: Attest, ak: Public): Ruling<true> | Ruling<null> {
  const wanted = qualifiedName(nameOfHandle(handle.endorsement), nameOfPublic(ak));
  return wanted.equals(qualifiedSigner)
    ? passed('the attestation key is a primary of the endorsement hierarchy', true)
    : failed('attest, qualifiedSigner: not that of this key as a primary of the endorsement hierarchy');
}

/** A quote of a bank that is not there is valid and selects nothing, so that the selection must be the verifier's. */
function selectionRuling({ pcrSelect }: Quoted, { bank, pcrs }: Expected): Ruling<true> | Ruling<null> {
  const text = (hash: string, numbers: readonly number[]) => `${hash}:${numbers.join(',')}`;
  const wanted = text(bank, ascending(pcrs));
  const got = pcrSelect.map((one) => text(hashName(one.hash), one.pcrs)).join('+');
  if (pcrs.length === 0) return failed('attest, pcrSelect: no PCR was asked for, which proves nothing');
  return got === wanted
    ? passed(`${wanted}, as it was asked for`, true)
    : failed(`attest, pcrSelect: ${got === '' ? 'empty' : got}, and ${wanted} was asked for`);
}

function valuesRuling(
  { pcrDigest: signed }: Quoted,
  { expected, evidence, hash }: { expected: Expected; evidence: QuoteCase['evidence']; hash: number },
): Ruling<true> | Ruling<null> {
  const bank = algorithm[expected.bank];
  const wanted = ascending(expected.pcrs);
  const extra = [...evidence.pcrs.keys()].find((pcr) => !wanted.includes(pcr));
  if (extra !== undefined) return failed(`pcrs: PCR ${extra} was not asked for`);
  for (const pcr of wanted) {
    const bytes = evidence.pcrs.get(pcr)?.length;
    if (bytes === undefined) return failed(`pcrs: PCR ${pcr} is missing`);
    if (bytes !== hashOf(bank).size) return failed(`pcrs: PCR ${pcr} has ${bytes} bytes`);
  }
  const digest = pcrDigest(hash, [{ hash: bank, pcrs: wanted }], [{ hash: bank, values: evidence.pcrs }]);
  return digest.equals(signed)
    ? passed(`the values of ${wanted.length} PCRs are those that were signed`, true)
    : failed('pcrs: the values are not those that were signed (pcrDigest)');
}

const ascending = (pcrs: readonly number[]): number[] => [...new Set(pcrs)].sort((one, other) => one - other);

const hashName = (id: number): string =>
  Object.entries(algorithm).find(([, value]) => value === id)?.[0] ?? `0x${id.toString(16)}`;

/** Whether two byte strings are the same, in a time that depends on their lengths alone. */
export const isSameSecret = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other);
