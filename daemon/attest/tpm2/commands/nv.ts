/** Non-volatile memory (TPM 2.0 Part 3, section 31). */
import { u16 } from '../codec.ts';
import { attestBuffer } from '../structures/attest.ts';
import { dataBuffer, digestBuffer, maxBuffer, nameBuffer } from '../structures/common.ts';
import { nvPublicBuffer } from '../structures/nv.ts';
import { signature, signatureScheme } from '../structures/signature.ts';
import { define } from './definition.ts';

export const nvDefineSpace = define({
  name: 'TPM2_NV_DefineSpace',
  code: 0x12a,
  handles: ['authHandle'],
  authorized: 1,
  parameters: { auth: digestBuffer, publicInfo: nvPublicBuffer },
  result: {},
});

export const nvUndefineSpace = define({
  name: 'TPM2_NV_UndefineSpace',
  code: 0x122,
  handles: ['authHandle', 'nvIndex'],
  authorized: 1,
  parameters: {},
  result: {},
});

export const nvReadPublic = define({
  name: 'TPM2_NV_ReadPublic',
  code: 0x169,
  handles: ['nvIndex'],
  authorized: 0,
  parameters: {},
  result: { nvPublic: nvPublicBuffer, nvName: nameBuffer },
});

export const nvRead = define({
  name: 'TPM2_NV_Read',
  code: 0x14e,
  handles: ['authHandle', 'nvIndex'],
  authorized: 1,
  parameters: { size: u16, offset: u16 },
  result: { data: maxBuffer },
});

export const nvWrite = define({
  name: 'TPM2_NV_Write',
  code: 0x137,
  handles: ['authHandle', 'nvIndex'],
  authorized: 1,
  parameters: { data: maxBuffer, offset: u16 },
  result: {},
});

export const nvIncrement = define({
  name: 'TPM2_NV_Increment',
  code: 0x134,
  handles: ['authHandle', 'nvIndex'],
  authorized: 1,
  parameters: {},
  result: {},
});

export const nvExtend = define({
  name: 'TPM2_NV_Extend',
  code: 0x136,
  handles: ['authHandle', 'nvIndex'],
  authorized: 1,
  parameters: { data: maxBuffer },
  result: {},
});

export const nvCertify = define({
  name: 'TPM2_NV_Certify',
  code: 0x184,
  handles: ['signHandle', 'authHandle', 'nvIndex'],
  authorized: 2,
  parameters: { qualifyingData: dataBuffer, inScheme: signatureScheme, size: u16, offset: u16 },
  result: { certifyInfo: attestBuffer, signature },
});
