/** NV indices as a caller wants them: read and written whole, whatever the TPM takes at once (TPM 2.0 Part 3, section 31). */
import { getCapability } from './commands/general.ts';
import {
  nvCertify,
  nvDefineSpace,
  nvExtend,
  nvIncrement,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from './commands/nv.ts';
import { nameOfNv } from './names.ts';
import { TpmError } from './response-codes.ts';
import { type Entity, type Session, TpmSessionError } from './session.ts';
import { capability, property } from './structures/capability.ts';
import type { NvPublic } from './structures/nv.ts';
import type { Signature } from './structures/signature.ts';
import type { Executor } from './tpm.ts';

/** Bytes at once that every TPM takes. */
const safeChunkBytes = 512;

/** An NV index, and what authorizes its use. */
export interface NvIndex extends Entity {
  readonly nvPublic: NvPublic;
}

/** How an access is authorized: by the index itself (null), or by another entity, e.g. the owner; with which session. */
export interface NvAccess {
  readonly by?: Entity | null;
  readonly authorization?: Session | null;
  readonly sessions?: readonly Session[];
}

/** What an index is; null when there is none. */
export async function nvIndexAt(
  executor: Executor,
  index: number,
  authValue: Uint8Array = new Uint8Array(0),
): Promise<NvIndex | null> {
  const entity = { handle: index, name: new Uint8Array(0), authValue };
  try {
    const { nvPublic, nvName } = await executor.execute(nvReadPublic, {
      handles: { nvIndex: entity },
      parameters: {},
    });
    const name = nameOfNv(nvPublic);
    if (nvPublic.index !== index || !name.equals(nvName))
      throw new TpmSessionError('the Name of the NV index is not that of its public area');
    return { ...entity, name, nvPublic };
  } catch (problem) {
    if (problem instanceof TpmError && problem.is('HANDLE')) return null;
    throw problem;
  }
}

/** Makes an index. */
export async function defineNv(
  executor: Executor,
  owner: Entity,
  nvPublic: NvPublic,
  authValue: Uint8Array,
): Promise<void> {
  await executor.execute(nvDefineSpace, {
    handles: { authHandle: owner },
    parameters: { auth: authValue, publicInfo: nvPublic },
  });
}

/** Removes an index. */
export async function undefineNv(executor: Executor, owner: Entity, index: NvIndex): Promise<void> {
  await executor.execute(nvUndefineSpace, { handles: { authHandle: owner, nvIndex: index }, parameters: {} });
}

/** All that an index holds. */
export async function readNv(executor: Executor, index: NvIndex, access: NvAccess = {}): Promise<Buffer> {
  const { dataSize } = index.nvPublic;
  const chunkBytes = await mostChunkBytes(executor);
  const chunks: Uint8Array[] = [];
  for (let offset = 0; offset < dataSize; offset += chunkBytes) {
    const size = Math.min(chunkBytes, dataSize - offset);
    const { data } = await executor.execute(nvRead, { ...call(index, access), parameters: { size, offset } });
    if (data.length !== size)
      throw new TpmSessionError(`NV_Read gave ${data.length} bytes, ${size} were asked for`);
    chunks.push(data);
  }
  return Buffer.concat(chunks);
}

/** Writes an ordinary index from its start; the Name of the index changes at the first write. */
export async function writeNv(
  executor: Executor,
  index: NvIndex,
  data: Uint8Array,
  access: NvAccess = {},
): Promise<NvIndex> {
  const chunkBytes = await mostChunkBytes(executor);
  let current = index;
  for (let offset = 0; offset < data.length; offset += chunkBytes) {
    const chunk = data.subarray(offset, offset + chunkBytes);
    await executor.execute(nvWrite, { ...call(current, access), parameters: { data: chunk, offset } });
    current = written(current);
  }
  return current;
}

/** Adds one to a counter. */
export async function incrementNv(
  executor: Executor,
  index: NvIndex,
  access: NvAccess = {},
): Promise<NvIndex> {
  await executor.execute(nvIncrement, { ...call(index, access), parameters: {} });
  return written(index);
}

/** Extends an index of the extend type, as a PCR is. */
export async function extendNv(
  executor: Executor,
  index: NvIndex,
  data: Uint8Array,
  access: NvAccess = {},
): Promise<NvIndex> {
  await executor.execute(nvExtend, { ...call(index, access), parameters: { data } });
  return written(index);
}

/** The TPM's signature over what an index holds; `contents` are in the attestation. */
export async function certifyNv(
  executor: Executor,
  options: {
    readonly index: NvIndex;
    readonly key: Entity;
    readonly qualifyingData: Uint8Array;
    readonly access?: NvAccess;
  },
): Promise<{ readonly attest: Uint8Array; readonly signature: Signature }> {
  const { index, key, qualifyingData, access = {} } = options;
  const { by = null, authorization = null, sessions = [] } = access;
  const { certifyInfo, signature } = await executor.execute(nvCertify, {
    handles: { signHandle: key, authHandle: by ?? index, nvIndex: index },
    parameters: { qualifyingData, inScheme: null, size: index.nvPublic.dataSize, offset: 0 },
    authorizations: [null, authorization],
    sessions,
  });
  return { attest: certifyInfo, signature };
}

function call(index: NvIndex, { by = null, authorization = null, sessions = [] }: NvAccess) {
  return {
    handles: { authHandle: by ?? index, nvIndex: index },
    authorizations: [authorization],
    sessions,
  };
}

/** The attribute that the first write sets, and with it the Name that authorizations cover from then on. */
function written(index: NvIndex): NvIndex {
  const { attributes } = index.nvPublic;
  if (attributes.set.has('written')) return index;
  const nvPublic = {
    ...index.nvPublic,
    attributes: { ...attributes, set: new Set([...attributes.set, 'written' as const]) },
  };
  return { ...index, nvPublic, name: nameOfNv(nvPublic) };
}

async function mostChunkBytes(executor: Executor): Promise<number> {
  const { capabilityData } = await executor.execute(getCapability, {
    handles: {},
    parameters: { capability: capability.properties, property: property.nvBufferMax, propertyCount: 1 },
  });
  if (capabilityData.capability !== capability.properties) return safeChunkBytes;
  const found = capabilityData.values.find((entry) => entry.property === property.nvBufferMax);
  return Math.max(1, Math.min(found?.value ?? safeChunkBytes, safeChunkBytes));
}
