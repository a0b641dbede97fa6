/**
 * `trust.json` in the state folder: what the gateway knows of its surfaces and of those that wait for approval, for
 * commands in other processes. Only the salts of those that wait are read back by the gateway.
 */
import path from 'node:path';
import { z } from 'zod';
import type { Log } from '../../log.ts';
import { type Disk, readIfThere } from './disk.ts';
import type { Quarantined, SurfaceTrust } from './types.ts';
import { quarantinedOf, type Waiting, waitingSchema } from './waiting.ts';

/** Changes are written this much later, all at once, milliseconds: what people wait for, and what they do not. */
const soonMs = 500;
const laterMs = 30_000;
const mostBytes = 16 * 1024 * 1024;

const surfaceSchema = z.strictObject({
  surface: z.string(),
  ekSha256: z.string(),
  state: z.enum(['quarantined', 'pending', 'trusted', 'stale', 'failed', 'revoked']),
  level: z.literal([0, 1, 2, 3]).nullable(),
  reason: z.string(),
  attestedAt: z.number().nullable(),
  evidence: z.string().nullable(),
  reference: z.strictObject({ name: z.string(), version: z.number(), sha256: z.string() }).nullable(),
  hasTrustedCertificate: z.boolean(),
  firmware: z.string().nullable(),
});
const fileSchema = z.strictObject({
  v: z.literal(1),
  writtenAt: z.number(),
  caPin: z.string(),
  quarantine: z.array(waitingSchema),
  surfaces: z.array(surfaceSchema),
});

/** What the file holds. A gateway that was killed leaves it as it was: `writtenAt` says when. */
export interface TrustFile {
  /** Unix milliseconds. */
  readonly writtenAt: number;
  readonly surfaces: readonly SurfaceTrust[];
  readonly quarantine: readonly Quarantined[];
}

const fileIn = (stateDir: string): string => path.join(stateDir, 'trust.json');

async function readFile(stateDir: string): Promise<z.infer<typeof fileSchema> | null> {
  const text = await readIfThere(fileIn(stateDir), mostBytes);
  return text && fileSchema.parse(JSON.parse(text.toString('utf8')));
}

/** For other processes. Null: no gateway has written it yet. @throws Error when it cannot be read */
export async function readTrustFile(stateDir: string): Promise<TrustFile | null> {
  const file = await readFile(stateDir);
  if (file === null) return null;
  const { writtenAt, surfaces, caPin } = file;
  return { writtenAt, surfaces, quarantine: file.quarantine.map((waiting) => quarantinedOf(waiting, caPin)) };
}

/** Those who waited when the file was written; none when it cannot be read, which costs them a new code. */
export async function readWaiting(stateDir: string, log: Log): Promise<readonly Waiting[]> {
  try {
    return (await readFile(stateDir))?.quarantine ?? [];
  } catch (problem) {
    log.warn({ err: problem }, 'who waited for approval cannot be read: their pairing codes change');
    return [];
  }
}

export interface TrustFileWriter {
  /** Something in the file has changed: soon, or when it is convenient. */
  touch(when: 'soon' | 'later'): void;
  /** Writes what was touched, and nothing more after it. */
  close(): Promise<void>;
}

/** Keeps the file up to date. A failure is logged, and tried again with the next change. */
export function keepTrustFile(options: {
  readonly stateDir: string;
  readonly disk: Disk;
  readonly content: () => {
    readonly writtenAt: number;
    readonly caPin: string;
    readonly quarantine: readonly Waiting[];
    readonly surfaces: readonly SurfaceTrust[];
  };
  readonly log: Log;
}): TrustFileWriter {
  const { stateDir, disk, content, log } = options;
  let timer: NodeJS.Timeout | null = null;
  let isSoon = false;
  let isClosed = false;
  let writing: Promise<void> = Promise.resolve();
  const write = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    isSoon = false;
    writing = writing.then(async () => {
      try {
        await disk.replace(fileIn(stateDir), `${JSON.stringify({ v: 1, ...content() })}\n`);
      } catch (problem) {
        log.warn({ err: problem }, 'the list of surfaces cannot be written');
      }
    });
    return writing;
  };
  return {
    touch: (when) => {
      if (isClosed || isSoon || (timer !== null && when === 'later')) return;
      if (timer !== null) clearTimeout(timer);
      isSoon = when === 'soon';
      timer = setTimeout(() => void write(), isSoon ? soonMs : laterMs);
      timer.unref();
    },
    close: async () => {
      isClosed = true;
      await (timer === null ? writing : write());
    },
  };
}
