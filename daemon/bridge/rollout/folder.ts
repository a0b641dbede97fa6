/**
 * The gateway's folder of updates: bundles, `<version>.raucb`, and Rollout files, `*.yaml`. Watched; a bundle counts as it is
 * now or not at all, and a Rollout file that is broken keeps its last good version, so that nothing begins or ends by a typo.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseConfigs, readConfigFile } from '../../config/load.ts';
import type { Rollout } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { versionPattern } from '../../version.ts';
import { fileStamp, watchFolder } from '../../watch-folder.ts';

/** A bundle is copied for a while: it is looked at when that has ended for so long, milliseconds. */
const debounceMs = 300;
const mostBundles = 100;
const mostRolloutFiles = 200;
const mostRollouts = 500;

/** A bundle whose signature is good. */
export interface Offer {
  readonly version: string;
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of its manifest, hex. */
  readonly manifestSha256: string;
  /** YAML of the ReferenceSet that is signed with it. */
  readonly references: string;
  /** Who signed it, safe to print. */
  readonly signer: string;
}

interface Problem {
  readonly source: string;
  readonly message: string;
}

export interface UpdatesFolder {
  /** Null: there is no good bundle of that version. */
  offer(version: string): Offer | null;
  offers(): readonly Offer[];
  rollouts(): readonly Rollout[];
  /** Files that are not used, or not as they are now, each with why. */
  problems(): readonly Problem[];
  /** Called after any change. */
  onChange(listener: () => void): void;
  close(): Promise<void>;
}

/** What is kept of a file. */
interface FileState {
  /** Empty: it is read again. */
  readonly stamp: string;
  readonly offer: Offer | null;
  readonly rollouts: readonly Rollout[];
  readonly problem: string | null;
}

export interface UpdatesFolderParts {
  readonly folder: string;
  /** Reads the end of a bundle and checks its signature; rejects with SurfacedError. */
  readonly readBundle: (file: string) => Promise<Omit<Offer, 'file'>>;
  readonly log: Log;
}

/**
 * Reads the folder and watches it.
 * @throws SurfacedError E_ROLLOUT when it cannot be read at the start
 */
export async function openUpdatesFolder(parts: UpdatesFolderParts): Promise<UpdatesFolder> {
  const { folder, log } = parts;
  const listeners: (() => void)[] = [];
  let files: ReadonlyMap<string, FileState> = new Map();
  let offers: ReadonlyMap<string, Offer> = new Map();
  let rollouts: readonly Rollout[] = [];
  let problems: readonly Problem[] = [];
  let known = '';

  async function scan(): Promise<void> {
    const found = await readFolder(parts, files);
    files = found.files;
    const states = [...files.values()];
    offers = new Map(states.flatMap(({ offer }) => (offer === null ? [] : [[offer.version, offer]])));
    const merged = withoutTwins(files);
    rollouts = merged.rollouts;
    report([...found.problems, ...merged.problems]);
    const next = JSON.stringify([[...offers.values()], rollouts]);
    if (next === known) return;
    known = next;
    for (const listener of listeners) listener();
  }

  /** Logs a problem when it appears, not at every look. */
  function report(next: readonly Problem[]): void {
    const before = new Set(problems.map(({ source, message }) => `${source}\n${message}`));
    for (const { source, message } of next)
      if (!before.has(`${source}\n${message}`)) log.warn({ source, problem: message }, 'update problem');
    problems = next;
  }

  try {
    await readdir(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SurfacedError('E_ROLLOUT', `updates.folder: ${folder}: cannot be read (${code})`, { cause });
  }
  await scan();
  const watching = watchFolder({
    folder,
    debounceMs,
    look: scan,
    onError: (error) => log.error({ err: error }, 'folder of updates not read'),
  });
  return {
    offer: (version) => offers.get(version) ?? null,
    offers: () => [...offers.values()],
    rollouts: () => rollouts,
    problems: () => problems,
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: () => watching.close(),
  };
}

async function readFolder(
  parts: UpdatesFolderParts,
  before: ReadonlyMap<string, FileState>,
): Promise<{ files: Map<string, FileState>; problems: Problem[] }> {
  const { folder } = parts;
  const problems: Problem[] = [];
  let names: readonly string[];
  try {
    names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    problems.push({ source: folder, message: `cannot be read (${code}); what was read last stays` });
    return { files: new Map(before), problems };
  }
  const files = new Map<string, FileState>();
  const kinds = [
    { pattern: /\.raucb$/, most: mostBundles, read: readOffer },
    { pattern: /\.ya?ml$/i, most: mostRolloutFiles, read: readRollouts },
  ];
  for (const { pattern, most, read } of kinds) {
    const fitting = names.filter((name) => pattern.test(name));
    if (fitting.length > most)
      problems.push({ source: folder, message: `more than ${most} files ${pattern}; the rest is left out` });
    for (const name of fitting.slice(0, most)) {
      const file = path.join(folder, name);
      const state = await read(parts, file, before.get(file));
      if (state === null) continue;
      files.set(file, state);
      if (state.problem !== null) problems.push({ source: file, message: state.problem });
    }
  }
  return { files, problems };
}

type Read = (
  parts: UpdatesFolderParts,
  file: string,
  before: FileState | undefined,
) => Promise<FileState | null>;

const nothing = { offer: null, rollouts: [] } as const;

const readOffer: Read = async ({ readBundle }, file, before) => {
  const version = path.basename(file, '.raucb');
  let stamp = '';
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new SurfacedError('E_ROLLOUT', `${file}: not a file`);
    stamp = fileStamp(found);
    if (before && stamp !== '' && before.stamp === stamp) return before;
    if (!versionPattern.test(version))
      throw new SurfacedError('E_ROLLOUT', `${file}: expected <version>.raucb, e.g. 1.2.0.raucb`);
    const bundle = await readBundle(file);
    if (bundle.version !== version)
      throw new SurfacedError('E_ROLLOUT', `${file}: is a bundle of ${bundle.version}; rename it`);
    return { stamp, rollouts: [], offer: { ...bundle, file }, problem: null };
  } catch (error) {
    if (isGone(error)) return null;
    // A gateway may have started before its clock was set: dates of certificates are judged anew then.
    const isDated = error instanceof SurfacedError && error.code === 'E_UPDATE_SIGNER';
    return { ...nothing, stamp: isDated ? '' : stamp, problem: (error as Error).message };
  }
};

const readRollouts: Read = async (_parts, file, before) => {
  let stamp = '';
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new SurfacedError('E_CFG_READ', `${file}: not a file`);
    stamp = fileStamp(found);
    if (before && stamp !== '' && before.stamp === stamp) return before;
    const rollouts = parseConfigs('Rollout', await readConfigFile(file), file, null);
    // An editor may empty a file before it writes it.
    if (rollouts.length === 0 && before && before.rollouts.length > 0)
      throw new SurfacedError('E_CFG_INVALID', `${file}: empty; remove the file to end its rollouts`);
    return { stamp, offer: null, rollouts, problem: null };
  } catch (error) {
    if (isGone(error)) return null;
    const kept = before?.rollouts ?? [];
    const stays = kept.length > 0 ? '\nthe last good version stays in force' : '';
    const isUnread = error instanceof SurfacedError && error.code === 'E_CFG_READ';
    const problem = `${(error as Error).message}${stays}`;
    return { offer: null, stamp: isUnread ? '' : stamp, rollouts: kept, problem };
  }
};

const isGone = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOENT' ||
  (error as { cause?: NodeJS.ErrnoException }).cause?.code === 'ENOENT';

/** Of two rollouts with the same name the one whose file comes first counts. */
function withoutTwins(files: ReadonlyMap<string, FileState>): { rollouts: Rollout[]; problems: Problem[] } {
  const rollouts = new Map<string, Rollout>();
  const sources = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [file, state] of files)
    for (const rollout of state.rollouts) {
      const { name } = rollout.metadata;
      const first = sources.get(name);
      if (first !== undefined)
        problems.push({ source: file, message: `rollout "${name}" is already in ${first}; left out` });
      else if (rollouts.size === mostRollouts)
        problems.push({ source: file, message: `more than ${mostRollouts} rollouts; "${name}" is left out` });
      else {
        rollouts.set(name, rollout);
        sources.set(name, file);
      }
    }
  return { rollouts: [...rollouts.values()], problems };
}
