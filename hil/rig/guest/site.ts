/**
 * A site for one panel in the guest: the simulated cluster and `surfaced gateway`, each a process of its own, so that
 * nothing that they do holds up the chip models of this one.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { openTokens } from '../../../daemon/attest/enrol/tokens.ts';
import { rbacFor } from '../../../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion } from '../../../daemon/config/schema.ts';
import type { Rig } from '../../scenarios/rig.ts';
import type { LoggedRequest } from '../../sim/cluster/faults.ts';
import { Program } from './program.ts';

/** Name of the surface that the panel is. */
const surface = 'desk';
const userPrefix = 'surfaced:surface:';
/** As often as a check may start its device anew. */
const tokenUses = 20;
const tokenTtlMs = 600_000;
const clusterMain = fileURLToPath(new URL('../../sim/cluster/main.ts', import.meta.url));

/** What a site is made of; its cluster has the workloads of the demo (hil/sim/cluster/workloads.ts). */
export interface SiteOptions {
  /** A folder of its own. */
  readonly folder: string;
  readonly rig: Pick<Rig, 'deviceConfig' | 'surfaced'>;
  readonly bindings: readonly object[];
  /** Parts of the rig's panel that are opened, as `<part>@<address in hex>`, or the part alone where it has none; null: all. */
  readonly parts: readonly string[] | null;
  /** `surface:` of the Device file. */
  readonly behaviour: object;
}

/** A part in a Device file. */
interface PartEntry {
  readonly part: string;
  readonly address?: number;
}

interface DeviceFile {
  readonly panel: { readonly parts: readonly PartEntry[] };
}

const nameOf = ({ part, address }: PartEntry): string =>
  address === undefined ? part : `${part}@${address.toString(16).padStart(2, '0')}`;

/** Its API server over one kept connection, as its administrator. */
class ClusterClient {
  readonly kubeconfigPath: string;
  readonly #url: string;
  readonly #agent: Agent;

  private constructor(kubeconfigPath: string, url: string, agent: Agent) {
    this.kubeconfigPath = kubeconfigPath;
    this.#url = url;
    this.#agent = agent;
  }

  static async open(kubeconfigPath: string): Promise<ClusterClient> {
    const { clusters, users } = parse(await readFile(kubeconfigPath, 'utf8')) as {
      readonly clusters: readonly { cluster: { server: string; 'certificate-authority-data': string } }[];
      readonly users: readonly { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
    };
    const [{ cluster }, { user }] = [clusters[0]!, users[0]!];
    const decoded = (base64: string): string => Buffer.from(base64, 'base64').toString();
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 1,
      ca: decoded(cluster['certificate-authority-data']),
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
    });
    return new ClusterClient(kubeconfigPath, cluster.server, agent);
  }

  /** One request; rejects unless it is answered well. */
  async ask(method: 'GET' | 'POST', where: string, body: object | null): Promise<unknown> {
    const asked = request(`${this.#url}${where}`, {
      method,
      agent: this.#agent,
      headers: { 'content-type': 'application/json' },
    });
    asked.end(body === null ? '' : JSON.stringify(body));
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const answer = await json(response);
    if ((response.statusCode ?? 0) >= 300) throw new Error(`${method} ${where}: ${JSON.stringify(answer)}`);
    return answer;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A gateway at work with its cluster, and a Device file for the panel of the rig. */
export class Site {
  /** Path of the Device file: that of the rig, with this gateway and a token. */
  readonly deviceFile: string;
  readonly #cluster: ClusterClient;
  readonly #gateway: Program;
  readonly #programs: readonly Program[];

  private constructor(
    cluster: ClusterClient,
    programs: { readonly cluster: Program; readonly gateway: Program },
    deviceFile: string,
  ) {
    this.#cluster = cluster;
    this.#gateway = programs.gateway;
    this.#programs = [programs.cluster, programs.gateway];
    this.deviceFile = deviceFile;
  }

  /** Starts both; resolves when surfaces can connect. */
  static async start(options: SiteOptions): Promise<Site> {
    const { folder, rig, bindings } = options;
    const clusterProgram = new Program([process.execPath, '--import=tsx', clusterMain, '--dir', folder]);
    const { kubeconfig } = await clusterProgram.logged('simulated cluster is ready');
    const cluster = await ClusterClient.open(String(kubeconfig));
    const spec = stringify({
      apiVersion,
      kind: 'ControlSurface',
      metadata: { name: surface },
      spec: { bindings },
    });
    for (const object of rbacFor(parseConfig('ControlSurface', spec, surface), { userPrefix })) {
      const kind = `${object.kind.toLowerCase()}s`;
      await cluster.ask(
        'POST',
        `/apis/${object.apiVersion}/namespaces/${object.metadata.namespace}/${kind}`,
        object,
      );
    }
    await mkdir(path.join(folder, 'surfaces'));
    await writeFile(path.join(folder, 'surfaces', `${surface}.yaml`), spec);
    const gatewayFile = path.join(folder, 'gateway.yaml');
    await writeFile(
      gatewayFile,
      stringify({
        apiVersion,
        kind: 'Gateway',
        stateDir: 'state',
        enrol: { listen: '127.0.0.1:0', hosts: ['localhost', '127.0.0.1'] },
        broker: { listen: '127.0.0.1:0' },
        registry: { folder: 'surfaces' },
        policy: { identity: 'token' },
        cluster: { kubeconfig: cluster.kubeconfigPath },
      }),
    );
    const gateway = new Program(rig.surfaced('gateway', '--config', gatewayFile));
    const { enrolPort, caPin } = await gateway.logged('gateway started');
    const tokens = await openTokens({ folder: path.join(folder, 'state', 'tokens'), clock: systemClock });
    const { token } = await tokens.create({ surface, ttlMs: tokenTtlMs, uses: tokenUses });
    const { panel } = parse(await readFile(rig.deviceConfig, 'utf8')) as DeviceFile;
    const parts = panel.parts.filter((part) => options.parts?.includes(nameOf(part)) ?? true);
    const deviceFile = path.join(folder, 'surfaced.yaml');
    await writeFile(
      deviceFile,
      stringify({
        apiVersion,
        kind: 'Device',
        gateway: { url: `https://localhost:${enrolPort}`, caPin },
        identity: { token },
        panel: { ...panel, parts },
        surface: options.behaviour,
      }),
    );
    return new Site(cluster, { cluster: clusterProgram, gateway }, deviceFile);
  }

  /** What the gateway has logged. */
  gatewayLog(): string {
    return this.#gateway.log();
  }

  get kubeconfigPath(): string {
    return this.#cluster.kubeconfigPath;
  }

  /** What the API server says of a Deployment. */
  async replicas(namespace: string, name: string): Promise<number> {
    const where = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}/scale`;
    const { spec } = (await this.#cluster.ask('GET', where, null)) as {
      readonly spec: { readonly replicas?: number };
    };
    return spec.replicas ?? 0;
  }

  /**
   * Requests that changed something or tried to, since the start or the last `clearRequests`. Those that came to nothing
   * because the object had changed meanwhile (409) are left out: the gateway reads again and repeats them.
   */
  async writes(): Promise<readonly LoggedRequest[]> {
    const { entries } = (await this.#cluster.ask('POST', '/sim/requests', {})) as {
      readonly entries: readonly LoggedRequest[];
    };
    return entries.filter(
      ({ method, status }) => ['PUT', 'PATCH', 'DELETE'].includes(method) && status !== 409,
    );
  }

  async clearRequests(): Promise<void> {
    await this.#cluster.ask('POST', '/sim/clearRequests', {});
  }

  /** Pulls a string of the cluster, see hil/sim/cluster/control-endpoint.ts. */
  async control(call: string, input: object): Promise<void> {
    await this.#cluster.ask('POST', `/sim/${call}`, input);
  }

  async close(): Promise<void> {
    this.#cluster.close();
    for (const program of this.#programs) await program.end('SIGKILL');
  }
}
