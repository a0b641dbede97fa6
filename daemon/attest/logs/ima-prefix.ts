/**
 * Finds how much of an IMA list a quote proves. The list grows between the quote and the moment when it is read, so
 * the quoted PCR is that of some prefix of it: one pass, entry by entry, until the replay gives it.
 */
import type { HashName } from '../tpm2/index.ts';
import { type ImaBankRule, type ImaEntry, type ImaFileDigest, type ImaForm, imaDigest } from './ima-entry.ts';
import { imaEntries } from './ima-list.ts';
import { bankBytes, bankDigest, isFilledWith, isSameBytes, type LogPosition, logStart } from './log.ts';

/** A prefix of a list, and all that must be kept to go on behind it with the next quote of the same boot. */
export interface ImaPrefix {
  readonly position: LogPosition;
  /** The PCR behind the last entry. */
  readonly value: Uint8Array;
  /** Entries whose file was open for writing while it was measured, or written while it was in use. */
  readonly violations: number;
  /** Entries whose listed template hash is not that of their fields; none in a list that nobody has edited. */
  readonly wrongHashes: number;
  /** What the first entry says of PCR 0 to 9 at the start of the kernel; null when it is not named so. */
  readonly bootAggregate: ImaFileDigest | null;
}

/**
 * - `anchored`: the quote proves the prefix.
 * - `empty`: nothing is listed and nothing was extended: IMA measures nothing.
 * - `ima-not-anchored`: the list is there, but the TPM was not when IMA started ("TPM-bypass"). Never a pass.
 * - `no-prefix`: the list is not the one that was extended.
 */
export type ImaVerdict = 'anchored' | 'empty' | 'ima-not-anchored' | 'no-prefix';

export interface ImaFinding {
  readonly verdict: ImaVerdict;
  /** One clause for a report. */
  readonly reason: string;
  /** The prefix that gives the quoted value; where the search began if there is none. */
  readonly prefix: ImaPrefix;
}

/** Where a search begins after a start of the TPM. */
export const imaPrefixAtStart = (bank: HashName): ImaPrefix => ({
  position: logStart,
  value: Buffer.alloc(bankBytes[bank]),
  violations: 0,
  wrongHashes: 0,
  bootAggregate: null,
});

/** What is searched for, and in what. */
export interface ImaSearch {
  /** The list from `from.position` on. */
  readonly bytes: Uint8Array;
  readonly form: ImaForm;
  readonly pcr: number;
  readonly bank: HashName;
  readonly rule: ImaBankRule;
  readonly from: ImaPrefix;
  /** The value of the PCR in the quote. */
  readonly quoted: Uint8Array;
}

/**
 * Searches for the prefix whose replay gives the quoted value; what stands behind it is not read. Linear in the
 * list, with constant memory.
 * @throws SurfacedError E_ATTEST_LOG when the list cannot be read up to there
 */
export function findImaPrefix(search: ImaSearch): ImaFinding {
  const { bytes, form, pcr, from, quoted } = search;
  if (isFilledWith(quoted, 0)) {
    const isEmpty = bytes.length === 0 && from.position.records === 0;
    return isEmpty
      ? { verdict: 'empty', reason: 'nothing is listed', prefix: from }
      : { verdict: 'ima-not-anchored', reason: `PCR ${pcr} is zero and the list is not empty`, prefix: from };
  }
  let prefix = from;
  if (isSameBytes(prefix.value, quoted)) return judged(prefix);
  for (const entry of imaEntries(bytes, { form, pcr, from: from.position })) {
    prefix = withEntry(prefix, entry, search);
    if (isSameBytes(prefix.value, quoted)) return judged(prefix);
  }
  return { verdict: 'no-prefix', reason: `no prefix of the list gives PCR ${pcr}`, prefix: from };
}

function withEntry(prefix: ImaPrefix, entry: ImaEntry, search: ImaSearch): ImaPrefix {
  const { bank, rule } = search;
  const isFirst = prefix.position.records === 0;
  const isAggregate = isFirst && Buffer.compare(entry.name, bootAggregateName) === 0;
  return {
    position: entry.end,
    value: bankDigest(bank, prefix.value, imaDigest(entry, bank, rule)),
    violations: prefix.violations + (entry.isViolation ? 1 : 0),
    wrongHashes: prefix.wrongHashes + (hasListedHash(entry) ? 0 : 1),
    // A copy: a view would keep the whole list in memory.
    bootAggregate: isAggregate
      ? { algorithm: entry.file.algorithm, digest: Uint8Array.from(entry.file.digest) }
      : prefix.bootAggregate,
  };
}

const bootAggregateName = Buffer.from('boot_aggregate', 'latin1');
const bankBySize: ReadonlyMap<number, HashName> = new Map([
  [20, 'sha1'],
  [32, 'sha256'],
  [48, 'sha384'],
  [64, 'sha512'],
]);

/** Whether the listed template hash is that of the fields, or the zeros of a violation. */
export function hasListedHash(entry: ImaEntry): boolean {
  if (entry.isViolation) return true;
  const bank = bankBySize.get(entry.listedHash.length);
  return bank !== undefined && isSameBytes(bankDigest(bank, entry.templateData), entry.listedHash);
}

function judged(prefix: ImaPrefix): ImaFinding {
  const { bootAggregate } = prefix;
  const flaw =
    bootAggregate === null
      ? 'the first entry is not boot_aggregate'
      : isFilledWith(bootAggregate.digest, 0)
        ? 'boot_aggregate is zero'
        : null;
  return flaw === null
    ? { verdict: 'anchored', reason: `${prefix.position.records} entries give the quoted value`, prefix }
    : { verdict: 'ima-not-anchored', reason: flaw, prefix };
}
