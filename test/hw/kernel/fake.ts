import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { constants as system } from 'node:os';
import path from 'node:path';
import type { KernelPackage } from '../../../daemon/hw/kernel/ioctl.ts';

const { default: koffi } = await import('koffi');

/** Thrown by a stand-in for ioctl: the name of the system's error. */
export class Refusal extends Error {
  readonly code: keyof typeof system.errno;

  constructor(code: keyof typeof system.errno) {
    super(code);
    this.code = code;
  }
}

/** What answers an ioctl: inode of the open file, request, argument to be changed; empty for the null pointer. */
export type AnswerIoctl = (inode: number, request: number, argument: Uint8Array) => void;

/** koffi with its real watcher, and an ioctl that the test answers. */
export function kernelPackage(answer: AnswerIoctl): KernelPackage {
  let errno = 0;
  const ioctl = (descriptor: number, request: number, argument: Uint8Array | null): number => {
    try {
      answer(fstatSync(descriptor).ino, request, argument ?? new Uint8Array(0));
      return 0;
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      errno = system.errno[refusal.code];
      return -1;
    }
  };
  // Only the one function that the code under test asks for.
  const library = { func: () => ioctl } as unknown as ReturnType<KernelPackage['load']>;
  return { node: koffi.node, load: () => library, errno: () => errno };
}

/** A device file whose stream the test writes: a named pipe, read as the kernel's device files are. */
export class FakeDevice {
  readonly path: string;
  readonly #writer: number;
  #isGone = false;

  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true });
    this.path = path.join(folder, name);
    const { status, stderr } = spawnSync('mkfifo', [this.path], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mkfifo: ${stderr}`);
    this.#writer = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** Opens the reading end, as the kernel does for the lines of a request. */
  open(): number {
    return openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  send(...bytes: readonly Uint8Array[]): void {
    writeSync(this.#writer, Buffer.concat(bytes));
  }

  /** The end of the stream, as a device gives it that was removed. */
  remove(): void {
    if (!this.#isGone) closeSync(this.#writer);
    this.#isGone = true;
  }
}

/** Writes a file and the folders above it. */
export function put(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Collects what is reported and waits for it. */
export class Reports<Item> {
  readonly items: Item[] = [];
  #onChange = () => {};

  readonly add = (...items: readonly Item[]): void => {
    this.items.push(...items);
    this.#onChange();
  };

  /** Resolves with everything when there are so many. */
  async count(wanted: number): Promise<readonly Item[]> {
    while (this.items.length < wanted) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
    return this.items;
  }
}
