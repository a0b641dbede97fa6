/** A whole gateway with a simulated cluster, and a surface of it that is played by the test: real TLS, real MQTT. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { createTokenCredentials } from '../../daemon/attest/enrol/client.ts';
import { rbacFor } from '../../daemon/bridge/kube/rbac.ts';
import { createLink, type Link } from '../../daemon/bridge/link/link.ts';
import { systemClock } from '../../daemon/clock.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { type Gateway, startGateway } from '../../daemon/gateway.ts';
import { type Log, silentLog } from '../../daemon/log.ts';
import type { Ack, Intent, SurfaceInput } from '../../daemon/surface/types.ts';
import { type SimCluster, startSimCluster } from '../../hil/sim/cluster/cluster.ts';

const quickly = {
  createMs: 4,
  scheduleMs: 4,
  startMs: 20,
  readyMs: 10,
  terminateMs: 20,
  crashMs: 20,
  backOffMs: 2000,
  hpaSyncMs: 400,
  revertMs: 5,
};

export const surfaceText = (name: string): string =>
  stringify({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ControlSurface',
    metadata: { name },
    spec: {
      bindings: [
        {
          control: 'fader1',
          target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
          max: 9,
        },
      ],
    },
  });

/** What is answered over plain HTTP. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export class Whole {
  readonly folder: string;
  readonly sim: SimCluster;
  readonly gateway: Gateway;
  #seq = 0;

  private constructor(folder: string, sim: SimCluster, gateway: Gateway) {
    this.folder = folder;
    this.sim = sim;
    this.gateway = gateway;
  }

  /** @param more fields of the Gateway file */
  static async start(t: Test, more: object, log: Log = silentLog): Promise<Whole> {
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-whole-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    await mkdir(path.join(folder, 'surfaces'));
    await writeFile(path.join(folder, 'surfaces', 'desk.yaml'), surfaceText('desk'));
    const sim = await startSimCluster({
      port: 0,
      dir: folder,
      log: silentLog,
      workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 }],
      seed: 1,
      timing: quickly,
    });
    t.teardown(() => sim.close());
    const desk = parseConfig('ControlSurface', surfaceText('desk'), 'desk.yaml');
    for (const object of rbacFor(desk, { userPrefix: 'surfaced:surface:' })) sim.control.create(object);
    const config = parseConfig(
      'Gateway',
      stringify({
        apiVersion: 'surfaced.dev/v1alpha1',
        kind: 'Gateway',
        stateDir: 'state',
        enrol: { listen: '127.0.0.1:0' },
        broker: { listen: '127.0.0.1:0' },
        registry: { folder: 'surfaces' },
        policy: { identity: 'token' },
        cluster: { kubeconfig: sim.kubeconfigPath },
        health: { listen: '127.0.0.1:0' },
        ...more,
      }),
      path.join(folder, 'gateway.yaml'),
    );
    const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log });
    t.teardown(() => gateway.stop());
    return new Whole(folder, sim, gateway);
  }

  async get(route: string): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.gateway.healthPort}${route}`);
    return {
      status: response.status,
      type: response.headers.get('content-type') ?? '',
      text: await response.text(),
    };
  }

  /** A surface that is online and has its slot. */
  async surface(t: Test): Promise<Surface> {
    const { token } = await this.gateway.tokens.create({ surface: 'desk', ttlMs: 60_000, uses: 1 });
    const credentials = createTokenCredentials({
      config: { url: `https://127.0.0.1:${this.gateway.enrolPort}`, caPin: this.gateway.caPin },
      ...{ token, clock: systemClock, random: Math.random, log: silentLog },
    });
    const link = createLink({
      credentials,
      birth: { model: 'test', firmware: '1', controls: [{ name: 'fader1', kind: 'fader', hasMotor: false }] },
      ...{ clock: systemClock, random: Math.random, log: silentLog },
    });
    t.teardown(async () => {
      credentials.stop();
      await link.stop();
    });
    const surface = new Surface(link, () => ++this.#seq);
    link.start(new AbortController().signal);
    await surface.until(({ slot, isOnline }) => isOnline && slot !== null);
    return surface;
  }
}

interface Known {
  isOnline: boolean;
  slot: Extract<SurfaceInput, { type: 'slot' }> | null;
  acks: Ack[];
}

/** The surface's end, without a panel. */
export class Surface {
  readonly link: Link;
  readonly known: Known = { isOnline: false, slot: null, acks: [] };
  readonly #nextSeq: () => number;
  readonly #waiting = new Set<() => void>();

  constructor(link: Link, nextSeq: () => number) {
    this.link = link;
    this.#nextSeq = nextSeq;
    link.onInput((input) => {
      if (input.type === 'link') this.known.isOnline = input.state === 'online';
      if (input.type === 'slot') this.known.slot = input;
      if (input.type === 'ack') this.known.acks.push(input.ack);
      for (const look of [...this.#waiting]) look();
    });
  }

  until(condition: (known: Known) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition(this.known)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Asks for a number and waits for the end. */
  async ask(want: number, change: Partial<Intent> = {}): Promise<Ack> {
    const seq = this.#nextSeq();
    const saw = this.known.slot?.view.desired ?? 0;
    this.link.send({ seq, slot: this.known.slot?.slot ?? 0, want, saw, arm: [], ...change });
    const endOf = (): Ack | undefined =>
      this.known.acks.find((ack) => ack.seq === seq && ack.phase !== 'received' && ack.phase !== 'accepted');
    await this.until(() => endOf() !== undefined);
    return endOf() as Ack;
  }
}
