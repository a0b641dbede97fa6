/** Where a call of `surfaced measure` goes on: behind the log, if it is what the PCRs hold. */
import { SurfacedError } from '../../errors.ts';
import type { Executor, HashName } from '../tpm2/index.ts';
import { type Carried, carriedLog } from './carry.ts';
import { measureError } from './content.ts';
import type { LogFile } from './log-file.ts';
import { type Epoch, extend, registersOf } from './registers.ts';
import { readSavedLog, trySave } from './saved-log.ts';
import { type ReadLog, type Registers, readLog, standingOf } from './standing.ts';

/** What is worked with. */
export interface Work {
  readonly file: LogFile;
  /** Copy of the log that survives restarts of the machine; null: there is none. */
  readonly saved: string | null;
  readonly pcr: number;
  readonly banks: readonly HashName[];
}

/** Where to go on. */
export interface Begun {
  /** What the PCR holds. */
  readonly log: ReadLog;
  readonly bytes: Buffer;
  /** Records of an interrupted call that were extended now. */
  readonly completed: number;
  /** Whether the log is not in its place yet. */
  readonly isCarried: boolean;
  /** Whether the machine was restarted, the TPM was not, and nobody has extended that yet. */
  readonly isStartUnmarked: boolean;
}

/**
 * Reads the log, checks that it is what the PCRs hold, and extends what an interrupted call has left.
 * @throws SurfacedError E_MEASURE when it is not
 */
export async function goOn(executor: Executor, work: Work, epoch: Epoch): Promise<Begun> {
  const { file, pcr, banks } = work;
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
  const whole = bytes.subarray(0, log.end.bytes);
  if (standing.kind === 'other') return carry(work, { fresh: whole, registers, wrong: standing.pcr });
  if (standing.kind === 'reset') throw measureError(file.path, wasReset);
  if (log.end.bytes < bytes.length) await file.cut(log.end.bytes);
  const left = records.slice(standing.extended);
  // As below: saved first. Whether that can be done at all is told when this call ends.
  if (left.length > 0) await trySave(work.saved, whole);
  for (const record of left) if (record.pcr !== null) await extend(executor, record.pcr, record.digests);
  await file.removeMark();
  return { log, bytes: whole, completed: left.length, isCarried: false, isStartUnmarked: false };
}

/** The log since a restart of the machine, behind what was saved before; the PCR must be exactly that. */
async function carry(
  { file, saved, pcr }: Work,
  {
    fresh,
    registers,
    wrong,
  }: { readonly fresh: Buffer; readonly registers: Registers; readonly wrong: number },
): Promise<Begun> {
  const carried = await tryCarry(saved, { fresh, registers, pcr });
  if (carried.kind === 'refused')
    throw measureError(
      file.path,
      `is not what PCR ${wrong} holds: another program has extended it, or a log was removed or changed, also what was saved before a restart of the machine (${carried.why}). Cut the power for a moment; if it stays so, measure into another PCR`,
    );
  const { log, bytes } = carried;
  return { log, bytes, completed: 0, isCarried: true, isStartUnmarked: fresh.length === 0 };
}

async function tryCarry(
  saved: string | null,
  since: { readonly fresh: Buffer; readonly registers: Registers; readonly pcr: number },
): Promise<Carried> {
  if (saved === null) return { kind: 'refused', why: 'no log is saved' };
  try {
    const before = await readSavedLog(saved);
    if (before === null) return { kind: 'refused', why: `there is no ${saved}` };
    const carried = carriedLog({ saved: before, ...since });
    return carried.kind === 'joined' ? carried : { kind: 'refused', why: `${saved}: ${carried.why}` };
  } catch (problem) {
    // Of the file, whatever is in it.
    if (problem instanceof SurfacedError) return { kind: 'refused', why: problem.message };
    throw problem;
  }
}

/** With the name of the file in what is wrong with the log. */
function logIn<Value>(file: LogFile, work: () => Value): Value {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof SurfacedError ? measureError(file.path, cause.message, cause) : cause;
  }
}

const wasReset =
  'has records and the TPM has none of them: it was reset while the machine went on. Restart the machine';
