/** Keys and sealed data: made, loaded, read, kept, flushed (TPM 2.0 Part 3, sections 12, 24, 28). */
import { struct, u32, u64 } from '../codec.ts';
import { dataBuffer, digestBuffer, nameBuffer, opaqueBuffer, sensitiveData } from '../structures/common.ts';
import { sensitiveCreateBuffer } from '../structures/creation.ts';
import { pcrSelections } from '../structures/pcr.ts';
import { publicBuffer } from '../structures/public.ts';
import { ticket } from '../structures/ticket.ts';
import { define, defineLoading, keyMs } from './definition.ts';

const toCreate = {
  inSensitive: sensitiveCreateBuffer,
  inPublic: publicBuffer,
  outsideInfo: dataBuffer,
  creationPCR: pcrSelections,
};
/** The creation data as it came: a hash and a signature cover exactly these bytes. */
const created = {
  outPublic: publicBuffer,
  creationData: opaqueBuffer,
  creationHash: digestBuffer,
  creationTicket: ticket,
};

export const createPrimary = defineLoading({
  name: 'TPM2_CreatePrimary',
  code: 0x131,
  handles: ['primaryHandle'],
  authorized: 1,
  parameters: toCreate,
  result: { ...created, name: nameBuffer },
  mostMs: keyMs,
});

export const create = define({
  name: 'TPM2_Create',
  code: 0x153,
  handles: ['parentHandle'],
  authorized: 1,
  parameters: toCreate,
  result: { outPrivate: opaqueBuffer, ...created },
  mostMs: keyMs,
});

export const load = defineLoading({
  name: 'TPM2_Load',
  code: 0x157,
  handles: ['parentHandle'],
  authorized: 1,
  parameters: { inPrivate: opaqueBuffer, inPublic: publicBuffer },
  result: { name: nameBuffer },
});

export const createLoaded = defineLoading({
  name: 'TPM2_CreateLoaded',
  code: 0x191,
  handles: ['parentHandle'],
  authorized: 1,
  parameters: { inSensitive: sensitiveCreateBuffer, inPublic: publicBuffer },
  result: { outPrivate: opaqueBuffer, outPublic: publicBuffer, name: nameBuffer },
  mostMs: keyMs,
});

/** Loads a public key from outside; the private part is left empty. */
export const loadExternal = defineLoading({
  name: 'TPM2_LoadExternal',
  code: 0x167,
  handles: [],
  authorized: 0,
  parameters: { inPrivate: opaqueBuffer, inPublic: publicBuffer, hierarchy: u32 },
  result: { name: nameBuffer },
});

export const readPublic = define({
  name: 'TPM2_ReadPublic',
  code: 0x173,
  handles: ['objectHandle'],
  authorized: 0,
  parameters: {},
  result: { outPublic: publicBuffer, name: nameBuffer, qualifiedName: nameBuffer },
});

/** Removes a transient object or a session; the handle is a parameter here (Part 3, section 28.4). */
export const flushContext = define({
  name: 'TPM2_FlushContext',
  code: 0x165,
  handles: [],
  authorized: 0,
  parameters: { flushHandle: u32 },
  result: {},
});

/** Makes a transient object persistent, or removes a persistent one. */
export const evictControl = define({
  name: 'TPM2_EvictControl',
  code: 0x120,
  handles: ['auth', 'objectHandle'],
  authorized: 1,
  parameters: { persistentHandle: u32 },
  result: {},
});

/** TPMS_CONTEXT (Part 2, section 14.5): what was loaded, encrypted by the TPM for itself. */
export const context = struct({
  sequence: u64,
  savedHandle: u32,
  hierarchy: u32,
  contextBlob: opaqueBuffer,
});

export const contextSave = define({
  name: 'TPM2_ContextSave',
  code: 0x162,
  handles: ['saveHandle'],
  authorized: 0,
  parameters: {},
  result: { context },
});

export const contextLoad = defineLoading({
  name: 'TPM2_ContextLoad',
  code: 0x161,
  handles: [],
  authorized: 0,
  parameters: { context },
  result: {},
});

export const unseal = define({
  name: 'TPM2_Unseal',
  code: 0x15e,
  handles: ['itemHandle'],
  authorized: 1,
  parameters: {},
  result: { outData: sensitiveData },
});

export const hierarchyChangeAuth = define({
  name: 'TPM2_HierarchyChangeAuth',
  code: 0x129,
  handles: ['authHandle'],
  authorized: 1,
  parameters: { newAuth: digestBuffer },
  result: {},
});

export const dictionaryAttackLockReset = define({
  name: 'TPM2_DictionaryAttackLockReset',
  code: 0x139,
  handles: ['lockHandle'],
  authorized: 1,
  parameters: {},
  result: {},
});

export const dictionaryAttackParameters = define({
  name: 'TPM2_DictionaryAttackParameters',
  code: 0x13a,
  handles: ['lockHandle'],
  authorized: 1,
  parameters: { newMaxTries: u32, newRecoveryTime: u32, lockoutRecovery: u32 },
  result: {},
});
