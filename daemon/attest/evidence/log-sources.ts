/** Reads the measurement logs of this machine, bounded, from where the gateway has not seen them yet. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SurfacedError } from '../../errors.ts';
import type { LogPosition } from '../logs/log.ts';
import {
  type LogName,
  type LogPart,
  type LogParts,
  logNames,
  mostLogBytes,
  mostWholeLogBytes,
} from './evidence.ts';

/** Where the logs are. */
export type LogPaths = Readonly<Record<LogName, string>>;

/** Bytes that are read at once. */
const chunkBytes = 64 * 1024;

/** Logs of lines that other processes append to: the last line may be half written. */
const isOfLines: Readonly<Record<LogName, boolean>> = {
  firmware: false,
  ima: false,
  measured: true,
  systemd: true,
};

/**
 * All logs from these positions to their end, as it is when it is reached. A log that is shorter than its position comes as
 * an empty part: it is another one than before, as after a reset of the TPM, and so is one that has grown beyond the
 * position again. What is read here cannot tell; the reset count in the quote does, and the gateway asks for everything.
 * @throws SurfacedError E_ATTEST_LOG when one cannot be read, or they are larger than what is sent; the signal's reason
 */
export async function readLogs(
  paths: LogPaths,
  from: Readonly<Record<LogName, LogPosition>>,
  signal: AbortSignal,
): Promise<LogParts> {
  const parts: Partial<Record<LogName, LogPart | null>> = {};
  let left = mostLogBytes;
  for (const name of logNames) {
    const part = await readLog({ name, path: paths[name], from: from[name], mostBytes: left, signal });
    parts[name] = part;
    left -= part?.bytes.length ?? 0;
  }
  return parts as LogParts;
}

/**
 * One log; null when the machine has none.
 * @throws SurfacedError E_ATTEST_LOG; the signal's reason
 */
export async function readLog(options: {
  readonly name: LogName;
  readonly path: string;
  readonly from: LogPosition;
  /** Of the part. */
  readonly mostBytes: number;
  readonly signal: AbortSignal;
}): Promise<LogPart | null> {
  const { name, path, from, mostBytes, signal } = options;
  let file: FileHandle | null = null;
  try {
    // A named pipe in the place of a log is not waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = await readFrom(file, { name, path, from: from.bytes, mostBytes, signal });
    return { from, bytes: isOfLines[name] ? bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1) : bytes };
  } catch (problem) {
    signal.throwIfAborted();
    const { code } = problem as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw problem instanceof SurfacedError ? problem : unreadable(name, path, problem);
  } finally {
    await file?.close();
  }
}

/** Files of the kernel cannot be relied on to seek: what comes before is read and dropped. */
async function readFrom(
  file: FileHandle,
  options: {
    readonly name: LogName;
    readonly path: string;
    readonly from: number;
    readonly mostBytes: number;
    readonly signal: AbortSignal;
  },
): Promise<Buffer> {
  const { name, path, from, mostBytes, signal } = options;
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const kept: Buffer[] = [];
  let keptBytes = 0;
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, null);
    if (bytesRead === 0) return Buffer.concat(kept);
    const fresh = chunk.subarray(Math.max(0, from - at), bytesRead);
    at += bytesRead;
    keptBytes += fresh.length;
    if (fresh.length > 0) kept.push(Buffer.from(fresh));
    if (keptBytes > mostBytes || at > mostWholeLogBytes)
      throw await tooLarge(file, { name, path, from, seen: at, mostBytes });
  }
}

async function tooLarge(
  file: FileHandle,
  log: {
    readonly name: LogName;
    readonly path: string;
    readonly from: number;
    readonly seen: number;
    readonly mostBytes: number;
  },
): Promise<SurfacedError> {
  const { name, path, from, seen, mostBytes } = log;
  // Of files of the kernel the size is not known.
  const { size } = await file.stat();
  const limit =
    seen > mostWholeLogBytes
      ? `at most ${mostWholeLogBytes}`
      : `at most ${mostBytes} from byte ${from} on, as all logs together may have ${mostLogBytes}`;
  return new SurfacedError(
    'E_ATTEST_LOG',
    `${name} log ${path}, size: at least ${Math.max(size, seen)} bytes, ${limit}`,
  );
}

function unreadable(name: LogName, path: string, cause: unknown): SurfacedError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  const who = `user ${process.geteuid?.() ?? 'of surfaced'}`;
  const what = isForbidden
    ? `${who} may not read it: let the group of surfaced read it and enter its folder (\`chgrp\`, \`chmod g+rX\`, after every start of the machine), or run as root`
    : message;
  return new SurfacedError('E_ATTEST_LOG', `${name} log ${path}: ${what}`, { cause });
}
