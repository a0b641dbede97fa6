/** The endorsement key of a TPM: which of them is its identity, and how to have it again. */
import type { Log } from '../../log.ts';
import { ekPublicSha256 } from '../certificates/public-key.ts';
import {
  decode,
  encodePublic,
  handlesOf,
  handleType,
  type LoadedObject,
  makePrimary,
  objectAt,
  type PolicyStep,
  type Public,
  publicArea,
  type Scope,
  TpmError,
  TpmFormatError,
} from '../tpm2/index.ts';
import {
  indexText,
  readChain,
  readEkCertificate,
  readIndex,
  type StoredCertificate,
} from './ek-certificates.ts';
import {
  type EkKind,
  ekKinds,
  ekKindsWithoutCertificate,
  ekPolicy,
  persistentEkHandles,
} from './ek-profile.ts';
import { endorsementHierarchy, makeIfPossible } from './primaries.ts';

/** An endorsement key, and what it takes to have it again. */
export interface Endorsement {
  readonly template: Public;
  /** Where it is kept; null: it is made from the template. */
  readonly persistentHandle: number | null;
  readonly policy: readonly PolicyStep[];
  /** DER; null: none that fits. */
  readonly certificate: Uint8Array | null;
  readonly chain: readonly Uint8Array[];
}

/** An endorsement key that is loaded in the scope, or persistent. */
export interface LoadedEndorsement extends Endorsement {
  readonly key: LoadedObject;
}

/**
 * Chooses the endorsement key and loads it: the first kind of `ekKinds` whose certificate is in NV memory and names the key
 * that the TPM makes; without any an ECC key. The same TPM always gives the same.
 * @throws TpmError
 */
export async function findEndorsement(scope: Scope, log: Log): Promise<LoadedEndorsement> {
  const indices = (await handlesOf(scope, handleType.nv)).toSorted((one, other) => one - other);
  for (const kind of ekKinds) {
    if (!indices.includes(kind.certificate)) continue;
    const stored = await readEkCertificate(scope, kind.certificate, log);
    if (stored === null) continue;
    const found = await keyOf(scope, { kind, stored, indices, log });
    if (found !== null)
      return { ...found, certificate: stored.der, chain: await readChain(scope, indices, log) };
  }
  for (const kind of ekKindsWithoutCertificate) {
    const found = await keyOf(scope, { kind, stored: null, indices, log });
    if (found !== null) return { ...found, certificate: null, chain: [] };
  }
  throw new TpmFormatError('the TPM has neither an ECC nor an RSA endorsement key');
}

/** Loads the key that {@link findEndorsement} chose. Whether it is still the same is for the caller to see. @throws TpmError */
export async function loadEndorsement(scope: Scope, endorsement: Endorsement): Promise<LoadedObject> {
  const { persistentHandle, template } = endorsement;
  if (persistentHandle !== null) {
    const kept = await persistentAt(scope, persistentHandle);
    if (kept !== null && isMadeFrom(kept.publicArea, template)) return kept;
  }
  return makePrimary(scope, { hierarchy: endorsementHierarchy, template });
}

/** What is looked for. */
interface Search {
  readonly kind: EkKind;
  readonly stored: StoredCertificate | null;
  /** NV indices that exist. */
  readonly indices: readonly number[];
  readonly log: Log;
}

/** Null, with the reason in the log, when the TPM has no such key, or not the one of the certificate. */
async function keyOf(
  scope: Scope,
  search: Search,
): Promise<Omit<LoadedEndorsement, 'certificate' | 'chain'> | null> {
  const { kind, stored, log } = search;
  const leaveOut = (reason: string): null => {
    log.warn({ kind: kind.name, reason }, 'an endorsement key is left out');
    return null;
  };
  const template = await templateOf(scope, search);
  const policy = ekPolicy(template);
  if (policy === null) return leaveOut('its policy is neither PolicyA nor PolicyB of the EK profile');
  const kept = stored && (await persistentOf(scope, template, stored));
  if (kept !== null) return { key: kept, template, policy, persistentHandle: kept.handle };
  const key = await makeIfPossible(scope, template);
  if (key === null) return leaveOut('the TPM cannot make it');
  if (stored === null || isKeyOf(key, stored)) return { key, template, policy, persistentHandle: null };
  await scope.flush(key.handle);
  return leaveOut('its certificate is for another key than the TPM makes');
}

/** What the TPM's maker put into NV memory, else what the profile says. */
async function templateOf(scope: Scope, { kind, indices, log }: Search): Promise<Public> {
  const read = async (index: number | null): Promise<Buffer | null> =>
    index !== null && indices.includes(index) ? readIndex(scope, index, log) : null;
  const template = parsed(await read(kind.templateIndex), kind, log) ?? kind.template;
  const nonce = await read(kind.nonce);
  return nonce === null ? template : withNonce(template, nonce, kind, log);
}

function parsed(bytes: Buffer | null, kind: EkKind, log: Log): Public | null {
  if (bytes === null) return null;
  try {
    return decode('EK template', publicArea, bytes);
  } catch (problem) {
    if (!(problem instanceof TpmFormatError)) throw problem;
    log.warn({ index: indexText(kind.templateIndex), err: problem }, 'an EK template in the TPM is left out');
    return null;
  }
}

/** `unique` begins with the nonce; zeros follow (profile, section 2.2.1.5). */
function withNonce(template: Public, nonce: Buffer, kind: EkKind, log: Log): Public {
  const filled = (size: number): Buffer => Buffer.concat([nonce, Buffer.alloc(size - nonce.length)]);
  if ('modulus' in template && nonce.length <= 256) return { ...template, modulus: filled(256) };
  if ('x' in template && nonce.length <= 32) return { ...template, x: filled(32), y: Buffer.alloc(32) };
  log.warn({ kind: kind.name, bytes: nonce.length }, 'an EK nonce in the TPM is left out');
  return template;
}

/** A persistent key with the certificate's public part, so that an RSA key need not be made, which can take minutes. */
async function persistentOf(
  scope: Scope,
  template: Public,
  stored: StoredCertificate,
): Promise<LoadedObject | null> {
  const there = await handlesOf(scope, handleType.persistent);
  for (const persistentHandle of persistentEkHandles) {
    if (!there.includes(persistentHandle)) continue;
    const kept = await persistentAt(scope, persistentHandle);
    if (kept !== null && isMadeFrom(kept.publicArea, template) && isKeyOf(kept, stored)) return kept;
  }
  return null;
}

/** Null when it was taken away, or is of a kind that is not known here: then it is none of ours. */
async function persistentAt(scope: Scope, persistentHandle: number): Promise<LoadedObject | null> {
  try {
    return await objectAt(scope, persistentHandle);
  } catch (problem) {
    if (problem instanceof TpmFormatError) return null;
    if (problem instanceof TpmError && problem.is('HANDLE')) return null;
    throw problem;
  }
}

const isKeyOf = ({ publicArea: area }: LoadedObject, { keySha256 }: StoredCertificate): boolean =>
  ekPublicSha256(area) === keySha256;

/** Whether everything but the key itself is as in the template. */
function isMadeFrom(area: Public, template: Public): boolean {
  return encodePublic(withoutUnique(area)).equals(encodePublic(withoutUnique(template)));
}

function withoutUnique(area: Public): Public {
  const nothing = new Uint8Array(0);
  if ('modulus' in area) return { ...area, modulus: nothing };
  if ('x' in area) return { ...area, x: nothing, y: nothing };
  return area;
}
