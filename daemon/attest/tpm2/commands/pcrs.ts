/** Platform configuration registers (TPM 2.0 Part 3, section 22). */
import { list, u32 } from '../codec.ts';
import { digestBuffer, maxBuffer } from '../structures/common.ts';
import { hashValues, pcrSelections } from '../structures/pcr.ts';
import { define } from './definition.ts';

/** Gives at most eight digests and says which: ask again for the rest. */
export const pcrRead = define({
  name: 'TPM2_PCR_Read',
  code: 0x17e,
  handles: [],
  authorized: 0,
  parameters: { pcrSelectionIn: pcrSelections },
  result: {
    pcrUpdateCounter: u32,
    pcrSelectionOut: pcrSelections,
    pcrValues: list('TPML_DIGEST', digestBuffer, 8),
  },
});

export const pcrExtend = define({
  name: 'TPM2_PCR_Extend',
  code: 0x182,
  handles: ['pcrHandle'],
  authorized: 1,
  parameters: { digests: hashValues },
  result: {},
});

/** Hashes the data, at most 1024 bytes, for every bank and extends them. */
export const pcrEvent = define({
  name: 'TPM2_PCR_Event',
  code: 0x13c,
  handles: ['pcrHandle'],
  authorized: 1,
  parameters: { eventData: maxBuffer },
  result: { digests: hashValues },
});

/** At locality 0 PCR 16 and 23 only. */
export const pcrReset = define({
  name: 'TPM2_PCR_Reset',
  code: 0x13d,
  handles: ['pcrHandle'],
  authorized: 1,
  parameters: {},
  result: {},
});
