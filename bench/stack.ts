/** The whole path as users run it: `surfaced gateway` and `surfaced device` as processes, and a simulated cluster. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { openTokens } from '../daemon/attest/enrol/tokens.ts';
import { rbacFor } from '../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../daemon/clock.ts';
import { parseConfig } from '../daemon/config/load.ts';
import { apiVersion } from '../daemon/config/schema.ts';
import type { ApiServerOptions, Passing } from './parts/api-server.ts';
import { endProcess, Part, Surfaced } from './processes.ts';
import { openPseudoTerminal, type PseudoTerminal } from './pseudo-terminal.ts';
import type { BenchContext } from './types.ts';

export const namespace = 'bench';

export interface StackOptions {
  readonly deployments: ApiServerOptions['deployments'];
  /** Bindings of each surface, by its name. */
  readonly surfaces: Readonly<Record<string, readonly object[]>>;
}

/** A binding of a control to a Deployment of the bench. */
export const binding = (control: string, name: string, max: number): object => ({
  control,
  target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name },
  max,
});

/** A gateway at work, with its cluster. */
export class Stack {
  readonly kubeconfigPath: string;
  readonly #context: BenchContext;
  readonly #api: Part;
  readonly #gateway: { readonly enrolPort: number; readonly caPin: string };

  private constructor(
    context: BenchContext,
    api: Part,
    kubeconfigPath: string,
    gateway: { enrolPort: number; caPin: string },
  ) {
    this.#context = context;
    this.#api = api;
    this.kubeconfigPath = kubeconfigPath;
    this.#gateway = gateway;
  }

  static async start(context: BenchContext, options: StackOptions): Promise<Stack> {
    const { folder } = context;
    const api = new Part('api-server');
    context.defer(() => api.end());
    await mkdir(path.join(folder, 'surfaces'));
    const objects: ApiServerOptions['objects'][number][] = [];
    for (const [name, bindings] of Object.entries(options.surfaces)) {
      const text = stringify({ apiVersion, kind: 'ControlSurface', metadata: { name }, spec: { bindings } });
      await writeFile(path.join(folder, 'surfaces', `${name}.yaml`), text);
      objects.push(
        ...rbacFor(parseConfig('ControlSurface', text, name), { userPrefix: 'surfaced:surface:' }),
      );
    }
    const { deployments } = options;
    const kubeconfigPath = await api.call<string>('start', { folder, deployments, objects });
    const config = path.join(folder, 'gateway.yaml');
    await writeFile(
      config,
      stringify({
        apiVersion,
        kind: 'Gateway',
        stateDir: 'state',
        enrol: { listen: '127.0.0.1:0', hosts: ['localhost', '127.0.0.1'] },
        broker: { listen: '127.0.0.1:0' },
        registry: { folder: 'surfaces' },
        policy: { identity: 'token' },
        cluster: { kubeconfig: kubeconfigPath },
      }),
    );
    const gateway = new Surfaced('gateway', '--config', config);
    context.defer(() => endProcess(gateway.child));
    const started = await gateway.logged('gateway started');
    return new Stack(context, api, kubeconfigPath, {
      enrolPort: Number(started.enrolPort),
      caPin: String(started.caPin),
    });
  }

  /** What `gateway:` of a Device file says. */
  get gatewayAddress(): { readonly url: string; readonly caPin: string } {
    return { url: `https://localhost:${this.#gateway.enrolPort}`, caPin: this.#gateway.caPin };
  }

  /** A one-time token, as `surfaced enroll token` makes it. */
  async token(surface: string): Promise<string> {
    const tokens = openTokens({
      folder: path.join(this.#context.folder, 'state', 'tokens'),
      clock: systemClock,
    });
    return (await tokens.create({ surface, ttlMs: 600_000, uses: 1 })).token;
  }

  /** Starts `surfaced device` on a new pseudo-terminal; resolves when it has opened it. */
  async startDevice(surface: string, panel: object): Promise<PseudoTerminal> {
    const terminal = await openPseudoTerminal();
    this.#context.defer(() => terminal.close());
    const file = path.join(this.#context.folder, `${surface}.device.yaml`);
    await writeFile(
      file,
      stringify({
        apiVersion,
        kind: 'Device',
        gateway: this.gatewayAddress,
        identity: { token: await this.token(surface) },
        panel: { ...panel, port: { type: 'pty', path: terminal.path } },
      }),
    );
    const device = new Surfaced('device', '--config', file);
    this.#context.defer(() => endProcess(device.child));
    await device.logged('panel opened');
    return terminal;
  }

  /** Forgets what has passed the API server so far. */
  async clear(): Promise<void> {
    await this.#api.call('clear');
  }

  /** What has passed the API server since `clear`, when there are `count` of a kind or the time is over. */
  passings(what: Passing['what'], count: number, timeoutMs: number): Promise<readonly Passing[]> {
    return this.#api.call('passings', { what, count, timeoutMs });
  }

  /** Makes the readiness probes of a Deployment's Pods fail, or succeed again. */
  async setNeverReady(name: string, isOn: boolean): Promise<void> {
    await this.#api.call('setNeverReady', { name, isOn });
  }
}
