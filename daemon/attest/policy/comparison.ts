/**
 * One reference set against measurements that come by one after the other, so that several sets are compared in one pass
 * with little memory. The first thing that differs is kept as the reason. Digests decide; text is shown where a digest
 * covers it, and decides nothing.
 *
 * Files are compared for each start of the machine on its own: what one has measured stands for no other.
 */
import { type EventRecord, evNoAction } from '../logs/event-log.ts';
import { eventText } from '../logs/event-log-text.ts';
import { type ImaEntry, imaPcr } from '../logs/ima-entry.ts';
import { isFilledWith, shown } from '../logs/log.ts';
import { isMeasurablePcr, isMeasureCovered, isOwnText, type MeasureRecord } from '../logs/measure-log.ts';
import { imaEntryText } from './ima-contents.ts';
import type { Reference } from './reference-set.ts';
import type { Proven } from './types.ts';

/**
 * PCRs that systemd extends from userspace. Before it only a unified kernel image is in 11, and never all of it as text
 * (UAPI Group, Linux TPM PCR Registry).
 */
const systemdPcrs: ReadonlySet<number> = new Set([11, 15]);
const bootAggregateName = Buffer.from('boot_aggregate', 'latin1');

/** What came of the files of one start of the machine. */
export interface ComparedStart {
  /** The first thing that differs; null: nothing does. */
  readonly reason: string | null;
  /** Whether a file of the set was measured. */
  readonly hasFiles: boolean;
}

/** What came of all but the files. */
export interface Compared {
  /** The first thing that differs; null: nothing does. */
  readonly reason: string | null;
  /** In their order, at least one; more than one where the machine was restarted and its TPM was not. */
  readonly starts: readonly ComparedStart[];
  /** Whether a PCR of files has a fixed value. */
  readonly hasFixedFiles: boolean;
  readonly firmwareGap: string | null;
  readonly ima: boolean;
}

export class Comparison {
  readonly reference: Reference;
  readonly #proven: Proven;
  /** Of the start that is being compared. */
  #files = new Set<string>();
  #startReason: string | null = null;
  readonly #starts: ComparedStart[] = [];
  readonly #required: readonly string[];
  /** PCRs of which some log has a record. */
  readonly #logged = new Set<number>();
  readonly #filePcrs = new Set<number>();
  /** PCRs of which some record of systemd does not say what it is of. */
  readonly #untold = new Set<number>();
  readonly #firmwarePcrs = new Set<number>();
  /** The first firmware event of a PCR that the set does not list; null: there is none. */
  #unlistedEvent: string | null = null;
  #reason: string | null = null;

  /** Compares what needs no log; `proven` is not iterated. */
  constructor(reference: Reference, proven: Proven) {
    this.reference = reference;
    this.#proven = proven;
    this.#required = [...reference.files].flatMap(([path, { isRequired }]) => (isRequired ? [path] : []));
    this.#reason = this.#ofPcrs();
  }

  /** The first thing that differs beside the files; null: nothing has so far. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Whether everything that can extend the PCRs of files must be known; otherwise a bad file could be told as something else. */
  get #isStrict(): boolean {
    return this.reference.files.size > 0;
  }

  /** Which logs are of use to this comparison. */
  wants(log: 'firmware' | 'measured' | 'systemd' | 'ima'): boolean {
    if (this.#reason !== null) return false;
    return log !== 'ima' || this.reference.ima !== null;
  }

  #ofPcrs(): string | null {
    const { bank, pcrs, firmware, files, ima } = this.reference;
    const proven = this.#proven;
    if (bank !== proven.bank) return `it is for ${bank}, the quote is of ${proven.bank}`;
    for (const [pcr, values] of pcrs) {
      const value = proven.pcrs.get(pcr);
      if (value === undefined) return `PCR ${pcr} is not in the quote`;
      if (!values.has(hex(value))) return `PCR ${pcr} has the value ${hex(value)}`;
    }
    for (const pcr of firmware.keys()) if (!proven.pcrs.has(pcr)) return `PCR ${pcr} is not in the quote`;
    if (firmware.size > 0 && proven.firmware === null)
      return 'there is no event log of the firmware that gives the quoted PCRs';
    if (files.size > 0 && proven.measured === null)
      return 'there is no log of measured files that gives the quoted PCRs';
    if (ima === null) return null;
    if (proven.ima === null) return 'there is no list of IMA that gives the quoted PCR';
    const { imaViolations } = proven;
    if (imaViolations > ima.mostViolations)
      return `the list of IMA has ${imaViolations} violations, at most ${ima.mostViolations} may be`;
    return null;
  }

  event(record: EventRecord): void {
    this.#reason ??= this.#ofEvent(record);
  }

  #ofEvent(record: EventRecord): string | null {
    const { pcr, type, start } = record;
    if (type === evNoAction) return null;
    const { bank, pcrs, firmware } = this.reference;
    this.#logged.add(pcr);
    this.#firmwarePcrs.add(pcr);
    const known = firmware.get(pcr);
    if (known === undefined) {
      if (pcrs.has(pcr)) return null;
      const unlisted = `firmware event ${start.records} extended PCR ${pcr}, which is listed neither under firmware nor pcrs`;
      this.#unlistedEvent ??= unlisted;
      return this.#isStrict && isMeasurablePcr(pcr) ? unlisted : null;
    }
    const digest = record.digests.get(bank);
    if (digest !== undefined && known.has(hex(digest))) return null;
    const { isCovered, text } = eventText(record, bank);
    const named = isCovered ? ` (${text})` : '';
    const what = digest === undefined ? `no digest of ${bank}` : `the unknown digest ${hex(digest)}`;
    return `firmware event ${start.records} of PCR ${pcr} has ${what}${named}`;
  }

  /** Takes a record of `surfaced measure`. */
  measured(record: MeasureRecord): void {
    const { pcr, content } = record;
    if (pcr === null) return;
    this.#logged.add(pcr);
    if (content.kind === 'file') this.#filePcrs.add(pcr);
    // What does not say what its digest is of divides nothing.
    if (content.kind === 'restart' && isMeasureCovered(record, this.reference.bank)) this.#endStart();
    else this.#startReason ??= this.#ofMeasured(record, pcr);
  }

  #ofMeasured(record: MeasureRecord, pcr: number): string | null {
    const { content, start } = record;
    if (content.kind === 'systemd') {
      if (this.#isStrict) return `record ${start.records} of the measured files is not that of a file`;
      return null;
    }
    if (!isMeasureCovered(record, this.reference.bank) || content.kind === 'restart')
      return `record ${start.records} of the measured files says something else than its digest`;
    const name = `file ${shown(content.path, 200)}`;
    if (!this.#proven.pcrs.has(pcr)) return `${name} was measured into PCR ${pcr}, which is not in the quote`;
    const known = this.reference.files.get(content.path);
    if (known === undefined) {
      if (this.#isStrict && !this.reference.mayHaveOtherFiles) return `${name} is not listed`;
      return null;
    }
    if (!known.sha256.has(content.sha256)) return `${name} has the SHA-256 ${content.sha256}`;
    this.#files.add(content.path);
    return null;
  }

  /** A start that was cut off before all was measured is none that matches: what ran in it is not known. */
  #endStart(): void {
    this.#startReason ??= this.#missingFile();
    this.#starts.push({ reason: this.#startReason, hasFiles: this.#files.size > 0 });
    this.#startReason = null;
    this.#files = new Set();
  }

  #missingFile(): string | null {
    const missing = this.#required.find((path) => !this.#files.has(path));
    return missing === undefined ? null : `file ${shown(missing, 200)} was not measured`;
  }

  /**
   * Takes a record of systemd. What it says is not compared; but it must say what its digest is of, as whoever sends the
   * log could otherwise tell a file that was measured as such a record.
   */
  systemd(record: MeasureRecord): void {
    this.#reason ??= this.#ofSystemd(record);
  }

  #ofSystemd(record: MeasureRecord): string | null {
    const { pcr, content, start } = record;
    if (pcr === null) return null;
    this.#logged.add(pcr);
    const isOwn = isOwnText(content);
    if (!isOwn && isMeasureCovered(record, this.reference.bank)) return null;
    this.#untold.add(pcr);
    if (!this.#isStrict || !isMeasurablePcr(pcr) || this.reference.pcrs.has(pcr)) return null;
    const what = isOwn
      ? 'is that of a file or a restart'
      : 'does not say what, and the PCR is not listed under pcrs';
    return `record ${start.records} of systemd, which extended PCR ${pcr}, ${what}`;
  }

  ima(entry: ImaEntry): void {
    this.#reason ??= this.#ofIma(entry);
  }

  #ofIma(entry: ImaEntry): string | null {
    const { ima } = this.reference;
    // The digest of a violation says nothing; they are counted.
    if (ima === null || entry.isViolation) return null;
    // The first entry is about PCR 0 to 9, which are compared themselves.
    const isFirst = entry.start.records === 0;
    if (isFirst && Buffer.compare(entry.name, bootAggregateName) === 0) return null;
    if (ima.contents.has(entry)) return null;
    const { algorithm, digest } = entry.file;
    return `${imaEntryText(entry)}, has the unknown digest ${algorithm}:${hex(digest)}`;
  }

  /** What came of it, when all logs that it wants were given. To be called once. */
  finish(): Compared {
    // Not all of the start was given, or what it lacks is not the first thing that differs.
    this.#startReason ??= this.#reason;
    this.#endStart();
    this.#reason ??= this.#ofTheRest();
    const { pcrs, ima } = this.reference;
    const isMeasured = (pcr: number): boolean => !isFilledWith(this.#proven.pcrs.get(pcr)!, 0);
    const reason = this.#reason;
    return {
      reason,
      starts: this.#starts,
      hasFixedFiles:
        reason === null && [...pcrs.keys()].some((pcr) => isMeasurablePcr(pcr) && isMeasured(pcr)),
      firmwareGap: this.#firmwareGap(),
      ima: ima !== null,
    };
  }

  /**
   * What can be missing from the log of the firmware; null: nothing. Whoever sends it can leave out all events of a PCR, so
   * one that was extended must be listed, or be explained by files or by systemd. And events that only a fixed value of a
   * PCR of files stands for may be those files, told as events.
   */
  #firmwareGap(): string | null {
    if (this.#proven.firmware === null) return 'there is no event log of the firmware';
    if (this.#unlistedEvent !== null) return this.#unlistedEvent;
    const { pcrs, firmware } = this.reference;
    const isListed = (pcr: number): boolean => pcrs.has(pcr) || (firmware.get(pcr)?.size ?? 0) > 0;
    const isOfSystemd = (pcr: number): boolean =>
      systemdPcrs.has(pcr) && this.#logged.has(pcr) && !this.#untold.has(pcr);
    const isKnown = (pcr: number): boolean =>
      pcr === imaPcr || isListed(pcr) || this.#filePcrs.has(pcr) || isOfSystemd(pcr);
    for (const [pcr, value] of this.#proven.pcrs)
      if (!isKnown(pcr) && !isFilledWith(value, 0))
        return `PCR ${pcr} was extended, is listed neither under firmware nor pcrs, and files or systemd do not explain it`;
    return [...this.#firmwarePcrs].some((pcr) => firmware.has(pcr) || !isMeasurablePcr(pcr))
      ? null
      : 'the log has no firmware event that is compared';
  }

  #ofTheRest(): string | null {
    const { pcrs, firmware } = this.reference;
    // A machine that does not measure at all must not match a list of what it may measure.
    for (const [pcr, digests] of firmware)
      if (digests.size > 0 && !this.#firmwarePcrs.has(pcr)) return `PCR ${pcr} has no firmware event`;
    if (!this.#isStrict) return null;
    for (const [pcr, value] of this.#proven.pcrs) {
      const isExplained = this.#logged.has(pcr) || pcrs.has(pcr) || isFilledWith(value, 0);
      if (isMeasurablePcr(pcr) && !isExplained)
        return `PCR ${pcr} has the value ${hex(value)}, and no log says what extended it`;
    }
    return null;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
