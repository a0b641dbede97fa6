/** What a TPM can do and has: TPMS_CAPABILITY_DATA (TPM 2.0 Part 2, section 10.10.2). */
import { type Codec, list, struct, u16, u32 } from '../codec.ts';
import { TpmFormatError } from '../wire.ts';
import { type PcrSelection, pcrSelections } from './pcr.ts';

/** TPM_CAP (Part 2, section 6.12). */
export const capability = {
  algorithms: 0,
  handles: 1,
  commands: 2,
  pcrs: 5,
  properties: 6,
  eccCurves: 8,
} as const;

/** TPM_PT (Part 2, section 6.13): fixed from 0x100, variable from 0x200. */
export const property = {
  manufacturer: 0x105,
  vendorString1: 0x106,
  vendorString2: 0x107,
  vendorString3: 0x108,
  vendorString4: 0x109,
  firmwareVersion1: 0x10b,
  firmwareVersion2: 0x10c,
  transientMin: 0x10e,
  loadedSessionsMin: 0x110,
  activeSessionsMax: 0x111,
  pcrCount: 0x112,
  contextGapMax: 0x114,
  memory: 0x118,
  clockUpdate: 0x119,
  maxCommandSize: 0x11e,
  maxResponseSize: 0x11f,
  nvBufferMax: 0x12c,
  permanent: 0x200,
  startupClear: 0x201,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
} as const;

/** Most elements that fit a response: 4096 bytes of 4 each. */
const most = 1024;

/** TPMS_CAPABILITY_DATA; `capability` is one of {@link capability}. */
export type CapabilityData =
  | {
      readonly capability: typeof capability.algorithms;
      readonly values: readonly { readonly algorithm: number; readonly attributes: number }[];
    }
  | {
      readonly capability:
        | typeof capability.handles
        | typeof capability.commands
        | typeof capability.eccCurves;
      readonly values: readonly number[];
    }
  | { readonly capability: typeof capability.pcrs; readonly values: readonly PcrSelection[] }
  | {
      readonly capability: typeof capability.properties;
      readonly values: readonly { readonly property: number; readonly value: number }[];
    };

const lists = {
  [capability.algorithms]: list('TPML_ALG_PROPERTY', struct({ algorithm: u16, attributes: u32 }), most),
  [capability.handles]: list('TPML_HANDLE', u32, most),
  [capability.commands]: list('TPML_CCA', u32, most),
  [capability.pcrs]: pcrSelections,
  [capability.properties]: list('TPML_TAGGED_TPM_PROPERTY', struct({ property: u32, value: u32 }), most),
  [capability.eccCurves]: list('TPML_ECC_CURVE', u16, most),
};

/** TPMS_CAPABILITY_DATA. */
export const capabilityData: Codec<CapabilityData> = {
  read(reader) {
    const id = reader.u32();
    if (!Object.hasOwn(lists, id)) throw new TpmFormatError(`capability ${id} is not known`);
    const values = (lists[id as CapabilityData['capability']] as Codec<unknown>).read(reader);
    return { capability: id, values } as CapabilityData;
  },
  write(writer, value) {
    writer.u32(value.capability);
    (lists[value.capability] as Codec<unknown>).write(writer, value.values);
  },
};
