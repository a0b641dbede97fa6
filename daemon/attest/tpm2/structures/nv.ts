/** Public areas of NV indices: TPMS_NV_PUBLIC (TPM 2.0 Part 2, section 13.6). */
import { type NvAttributes, nvAttributes } from '../attributes.ts';
import { type Codec, sized, struct, u16, u32 } from '../codec.ts';
import { digestBuffer } from './common.ts';

/** TPMS_NV_PUBLIC. */
export interface NvPublic {
  readonly index: number;
  readonly nameAlg: number;
  readonly attributes: NvAttributes;
  readonly authPolicy: Uint8Array;
  /** Bytes of the data. */
  readonly dataSize: number;
}

export const nvPublic: Codec<NvPublic> = struct({
  index: u32,
  nameAlg: u16,
  attributes: nvAttributes,
  authPolicy: digestBuffer,
  dataSize: u16,
});

/** TPM2B_NV_PUBLIC. */
export const nvPublicBuffer = sized('TPM2B_NV_PUBLIC', nvPublic);
