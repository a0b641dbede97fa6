/** boot_aggregate: the first entry of IMA binds its list to what the firmware measured (ima_crypto.c). */
import type { HashName } from '../tpm2/index.ts';
import type { ImaFileDigest } from './ima-entry.ts';
import { bankDigest, isBank, isFilledWith, isSameBytes } from './log.ts';

/** PCRs that the kernel reads at its start: 0 to 7 of the SHA-1 bank, 0 to 9 of every other one. */
export const bootAggregatePcrs = (bank: HashName): readonly number[] =>
  Array.from({ length: bank === 'sha1' ? 8 : 10 }, (_, pcr) => pcr);

/** What the entry must say for PCRs with these values. */
export const bootAggregate = (bank: HashName, value: (pcr: number) => Uint8Array): Buffer =>
  bankDigest(bank, ...bootAggregatePcrs(bank).map(value));

/**
 * - `same`: the PCRs of the quote are those that the kernel saw.
 * - `different`: they are not; also when something has extended them since the kernel started.
 * - `zero`: the kernel found no TPM when IMA started.
 * - `not-quoted`: a PCR of that bank is missing.
 */
export type BootAggregateVerdict = 'same' | 'different' | 'zero' | 'not-quoted';

/** Compares the first entry with quoted PCRs; `value` gives null for a PCR that is not quoted. */
export function compareBootAggregate(
  listed: ImaFileDigest,
  value: (bank: HashName, pcr: number) => Uint8Array | null,
): BootAggregateVerdict {
  if (isFilledWith(listed.digest, 0)) return 'zero';
  const bank = listed.algorithm;
  if (!isBank(bank)) return 'not-quoted';
  const values = bootAggregatePcrs(bank).map((pcr) => value(bank, pcr));
  const present = values.filter((one) => one !== null);
  if (present.length < values.length) return 'not-quoted';
  return isSameBytes(bankDigest(bank, ...present), listed.digest) ? 'same' : 'different';
}
