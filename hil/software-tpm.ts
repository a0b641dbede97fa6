/**
 * A software TPM: swtpm, a real TPM 2.0 without a chip, in a folder of its own (man swtpm, swtpm_ioctls). For the demo, the
 * tests and the virtual rig; it proves nothing about the machine that it runs on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, rmSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { StreamAddress } from '../daemon/attest/tpm2/transports/stream.ts';

/** Whether a program can be run. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why tests that need it do not run; false: they do. */
export const withoutSwtpm: string | false = isInstalled('swtpm')
  ? false
  : 'swtpm is not installed (Debian: apt-get install swtpm)';

/** Commands of a control channel (swtpm, tpm_ioctl.h). */
export const swtpmControl = { getCapability: 1, init: 2, stop: 0xe } as const;
/** How long a new one may take to answer, milliseconds. */
const startMs = 20_000;
/** A port that was free a moment ago can be taken by another. */
const mostPorts = 5;

/** One swtpm; where it listens does not change when its power is cut. */
export class SoftwareTpm {
  readonly address: StreamAddress;
  readonly #folder: string;
  #process: ChildProcess | null = null;

  private constructor(folder: string, address: StreamAddress) {
    this.#folder = folder;
    this.address = address;
  }

  /**
   * Makes one and turns it on.
   * @param options.state file with the state of one that is there already, of which a copy is used; null: a new TPM, with
   *   keys of its own and no certificate
   */
  static async begin({
    listensOn = 'unix',
    state,
  }: {
    readonly listensOn?: 'unix' | 'tcp';
    readonly state: URL | string | null;
  }): Promise<SoftwareTpm> {
    const folder = await mkdtemp(join(shortFolder(), 'surfaced-swtpm-'));
    if (state !== null) {
      const copy = join(folder, 'tpm2-00.permall');
      await copyFile(state, copy);
      await chmod(copy, 0o600);
    }
    for (let left = listensOn === 'tcp' ? mostPorts : 1; ; left--) {
      const address =
        listensOn === 'tcp'
          ? { host: '127.0.0.1', port: await freePort() }
          : { path: join(folder, 'data.sock') };
      const chip = new SoftwareTpm(folder, address);
      try {
        await chip.start();
        return chip;
      } catch (problem) {
        if (left > 1) continue;
        await chip.end();
        throw problem;
      }
    }
  }

  /** The path of the data socket, for tools of others; their control channel is at the same with `.ctrl`. */
  get path(): string {
    return join(this.#folder, 'data.sock');
  }

  /** Turns it on; TPM2_Startup is done. */
  async start(): Promise<void> {
    const server =
      'path' in this.address
        ? `type=unixio,path=${this.address.path}`
        : `type=tcp,bindaddr=${this.address.host},port=${this.address.port}`;
    const words = ['socket', '--tpm2', '--tpmstate', `dir=${this.#folder}`, '--server', server];
    words.push('--ctrl', `type=unixio,path=${this.path}.ctrl`, '--flags', 'not-need-init,startup-clear');
    await Promise.all([this.path, `${this.path}.ctrl`].map((path) => rm(path, { force: true })));
    const child = spawn('swtpm', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-2000);
    });
    this.#process = child;
    // Whatever ends this process so that nobody calls `end`: nothing runs on, and no keys stay.
    const onExit = () => {
      child.kill('SIGKILL');
      rmSync(this.#folder, { recursive: true, force: true });
    };
    process.once('exit', onExit);
    child.once('exit', () => process.off('exit', onExit));
    const latest = Date.now() + startMs;
    while (true) {
      try {
        await controlSwtpm(`${this.path}.ctrl`, swtpmControl.getCapability);
        return;
      } catch (problem) {
        if (child.exitCode !== null || Date.now() > latest)
          throw new Error(`swtpm did not start: ${said}`, { cause: problem });
        await pause(5); // It listens some time after its start, and says nothing when it does.
      }
    }
  }

  /** Cuts the power: nothing is written, nobody is told. */
  async cutPower(): Promise<void> {
    await this.#kill();
  }

  /** A TPM reset under a host that goes on; TPM2_Startup is still to be done. */
  async reset(): Promise<void> {
    await controlSwtpm(`${this.path}.ctrl`, swtpmControl.stop);
    await controlSwtpm(`${this.path}.ctrl`, swtpmControl.init, 0);
  }

  /** From now on commands are taken and not answered. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** Goes on with what came meanwhile. */
  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Ends it and removes its folder. May be called twice. */
  async end(): Promise<void> {
    await this.#kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/**
 * One command on a control channel of swtpm: 32-bit numbers, of which the first of the answer says whether it was done.
 * @param socket path of the control channel
 */
export async function controlSwtpm(socket: string, ...numbers: readonly number[]): Promise<void> {
  const request = Buffer.alloc(4 * numbers.length);
  for (const [index, value] of numbers.entries()) request.writeUInt32BE(value, 4 * index);
  const connection = connect(socket);
  try {
    connection.write(request);
    const answer = await new Promise<Buffer>((resolve, reject) => {
      connection.once('data', resolve);
      connection.once('error', reject);
      connection.once('close', () => reject(new Error('swtpm closed its control channel')));
    });
    if (answer.readUInt32BE(0) !== 0)
      throw new Error(`swtpm refused control command ${numbers[0]}: 0x${answer.toString('hex')}`);
  } finally {
    connection.destroy();
  }
}

/** Folder for temporary files; the path of a socket may have 107 bytes (unix(7)). */
const shortFolder = (): string => (Buffer.byteLength(tmpdir()) <= 60 ? tmpdir() : '/tmp');

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
