/** A site of the scale bench: `surfaced gateway` as a process, its broker, and its surfaces in a few processes. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import type { Authority } from '../daemon/attest/authority/ca.ts';
import { brokerFiles } from '../daemon/commands/broker-acl-text.ts';
import { apiVersion } from '../daemon/config/schema.ts';
import { clientCertificate, openAuthority, site } from './certificates.ts';
import { freePort, startMosquitto } from './mosquitto.ts';
import type { Passed } from './parts/scale-cluster.ts';
import type { SurfacesOptions } from './parts/scale-surfaces.ts';
import { cpuSeconds, endProcess, Part, residentMib, Surfaced } from './processes.ts';
import type { BenchContext } from './types.ts';

export type SiteBroker = 'embedded' | 'mosquitto';

/** A binding as a ControlSurface file has it. */
export interface SiteBinding {
  readonly control: string;
  readonly target: Readonly<Record<'apiVersion' | 'kind' | 'namespace' | 'name', string>>;
  readonly max: number;
}

export interface SiteOptions {
  readonly broker: SiteBroker;
  readonly folder: string;
  readonly kubeconfigPath: string;
  /** Bindings of each surface, by its name; each is of a control of its own. */
  readonly surfaces: ReadonlyMap<string, readonly SiteBinding[]>;
  readonly cluster: Part;
}

/** CPU so far, user and system, seconds. */
export interface Cpu {
  readonly gateway: number;
  /** 0 when it is in the gateway. */
  readonly broker: number;
  /** Of all surfaces together. */
  readonly surfaces: number;
  readonly cluster: number;
}

const gatewayUser = '_gw-1';
/** Surfaces share the machine with their gateway: enough processes for both processors, and no more. */
const surfaceProcesses = 2;
/** Surfaces of one file, whose size is bounded. */
const surfacesAFile = 100;
/** A gateway with thousands of connections may take so long to end, milliseconds. */
const endMs = 30_000;

export const cpuBetween = (before: Cpu, after: Cpu): Cpu => ({
  gateway: after.gateway - before.gateway,
  broker: after.broker - before.broker,
  surfaces: after.surfaces - before.surfaces,
  cluster: after.cluster - before.cluster,
});

export class ScaleSite {
  readonly parts: readonly Part[];
  readonly #options: SiteOptions;
  readonly #config: string;
  readonly #brokerPid: number | null;
  #gateway: Surfaced;

  private constructor(
    options: SiteOptions,
    made: { config: string; brokerPid: number | null; gateway: Surfaced; parts: readonly Part[] },
  ) {
    this.#options = options;
    this.#config = made.config;
    this.#brokerPid = made.brokerPid;
    this.#gateway = made.gateway;
    this.parts = made.parts;
  }

  /** Resolves when the gateway is up, watches every target, and every surface is ready to connect. `defer` is given what ends it. */
  static async start(options: SiteOptions, defer: BenchContext['defer']): Promise<ScaleSite> {
    const { folder, broker, surfaces } = options;
    await mkdir(path.join(folder, 'surfaces'), { recursive: true });
    const authority = await openAuthority(path.join(folder, 'state'));
    const port = await freePort();
    await writeRegistry(path.join(folder, 'surfaces'), surfaces);
    let brokerPid: number | null = null;
    if (broker === 'mosquitto') {
      const child = await startMosquitto(
        path.join(folder, 'mosquitto'),
        await files(options, authority, port),
        port,
      );
      defer(() => endProcess(child));
      brokerPid = child.pid ?? 0;
    }
    const config = path.join(folder, 'gateway.yaml');
    await writeFile(config, stringify(await gatewayFile(options, port)));
    const parts = await Promise.all(
      Array.from({ length: surfaceProcesses }, async (_, index) => {
        const part = new Part('scale-surfaces');
        defer(() => part.end());
        const own = [...surfaces].filter((_surface, at) => at % surfaceProcesses === index);
        const made: SurfacesOptions = {
          port,
          ca: authority.certificatePem,
          surfaces: await Promise.all(
            own.map(async ([name, bindings]) => ({
              name,
              controls: bindings.map(({ control }) => control),
              ...(await clientCertificate(authority, name)),
            })),
          ),
        };
        await part.call('make', made);
        return part;
      }),
    );
    const made = new ScaleSite(options, {
      config,
      brokerPid,
      gateway: new Surfaced('gateway', '--config', config),
      parts,
    });
    defer(() => made.#end('SIGKILL'));
    await made.#gateway.logged('gateway started');
    await made.#watching();
    return made;
  }

  /** @param secondsOf a process; left out: by the tick, which is too coarse for those that mostly sleep */
  cpu(secondsOf: (pid: number) => number = cpuSeconds): Cpu {
    return {
      gateway: secondsOf(this.#gateway.child.pid ?? 0),
      broker: this.#brokerPid === null ? 0 : secondsOf(this.#brokerPid),
      surfaces: this.parts.reduce((sum, { pid }) => sum + secondsOf(pid), 0),
      cluster: secondsOf(this.#options.cluster.pid),
    };
  }

  /** Resident memory of gateway and broker, MiB. */
  residentMib(): number {
    const broker = this.#brokerPid === null ? 0 : residentMib(this.#brokerPid);
    return residentMib(this.#gateway.child.pid ?? 0) + broker;
  }

  /** Calls a function of all surfaces' processes. */
  all<Result>(method: string, input: unknown = null): Promise<Result[]> {
    return Promise.all(this.parts.map((part) => part.call<Result>(method, input)));
  }

  /** Ends the gateway and starts it anew at once, as a supervisor would. Resolves when it is up. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.#end(signal);
    this.#gateway = new Surfaced('gateway', '--config', this.#config);
    await this.#gateway.logged('gateway started');
  }

  /** Until every target is watched: the object and its Pods, each by a watch of its own; autoscalers by one a namespace. */
  async #watching(): Promise<void> {
    const { surfaces, cluster } = this.#options;
    const targets = [...surfaces.values()].flat().map(({ target }) => target);
    const names = new Set(targets.map(({ namespace, name }) => `${namespace}/${name}`));
    const namespaces = new Set(targets.map(({ namespace }) => namespace));
    const wanted = 2 * names.size + namespaces.size;
    while ((await cluster.call<Passed>('passed')).watches < wanted)
      await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this.#gateway;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const late = setTimeout(() => child.kill('SIGKILL'), endMs);
    child.kill(signal);
    await exited;
    clearTimeout(late);
  }
}

async function writeRegistry(folder: string, surfaces: SiteOptions['surfaces']): Promise<void> {
  const documents = [...surfaces].map(([name, bindings]) =>
    stringify({ apiVersion, kind: 'ControlSurface', metadata: { name }, spec: { bindings } }),
  );
  for (let from = 0; from < documents.length; from += surfacesAFile)
    await writeFile(
      path.join(folder, `surfaces-${from}.yaml`),
      documents.slice(from, from + surfacesAFile).join('---\n'),
    );
}

/** What `surfaced broker acl --broker mosquitto` prints, for a mosquitto that runs as root here. */
async function files(
  { folder }: SiteOptions,
  authority: Authority,
  port: number,
): Promise<Record<string, string>> {
  const own = path.join(folder, 'mosquitto');
  const facts = {
    site,
    gateways: [gatewayUser],
    surfaces: [],
    folder: own,
    listen: { host: '127.0.0.1', port },
  };
  const { 'mosquitto.conf': config = '', ...rest } = brokerFiles('mosquitto', facts);
  const server = await authority.serverCertificate(['localhost', '127.0.0.1']);
  const gateway = await clientCertificate(authority, gatewayUser);
  return {
    ...rest,
    'mosquitto.conf': `${config}user root\npersistence_location ${own}/\nlog_type error\n`,
    'ca.pem': authority.certificatePem,
    'server.pem': server.certificatePem,
    'server.key': server.privateKeyPem,
    'gateway.pem': gateway.cert,
    'gateway.key': gateway.key,
  };
}

async function gatewayFile({ folder, broker, kubeconfigPath }: SiteOptions, port: number): Promise<object> {
  const own = (name: string): string => path.join(folder, 'mosquitto', name);
  const url = `mqtts://localhost:${port}`;
  return {
    apiVersion,
    kind: 'Gateway',
    site,
    stateDir: 'state',
    enrol: { listen: `127.0.0.1:${await freePort()}`, hosts: ['localhost', '127.0.0.1'] },
    broker:
      broker === 'embedded'
        ? { listen: `127.0.0.1:${port}`, maxConnections: 10_000 }
        : {
            ...{ mode: 'external', urls: [url], surfaceUrl: url, clientId: gatewayUser },
            ...{ ca: own('ca.pem'), certificate: own('gateway.pem'), key: own('gateway.key') },
          },
    registry: { folder: 'surfaces' },
    policy: { identity: 'token' },
    cluster: { kubeconfig: kubeconfigPath },
  };
}
