/**
 * What the registry knew last, in the state folder: a gateway that starts while the API server is away knows its surfaces
 * by it, instead of taking all of them for removed. It is replaced by the first list that succeeds.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkValue } from '../../../config/load.ts';
import type { ControlSurface } from '../../../config/schema.ts';
import type { Log } from '../../../log.ts';
import { fields, list } from '../../kube/read.ts';
import { checkSurface } from '../check.ts';

const fileName = 'registry.json';

/** The surfaces of the snapshot; null: there is none that can be used. */
export async function readSnapshot(
  stateDir: string,
  namespace: string,
  log: Log,
): Promise<readonly ControlSurface[] | null> {
  const file = path.join(stateDir, fileName);
  try {
    const kept = fields(JSON.parse(await readFile(file, 'utf8')));
    if (kept.namespace !== namespace) return null;
    return list(kept.surfaces).flatMap(
      (value) => checkValue('ControlSurface', value, checkSurface).config ?? [],
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({ file, err: error }, 'what the registry knew last cannot be read');
    return null;
  }
}

/** Keeps the snapshot up to date. */
export interface SnapshotKeeper {
  /** Something changed; written a while later, so that many changes are one write. */
  touch(): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

/**
 * @param options.pauseMs between a change and its write, and so the least time between two writes
 */
export function keepSnapshot(options: {
  readonly stateDir: string;
  readonly namespace: string;
  readonly surfaces: () => readonly ControlSurface[];
  readonly pauseMs: number;
  readonly log: Log;
}): SnapshotKeeper {
  const { stateDir, namespace, surfaces, pauseMs, log } = options;
  const file = path.join(stateDir, fileName);
  const closing = new AbortController();
  let writing: Promise<void> | null = null;
  let isDirty = false;

  const write = async (): Promise<void> => {
    isDirty = false;
    const beside = `${file}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      // Nothing is lost when a power cut takes it: then the next start has to wait for the API server.
      await writeFile(beside, JSON.stringify({ namespace, surfaces: surfaces() }), { mode: 0o600 });
      await rename(beside, file);
    } catch (error) {
      log.warn({ file, err: error }, 'what the registry knows cannot be kept for the next start');
      await rm(beside, { force: true });
    }
  };
  const run = async (): Promise<void> => {
    while (isDirty) {
      await delay(pauseMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
      await write();
    }
    writing = null;
  };
  return {
    touch: () => {
      isDirty = true;
      writing ??= run();
    },
    close: async () => {
      closing.abort();
      await writing;
    },
  };
}
