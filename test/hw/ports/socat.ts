import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** A reason to skip tests that need socat, or false. */
export const noSocat: string | false =
  spawnSync('socat', ['-V']).status === 0 ? false : 'socat is not installed (apt-get install socat)';

/** The device's end of a pair of pseudo-terminals, with a link to the other end for the port under test. */
export class SocatDevice {
  readonly #child: ChildProcess;
  readonly #received: number[] = [];
  #taken = 0;
  #onData = () => {};

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (bytes: Uint8Array) => {
      this.#received.push(...bytes);
      this.#onData();
    });
  }

  /** Makes the pseudo-terminal at `link`; its other end is this object, over socat's standard streams. */
  static async plug(link: string): Promise<SocatDevice> {
    // -d -d: socat says when the link is there. Not raw: the port under test has to see to that.
    const child = spawn('socat', ['-d', '-d', '-', `pty,link=${link}`], { stdio: 'pipe' });
    const device = new SocatDevice(child);
    await until(child.stderr, /starting data transfer/);
    return device;
  }

  /** Sends bytes to the port. */
  send(...bytes: number[]): void {
    this.#child.stdin?.write(Uint8Array.from(bytes));
  }

  /** Resolves when so many bytes have come from the port, with them. */
  async received(count: number): Promise<number[]> {
    while (this.#received.length < count) {
      await new Promise<void>((resolve) => {
        this.#onData = resolve;
      });
    }
    return this.#received.slice(0, count);
  }

  /** Resolves with what has come from the port since the last call, one byte at least. */
  async next(): Promise<number[]> {
    await this.received(this.#taken + 1);
    const bytes = this.#received.slice(this.#taken);
    this.#taken += bytes.length;
    return bytes;
  }

  /** Stops reading, as a device that hangs does. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Reads on after {@link freeze}. */
  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Takes the pseudo-terminal away, as a pulled plug does. */
  async unplug(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Resolves when a line of the stream matches. */
export async function until(stream: Readable | null, pattern: RegExp): Promise<void> {
  if (stream === null) throw new Error('the process has no such stream');
  const lines = createInterface({ input: stream });
  try {
    for await (const line of lines) if (pattern.test(line)) return;
    throw new Error(`the process ended before it said ${pattern}`);
  } finally {
    stream.resume();
  }
}
