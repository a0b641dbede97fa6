/** A site whose surfaces attest: the simulated cluster, `surfaced gateway`, and its commands as an operator types them. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { rbacFor } from '../../daemon/bridge/kube/rbac.ts';
import { runAuditShow } from '../../daemon/commands/audit-show.ts';
import { listSurfaces } from '../../daemon/commands/surfaces.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { silentLog } from '../../daemon/log.ts';
import { type SimCluster, startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import type { Machine } from './attest-machine.ts';
import { freePort, Surfaced, surfaced } from './processes.ts';

/** What a surface logs with its code. */
export const toldCode = 'the gateway does not know this surface yet: compare the code and let it in';

/** How often is looked at what nobody announces. */
const lookMs = 100;
const apiVersion = 'surfaced.dev/v1alpha1';

/** A line of `surfaced surfaces list -o json`. */
export interface ListedSurface {
  readonly name: string;
  readonly state: string;
  readonly level: number | null;
  readonly ekSha256: string | null;
  readonly reason: string | null;
}

/** A record of `surfaced audit show -o json`, as far as tests look at it. */
export interface AuditRecord {
  readonly seq: number;
  readonly kind: string;
  readonly surface?: string | null;
  readonly why?: string;
  readonly verdict?: {
    readonly isTrusted: boolean;
    readonly epoch: string | null;
    readonly level: number | null;
    readonly reference: { readonly version: number } | null;
  };
}

/** What `surfaced audit verify -o json` says, as far as tests look at it. */
export interface AuditReport {
  readonly isSound: boolean;
  readonly records: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly quotes: { readonly held: number; readonly refused: number; readonly none: number };
  readonly faults: readonly { readonly seq: number | null; readonly what: string }[];
}

/** What may be ended with something: a test, or what is like one in that. */
export type Ends = Pick<Test, 'teardown'>;

/** What a command ended with that did not end well. */
export interface Failure {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a site is to be. */
export interface SiteOptions {
  readonly certificateTtlSeconds: number;
  /** Names that surfaces reach the gateway by; null: this machine's own. */
  readonly hosts: readonly string[] | null;
  /** `policy` of the Gateway file; its folder of reference sets is `references`. */
  readonly policy: object;
  /** `updates` of the Gateway file; null: it offers none. */
  readonly updates: object | null;
  /** Bindings of each surface that is in the registry before it is approved, by its name. */
  readonly surfaces: Readonly<Record<string, readonly object[]>>;
}

/** Runs until the test is over. */
export class AttestSite {
  /** For files of the test, too; short enough for the path of a socket. */
  readonly folder: string;
  readonly cluster: SimCluster;
  readonly gatewayFile: string;
  readonly #test: Ends;
  #gateway: Surfaced | null = null;

  private constructor(test: Ends, folder: string, cluster: SimCluster) {
    this.#test = test;
    this.folder = folder;
    this.cluster = cluster;
    this.gatewayFile = path.join(folder, 'gateway.yaml');
  }

  /** Starts the cluster, and makes all that the gateway needs; its ports stay the same. */
  static async make(test: Ends, options: SiteOptions): Promise<AttestSite> {
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-e2e-'));
    test.teardown(() => rm(folder, { recursive: true, force: true }));
    const cluster = await startSimCluster({
      port: 0,
      dir: folder,
      log: silentLog,
      workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2 }],
      timing: {},
      seed: 1,
    });
    test.teardown(() => cluster.close());
    await mkdir(path.join(folder, 'surfaces'));
    await mkdir(path.join(folder, 'references'));
    for (const [name, bindings] of Object.entries(options.surfaces)) {
      const spec = { apiVersion, kind: 'ControlSurface', metadata: { name }, spec: { bindings } };
      await writeFile(path.join(folder, 'surfaces', `${name}.yaml`), stringify(spec));
      const surface = parseConfig('ControlSurface', stringify(spec), name);
      for (const object of rbacFor(surface, { userPrefix: 'surfaced:surface:' }))
        cluster.control.create(object);
    }
    const site = new AttestSite(test, folder, cluster);
    const { certificateTtlSeconds, policy, updates, hosts } = options;
    const gateway = {
      apiVersion,
      kind: 'Gateway',
      stateDir: 'state',
      enrol: {
        listen: `127.0.0.1:${await freePort()}`,
        certificateTtlSeconds,
        ...(hosts === null ? {} : { hosts }),
      },
      broker: { listen: `127.0.0.1:${await freePort()}` },
      registry: { folder: 'surfaces' },
      policy: { references: 'references', ...policy },
      ...(updates === null ? {} : { updates }),
      cluster: { kubeconfig: cluster.kubeconfigPath },
    };
    await writeFile(site.gatewayFile, stringify(gateway));
    return site;
  }

  /** The running gateway. */
  get gateway(): Surfaced {
    if (this.#gateway === null) throw new Error('the gateway was never started');
    return this.#gateway;
  }

  async startGateway(): Promise<Surfaced> {
    const gateway = new Surfaced('gateway', ['gateway', '--config', this.gatewayFile]);
    this.#test.teardown(() => gateway.end('SIGKILL'));
    this.#gateway = gateway;
    await gateway.logged('gateway started');
    return gateway;
  }

  /** Runs a command with the Gateway file; returns what it printed. */
  command(...args: readonly string[]): Promise<string> {
    return surfaced(...args, '--config', this.gatewayFile);
  }

  /** What `surfaced surfaces list` shows of a surface; called, not started, for it is asked for often. */
  async surface(name: string): Promise<ListedSurface> {
    const found = (await this.#listed()).surfaces.find((surface) => surface.name === name);
    if (found === undefined) throw new Error(`no surface ${name} is listed`);
    return found;
  }

  /** The same, asked for until it is as wanted: what the gateway decided is on its disk a moment later. */
  async surfaceOnce(name: string, fits: (surface: ListedSurface) => boolean): Promise<ListedSurface> {
    for (;;) {
      const surface = await this.surface(name);
      if (fits(surface)) return surface;
      await pause(lookMs);
    }
  }

  /** A TPM's machine from quarantine to its first session, with more words for `surfaces approve`. */
  async letIn(machine: Machine, name: string, ...words: readonly string[]): Promise<string> {
    const { code } = await machine.device.logged(toldCode);
    await this.waitingCodes();
    await this.command('surfaces', 'approve', name, '--code', String(code), ...words);
    await machine.device.logged('connected');
    return String(code);
  }

  /** Codes of the TPMs that wait for approval, once there is one. */
  async waitingCodes(): Promise<readonly string[]> {
    for (;;) {
      const { quarantine } = await this.#listed();
      if (quarantine.length > 0) return quarantine.map(({ pairingCode }) => pairingCode);
      await pause(lookMs);
    }
  }

  async #listed() {
    return JSON.parse(await listSurfaces({ gatewayConfigPath: this.gatewayFile, output: 'json' })) as {
      readonly surfaces: readonly ListedSurface[];
      readonly quarantine: readonly { readonly pairingCode: string }[];
    };
  }

  get auditFolder(): string {
    return path.join(this.folder, 'state', 'audit');
  }

  /** Verdicts about a surface, the newest last. */
  async verdicts(surface: string): Promise<readonly NonNullable<AuditRecord['verdict']>[]> {
    const all = { path: this.auditFolder, kind: 'verdict', surface, last: 1000 };
    const records = JSON.parse(await runAuditShow(all, 'json')) as readonly AuditRecord[];
    return records.flatMap(({ verdict }) => verdict ?? []);
  }

  /** Resolves when they are as wanted. */
  async verdictsOnce(
    surface: string,
    fits: (verdicts: Awaited<ReturnType<AttestSite['verdicts']>>) => boolean,
  ): Promise<void> {
    while (!fits(await this.verdicts(surface))) await pause(lookMs);
  }
}

/** Runs `surfaced` to its end, which must be a bad one. */
export async function failing(run: Promise<string>): Promise<Failure> {
  try {
    await run;
  } catch (error) {
    const { code, stdout, stderr } = error as Partial<Failure>;
    if (code !== undefined && stdout !== undefined && stderr !== undefined) return { code, stdout, stderr };
    throw error;
  }
  throw new Error('it should have failed');
}

/** The report on an audit log, sound or not. */
export async function verifyAudit(folder: string): Promise<AuditReport> {
  const run = surfaced('audit', 'verify', folder, '-o', 'json');
  const text = await run.catch((error: Partial<Failure>) => {
    if (error.code !== 1 || error.stdout === undefined) throw error;
    return error.stdout;
  });
  return JSON.parse(text) as AuditReport;
}

/** Changes one byte of a record in the middle of the log; returns the number of that record. */
export async function flipByte(folder: string): Promise<number> {
  const [segment = ''] = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const file = path.join(folder, segment);
  const bytes = await readFile(file);
  const lines = bytes.toString('latin1').split('\n').slice(0, -1);
  const middle = Math.floor(lines.length / 2);
  const line = lines[middle] ?? '';
  // A digit of the time for another: what is then there is a good record but for the chain.
  const start = lines.slice(0, middle).reduce((sum, { length }) => sum + length + 1, 0);
  const at = start + line.indexOf('"at":') + 5 + 6;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
  return (JSON.parse(line) as AuditRecord).seq;
}
