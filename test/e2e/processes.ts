import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const main = path.join(root, 'daemon', 'main.ts');

/** A reason to skip tests that need kubectl, or false. */
export const noKubectl: string | false =
  spawnSync('kubectl', ['version', '--client']).status === 0
    ? false
    : 'kubectl is not installed (apt-get install kubernetes-client)';

/** `surfaced` with some arguments, as a process of its own, with its log lines to wait for. */
export class Surfaced {
  readonly #child: ChildProcess;
  readonly #lines: Record<string, unknown>[] = [];
  readonly #closed: Promise<void>;
  #output = '';
  readonly #waiting = new Set<() => void>();
  readonly name: string;

  /** @param program what is run instead of `surfaced` */
  constructor(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    program: string = main,
  ) {
    this.name = name;
    this.#child = spawn(process.execPath, ['--import=tsx', program, ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      for (const look of this.#waiting) look();
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      try {
        this.#lines.push(JSON.parse(line) as Record<string, unknown>);
      } catch {
        this.#lines.push({ msg: line });
      }
      for (const look of this.#waiting) look();
    });
    this.#closed = once(this.#child, 'close').then(() => {
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves with the first log line with this message; rejects when the process ends before. */
  async logged(message: string): Promise<Record<string, unknown>> {
    return this.#first(`"${message}"`, () => this.#lines.find((line) => line.msg === message));
  }

  /** How many lines it has logged so far. */
  get logLength(): number {
    return this.#lines.length;
  }

  /** As `logged`, with the first line from this one on that also has these fields. */
  async loggedFrom(
    start: number,
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>> {
    const fits = (line: Record<string, unknown>): boolean =>
      line.msg === message && Object.entries(fields).every(([name, value]) => line[name] === value);
    return this.#first(`"${message}" ${JSON.stringify(fields)}`, () => this.#lines.slice(start).find(fits));
  }

  /** Resolves with the first match on stdout; rejects when the process ends before. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#first(String(pattern), () => pattern.exec(this.#output) ?? undefined);
  }

  async #first<T>(what: string, look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.hasExited) throw new Error(`${this.name} ended before ${what}:\n${this.log()}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  log(): string {
    return this.#lines.map((line) => JSON.stringify(line)).join('\n');
  }

  signal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /**
   * Resolves when the process is gone and so is everything else that holds its output, with its exit code or the
   * signal that ended it.
   */
  async ended(): Promise<number | string> {
    await this.#closed;
    return this.#child.exitCode ?? this.#child.signalCode ?? '';
  }

  /** Ends the process; resolves when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.ended();
  }
}

/** A port that is free now; both ends of a restart must use the same one. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export interface GatewayFiles {
  readonly config: string;
  readonly enrolPort: number;
}

/** Writes what a gateway needs into a folder: its config and one surface with these bindings. */
export async function writeGateway(
  folder: string,
  kubeconfig: string,
  surface: string,
  bindings: readonly object[],
): Promise<GatewayFiles> {
  const enrolPort = await freePort();
  const brokerPort = await freePort();
  const apiVersion = 'surfaced.dev/v1alpha1';
  const surfaces = path.join(folder, 'surfaces');
  await mkdir(surfaces, { recursive: true });
  await writeFile(
    path.join(surfaces, `${surface}.yaml`),
    stringify({ apiVersion, kind: 'ControlSurface', metadata: { name: surface }, spec: { bindings } }),
  );
  const config = path.join(folder, 'gateway.yaml');
  await writeFile(
    config,
    stringify({
      apiVersion,
      kind: 'Gateway',
      stateDir: 'state',
      enrol: { listen: `127.0.0.1:${enrolPort}`, hosts: ['localhost', '127.0.0.1'] },
      broker: { listen: `127.0.0.1:${brokerPort}` },
      registry: { folder: 'surfaces' },
      policy: { identity: 'token' },
      cluster: { kubeconfig },
    }),
  );
  return { config, enrolPort };
}

const execute = promisify(execFile);

/** Runs `surfaced` to its end and returns what it printed. */
export async function surfaced(...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(process.execPath, ['--import=tsx', main, ...args], { cwd: root });
  return stdout;
}

/** Runs kubectl and returns what it printed; not synchronous, for the cluster may be in this very process. */
export async function kubectl(kubeconfig: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute('kubectl', ['--kubeconfig', kubeconfig, ...args], { timeout: 20_000 });
  return stdout.trim();
}
