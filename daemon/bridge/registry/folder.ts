/**
 * The registry as a folder of ControlSurface files, `*.yaml` and `*.yml`, one or more documents each. Changes are
 * picked up as they are made; a file that is broken keeps its last good version and is reported.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseConfigs, readConfigFile } from '../../config/load.ts';
import type { ControlSurface } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { fileStamp, watchFolder } from '../../watch-folder.ts';
import { changedNames } from './changes.ts';
import { checkSurface } from './check.ts';
import type { Registry } from './types.ts';

/** An editor's save is several events; they are read as one. */
const debounceMs = 50;
const maxFiles = 2000;
const maxSurfaces = 5000;

interface Problem {
  readonly source: string;
  readonly message: string;
}

/** What is kept of a file. */
interface FileState {
  /** Size, times and inode when it was read: equal means unchanged; empty: read it again. */
  readonly stamp: string;
  /** Of the last version without fault. */
  readonly surfaces: readonly ControlSurface[];
  readonly problem: string | null;
}

/**
 * Reads the folder and watches it.
 * @throws SurfacedError E_REGISTRY when the folder cannot be read at the start
 */
export async function openFolderRegistry(options: {
  readonly folder: string;
  readonly log: Log;
}): Promise<Registry> {
  const { folder, log } = options;
  const listeners: ((names: readonly string[]) => void)[] = [];
  let files: ReadonlyMap<string, FileState> = new Map();
  let surfaces: ReadonlyMap<string, ControlSurface> = new Map();
  let problems: readonly Problem[] = [];

  async function scan(): Promise<void> {
    const found = await readFolder(folder, files);
    const merged = merge(found.files);
    const before = surfaces;
    files = found.files;
    surfaces = merged.surfaces;
    report([...found.problems, ...merged.problems]);
    const names = changedNames(before, surfaces);
    if (names.length > 0) for (const listener of listeners) listener(names);
  }

  /** Logs a problem when it appears, not at every look. */
  function report(next: readonly Problem[]): void {
    const known = new Set(problems.map(({ source, message }) => `${source}\n${message}`));
    for (const { source, message } of next) {
      if (!known.has(`${source}\n${message}`)) log.warn({ source, problem: message }, 'registry problem');
    }
    problems = next;
  }

  try {
    await readdir(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SurfacedError('E_REGISTRY', `${folder}: ${code}`, { cause });
  }
  await scan();

  const watching = watchFolder({
    folder,
    debounceMs,
    look: scan,
    onError: (error) => log.error({ err: error }, 'registry not read'),
  });

  return {
    list: () => [...surfaces.values()],
    get: (name) => surfaces.get(name) ?? null,
    problems: () => problems,
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: () => watching.close(),
  };
}

/** Reads what is new or changed; everything that cannot be read keeps its last good version. */
async function readFolder(
  folder: string,
  before: ReadonlyMap<string, FileState>,
): Promise<{ files: Map<string, FileState>; problems: Problem[] }> {
  const problems: Problem[] = [];
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => /^[^.].*\.ya?ml$/i.test(name)).sort();
  } catch (cause) {
    // A folder that is away for a moment (a mount, a checkout) must not cut all surfaces off.
    const { code } = cause as NodeJS.ErrnoException;
    problems.push({ source: folder, message: `cannot be read (${code}); what was read last stays` });
    return { files: new Map(before), problems };
  }
  if (names.length > maxFiles) {
    problems.push({ source: folder, message: `more than ${maxFiles} files; the rest is left out` });
  }
  const files = new Map<string, FileState>();
  for (const name of names.slice(0, maxFiles)) {
    const file = path.join(folder, name);
    const state = await readSurfaces(file, before.get(file));
    if (!state) continue;
    files.set(file, state);
    if (state.problem !== null) problems.push({ source: file, message: state.problem });
  }
  return { files, problems };
}

/** Null when there is no such file (any more). */
async function readSurfaces(file: string, before: FileState | undefined): Promise<FileState | null> {
  let stamp = '';
  try {
    const found = await stat(file);
    // Opening a pipe would wait for somebody to write to it.
    if (!found.isFile()) throw new SurfacedError('E_CFG_READ', `${file}: not a file`);
    stamp = fileStamp(found);
    if (before && stamp !== '' && before.stamp === stamp) return before;
    const surfaces = parseConfigs('ControlSurface', await readConfigFile(file), file, checkSurface);
    // An editor may empty a file before it writes it.
    if (surfaces.length === 0 && before && before.surfaces.length > 0)
      throw new SurfacedError('E_CFG_INVALID', `${file}: empty; remove the file to remove its surfaces`);
    return { stamp, surfaces, problem: null };
  } catch (error) {
    const code = (error as { cause?: NodeJS.ErrnoException }).cause?.code;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || code === 'ENOENT') return null;
    const kept = before?.surfaces ?? [];
    const stays = kept.length > 0 ? '\nthe last good version stays in force' : '';
    const isUnread = error instanceof SurfacedError && error.code === 'E_CFG_READ';
    return { stamp: isUnread ? '' : stamp, surfaces: kept, problem: `${(error as Error).message}${stays}` };
  }
}

/** All surfaces by name; of two with the same name the one whose file comes first counts. */
function merge(files: ReadonlyMap<string, FileState>): {
  surfaces: Map<string, ControlSurface>;
  problems: Problem[];
} {
  const surfaces = new Map<string, ControlSurface>();
  const sources = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [file, state] of files) {
    for (const surface of state.surfaces) {
      const { name } = surface.metadata;
      const first = sources.get(name);
      if (first !== undefined) {
        problems.push({ source: file, message: `surface "${name}" is already in ${first}; left out` });
      } else if (surfaces.size === maxSurfaces) {
        problems.push({ source: file, message: `more than ${maxSurfaces} surfaces; "${name}" is left out` });
      } else {
        surfaces.set(name, surface);
        sources.set(name, file);
      }
    }
  }
  return { surfaces, problems };
}
