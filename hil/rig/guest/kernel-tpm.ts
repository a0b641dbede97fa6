/** A TPM of the guest's kernel, /dev/tpmrm0: swtpm behind the kernel's vTPM proxy (man swtpm, Documentation/security/tpm). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { controlSwtpm, swtpmControl } from '../../software-tpm.ts';
import { waitFor } from './wait.ts';

/** What the kernel may take to make the device or to remove it. */
const patienceMs = 30_000;

/** Its state outlives its power. */
export class KernelTpm {
  readonly device = '/dev/tpmrm0';
  readonly #state: string;
  #process: ChildProcess | null = null;

  private constructor(state: string) {
    this.#state = state;
  }

  /** Makes a new one and turns it on. */
  static async begin(): Promise<KernelTpm> {
    const tpm = new KernelTpm(await mkdtemp(path.join(tmpdir(), 'kernel-tpm-')));
    await tpm.powerOn();
    return tpm;
  }

  get #control(): string {
    return path.join(this.#state, 'control');
  }

  /** Turns it on; the kernel has started it when this resolves. */
  async powerOn(): Promise<void> {
    const words = ['chardev', '--vtpm-proxy', '--tpm2', '--tpmstate', `dir=${this.#state}`];
    words.push('--ctrl', `type=unixio,path=${this.#control}`, '--flags', 'startup-clear');
    this.#process = spawn('swtpm', words, { stdio: ['ignore', 'ignore', 'inherit'] });
    await waitFor(this.device, patienceMs, () => existsSync(this.device) || null);
  }

  /** Cuts its power; the kernel loses the device. Whoever has it open must be gone before it can come back. */
  async cutPower(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await waitFor(`the end of ${this.device}`, patienceMs, () => !existsSync(this.device) || null);
  }

  /** Pulls its reset line under a kernel that goes on and knows nothing of it. */
  async reset(): Promise<void> {
    await controlSwtpm(this.#control, swtpmControl.stop);
    await controlSwtpm(this.#control, swtpmControl.init, 0);
  }
}
