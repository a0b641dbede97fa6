/**
 * A machine with an image, as its device daemon and the gateway see it: it fetches the bundle that is asked for, and a restart
 * ends the daemon and starts it with the version that runs then. What becomes of an update is the test's to say.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import path from 'node:path';
import { readBundle } from '../../daemon/update/bundle.ts';
import {
  readRequest,
  requestFile,
  stateFile,
  type UpdateRequest,
  type UpdateState,
} from '../../daemon/update/request.ts';
import { watchFolder } from '../../daemon/watch-folder.ts';
import { Surfaced } from './processes.ts';

const program = new URL('image-device.ts', import.meta.url).pathname;

export interface MachineOptions {
  readonly name: string;
  readonly deviceFile: string;
  /** For its files; made. */
  readonly folder: string;
  /** PEM of the CA whose bundles it takes. */
  readonly trusted: string;
  /** Whether it comes back with an update, or falls back. */
  readonly isGood: boolean;
}

type Install = Extract<UpdateRequest, { action: 'install' }>;

export class UpdatingMachine {
  readonly #options: MachineOptions;
  readonly #watching;
  #version = '1.0.0';
  #installed: string | null = null;
  device: Surfaced | null = null;
  /** Requests that it was given. */
  readonly requests: UpdateRequest[] = [];
  /** Ranges of the bundle that it has fetched. */
  fetched = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    this.#publish('idle', null, '');
    this.#watching = watchFolder({
      folder: options.folder,
      debounceMs: 20,
      look: () => this.#serve(),
      onError: (error) => this.#publish('failed', null, String(error).slice(0, 250)),
    });
    this.boot();
  }

  get version(): string {
    return this.#version;
  }

  /** Starts the daemon of the version that runs. */
  boot(): void {
    const { name, deviceFile, folder } = this.#options;
    this.device = new Surfaced(name, [deviceFile, this.#version, folder], {}, program);
  }

  async end(): Promise<void> {
    await this.#watching.close();
    await this.device?.end('SIGKILL');
  }

  async #serve(): Promise<void> {
    const file = path.join(this.#options.folder, path.basename(requestFile));
    const request = await readRequest(file);
    if (request === null) return;
    rmSync(file);
    this.requests.push(request);
    if (request.action === 'restart') await this.#restart();
    else await this.#install(request);
  }

  async #install(request: Install): Promise<void> {
    const { version, id } = request;
    this.#publish('installing', version, 'fetching', id);
    const file = path.join(this.#options.folder, '.bundle');
    writeFileSync(file, await this.#fetch(request));
    const bundle = await readBundle(file, { trusted: this.#options.trusted, at: null });
    if (bundle.manifestSha256 !== request.manifestSha256)
      throw new Error('another bundle than was asked for');
    this.#installed = bundle.version;
    this.#publish('installed', version, 'waits for a restart', id);
  }

  /** In ranges of 4 KiB, as RAUC does. */
  async #fetch({ url, caPem }: Install): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let total = 1, at = 0; at < total; at += 4096) {
      const { body, size } = await rangeOf(url, caPem ?? '', at);
      parts.push(body);
      total = size;
      this.fetched++;
    }
    return Buffer.concat(parts);
  }

  async #restart(): Promise<void> {
    const wanted = this.#installed;
    await this.device?.end('SIGTERM');
    if (this.#options.isGood) {
      this.#version = wanted ?? this.#version;
      this.#publish('trial', wanted, 'runs on trial');
    } else this.#publish('failed', wanted, 'left again: it did not come up');
    this.#installed = null;
    this.boot();
    if (!this.#options.isGood) return;
    await this.device?.logged('connected');
    this.#publish('idle', null, '');
  }

  #publish(
    state: UpdateState['state'],
    version: string | null,
    detail: string,
    id: string | null = null,
  ): void {
    const told: UpdateState = { state, version, detail, progress: null, code: null, id };
    const file = path.join(this.#options.folder, path.basename(stateFile));
    writeFileSync(`${file}.new`, JSON.stringify(told));
    renameSync(`${file}.new`, file);
  }
}

function rangeOf(url: string, ca: string, at: number): Promise<{ body: Buffer; size: number }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(url, { ca, headers: { range: `bytes=${at}-${at + 4095}` } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        if (response.statusCode !== 206) reject(new Error(`${url}: ${response.statusCode}`));
        const size = Number(/\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1]);
        resolve({ body: Buffer.concat(parts), size });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** PEM in a file. */
export const pemOf = (file: string): string => readFileSync(file, 'utf8');
