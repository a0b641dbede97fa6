/**
 * A disk in memory whose power can be cut at any step, and that then keeps what a real one would: sectors of an overwritten
 * file each old or new, names as of some moment since the last sync.
 */
import path from 'node:path';
import type { Disk } from '../../daemon/first-boot/disk.ts';

/** The power is gone. */
export class PowerCut extends Error {
  constructor() {
    super('the power was cut');
  }
}

const sectorBytes = 512;
/** Folders that are memory themselves. */
const volatile = ['/run/', '/var/', '/proc/'];

/** What a cut does to what is under way: numbers from 0 up to 1. */
export type Chance = () => number;

export class MemoryDisk implements Disk {
  /** Files by path; links as `-> target`. */
  #files = new Map<string, Buffer>();
  /** Names as they were after each step since the last sync, the oldest first. */
  #history: Map<string, Buffer>[] = [];
  #steps = 0;
  #cutAt: number | null = null;
  #chance: Chance = () => 0;
  #isCut = false;

  /** Steps that were taken since the power came on. */
  get steps(): number {
    return this.#steps;
  }

  /** Takes the power away in the middle of a step, counted from 0. */
  cutAt(step: number, chance: Chance): void {
    this.#cutAt = step;
    this.#chance = chance;
  }

  /** The power comes on again. */
  restart(): void {
    this.#isCut = false;
    this.#cutAt = null;
    this.#steps = 0;
    this.#history = [];
    for (const name of this.#files.keys())
      if (volatile.some((folder) => name.startsWith(folder))) this.#files.delete(name);
  }

  put(file: string, content: string | Uint8Array): void {
    this.#files.set(file, Buffer.from(content));
  }

  text(file: string): string | null {
    return this.#files.get(file)?.toString('utf8') ?? null;
  }

  /** All files but those that nobody looks for. */
  all(): Record<string, string> {
    const kept = [...this.#files].filter(([name]) => !name.endsWith('.new'));
    return Object.fromEntries(kept.sort().map(([name, bytes]) => [name, bytes.toString('latin1')]));
  }

  async read(file: string): Promise<Buffer | null> {
    this.#alive();
    return this.#files.get(file) ?? null;
  }
  async list(folder: string): Promise<string[]> {
    this.#alive();
    return [...this.#files.keys()]
      .filter((name) => path.dirname(name) === folder)
      .map((name) => path.basename(name));
  }
  async makeFolder(): Promise<void> {
    this.#step(() => {});
  }
  async write(file: string, bytes: Uint8Array): Promise<void> {
    this.#step((isWhole) => {
      const length = isWhole ? bytes.length : Math.floor(this.#chance() * bytes.length);
      this.#files.set(file, Buffer.from(bytes.subarray(0, length)));
    });
    this.#synced();
  }
  async overwrite(file: string, bytes: Uint8Array): Promise<void> {
    this.#step((isWhole) => {
      const before = this.#files.get(file) ?? Buffer.alloc(0);
      const after = Buffer.alloc(Math.max(before.length, bytes.length));
      before.copy(after);
      after.set(bytes);
      for (let at = 0; !isWhole && at < before.length; at += sectorBytes)
        if (this.#chance() < 0.5) before.copy(after, at, at, at + sectorBytes);
      this.#files.set(file, after);
    });
    this.#synced();
  }
  async link(target: string, file: string): Promise<void> {
    this.#step(() => this.#files.set(file, Buffer.from(`-> ${target}`)));
  }
  async rename(from: string, to: string): Promise<void> {
    this.#step((isWhole) => {
      const bytes = this.#files.get(from);
      if (bytes === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      if (!isWhole) return;
      this.#files.set(to, bytes);
      this.#files.delete(from);
    });
  }
  async remove(file: string): Promise<void> {
    this.#step((isWhole) => {
      if (isWhole) this.#files.delete(file);
    });
  }
  async syncFolder(): Promise<void> {
    this.#step(() => {});
    this.#synced();
  }

  #alive(): void {
    if (this.#isCut) throw new PowerCut();
  }

  #step(act: (isWhole: boolean) => void): void {
    this.#alive();
    this.#history.push(new Map(this.#files));
    const isCutNow = this.#steps === this.#cutAt;
    this.#steps++;
    act(!isCutNow);
    if (!isCutNow) return;
    this.#isCut = true;
    // Names that were not synced are as at some moment since they were.
    const moments = [...this.#history, this.#files];
    this.#files = moments[Math.floor(this.#chance() * moments.length)] ?? this.#files;
    throw new PowerCut();
  }

  #synced(): void {
    this.#history = [];
  }
}
