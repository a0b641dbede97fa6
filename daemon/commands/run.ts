/** Running a role until a signal, and turning errors into exit codes: 0 done, 1 failed, 2 usage or config. */
import { CommanderError } from 'commander';
import { SurfacedError } from '../errors.ts';

/** A role must have ended this long after the first signal, milliseconds. */
const stopLimitMs = 1900;

/** What runs until it is stopped. */
export interface Running {
  stop(): Promise<void>;
}

/** Runs a role until SIGINT, SIGTERM or SIGHUP; a second signal, or a stop that takes too long, ends at once. */
export async function runRole(start: () => Promise<Running>): Promise<void> {
  let isStopping = false;
  let role: Running | null = null;
  const onSignal = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => process.exit(1), stopLimitMs).unref();
    if (role === null) process.exit(0);
    role.stop().then(() => process.exit(0), fail);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  role = await start();
}

/** Prints an error with its remedy and ends with its exit code. */
export function fail(error: unknown): never {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof SurfacedError) {
    process.stderr.write(`surfaced: ${error.message}\n  ${error.code}: ${error.remedy}\n`);
    const { cause } = error;
    // Most messages say it already.
    if (cause instanceof Error && !error.message.includes(cause.message))
      process.stderr.write(`  because: ${cause.message}\n`);
    process.exit(error.class === 'usage' ? 2 : 1);
  }
  process.stderr.write(`surfaced: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}
