/** What a TPM signs: TPMS_ATTEST (TPM 2.0 Part 2, section 10.12.8). */
import { buffer, type Codec, struct, u16, u32, u64, yesNo } from '../codec.ts';
import { TpmFormatError } from '../wire.ts';
import { dataBuffer, digestBuffer, maxBuffer, nameBuffer } from './common.ts';
import { type PcrSelection, pcrSelections } from './pcr.ts';

/** TPM_GENERATED_VALUE, "\xffTCG": a restricted key signs nothing from outside that begins so. */
export const generatedValue = 0xff544347;

/** TPM_ST of attestations. */
export const attestType = {
  nv: 0x8014,
  certify: 0x8017,
  quote: 0x8018,
  time: 0x8019,
  creation: 0x801a,
} as const;

/** TPMS_CLOCK_INFO: milliseconds that the TPM was powered, and how often it was reset. */
export interface ClockInfo {
  /** Milliseconds; kept in non-volatile memory now and then only, so that it may go back after power was cut. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** False when `clock` may have been this large before. */
  readonly isSafe: boolean;
}

export const clockInfo: Codec<ClockInfo> = struct({
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  isSafe: yesNo,
});

/** TPMS_TIME_INFO. */
export const timeInfo = struct({ time: u64, clockInfo });

/** What is attested; `type` is one of {@link attestType}. */
export type Attested =
  | {
      readonly type: typeof attestType.quote;
      readonly pcrSelect: readonly PcrSelection[];
      readonly pcrDigest: Uint8Array;
    }
  | {
      readonly type: typeof attestType.certify;
      readonly name: Uint8Array;
      readonly qualifiedName: Uint8Array;
    }
  | {
      readonly type: typeof attestType.creation;
      readonly objectName: Uint8Array;
      readonly creationHash: Uint8Array;
    }
  | {
      readonly type: typeof attestType.nv;
      readonly indexName: Uint8Array;
      readonly offset: number;
      readonly contents: Uint8Array;
    }
  | {
      readonly type: typeof attestType.time;
      readonly time: bigint;
      readonly clockInfo: ClockInfo;
      readonly firmwareVersion: bigint;
    };

/** TPMS_ATTEST. */
export interface Attest {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
  readonly attested: Attested;
}

const bodies = {
  [attestType.quote]: struct({ pcrSelect: pcrSelections, pcrDigest: digestBuffer }),
  [attestType.certify]: struct({ name: nameBuffer, qualifiedName: nameBuffer }),
  [attestType.creation]: struct({ objectName: nameBuffer, creationHash: digestBuffer }),
  [attestType.nv]: struct({ indexName: nameBuffer, offset: u16, contents: maxBuffer }),
  [attestType.time]: struct({ time: u64, clockInfo, firmwareVersion: u64 }),
};
const head = struct({ qualifiedSigner: nameBuffer, extraData: dataBuffer, clockInfo, firmwareVersion: u64 });

/** TPMS_ATTEST; what no TPM made (another magic), and types that nobody asked for, are refused. */
export const attest: Codec<Attest> = {
  read(reader) {
    const magic = reader.u32();
    if (magic !== generatedValue)
      throw new TpmFormatError(`no attestation: magic 0x${magic.toString(16)}, expected 0xff544347`);
    const type = reader.u16();
    if (!Object.hasOwn(bodies, type))
      throw new TpmFormatError(`attestation type 0x${type.toString(16)} is not known`);
    const body = bodies[type as Attested['type']] as Codec<object>;
    return { ...head.read(reader), attested: { type, ...body.read(reader) } as Attested };
  },
  write(writer, value) {
    writer.u32(generatedValue);
    writer.u16(value.attested.type);
    head.write(writer, value);
    (bodies[value.attested.type] as Codec<object>).write(writer, value.attested);
  },
};

/** TPM2B_ATTEST as it came: signatures cover exactly these bytes, so they are kept and not decoded. */
export const attestBuffer = buffer('TPM2B_ATTEST', 2048);
