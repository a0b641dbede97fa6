/**
 * `surfaced demo`: everything on this machine in one process, wired as in production: real TLS, real MQTT, the
 * device's and the gateway's own code. Only the cluster and the panel are simulated, and say so.
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { rbacFor } from '../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../daemon/clock.ts';
import { surfaceOptions } from '../daemon/commands/device.ts';
import { loadDevice } from '../daemon/commands/load-device.ts';
import { rbacManifest } from '../daemon/commands/rbac.ts';
import { calledOff } from '../daemon/commands/run.ts';
import { loadConfig, parseConfig } from '../daemon/config/load.ts';
import {
  apiVersion,
  type ControlSurface,
  deviceSchema,
  type GatewayConfig,
  gatewaySchema,
} from '../daemon/config/schema.ts';
import { type Device, startDevice } from '../daemon/device.ts';
import { SurfacedError } from '../daemon/errors.ts';
import { type Gateway, startGateway } from '../daemon/gateway.ts';
import { type HealthReport, healthOf, type PartHealth } from '../daemon/health.ts';
import { createPanel } from '../daemon/hw/panels.ts';
import type { Log } from '../daemon/log.ts';
import type { SurfaceOptions } from '../daemon/surface/surface.ts';
import type { Panel, PanelSpec } from '../daemon/surface/types.ts';
import { parseBind } from './bind.ts';
import type { BannerFacts } from './demo-banner.ts';
import { boundTo, demoBindings } from './demo-bindings.ts';
import { type DemoIdentity, type IdentityKind, openIdentity } from './demo-identity.ts';
import { startSimCluster } from './sim/cluster/cluster.ts';
import { createSimPanel, type SimPanel } from './sim/panel/panel.ts';
import { startPanelServer } from './sim/panel/server.ts';
import { pageSpecOf, twinPanel } from './sim/panel/twin.ts';

/** What the command line gives. */
export interface DemoOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly bind: readonly string[];
  readonly surface?: string;
  readonly device?: string;
  readonly port: number;
  readonly identity: IdentityKind;
  readonly version: string;
  readonly log: Log;
  /** Folder of the built page; left out: where the build puts it. */
  readonly pageDir?: string;
}

/** A running demo. */
export interface Demo extends BannerFacts {
  health(): HealthReport;
  stop(): Promise<void>;
}

const surfaceName = 'demo';
const defaultCluster = gatewaySchema.shape.cluster.parse({});

function controlSurface(bindings: readonly unknown[]): ControlSurface {
  const text = stringify({
    apiVersion,
    kind: 'ControlSurface',
    metadata: { name: surfaceName },
    spec: { bindings },
  });
  return parseConfig('ControlSurface', text, 'the demo');
}

async function chooseSurface(options: DemoOptions, panel: PanelSpec): Promise<ControlSurface> {
  if (options.surface !== undefined) {
    const surface = await loadConfig('ControlSurface', options.surface);
    // The file may be that of a real surface: its chip, and what is asked of it, are not those of the demo.
    const { tpm: _tpm, policy: _policy, ...spec } = surface.spec;
    return { ...surface, metadata: { name: surfaceName }, spec };
  }
  if (options.bind.length > 0) return controlSurface(boundTo(options.bind.map(parseBind), panel));
  return controlSurface(options.kubeconfig === undefined ? demoBindings(panel) : []);
}

interface Chosen {
  readonly page: SimPanel;
  readonly panel: Panel;
  readonly surface: ControlSurface;
  readonly behaviour: SurfaceOptions;
  /** Name of the real panel, null when there is only the page. */
  readonly device: string | null;
}

/** Panel and bindings; with a real panel, the page is its twin and either can be used. */
async function choose(options: DemoOptions): Promise<Chosen> {
  const { device, log } = options;
  if (device === undefined) {
    const page = createSimPanel();
    const surface = await chooseSurface(options, page.spec);
    const behaviour = surfaceOptions(deviceSchema.shape.surface.parse({}), page.spec, 'the demo');
    return { page, panel: page, surface, behaviour, device: null };
  }
  const config = await loadDevice(device);
  const real = await createPanel(config.panel, {
    log: log.child({ part: 'panel' }),
    openPort: null,
    random: Math.random,
  });
  const behaviour = surfaceOptions(config.surface, real.spec, device);
  const surface = await chooseSurface(options, real.spec);
  const bound = new Set(surface.spec.bindings.map(({ control }) => control));
  const page = createSimPanel(pageSpecOf(real.spec, bound));
  const name = `${real.spec.model} ${'port' in config.panel ? `on ${config.panel.port.path}` : 'on this machine'}`;
  return { page, panel: twinPanel(real, page), surface, behaviour, device: name };
}

/** The context that is used; what is wrong with the file is said by the gateway, which reads it too. */
async function contextOf(kubeconfig: string, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  try {
    const { 'current-context': current } = parse(await readFile(kubeconfig, 'utf8')) as Record<
      string,
      unknown
    >;
    return String(current ?? '');
  } catch {
    return '';
  }
}

/** A folder for this demo; it holds keys, so it goes even when the process has no time for a proper end. */
async function makeFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'surfaced-demo-'));
  const onExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', onExit);
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    process.off('exit', onExit);
  };
  return { folder, remove };
}

/**
 * Starts everything; what has been started is stopped again when a later part cannot be, or when the signal calls it off.
 * @throws SurfacedError, or the signal's reason
 */
export async function startDemo(options: DemoOptions, signal: AbortSignal): Promise<Demo> {
  const { log } = options;
  const isSimulated = options.kubeconfig === undefined;
  if (isSimulated && options.context !== undefined)
    throw new SurfacedError('E_USAGE', '--context names a context of a kubeconfig: give --kubeconfig too');
  const started: (() => Promise<unknown>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of started.splice(0).reverse())
      await stop().catch((error: unknown) => log.warn({ err: error }, 'part did not stop'));
  };
  try {
    const { page, panel, surface, behaviour, device: deviceName } = await choose(options);
    const { folder, remove } = await makeFolder();
    started.push(remove);

    const identity = await openIdentity(
      options.identity,
      { folder, surface: surfaceName, firmware: options.version, log: log.child({ part: 'identity' }) },
      signal,
    );
    started.push(() => identity.close());

    // The page first: it is there within a moment and shows what is still starting.
    let device: Device | null = null;
    let gateway: Gateway | null = null;
    let kubeconfigPath = isSimulated ? null : path.resolve(options.kubeconfig ?? '');
    const context = kubeconfigPath === null ? 'simulated' : await contextOf(kubeconfigPath, options.context);
    const starting: PartHealth = { ok: false, detail: 'starting' };
    const health = (): HealthReport =>
      healthOf({
        ...(device?.health().parts ?? { device: starting }),
        ...(gateway?.health().parts ?? { gateway: starting }),
      });
    const server = await startPanelServer({
      host: '127.0.0.1',
      port: options.port,
      panel: page,
      facts: () => ({
        cluster: { isSimulated, name: context },
        kubeconfigPath,
        namespace: namespaceOf(surface),
        trust: identity.trust(gateway),
        versions: { surfaced: options.version },
      }),
      health,
      log: log.child({ part: 'page' }),
      ...(options.pageDir !== undefined && { pageDir: options.pageDir }),
    });
    started.push(() => server.close());

    if (kubeconfigPath === null) {
      const cluster = await startSimCluster({
        port: 0,
        dir: folder,
        log: log.child({ part: 'sim-cluster' }),
        workloads: 'demo',
        timing: {},
        seed: 1,
      });
      started.push(() => cluster.close());
      kubeconfigPath = cluster.kubeconfigPath;
      log.warn({ kubeconfig: kubeconfigPath }, 'the cluster is simulated: nothing runs in it');
      for (const object of rbacFor(surface, defaultCluster)) cluster.control.create(object);
    }
    const rbacPath = path.join(folder, 'rbac.yaml');
    await writeFile(rbacPath, rbacManifest(surface, defaultCluster, null));

    const registryFolder = path.join(folder, 'surfaces');
    await mkdir(registryFolder);
    await writeFile(path.join(registryFolder, `${surfaceName}.yaml`), stringify(surface));
    const startingGateway = startGateway({
      config: gatewayConfig({
        folder,
        registryFolder,
        kubeconfig: kubeconfigPath,
        context: options.context,
        policy: identity.policy,
      }),
      clock: systemClock,
      random: Math.random,
      log,
    });
    // An API server that says nothing holds it up.
    gateway = await Promise.race([startingGateway, calledOff(signal)]);
    const runningGateway = gateway;
    started.push(() => runningGateway.stop());

    const credentials = await identity.credentials(gateway);
    device = await startDevice({
      panel,
      credentials,
      surface: behaviour,
      firmware: options.version,
      updates: null,
      clock: systemClock,
      random: Math.random,
      log,
      signal,
    });
    const runningDevice = device;
    started.push(() => runningDevice.stop());
    signal.throwIfAborted();

    return {
      url: server.url,
      kubeconfigPath,
      context,
      rbacPath,
      isSimulated,
      device: deviceName,
      identity: options.identity,
      surface,
      user: `${defaultCluster.userPrefix}${surfaceName}`,
      health,
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

function gatewayConfig(parts: {
  readonly folder: string;
  readonly registryFolder: string;
  readonly kubeconfig: string;
  readonly context: string | undefined;
  readonly policy: DemoIdentity['policy'];
}): GatewayConfig {
  const { folder, registryFolder, kubeconfig, context, policy } = parts;
  const text = stringify({
    apiVersion,
    kind: 'Gateway',
    site: 'demo',
    stateDir: path.join(folder, 'gateway'),
    enrol: { listen: '127.0.0.1:0', hosts: ['localhost', '127.0.0.1'] },
    broker: { listen: '127.0.0.1:0' },
    registry: { folder: registryFolder },
    policy,
    cluster: { kubeconfig, ...(context !== undefined && { context }) },
  });
  return parseConfig('Gateway', text, 'the demo');
}

/** The one namespace of all targets, null when there are several or none. */
function namespaceOf(surface: ControlSurface): string | null {
  const namespaces = new Set(surface.spec.bindings.map(({ target }) => target.namespace));
  return namespaces.size === 1 ? ([...namespaces][0] ?? null) : null;
}
