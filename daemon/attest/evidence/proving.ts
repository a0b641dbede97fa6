/**
 * One proof: the credential opened, the logs read, the PCRs quoted, all through a session that the bus cannot read.
 *
 * The quote covers the digests of the logs, so they are read before it; and what is measured in between must not be in the
 * quoted PCRs alone. Hence PCRs, logs, quote, in this order, and the quote must have the PCRs that were read first: then
 * nothing was extended meanwhile, and whatever the quote holds was extended before the logs were read. The kernel puts an
 * entry of IMA into its list before it extends PCR 10, so the list that is sent is never behind the quote. What userspace
 * measures is extended just before or just after it is written down: its logs must have stayed the same as well.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  algorithm,
  attest,
  attestType,
  decode,
  encode,
  type LoadedObject,
  openCredential,
  type PcrSelection,
  type PolicyStep,
  pcrDigest,
  quotePcrs,
  readPcrs,
  type Scope,
  type Session,
  satisfy,
  signature,
  startSession,
  TpmFormatError,
  TpmSessionError,
} from '../tpm2/index.ts';
import { type Binding, logDigests, qualifyingData } from './binding.ts';
import { type Challenge, type Evidence, type LogParts, mostLogBytes } from './evidence.ts';
import { type LogPaths, readLog, readLogs } from './log-sources.ts';

/** How often a proof is tried while something goes on measuring. */
const mostAttempts = 6;
/** Pause before the second attempt, milliseconds, give or take half of it; doubled each time. */
const firstPauseMs = 50;

/** The keys of a proof, loaded in its scope. */
export interface ProvingKeys {
  readonly endorsementKey: LoadedObject;
  /** What authorizes its use. */
  readonly policy: readonly PolicyStep[];
  readonly attestationKey: LoadedObject;
}

/** What is to be proved, and with what. */
export interface ProofRequest {
  readonly keys: ProvingKeys;
  readonly logs: LogPaths;
  readonly challenge: Challenge;
  readonly bound: Pick<Binding, 'keySha256' | 'channel'>;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/**
 * The answer to a challenge. Two objects and two sessions are loaded at most, where a TPM has room for three of each.
 * @throws TpmError, TpmSessionError, TpmFormatError; SurfacedError E_ATTEST_LOG; the signal's reason
 */
export async function prove(scope: Scope, request: ProofRequest): Promise<Evidence> {
  const { keys, challenge, random, signal } = request;
  const session = await startSession(scope, { kind: 'hmac', salt: keys.endorsementKey, encrypts: 'both' });
  const secret = challenge.credential && (await activate(scope, keys, session, challenge.credential));
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    if (attempt > 0) await pause(firstPauseMs * 2 ** (attempt - 1) * (0.5 + random()), signal);
    const evidence = await tryOnce(scope, request, session, secret);
    if (evidence !== null) return evidence;
  }
  throw new TpmSessionError(
    `PCRs or logs changed during each of ${mostAttempts} attempts: something goes on measuring`,
  );
}

/** Opens the credential: only the TPM that has both keys can. */
async function activate(
  scope: Scope,
  { endorsementKey, policy: steps, attestationKey }: ProvingKeys,
  authorization: Session,
  { blob, secret }: NonNullable<Challenge['credential']>,
): Promise<Uint8Array> {
  const policy = await startSession(scope, { kind: 'policy', hash: endorsementKey.publicArea.nameAlg });
  await satisfy(scope, policy, steps);
  const credential = { credentialBlob: Buffer.from(blob), secret: Buffer.from(secret) };
  return openCredential(scope, { object: attestationKey, endorsementKey, policy, credential, authorization });
}

/** Null when something was measured meanwhile. */
async function tryOnce(
  scope: Scope,
  { keys, logs: paths, challenge, bound, signal }: ProofRequest,
  session: Session,
  secret: Uint8Array | null,
): Promise<Evidence | null> {
  const selection = { hash: algorithm[challenge.bank], pcrs: challenge.pcrs };
  const pcrs = await valuesOf(scope, selection, challenge.bank);
  const logs = await readLogs(paths, challenge.logs, signal);
  const { nonce } = challenge;
  const quoted = await quotePcrs(scope, {
    key: keys.attestationKey,
    qualifyingData: qualifyingData({ nonce, ...bound, secret, logs: logDigests(logs) }),
    pcrs: [selection],
    sessions: [session],
  });
  const { attested } = decode('quote', attest, quoted.attest);
  if (attested.type !== attestType.quote)
    throw new TpmFormatError(`TPM2_Quote gave an attestation of type 0x${attested.type.toString(16)}`);
  // The scheme of both attestation keys hashes with SHA-256, whatever the bank.
  const expected = pcrDigest(algorithm.sha256, [selection], [{ hash: selection.hash, values: pcrs }]);
  if (!expected.equals(attested.pcrDigest)) return null;
  if (!(await isUserspaceUnchanged(paths, logs, challenge, signal))) return null;
  return { secret, attest: quoted.attest, signature: encode(signature, quoted.signature), pcrs, logs };
}

/** @throws TpmFormatError when the TPM does not have one of them */
async function valuesOf(
  scope: Scope,
  selection: PcrSelection,
  bank: string,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const values = (await readPcrs(scope, [selection]))[0]?.values;
  const missing = selection.pcrs.filter((pcr) => values?.get(pcr) === undefined);
  if (values === undefined || missing.length > 0)
    throw new TpmFormatError(`the TPM has no PCR ${missing.join(', ')} in its ${bank} bank`);
  return values;
}

/** Reads the logs of userspace again. */
async function isUserspaceUnchanged(
  paths: LogPaths,
  logs: LogParts,
  challenge: Challenge,
  signal: AbortSignal,
): Promise<boolean> {
  for (const name of ['measured', 'systemd'] as const) {
    const { path, from } = { path: paths[name], from: challenge.logs[name] };
    const now = await readLog({ name, path, from, mostBytes: mostLogBytes, signal });
    const before = logs[name];
    if (now === null || before === null ? now !== before : Buffer.compare(now.bytes, before.bytes) !== 0)
      return false;
  }
  return true;
}

/** @throws the signal's reason */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (problem) {
    signal.throwIfAborted();
    throw problem;
  }
}
