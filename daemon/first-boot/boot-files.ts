/** Files that a maker has put on the boot partition; and how what is secret in them vanishes from it. */
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import { type Disk, doing } from './disk.ts';

/** Largest file that is looked at, bytes. */
const mostBytes = 256 * 1024;
/** What a card writes whole or not at all, bytes. */
const sectorBytes = 512;

/** Names of the files, best first. Windows hides the ending that Notepad adds. */
export const bootNames = {
  device: ['surfaced.yaml', 'surfaced.yml', 'surfaced.yaml.txt', 'surfaced.yml.txt'],
  preseed: ['rpi-preseed.toml', 'rpi-preseed.toml.txt'],
} as const;

/** A file of the boot partition. */
export interface BootFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: Buffer;
  /** The power went while it was being erased; all that it said is in force already. */
  readonly isErased: boolean;
}

/** What was found under some names. */
export interface Found {
  readonly file: BootFile | null;
  /** Files that another one goes before. */
  readonly others: readonly string[];
}

/** Looks for the first of some names; FAT does not tell capitals from small letters, and nor does this. */
export async function findFile(disk: Disk, folder: string, names: readonly string[]): Promise<Found> {
  const there = await doing(folder, () => disk.list(folder));
  const found = names.flatMap((name) => there.filter((one) => one.toLowerCase() === name));
  const [name, ...others] = found;
  if (name === undefined) return { file: null, others };
  const at = path.join(folder, name);
  const bytes = await doing(at, () => disk.read(at, mostBytes));
  return { file: bytes && { name, path: at, bytes, isErased: isErased(bytes) }, others };
}

/** Text as editors write it: UTF-8, or UTF-16 with a mark at its beginning. @throws SurfacedError E_CFG_INVALID */
export function bootText({ name, bytes }: Pick<BootFile, 'name' | 'bytes'>): string {
  const [first, second] = bytes;
  let coding = 'utf-8';
  if (first === 0xff && second === 0xfe) coding = 'utf-16le';
  if (first === 0xfe && second === 0xff) coding = 'utf-16be';
  try {
    return new TextDecoder(coding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SurfacedError('E_CFG_INVALID', `${name}: not ${coding.toUpperCase()} text`, { cause });
  }
}

/** One line of what stands in a file while it is erased: a comment in YAML and in TOML; a sector holds eight. */
const filling = Buffer.from(`${'#surfaced has taken this over and is erasing it '.padEnd(63, '#')}\n`);
const mark = filling.subarray(0, 40);

function isErased(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    const sector = bytes.subarray(at, at + mark.length);
    if (sector.equals(mark.subarray(0, sector.length))) return true;
  }
  return false;
}

/**
 * Erases a file in its place: first every byte of it is written over, then it gets its replacement, padded with empty
 * lines, or is removed. A power cut in between leaves a file that says so itself. Flash memory may keep the old bytes all
 * the same, where nothing but the card's own controller reads them.
 * @param replacement null: none
 */
export async function erase(disk: Disk, file: BootFile, replacement: string | null): Promise<void> {
  const next = replacement === null ? null : Buffer.from(replacement);
  const length = Math.max(file.bytes.length, next?.length ?? 0);
  await doing(file.path, async () => {
    await disk.overwrite(file.path, Buffer.alloc(length, filling));
    if (next === null) await disk.remove(file.path);
    else await disk.overwrite(file.path, Buffer.concat([next, Buffer.alloc(length - next.length, '\n')]));
    await disk.syncFolder(path.dirname(file.path));
  });
}
