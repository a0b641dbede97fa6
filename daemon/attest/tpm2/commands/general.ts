/** Start, stop, what a TPM is and its clock (TPM 2.0 Part 3, sections 9, 10, 16, 29, 30). */
import { buffer, u16, u32, yesNo } from '../codec.ts';
import { timeInfo } from '../structures/attest.ts';
import { capabilityData } from '../structures/capability.ts';
import { digestBuffer } from '../structures/common.ts';
import { define } from './definition.ts';

/** TPM_SU: forget what the last shutdown kept, or take it up again. */
export const startupType = { clear: 0x0000, state: 0x0001 } as const;

export const startup = define({
  name: 'TPM2_Startup',
  code: 0x144,
  handles: [],
  authorized: 0,
  parameters: { startupType: u16 },
  result: {},
});

export const shutdown = define({
  name: 'TPM2_Shutdown',
  code: 0x145,
  handles: [],
  authorized: 0,
  parameters: { shutdownType: u16 },
  result: {},
});

export const selfTest = define({
  name: 'TPM2_SelfTest',
  code: 0x143,
  handles: [],
  authorized: 0,
  parameters: { fullTest: yesNo },
  result: {},
});

export const getTestResult = define({
  name: 'TPM2_GetTestResult',
  code: 0x17c,
  handles: [],
  authorized: 0,
  parameters: {},
  result: { outData: buffer('TPM2B_MAX_BUFFER', 4096), testResult: u32 },
});

export const getCapability = define({
  name: 'TPM2_GetCapability',
  code: 0x17a,
  handles: [],
  authorized: 0,
  parameters: { capability: u32, property: u32, propertyCount: u32 },
  result: { moreData: yesNo, capabilityData },
});

/** Gives at most as many bytes as the TPM's largest digest has, whatever is asked for. */
export const getRandom = define({
  name: 'TPM2_GetRandom',
  code: 0x17b,
  handles: [],
  authorized: 0,
  parameters: { bytesRequested: u16 },
  result: { randomBytes: digestBuffer },
});

export const readClock = define({
  name: 'TPM2_ReadClock',
  code: 0x181,
  handles: [],
  authorized: 0,
  parameters: {},
  result: { currentTime: timeInfo },
});
