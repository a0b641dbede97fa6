/**
 * Dossiers on the disk: `surfaces/<ekSha256>/` of the state folder, with `dossier.json` and one file a log. Log files
 * only grow, and count only as far as `dossier.json` says, which is put in place last: whenever the power is cut, the
 * old dossier is there or the new one. What cannot be read, or does not fit its checksums, is as if it were not there.
 */
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Log } from '../../log.ts';
import { type LogName, logNames, mostWholeLogBytes } from '../evidence/evidence.ts';
import type { WholeLogs } from '../verifier/types.ts';
import { type Disk, namesIn, readIfThere, statOf } from './disk.ts';
import {
  type Dossier,
  dossierText,
  type FiledDossier,
  type FiledLog,
  parseDossier,
  withLogs,
} from './dossier.ts';

/** Most bytes of all logs of one surface. */
export const mostDossierLogBytes = 32 * 1024 * 1024;
const mostTextBytes = 1024 * 1024;
/** Folders of surfaces that are gone are kept this long: somebody may want to look. */
const keepGoneMs = 30 * 24 * 60 * 60 * 1000;
const current = 'dossier.json';
const withdrawn = 'withdrawn.json';

/** The dossiers of a gateway. What concerns one key must not overlap: its callers take turns. */
export interface Dossiers {
  /** Without the logs; null: there is none that can be used. */
  glance(ekSha256: string): Promise<FiledDossier | null>;
  read(ekSha256: string): Promise<Dossier | null>;
  /** @throws SurfacedError E_STATE_DIR; then the old one is still there */
  write(dossier: Dossier): Promise<void>;
  /** Writes only what is not in the logs, which are as they were. @throws SurfacedError E_STATE_DIR */
  rewrite(dossier: FiledDossier): Promise<void>;
  /** Puts it aside: it can be looked at, and counts for nothing any more. @throws SurfacedError E_STATE_DIR */
  withdraw(ekSha256: string): Promise<void>;
  /** Removes what was kept of keys that are not `known`, once it is old. @throws SurfacedError E_STATE_DIR */
  sweep(isKnown: (ekSha256: string) => boolean, now: number): Promise<void>;
}

const folderOf = (stateDir: string, ekSha256: string): string => path.join(stateDir, 'surfaces', ekSha256);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Reads the file of a dossier. @throws Error that says what is wrong */
async function readFiled(file: string, ekSha256: string): Promise<FiledDossier | null> {
  const text = await readIfThere(file, mostTextBytes);
  if (text === null) return null;
  const dossier = parseDossier(text.toString('utf8'));
  if (dossier.ekSha256 !== ekSha256) throw new Error('it is of another key');
  return dossier;
}

async function readLog(folder: string, filed: FiledLog | null): Promise<Buffer | null> {
  if (filed === null) return null;
  const { file, bytes, sha256: expected } = filed;
  // A file that was being extended when the power went may be longer than it should be, by one part.
  const whole = (await readIfThere(path.join(folder, file), 2 * mostWholeLogBytes))?.subarray(0, bytes);
  if (!whole || whole.length < bytes) throw new Error(`${file}: not all of it is there`);
  if (sha256(whole) !== expected) throw new Error(`${file}: its checksum does not fit`);
  return whole;
}

async function readWhole(folder: string, filed: FiledDossier): Promise<Dossier> {
  const logs: Partial<Record<LogName, Buffer | null>> = {};
  for (const name of logNames) logs[name] = await readLog(folder, filed.logs[name]);
  return withLogs(filed, logs as WholeLogs);
}

/**
 * The dossier of a key, for other processes than the gateway (to learn from a surface, to show its verdict); also one
 * that does not count any more. Null: there is none.
 * @throws Error that says what is wrong with its files
 */
export async function readDossier(stateDir: string, ekSha256: string): Promise<Dossier | null> {
  const folder = folderOf(stateDir, ekSha256);
  const find = async () =>
    (await readFiled(path.join(folder, current), ekSha256)) ??
    (await readFiled(path.join(folder, withdrawn), ekSha256));
  const filed = await find();
  if (filed === null) return null;
  try {
    return await readWhole(folder, filed);
  } catch (problem) {
    // The gateway may have replaced the logs between both reads: once more.
    const again = await find();
    if (again === null || again.receivedAt === filed.receivedAt) throw problem;
    return await readWhole(folder, again);
  }
}

/** @param options.disk what changes the folder; tests cut its power */
export function openDossiers(options: {
  readonly stateDir: string;
  readonly disk: Disk;
  readonly log: Log;
}): Dossiers {
  const { stateDir, disk, log } = options;
  const orNone = async <Value>(ekSha256: string, read: () => Promise<Value>): Promise<Value | null> => {
    try {
      return await read();
    } catch (problem) {
      log.warn(
        { ekSha256, err: problem },
        'what was kept of a surface cannot be used: it must send everything',
      );
      return null;
    }
  };
  const glance = (ekSha256: string) =>
    orNone(ekSha256, () => readFiled(path.join(folderOf(stateDir, ekSha256), current), ekSha256));

  /** A log that goes on where the old one ended is appended, any other is a new file. */
  async function fileLog(
    folder: string,
    { name, bytes, before }: { name: LogName; bytes: Uint8Array | null; before: FiledLog | null },
  ): Promise<FiledLog | null> {
    if (bytes === null) return null;
    const whole = { bytes: bytes.length, sha256: sha256(bytes) };
    const isLonger = before !== null && before.bytes <= bytes.length;
    if (isLonger && sha256(bytes.subarray(0, before.bytes)) === before.sha256) {
      const old = path.join(folder, before.file);
      if (((await statOf(old))?.size ?? -1) >= before.bytes) {
        const more = bytes.subarray(before.bytes);
        if (more.length > 0) await disk.extend(old, before.bytes, more);
        return { file: before.file, ...whole };
      }
    }
    const file = `${name}-${randomBytes(6).toString('hex')}.log`;
    await disk.create(path.join(folder, file), bytes);
    return { file, ...whole };
  }

  /** Only now does what it names count; what nothing names is of no use any more. */
  async function place(folder: string, dossier: FiledDossier): Promise<void> {
    await disk.replace(path.join(folder, current), dossierText(dossier));
    const named = new Set<string>([current, ...logNames.map((name) => dossier.logs[name]?.file ?? '')]);
    try {
      for (const name of await namesIn(folder))
        if (!named.has(name)) await disk.remove(path.join(folder, name));
    } catch (problem) {
      // The next dossier tries again.
      log.warn({ err: problem }, 'old files of a surface cannot be removed');
    }
  }

  return {
    glance,
    read: async (ekSha256) => {
      const filed = await glance(ekSha256);
      return filed && (await orNone(ekSha256, () => readWhole(folderOf(stateDir, ekSha256), filed)));
    },
    write: async (dossier) => {
      const folder = folderOf(stateDir, dossier.ekSha256);
      const before = await glance(dossier.ekSha256);
      await disk.makeFolder(folder);
      const logs: Partial<Record<LogName, FiledLog | null>> = {};
      for (const name of logNames) {
        const bytes = dossier.case.logs[name];
        logs[name] = await fileLog(folder, { name, bytes, before: before?.logs[name] ?? null });
      }
      const { logs: _, ...judged } = dossier.case;
      await place(folder, { ...dossier, case: judged, logs: logs as FiledDossier['logs'] });
    },
    rewrite: (dossier) => place(folderOf(stateDir, dossier.ekSha256), dossier),
    withdraw: async (ekSha256) => {
      const folder = folderOf(stateDir, ekSha256);
      if ((await statOf(path.join(folder, current))) === null) return;
      await disk.rename(path.join(folder, current), path.join(folder, withdrawn));
    },
    sweep: async (isKnown, now) => {
      const parent = path.join(stateDir, 'surfaces');
      for (const name of await namesIn(parent)) {
        if (!/^[0-9a-f]{64}$/.test(name) || isKnown(name)) continue;
        const folder = path.join(parent, name);
        const changed = await statOf(folder);
        if (changed && now - changed.mtimeMs > keepGoneMs) await disk.remove(folder);
      }
    },
  };
}
