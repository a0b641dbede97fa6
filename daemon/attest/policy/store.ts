/**
 * The reference sets of a gateway: a folder of `*.yaml` files with their signatures, watched for changes.
 *
 * A file counts as it is now or not at all: one that is changed, unsigned or broken, or that cannot be read, drops out at
 * once, and so do all sets when the folder cannot be read. Its last good version would be trust that nobody has signed for
 * any more, and who withdraws a set wants it gone. That is safe to do to a fleet because a new version is a new file.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { fileStamp, watchFolder } from '../../watch-folder.ts';
import { createReferences, isValidAt } from './match.ts';
import { type Reference, readReference, type Signing } from './reference-set.ts';
import { readSigners } from './signature.ts';
import type { PolicyInfo, PolicyStore } from './types.ts';

/** A set and its signature are two files, and copying takes a moment: they are looked at together. */
const debounceMs = 300;
/** Most sets of a folder. */
const mostSets = 200;
/** Longest wait of one timer: the clock may jump. */
const mostWaitMs = 20_000;

type Problem = ReturnType<PolicyStore['problems']>[number];

interface FileState {
  /** Of all files that belong to it, when they were read; empty: read them again. */
  readonly stamp: string;
  readonly reference: Reference | null;
  readonly problem: string | null;
}

/**
 * Reads the folder and watches it.
 * @param options.folder null: there are no sets
 * @param options.signers files with public keys in PEM; read once
 * @throws SurfacedError E_POLICY_SET, E_CFG_READ, E_CFG_INVALID for signers, and E_POLICY_SET for a folder that cannot be
 * read at the start
 */
export async function openPolicies(options: {
  readonly folder: string | null;
  readonly signers: readonly string[];
  readonly acceptUnsigned: boolean;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<PolicyStore> {
  const { folder, acceptUnsigned, clock, log } = options;
  const signing: Signing = { signers: await readSigners(options.signers), acceptUnsigned };
  if (folder === null) return noPolicies;
  try {
    await readdir(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SurfacedError('E_POLICY_SET', `${folder}: the folder cannot be read (${code})`, { cause });
  }
  const listeners: (() => void)[] = [];
  let files: ReadonlyMap<string, FileState> = new Map();
  let sets: readonly Reference[] = [];
  let problems: readonly Problem[] = [];
  let inForce = '';
  let timer: NodeJS.Timeout | null = null;

  async function scan(): Promise<void> {
    const found = await readFolder(folder!, files, signing);
    files = found.files;
    const unique = withoutTwins(files);
    sets = unique.sets;
    report([...found.problems, ...unique.problems]);
    tell();
  }

  /** Tells of a change of what is in force: other files, or a window that has begun or ended. */
  function tell(): void {
    plan();
    const now = clock.now();
    const next = sets
      .map((set) => `${set.name} ${set.version} ${set.sha256} ${isValidAt(set, now)}`)
      .join('\n');
    if (next === inForce) return;
    inForce = next;
    for (const listener of listeners) listener();
  }

  /** Looks again when the next window begins or ends. The clock may jump: the wait is short. */
  function plan(): void {
    if (timer) clearTimeout(timer);
    const now = clock.now();
    const edges = sets.flatMap(({ notBefore, notAfter }) => [notBefore ?? 0, notAfter ?? 0]);
    const waitMs = Math.min(mostWaitMs, ...edges.filter((edge) => edge > now).map((edge) => edge - now));
    timer = setTimeout(tell, waitMs).unref();
  }

  /** Logs a problem when it appears, not at every look. */
  function report(next: readonly Problem[]): void {
    const known = new Set(problems.map(({ source, message }) => `${source}\n${message}`));
    for (const { source, message } of next)
      if (!known.has(`${source}\n${message}`))
        log.warn({ source, problem: message }, 'reference set not used');
    problems = next;
  }

  await scan();
  const onError = (error: unknown): void => log.error({ err: error }, 'reference sets not read');
  const watching = watchFolder({ folder, debounceMs, look: scan, onError });
  return {
    references: (name) => {
      const versions = sets.filter((set) => set.name === name);
      return versions.length === 0 ? null : createReferences(name, versions);
    },
    inForce: (name, now) => sets.filter((set) => set.name === name && isValidAt(set, now)),
    problems: () => problems,
    list: () => sets.map(infoOf),
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: async () => {
      await watching.close();
      if (timer) clearTimeout(timer);
    },
  };
}

const noPolicies: PolicyStore = {
  references: () => null,
  inForce: () => [],
  problems: () => [],
  list: () => [],
  onChange: () => undefined,
  close: async () => undefined,
};

/** A set as lists show it. */
export const infoOf = (set: Reference): PolicyInfo => {
  const { name, version, sha256, file, notBefore, notAfter, signer } = set;
  return { name, version, sha256, file, notBefore, notAfter, signer };
};

/** Reads what is new or changed. */
async function readFolder(
  folder: string,
  before: ReadonlyMap<string, FileState>,
  signing: Signing,
): Promise<{ files: Map<string, FileState>; problems: Problem[] }> {
  const files = new Map<string, FileState>();
  const problems: Problem[] = [];
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => /^[^.].*\.ya?ml$/i.test(name)).sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    problems.push({ source: folder, message: `cannot be read (${code}); no set counts` });
    return { files, problems };
  }
  if (names.length > mostSets)
    problems.push({ source: folder, message: `more than ${mostSets} files; the rest is left out` });
  for (const name of names.slice(0, mostSets)) {
    const file = path.join(folder, name);
    const state = await readSet(file, before.get(file), signing);
    files.set(file, state);
    if (state.problem !== null) problems.push({ source: file, message: state.problem });
  }
  return { files, problems };
}

async function readSet(file: string, before: FileState | undefined, signing: Signing): Promise<FileState> {
  let stamp = '';
  try {
    const stamps = [
      await stampOf(file),
      await stampOf(`${file}.sig`),
      await stampOf(before?.reference?.list ?? null),
    ];
    stamp = stamps.includes('') ? '' : stamps.join('\n');
    // A list that could not be read is not known here: a set with a problem is read again.
    if (before !== undefined && before.problem === null && stamp !== '' && before.stamp === stamp)
      return before;
    const reference = await readReference(file, signing);
    // The list that it names is known only now; the next look has the stamp of that, too.
    const isWhole = reference.list === (before?.reference?.list ?? null);
    return { stamp: isWhole ? stamp : '', reference, problem: null };
  } catch (error) {
    return { stamp: '', reference: null, problem: (error as Error).message };
  }
}

/** `none` when there is no such file; empty when it must be read, whatever comes of it. */
async function stampOf(file: string | null): Promise<string> {
  if (file === null) return 'none';
  try {
    const found = await stat(file);
    return found.isFile() ? fileStamp(found) : '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'none' : '';
  }
}

/** Of two with the same name and version the one whose file comes first counts. */
function withoutTwins(files: ReadonlyMap<string, FileState>): { sets: Reference[]; problems: Problem[] } {
  const sets = new Map<string, Reference>();
  const problems: Problem[] = [];
  for (const [file, { reference }] of files) {
    if (reference === null) continue;
    const id = `${reference.name} version ${reference.version}`;
    const first = sets.get(id);
    if (first === undefined) sets.set(id, reference);
    else problems.push({ source: file, message: `${file}: ${id} is already in ${first.file}; left out` });
  }
  return { sets: [...sets.values()], problems };
}
