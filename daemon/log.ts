import pino from 'pino';

/** Structured logger; constant messages with fields, never secrets. */
export type Log = pino.Logger;

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/**
 * Logs to stderr: JSON lines, or readable lines when stderr is a terminal.
 * @param level lowest level that is written
 */
export async function createLog(level: LogLevel): Promise<Log> {
  if (process.stderr.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    return pino({ level }, pretty({ destination: 2, sync: true, ignore: 'pid,hostname' }));
  }
  return pino({ level }, pino.destination({ dest: 2, sync: true }));
}

/** A log that writes nothing, for tests and benchmarks. */
export const silentLog: Log = pino({ level: 'silent' });
