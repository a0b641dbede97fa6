/** Which PCRs of which banks: TPML_PCR_SELECTION (TPM 2.0 Part 2, sections 10.6.2 and 10.9.7). */
import { hashOf } from '../algorithms.ts';
import { type Codec, list } from '../codec.ts';
import { TpmFormatError } from '../wire.ts';

/** PCRs of one bank. */
export interface PcrSelection {
  /** Hash algorithm of the bank. */
  readonly hash: number;
  /** PCR numbers, 0 to 31, ascending. */
  readonly pcrs: readonly number[];
}

/** Bytes of the bit map that is sent: 24 PCRs, as every TPM of the PC Client profile has them. */
const sentBytes = 3;
/** Most bytes of a bit map: IMPLEMENTATION_PCR is at most 32. */
const mostBytes = 4;
/** Most banks in a selection: one a hash algorithm, HASH_COUNT of the largest TPMs. */
const mostBanks = 16;

const selection: Codec<PcrSelection> = {
  read(reader) {
    const hash = reader.u16();
    const size = reader.u8();
    if (size > mostBytes)
      throw new TpmFormatError(`a PCR bit map of ${size} bytes; at most ${mostBytes} are allowed`);
    const bits = reader.bytes(size);
    const isSet = (pcr: number) => (((bits[pcr >> 3] ?? 0) >> (pcr & 7)) & 1) === 1;
    return { hash, pcrs: Array.from({ length: size * 8 }, (_, pcr) => pcr).filter(isSet) };
  },
  write(writer, { hash, pcrs }) {
    const wrong = pcrs.find((pcr) => !Number.isInteger(pcr) || pcr < 0 || pcr >= mostBytes * 8);
    if (wrong !== undefined) throw new RangeError(`PCR ${wrong}: expected 0 to ${mostBytes * 8 - 1}`);
    const bits = Buffer.alloc(Math.max(sentBytes, ...pcrs.map((pcr) => (pcr >> 3) + 1)));
    for (const pcr of pcrs) bits[pcr >> 3] = (bits[pcr >> 3] ?? 0) | (1 << (pcr & 7));
    writer.u16(hash);
    writer.u8(bits.length);
    writer.bytes(bits);
  },
};

const selections = list('TPML_PCR_SELECTION', selection, mostBanks);

/** TPML_PCR_SELECTION; a bank that is named twice is refused, as one could hide what the other says. */
export const pcrSelections: Codec<readonly PcrSelection[]> = {
  read(reader) {
    const values = selections.read(reader);
    if (new Set(values.map(({ hash }) => hash)).size < values.length)
      throw new TpmFormatError('TPML_PCR_SELECTION: a bank is named twice');
    return values;
  },
  write: (writer, values) => selections.write(writer, values),
};

/** A digest with its algorithm, TPMT_HA. */
export interface HashValue {
  readonly hash: number;
  readonly digest: Uint8Array;
}

/** TPMT_HA: as long as its algorithm says. */
export const hashValue: Codec<HashValue> = {
  read(reader) {
    const hash = reader.u16();
    return { hash, digest: reader.bytes(hashOf(hash).size) };
  },
  write(writer, { hash, digest }) {
    const { name, size } = hashOf(hash);
    if (digest.length !== size)
      throw new RangeError(`a ${name} digest has ${size} bytes, not ${digest.length}`);
    writer.u16(hash);
    writer.bytes(digest);
  },
};

/** TPML_DIGEST_VALUES. */
export const hashValues = list('TPML_DIGEST_VALUES', hashValue, mostBanks);
