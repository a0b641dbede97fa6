/**
 * `surfaced demo`: everything on this machine in one process, wired as in production: real TLS, real MQTT, the
 * device's and the gateway's own code. Only the cluster and the panel are simulated, and say so.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { createTokenCredentials } from '../daemon/attest/enrol-client.ts';
import { rbacFor } from '../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../daemon/clock.ts';
import { surfaceOptions } from '../daemon/commands/device.ts';
import { rbacManifest } from '../daemon/commands/rbac.ts';
import { loadConfig, parseConfig } from '../daemon/config/load.ts';
import {
  apiVersion,
  type ControlSurface,
  type DeviceConfig,
  deviceSchema,
  type GatewayConfig,
  gatewaySchema,
} from '../daemon/config/schema.ts';
import { type Device, startDevice } from '../daemon/device.ts';
import { type Gateway, startGateway } from '../daemon/gateway.ts';
import { type HealthReport, healthOf, type PartHealth } from '../daemon/health.ts';
import { createPanel } from '../daemon/hw/panels.ts';
import type { Log } from '../daemon/log.ts';
import type { Panel } from '../daemon/surface/types.ts';
import { parseBind } from './bind.ts';
import { demoBindings } from './demo-bindings.ts';
import { startSimCluster } from './sim/cluster/cluster.ts';
import { createSimPanel, type SimPanel } from './sim/panel/panel.ts';
import { startPanelServer } from './sim/panel/server.ts';
import { twinPanel } from './sim/panel/twin.ts';

/** What the command line gives. */
export interface DemoOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly bind: readonly string[];
  readonly surface?: string;
  readonly device?: string;
  readonly port: number;
  readonly version: string;
  readonly log: Log;
}

/** A running demo. */
export interface Demo {
  readonly url: string;
  readonly kubeconfigPath: string;
  /** Manifest with the rights that the bound targets need. */
  readonly rbacPath: string;
  readonly isSimulated: boolean;
  readonly surface: ControlSurface;
  health(): HealthReport;
  stop(): Promise<void>;
}

const surfaceName = 'demo';
const defaultCluster = gatewaySchema.shape.cluster.parse({});
/** The token is spent within the second; it need not live longer than a slow start. */
const tokenTtlMs = 5 * 60_000;

/** Controls in the order in which `--bind` hands them out. */
const bindable = (panel: Panel): readonly string[] =>
  panel.spec.controls.filter(({ kind }) => kind !== 'button').map(({ name }) => name);

function controlSurface(bindings: readonly unknown[]): ControlSurface {
  const text = stringify({
    apiVersion,
    kind: 'ControlSurface',
    metadata: { name: surfaceName },
    spec: { bindings },
  });
  return parseConfig('ControlSurface', text, 'the demo');
}

async function chooseSurface(options: DemoOptions, panel: Panel): Promise<ControlSurface> {
  if (options.surface) {
    const surface = await loadConfig('ControlSurface', options.surface);
    return { ...surface, metadata: { name: surfaceName } };
  }
  if (options.bind.length > 0) {
    const controls = bindable(panel);
    return controlSurface(
      options.bind
        .map(parseBind)
        .map((bind, index) => ({ control: controls[index] ?? `missing-${index}`, ...bind })),
    );
  }
  return controlSurface(options.kubeconfig ? [] : demoBindings(bindable(panel)));
}

/** The panel on the page; with a real panel, the page is its twin and either can be used. */
async function choosePanel(
  options: DemoOptions,
): Promise<{ page: SimPanel; panel: Panel; surface: DeviceConfig['surface'] }> {
  if (!options.device) {
    const page = createSimPanel();
    return { page, panel: page, surface: deviceSchema.shape.surface.parse({}) };
  }
  const config = await loadConfig('Device', options.device);
  const real = createPanel(config.panel, { log: options.log, openPort: null, random: Math.random });
  const page = createSimPanel(real.spec);
  return { page, panel: twinPanel(real, page), surface: config.surface };
}

/**
 * Starts everything; what has been started is stopped again when a later part cannot be.
 * @throws SurfacedError
 */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { log } = options;
  const started: (() => Promise<unknown>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of started.splice(0).reverse())
      await stop().catch((error: unknown) => log.warn({ err: error }, 'part did not stop'));
  };
  try {
    const { page, panel, surface: surfaceConfig } = await choosePanel(options);
    const surface = await chooseSurface(options, panel);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'surfaced-demo-'));
    started.push(() => rm(folder, { recursive: true, force: true }));

    // The page first: it is there within a moment and shows what is still starting.
    let device: Device | null = null;
    let gateway: Gateway | null = null;
    const isSimulated = options.kubeconfig === undefined;
    let kubeconfigPath = options.kubeconfig ?? null;
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
        cluster: { isSimulated, name: isSimulated ? 'simulated' : (options.context ?? 'from kubeconfig') },
        kubeconfigPath,
        namespace: namespaceOf(surface),
        trust: 'This surface holds a one-time token only; it has not been attested by a TPM.',
        versions: { surfaced: options.version },
      }),
      health,
      log: log.child({ part: 'page' }),
    });
    started.push(() => server.close());

    if (isSimulated) {
      const clusterFolder = path.join(folder, 'cluster');
      await mkdir(clusterFolder);
      const cluster = await startSimCluster({
        port: 0,
        dir: clusterFolder,
        log: log.child({ part: 'sim-cluster' }),
        workloads: 'demo',
        timing: {},
        seed: 1,
      });
      started.push(() => cluster.close());
      kubeconfigPath = cluster.kubeconfigPath;
      for (const object of rbacFor(surface, defaultCluster)) cluster.control.create(object);
    }
    const rbacPath = path.join(folder, 'rbac.yaml');
    await writeFile(rbacPath, rbacManifest(surface, defaultCluster));

    const registryFolder = path.join(folder, 'surfaces');
    await mkdir(registryFolder);
    await writeFile(path.join(registryFolder, `${surfaceName}.yaml`), stringify(surface));
    gateway = await startGateway({
      config: gatewayConfig(folder, registryFolder, kubeconfigPath, options.context),
      clock: systemClock,
      random: Math.random,
      log,
    });
    const runningGateway = gateway;
    started.push(() => runningGateway.stop());

    const { token } = await gateway.tokens.create({ surface: surfaceName, ttlMs: tokenTtlMs, uses: 1 });
    device = await startDevice({
      panel,
      credentials: createTokenCredentials({
        config: { url: `https://localhost:${gateway.enrolPort}`, caPin: gateway.caPin },
        token,
        clock: systemClock,
        random: Math.random,
        log: log.child({ part: 'enrol' }),
      }),
      surface: surfaceOptions(surfaceConfig),
      firmware: options.version,
      clock: systemClock,
      random: Math.random,
      log,
    });
    const runningDevice = device;
    started.push(() => runningDevice.stop());

    return {
      url: server.url,
      kubeconfigPath: kubeconfigPath ?? '',
      rbacPath,
      isSimulated,
      surface,
      health,
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

function gatewayConfig(
  folder: string,
  registryFolder: string,
  kubeconfig: string | null,
  context: string | undefined,
): GatewayConfig {
  const text = stringify({
    apiVersion,
    kind: 'Gateway',
    site: 'demo',
    stateDir: path.join(folder, 'gateway'),
    enrol: { listen: '127.0.0.1:0', hosts: ['localhost', '127.0.0.1'] },
    broker: { listen: '127.0.0.1:0' },
    registry: { folder: registryFolder },
    policy: { identity: 'token' },
    cluster: {
      ...(kubeconfig ? { kubeconfig: path.resolve(kubeconfig) } : {}),
      ...(context ? { context } : {}),
    },
  });
  return parseConfig('Gateway', text, 'the demo');
}

/** The one namespace of all targets, null when there are several or none. */
function namespaceOf(surface: ControlSurface): string | null {
  const namespaces = new Set(surface.spec.bindings.map(({ target }) => target.namespace));
  return namespaces.size === 1 ? ([...namespaces][0] ?? null) : null;
}

/** What a person at a terminal needs to know, in a few lines. */
export function demoBanner(demo: Demo): string {
  const lines = [`surfaced demo`, `  panel       ${demo.url}`];
  if (demo.isSimulated) {
    lines.push('  cluster     SIMULATED, in this process');
    lines.push(`  kubectl     kubectl --kubeconfig ${demo.kubeconfigPath} get pods --all-namespaces --watch`);
  } else {
    lines.push(`  cluster     ${demo.kubeconfigPath}, as user ${defaultCluster.userPrefix}${surfaceName}`);
    if (demo.surface.spec.bindings.length === 0)
      lines.push('  bindings    none: name targets with --bind namespace/kind/name or --surface F');
    else
      lines.push(`  rights      kubectl apply -f ${demo.rbacPath}    (least rights for the bound targets)`);
  }
  lines.push(
    '  trust       one-time token, NOT ATTESTED',
    `  health      ${demo.url}healthz`,
    '  Ctrl-C ends it.',
  );
  return `${lines.join('\n')}\n`;
}
