/**
 * Secrets that only this TPM gives back, and only to the software that was measured: sealing, opening, approving.
 *
 * What the TPM keeps is a key of AES-256, which the text is encrypted with: so the text may have any length. It travels over
 * the bus encrypted, in sessions that are salted to the storage root key. Whoever listens on the bus learns nothing. Whoever
 * can put themselves between, or drive the TPM in the machine's place, can extend the PCRs as the log says, and open it.
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { isSameBytes } from '../logs/log.ts';
import { tpmProblem } from '../open-tpm.ts';
import {
  algorithm,
  decodeSealed,
  type Executor,
  encodeSealed,
  handle,
  makePrimary,
  type PolicyStep,
  type PrimaryKey,
  permanent,
  readPcrs,
  type Scope,
  type SealedData,
  satisfy,
  sealData,
  srkEccP256,
  startSession,
  type Tpm,
  TpmError,
  TpmFormatError,
  unsealData,
} from '../tpm2/index.ts';
import {
  approve,
  approvedSteps,
  firstSteps,
  isApproved,
  pemOf,
  policyOf,
  readUpdateKey,
  type Terms,
} from './policy.ts';
import { type PcrValuesHex, type SealedFile, secretError, secretLimits } from './sealed-file.ts';

const none = new Uint8Array(0);

/** Storage root key, made anew each time: the same until the owner's hierarchy is cleared. */
const makeRoot = (scope: Scope): Promise<PrimaryKey> =>
  makePrimary(scope, { hierarchy: permanent(handle.owner), template: srkEccP256 });

/**
 * Values of the sha256 bank now.
 * @throws SurfacedError E_SECRET when the TPM has no such bank; E_TPM_OPEN, E_TPM
 */
export async function currentValues(executor: Executor, pcrs: readonly number[]): Promise<PcrValuesHex> {
  const [bank] = await asOurs(() => readPcrs(executor, [{ hash: algorithm.sha256, pcrs: [...pcrs] }]));
  return Object.fromEntries(
    pcrs.map((pcr) => {
      const value = bank?.values.get(pcr);
      if (value === undefined) throw secretError(`PCR ${pcr}`, 'the TPM has no sha256 bank with it');
      return [pcr, Buffer.from(value).toString('hex')];
    }),
  );
}

/**
 * Seals a text to what the PCRs are now.
 * @param options.pcrs ascending, 0 to 15
 * @param options.updateKey may approve other values later; null: nobody can
 * @throws SurfacedError E_SECRET, E_TPM_OPEN, E_TPM, E_TPM_LOCKOUT; the reason of the signal
 */
export async function seal(
  tpm: Tpm,
  options: {
    readonly text: Uint8Array;
    readonly pcrs: readonly number[];
    readonly updateKey: KeyObject | null;
    /** Unix milliseconds. */
    readonly now: number;
  },
  signal: AbortSignal,
): Promise<SealedFile> {
  const { text, pcrs, updateKey, now } = options;
  if (text.length === 0 || text.length > secretLimits.mostTextBytes)
    throw secretError('text', `${text.length} bytes, 1 to ${secretLimits.mostTextBytes} can be sealed`);
  return asOurs(() =>
    tpm.scope(async (scope) => {
      const values = await currentValues(scope, pcrs);
      const parent = await makeRoot(scope);
      const session = await startSession(scope, { kind: 'hmac', salt: parent, encrypts: 'both' });
      const aesKey = randomBytes(32);
      const id = randomBytes(16);
      const policy = policyOf({ id, values, updateKey });
      const sealing = { parent, secret: aesKey, policy, authValue: none, sessions: [session] };
      const key = encodeSealed(await sealData(scope, sealing));
      return {
        format: 'surfaced.dev/sealed-secret/v1' as const,
        id,
        parent: Buffer.from(parent.name).toString('hex'),
        pcrs: [...pcrs],
        updateKey: updateKey && pemOf(updateKey),
        sealed: { at: new Date(now).toISOString(), values },
        approvals: [],
        key,
        text: encrypted(text, aesKey, key),
      };
    }, signal),
  );
}

/**
 * Opens it.
 * @param name of the file, for messages
 * @throws SurfacedError E_SECRET, with the reason: another TPM, PCRs that differ and which, a file that was changed;
 *   E_TPM_OPEN, E_TPM, E_TPM_LOCKOUT; the reason of the signal
 */
export async function unseal(tpm: Tpm, name: string, file: SealedFile, signal: AbortSignal): Promise<Buffer> {
  const { data, terms } = checked(name, file);
  return asOurs(() =>
    tpm.scope(async (scope) => {
      const parent = await makeRoot(scope);
      if (Buffer.from(parent.name).toString('hex') !== file.parent)
        throw secretError(name, 'another TPM has sealed it, or this one was cleared since');
      const steps = stepsFor(name, file, terms, await currentValues(scope, file.pcrs));
      const aesKey = await openKey(scope, name, parent, data, steps);
      return decrypted(name, file, aesKey);
    }, signal),
  );
}

/** What of the file must fit together, whatever the TPM says. */
function checked(name: string, file: SealedFile): { readonly data: SealedData; readonly terms: Terms } {
  const updateKey = file.updateKey === null ? null : updateKeyOf(name, file.updateKey);
  const terms = { id: file.id, values: file.sealed.values, updateKey };
  let data: SealedData;
  try {
    data = decodeSealed(file.key);
  } catch (cause) {
    throw cause instanceof TpmFormatError
      ? secretError(name, 'key: not what a TPM has sealed', cause)
      : cause;
  }
  if (!isSameBytes(data.publicArea.authPolicy, policyOf(terms)))
    throw secretError(name, 'was changed: id, values or update key are not those that it was sealed with');
  return { data, terms };
}

function updateKeyOf(name: string, pem: string): KeyObject {
  try {
    return readUpdateKey(pem, 'public');
  } catch (cause) {
    throw secretError(name, 'updateKey: not a P-256 key in PEM', cause);
  }
}

/** PCRs that differ from the nearest values with which it opens; none: it opens. */
export function differing(file: SealedFile, now: PcrValuesHex): readonly number[] {
  const states = [file.sealed, ...file.approvals].map(({ values }) =>
    file.pcrs.filter((pcr) => values[pcr] !== now[pcr]),
  );
  return states.reduce((fewest, one) => (one.length < fewest.length ? one : fewest));
}

function stepsFor(name: string, file: SealedFile, terms: Terms, now: PcrValuesHex): readonly PolicyStep[] {
  const isNow = ({ values }: { readonly values: PcrValuesHex }) =>
    file.pcrs.every((pcr) => values[pcr] === now[pcr]);
  if (isNow(file.sealed)) return firstSteps(terms);
  const { id, values, updateKey } = terms;
  if (updateKey !== null) {
    const matching = file.approvals.filter(isNow);
    const approval = matching.find((one) => isApproved({ id, values: one.values }, one.signature, updateKey));
    if (approval !== undefined) return approvedSteps({ id, values, updateKey }, approval);
    if (matching.length > 0)
      throw secretError(
        name,
        'the approval of what the PCRs are now was not signed with the update key, or for another secret',
      );
  }
  const which = differing(file, now).map((pcr) => `PCR ${pcr}, now ${now[pcr]}`);
  const many = file.approvals.length === 0 ? 'when it was sealed' : 'when it was sealed or approved';
  throw secretError(name, `the measurements are not what they were ${many}: ${which.join('; ')}`);
}

/** Whatever the TPM refuses here says that the file, or a PCR since it was read, is not what it was. */
async function openKey(
  scope: Scope,
  name: string,
  parent: PrimaryKey,
  data: SealedData,
  steps: readonly PolicyStep[],
): Promise<Uint8Array> {
  try {
    const authorization = await startSession(scope, { kind: 'policy', salt: parent, encrypts: 'responses' });
    await satisfy(scope, authorization, steps);
    return await unsealData(scope, { parent, data, authValue: none, authorization, sessions: [] });
  } catch (problem) {
    if (!(problem instanceof TpmError)) throw problem;
    if (problem.is('INTEGRITY', 'BINDING', 'SENSITIVE', 'SIZE', 'ATTRIBUTES', 'HASH', 'TYPE'))
      throw secretError(name, 'key: was changed', problem);
    if (problem.is('VALUE', 'PCR_CHANGED', 'POLICY_FAIL'))
      throw secretError(name, 'a PCR was extended while it was opened', problem);
    throw problem;
  }
}

/**
 * Approves other values: it will open while the PCRs have these, too. Nothing takes an approval back but sealing anew.
 * @throws SurfacedError E_SECRET when it was sealed without an update key, or with another one
 */
export function withApproval(
  name: string,
  file: SealedFile,
  options: { readonly values: PcrValuesHex; readonly privateKey: KeyObject; readonly now: number },
): SealedFile {
  const { values, privateKey, now } = options;
  if (file.updateKey === null)
    throw secretError(name, 'was sealed without an update key: nothing but sealing it again helps');
  if (pemOf(privateKey) !== pemOf(updateKeyOf(name, file.updateKey)))
    throw secretError(name, 'was sealed for another update key');
  const chosen = Object.fromEntries(
    file.pcrs.map((pcr) => {
      const value = values[pcr];
      if (value === undefined) throw secretError(name, `no value of PCR ${pcr} was given`);
      return [pcr, value];
    }),
  );
  const approval = {
    at: new Date(now).toISOString(),
    values: chosen,
    signature: approve({ id: file.id, values: chosen }, privateKey),
  };
  const others = file.approvals.filter((one) => file.pcrs.some((pcr) => one.values[pcr] !== chosen[pcr]));
  return { ...file, approvals: [...others, approval].slice(-secretLimits.mostApprovals) };
}

function encrypted(text: Uint8Array, aesKey: Uint8Array, key: Uint8Array): SealedFile['text'] {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', aesKey, iv).setAAD(key);
  const data = Buffer.concat([cipher.update(text), cipher.final()]);
  return { iv, tag: cipher.getAuthTag(), data };
}

function decrypted(name: string, { key, text }: SealedFile, aesKey: Uint8Array): Buffer {
  try {
    const cipher = createDecipheriv('aes-256-gcm', aesKey, text.iv, { authTagLength: 16 }).setAAD(key);
    cipher.setAuthTag(text.tag);
    return Buffer.concat([cipher.update(text.data), cipher.final()]);
  } catch (cause) {
    throw secretError(name, 'text: was changed', cause);
  }
}

async function asOurs<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (problem) {
    throw tpmProblem(problem, 'a sealed secret');
  }
}
