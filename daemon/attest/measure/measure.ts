/**
 * `surfaced measure`: extends a PCR with files and writes the log that explains it. First everything is read, then the log
 * is written, then the PCR is extended; what is interrupted in between is completed by the next call. Where the machine was
 * restarted and its TPM was not, the log goes on from the copy that was saved before.
 */
import { bankBytes, isBank, type LogPosition } from '../logs/log.ts';
import {
  fileMeasurement,
  isMeasurablePcr,
  measureLogLimits,
  restartMeasurement,
} from '../logs/measure-log.ts';
import { Replay } from '../logs/replay.ts';
import { tpmProblem } from '../open-tpm.ts';
import type { Executor, HashName, Tpm } from '../tpm2/index.ts';
import { lastStart } from './carry.ts';
import { type Content, contentOf, measureError } from './content.ts';
import { goOn, type Work } from './going-on.ts';
import { LogFile } from './log-file.ts';
import { activeBanks, epochOf, extend, registersOf } from './registers.ts';
import { trySave } from './saved-log.ts';
import { measuredBefore } from './standing.ts';

/** What was done. */
export interface Measured {
  readonly records: readonly (Content & {
    /** False: the PCR has it already, with this content. */
    readonly isNew: boolean;
  })[];
  /** Records of an interrupted call that were extended now. */
  readonly completed: number;
  /** Records of earlier starts of the machine that its TPM still has. */
  readonly carried: number;
  /** The PCR now, by bank. */
  readonly values: ReadonlyMap<HashName, Uint8Array>;
}

/** @throws SurfacedError E_MEASURE */
export function checkPcr(pcr: number): void {
  if (!isMeasurablePcr(pcr)) throw measureError(`PCR ${pcr}`, 'is not for files: take 8, 9 or 11 to 15');
}

/** Reads everything that is to be measured; what is named twice is there once. @throws SurfacedError E_MEASURE, the reason of the signal */
export async function readContents(names: readonly string[], signal: AbortSignal): Promise<Content[]> {
  const contents: Content[] = [];
  for (const name of names) contents.push(await contentOf(name, signal));
  return distinct(contents);
}

/** What a PCR that starts with zeros holds when these were measured into it, in every bank that a TPM may have. */
export function predictPcr(contents: readonly Content[], pcr: number): Map<HashName, Uint8Array> {
  checkPcr(pcr);
  const banks = Object.keys(bankBytes).filter(isBank);
  const replay = new Replay(banks, null);
  for (const content of contents) replay.extend(pcr, measurementOf(content, pcr, banks, 0).digests);
  return new Map(banks.map((bank) => [bank, replay.value(bank, pcr)]));
}

/**
 * Measures.
 * @throws SurfacedError E_MEASURE, with the name of what is wrong: nothing was extended then, except what an earlier call
 *   had begun, and except that everything was when only the copy cannot be saved; E_TPM_OPEN, E_TPM, E_TPM_LOCKOUT; the
 *   reason of the signal
 */
export async function measure(
  options: {
    /** Files and folders, measured in this order. */
    readonly names: readonly string[];
    readonly pcr: number;
    readonly log: string;
    /** Copy of the log that survives restarts of the machine; null: none is made. */
    readonly saved: string | null;
    readonly tpm: Tpm;
  },
  signal: AbortSignal,
): Promise<Measured> {
  const { names, pcr, log, saved, tpm } = options;
  checkPcr(pcr);
  const contents = await readContents(names, signal);
  try {
    return await tpm.scope(async (scope) => {
      // Asked before the log is made: without a TPM there is none.
      const banks = await activeBanks(scope, pcr);
      const file = await LogFile.open(log);
      try {
        return await extendAll(scope, { file, saved, pcr, contents, banks });
      } finally {
        await file.close();
      }
    }, signal);
  } catch (problem) {
    throw tpmProblem(problem, `measuring into PCR ${pcr}`);
  }
}

interface Measuring extends Work {
  readonly contents: readonly Content[];
}

async function extendAll(executor: Executor, work: Measuring): Promise<Measured> {
  const { file, pcr, contents, banks } = work;
  const epoch = await epochOf(executor);
  const { log, bytes, completed, isCarried, isStartUnmarked } = await goOn(executor, work, epoch);
  // What another start has measured says nothing about this one.
  const isKnown = measuredBefore(isStartUnmarked ? [] : lastStart(log.records), pcr, banks);
  const records = contents.map((content) => ({ ...content, isNew: !isKnown(content) }));
  const first = log.end.records;
  const made = isStartUnmarked ? [restartMeasurement({ pcr, banks, recnum: first })] : [];
  for (const content of records)
    if (content.isNew) made.push(measurementOf(content, pcr, banks, first + made.length));
  const more = Buffer.concat(made.map((one) => one.bytes));
  const whole = Buffer.concat([bytes, more]);
  checkRoom(file, log.end, made.length, more.length);
  if (made.length > 0) await file.setMark({ from: log.end, ...epoch });
  if (isCarried) await file.replace(whole);
  else if (made.length > 0) await file.append(more, log.end);
  // Before anything is extended: what is in the PCR and not on the disk would be lost with the next restart.
  const unsaved = await trySave(work.saved, whole);
  for (const { digests } of made) await extend(executor, pcr, digests);
  if (made.length > 0) await file.removeMark();
  if (unsaved !== null) throw unsaved;
  const values = new Map<HashName, Uint8Array>();
  for (const [bank, registers] of await registersOf(executor, [pcr], banks)) {
    const value = registers.get(pcr);
    if (value !== undefined) values.set(bank, value);
  }
  const ofThisStart = lastStart(log.records).length;
  const carried = isStartUnmarked ? first : first - ofThisStart;
  return { records, completed, carried, values };
}

function measurementOf(content: Content, pcr: number, banks: readonly HashName[], recnum: number) {
  try {
    return fileMeasurement({ ...content, pcr, banks, recnum });
  } catch (cause) {
    throw measureError(content.path, 'cannot be measured', cause);
  }
}

/** What no reader would take is not written. */
function checkRoom(file: LogFile, end: LogPosition, records: number, bytes: number): void {
  const { mostBytes, mostRecords } = measureLogLimits;
  if (end.records + records > mostRecords || end.bytes + bytes > mostBytes)
    throw measureError(
      file.path,
      `the log would have more than ${mostRecords} records or ${mostBytes} bytes`,
    );
}

/** Without what is named twice. */
function distinct(contents: readonly Content[]): Content[] {
  return [...new Map(contents.map((one) => [`${one.sha256.toString('hex')} ${one.path}`, one])).values()];
}
