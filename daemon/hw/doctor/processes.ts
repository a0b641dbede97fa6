/** Who has which device file open, as far as this user may know: /proc, Linux Documentation/filesystems/proc.rst. */
import { readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { fileOf, type Machine, namesIn, textOf } from './machine.ts';

/** A running program. */
export interface Program {
  readonly id: number;
  /** What people call it, e.g. `socat (process 812)`. */
  readonly label: string;
  /** It is surfaced itself, with a panel. */
  readonly hasPanel: boolean;
  /** Files that it has open; null: this user may not know. */
  readonly files: readonly string[] | null;
}

/** Commands of surfaced that open a panel. */
const panelCommands: readonly string[] = ['device', 'monitor', 'calibrate', 'demo'];

/** True for the command line of surfaced with a command that opens a panel. */
export function opensPanel(words: readonly string[]): boolean {
  const at = words.findIndex((word) => /(?:^|\/)(?:surfaced|daemon\/main\.[jt]s)$/.test(word));
  return at >= 0 && words.slice(at + 1).some((word) => panelCommands.includes(word));
}

/** All programs but this one. */
export async function readPrograms(machine: Machine): Promise<Program[]> {
  const ids = await namesIn(machine, '/proc', /^\d+$/);
  const programs: Program[] = [];
  for (const id of ids.map(Number)) {
    if (id === machine.user.processId) continue;
    const words = (await textOf(machine, `/proc/${id}/cmdline`))?.split('\0') ?? [];
    const hasPanel = opensPanel(words);
    const name = hasPanel ? 'surfaced' : ((await textOf(machine, `/proc/${id}/comm`)) ?? 'unknown');
    const files = await filesOf(machine, id);
    programs.push({ id, label: `${name} (process ${id})`, hasPanel, files });
  }
  return programs;
}

/**
 * Programs that have a file open. A surfaced with a panel whose files this user may not know counts as one that has it:
 * to disturb it would be worse than to look at less.
 */
export function holdersOf(programs: readonly Program[], file: string): readonly Program[] {
  return programs.filter(({ files, hasPanel }) => (files === null ? hasPanel : files.includes(file)));
}

/**
 * What to add where nobody is seen to have a file open although somebody may: the files of other users' programs are for
 * root alone to see. Empty when all could be seen.
 */
export function holdersNote(programs: readonly Program[]): string {
  const areKnown = programs.every(({ files }) => files !== null);
  return areKnown ? '' : '; holders not known: only root sees who has it open';
}

async function filesOf(machine: Machine, id: number): Promise<string[] | null> {
  const folder = fileOf(machine, `/proc/${id}/fd`);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    // A program that has ended meanwhile has none.
    const isGone = error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH'].includes(`${error.code}`);
    return isGone ? [] : null;
  }
  // One that was closed meanwhile is one that it does not have.
  const links = await Promise.all(names.map((name) => readlink(path.join(folder, name)).catch(() => '')));
  return links.filter((link) => link.startsWith('/dev/'));
}
