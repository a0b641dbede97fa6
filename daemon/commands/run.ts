/** Running a role until a signal, and turning errors into exit codes: 0 done, 1 failed, 2 usage or config. */
import { CommanderError } from 'commander';
import { SurfacedError } from '../errors.ts';
import type { NotifyingRole } from '../notify.ts';

/** A role must have ended this long after the first signal, milliseconds. */
const stopLimitMs = 4900;

/** What runs until it is stopped; one that says how it is can be a service of systemd (Type=notify). */
export interface Running extends Partial<NotifyingRole> {
  /** Rejects when it cannot go on and is to be started anew; null or left out: that cannot happen. */
  readonly lost?: Promise<never> | null;
  stop(): Promise<void>;
}

/**
 * Runs a role until SIGINT, SIGTERM, SIGHUP or a defect; a second signal, or a stop that takes too long, ends at once. One
 * that comes while the role starts calls the start off: what it has lit by then is made dark all the same.
 * @param start resolves soon once its signal fires, with what is to be stopped; or rejects with the signal's reason when
 * there is nothing to stop
 */
export async function runRole(start: (signal: AbortSignal) => Promise<Running>): Promise<void> {
  const calling = new AbortController();
  let endNotices = (): void => {};
  const end = (exitCode: number): void => {
    if (calling.signal.aborted) process.exit(1);
    setTimeout(() => process.exit(1), stopLimitMs).unref();
    calling.abort();
    endNotices();
    starting.then((role) => role?.stop()).then(() => process.exit(exitCode), fail);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end(0));
  // Nothing goes on after a defect, but a panel must not stay lit and in a mode of ours.
  process.on('uncaughtException', (error) => {
    report(error);
    end(1);
  });
  const starting = start(calling.signal).catch((error: unknown) => {
    if (error !== calling.signal.reason) throw error;
    return null;
  });
  const role = await starting;
  role?.lost?.catch((error: unknown) => {
    report(error);
    end(1);
  });
  endNotices = await tellServiceManager(role, calling.signal);
}

/** Tells systemd of a role that has started, if it wants to know. @returns to be called when the role is asked to end */
async function tellServiceManager(role: Running | null, signal: AbortSignal): Promise<() => void> {
  const { health, pulse } = role ?? {};
  if (health === undefined || pulse === undefined || process.env.NOTIFY_SOCKET === undefined) return () => {};
  const { keepTold, loadKoffi, openServiceManager } = await import('../notify.ts');
  const manager = await openServiceManager({
    env: process.env,
    processId: process.pid,
    loadKoffi,
    complain: (problem) => process.stderr.write(`surfaced: ${problem}\n`),
  });
  return manager === null || signal.aborted ? () => {} : keepTold({ health, pulse }, manager);
}

/** Rejects with the signal's reason once it fires: for a start that hangs and has nothing that must be stopped. */
export function calledOff(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/**
 * Does one thing and ends with the exit code that it gives. A signal, or a defect, calls it off; a second one, or work that
 * does not end then, ends at once.
 */
export async function runOnce(work: (signal: AbortSignal) => Promise<number>): Promise<never> {
  const calling = new AbortController();
  const callOff = (): void => {
    if (calling.signal.aborted) process.exit(1);
    setTimeout(() => process.exit(1), stopLimitMs).unref();
    calling.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, callOff);
  process.on('uncaughtException', (error) => {
    report(error);
    callOff();
  });
  const exitCode = await work(calling.signal);
  process.exit(exitCode);
}

/** Prints an error with its remedy and ends with its exit code. */
export function fail(error: unknown): never {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  report(error);
  process.exit(error instanceof SurfacedError && error.class === 'usage' ? 2 : 1);
}

function report(error: unknown): void {
  if (!(error instanceof SurfacedError)) {
    process.stderr.write(`surfaced: ${error instanceof Error ? error.stack : String(error)}\n`);
    return;
  }
  process.stderr.write(`surfaced: ${error.message}\n  ${error.code}: ${error.remedy}\n`);
  const { cause } = error;
  // Most messages say it already.
  if (cause instanceof Error && !error.message.includes(cause.message))
    process.stderr.write(`  because: ${cause.message}\n`);
}
