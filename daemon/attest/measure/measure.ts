/**
 * `surfaced measure`: extends a PCR with files and writes the log that explains it. First everything is read, then the log
 * is written, then the PCR is extended; what is interrupted in between is completed by the next call.
 */
import { SurfacedError } from '../../errors.ts';
import { bankBytes, type Digests, isBank, type LogPosition } from '../logs/log.ts';
import { fileMeasurement, isMeasurablePcr, measureLogLimits } from '../logs/measure-log.ts';
import { Replay } from '../logs/replay.ts';
import { tpmProblem } from '../open-tpm.ts';
import {
  algorithm,
  type Executor,
  extendPcr,
  generalCommands,
  type HashName,
  hashOf,
  isHash,
  type PcrSelection,
  pcrBanks,
  readPcrs,
  type Tpm,
} from '../tpm2/index.ts';
import { type Content, contentOf, measureError } from './content.ts';
import { LogFile, type Mark } from './log-file.ts';
import {
  measuredBefore,
  type ReadLog,
  type Registers,
  readLog,
  type Standing,
  standingOf,
} from './standing.ts';

/** What was done. */
export interface Measured {
  readonly records: readonly (Content & {
    /** False: the PCR has it already, with this content. */
    readonly isNew: boolean;
  })[];
  /** Records of an interrupted call that were extended now. */
  readonly completed: number;
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
 *   had begun; E_TPM_OPEN, E_TPM, E_TPM_LOCKOUT; the reason of the signal
 */
export async function measure(
  options: {
    /** Files and folders, measured in this order. */
    readonly names: readonly string[];
    readonly pcr: number;
    readonly log: string;
    readonly tpm: Tpm;
  },
  signal: AbortSignal,
): Promise<Measured> {
  const { names, pcr, log, tpm } = options;
  checkPcr(pcr);
  const contents = await readContents(names, signal);
  try {
    return await tpm.scope(async (scope) => {
      // Asked before the log is made: without a TPM there is none.
      const banks = await activeBanks(scope, pcr);
      const file = await LogFile.open(log);
      try {
        return await extendAll(scope, { file, pcr, contents, banks });
      } finally {
        await file.close();
      }
    }, signal);
  } catch (problem) {
    throw tpmProblem(problem, `measuring into PCR ${pcr}`);
  }
}

/** Banks that have the PCR, and are of hashes that are known here. */
async function activeBanks(executor: Executor, pcr: number): Promise<HashName[]> {
  const banks = (await pcrBanks(executor)).flatMap(({ hash, pcrs }) =>
    isHash(hash) && pcrs.includes(pcr) ? [hashOf(hash).name] : [],
  );
  if (banks.length === 0) throw measureError(`PCR ${pcr}`, 'the TPM has no bank with it');
  return banks;
}

interface Work {
  readonly file: LogFile;
  readonly pcr: number;
  readonly contents: readonly Content[];
  readonly banks: readonly HashName[];
}

async function extendAll(executor: Executor, work: Work): Promise<Measured> {
  const { file, pcr, contents, banks } = work;
  const epoch = await epochOf(executor);
  const { log, completed } = await complete(executor, work, epoch);
  const isKnown = measuredBefore(log.records, pcr, banks);
  const records = contents.map((content) => ({ ...content, isNew: !isKnown(content) }));
  const made = records
    .filter(({ isNew }) => isNew)
    .map((content, index) => measurementOf(content, pcr, banks, log.end.records + index));
  if (made.length > 0) {
    const bytes = Buffer.concat(made.map((one) => one.bytes));
    checkRoom(file, log.end, made.length, bytes.length);
    await file.setMark({ from: log.end, ...epoch });
    await file.append(bytes, log.end);
    for (const { digests } of made) await extend(executor, pcr, digests);
    await file.removeMark();
  }
  const values = new Map<HashName, Uint8Array>();
  for (const [bank, registers] of await registersOf(executor, [pcr], banks)) {
    const value = registers.get(pcr);
    if (value !== undefined) values.set(bank, value);
  }
  return { records, completed, values };
}

/** Reads the log, checks that it is what the PCRs hold, and extends what an interrupted call has left. */
async function complete(
  executor: Executor,
  { file, pcr, banks }: Work,
  epoch: Epoch,
): Promise<{ readonly log: ReadLog; readonly completed: number }> {
  const mark = await file.mark();
  const isOfNow =
    mark !== null && mark.resetCount === epoch.resetCount && mark.restartCount === epoch.restartCount;
  const bytes = await file.read();
  const log = logIn(file, () => readLog(bytes, isOfNow));
  const { records } = log;
  const pcrs = [...new Set([pcr, ...records.flatMap((record) => record.pcr ?? [])])];
  const registers = await registersOf(executor, pcrs, banks);
  const marked = isOfNow ? mark.from.records : null;
  const standing = logIn(file, () => standingOf({ records, registers, pcr, marked }));
  if (standing.kind !== 'extended') throw measureError(file.path, words(standing));
  if (log.end.bytes < bytes.length) await file.cut(log.end.bytes);
  const left = records.slice(standing.extended);
  for (const record of left) if (record.pcr !== null) await extend(executor, record.pcr, record.digests);
  await file.removeMark();
  return { log, completed: left.length };
}

/** With the name of the file in what is wrong with the log. */
function logIn<Value>(file: LogFile, work: () => Value): Value {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof SurfacedError ? measureError(file.path, cause.message, cause) : cause;
  }
}

const words = (standing: Exclude<Standing, { readonly kind: 'extended' }>): string =>
  standing.kind === 'reset'
    ? 'has records and the TPM has none of them: it was reset while the machine went on. Restart the machine'
    : `is not what PCR ${standing.pcr} holds: another program has extended it, or the log was removed or changed. Restart the machine; if it stays so, measure into another PCR`;

/** Starts of the TPM, as far as they count. */
type Epoch = Pick<Mark, 'resetCount' | 'restartCount'>;

async function epochOf(executor: Executor): Promise<Epoch> {
  const { currentTime } = await executor.execute(generalCommands.readClock, { handles: {}, parameters: {} });
  const { resetCount, restartCount } = currentTime.clockInfo;
  return { resetCount, restartCount };
}

/** Values of these PCRs in every bank. */
export async function registersOf(
  executor: Executor,
  pcrs: readonly number[],
  banks: readonly HashName[],
): Promise<Registers> {
  const selections = banks.map((bank): PcrSelection => ({ hash: algorithm[bank], pcrs: [...pcrs] }));
  const read = await readPcrs(executor, selections);
  return new Map(read.map(({ hash, values }) => [hashOf(hash).name, values]));
}

async function extend(executor: Executor, pcr: number, digests: Digests): Promise<void> {
  const values = [...digests].map(([bank, digest]) => ({ hash: algorithm[bank], digest }));
  await extendPcr(executor, pcr, values);
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
