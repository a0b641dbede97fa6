/** Stand-ins for what the gateway loop is given: time, bus, registry. The cluster has a file of its own. */

import type { CommandRecord } from '../../../daemon/bridge/gateway/command.ts';
import { type Ownership, ownsAll } from '../../../daemon/bridge/gateway/ownership.ts';
import { type Relay, startRelay } from '../../../daemon/bridge/gateway/relay.ts';
import type { Timers } from '../../../daemon/bridge/gateway/timers.ts';
import type { Cluster } from '../../../daemon/bridge/kube/types.ts';
import type { Registry } from '../../../daemon/bridge/registry/types.ts';
import type { Fleet } from '../../../daemon/bridge/rollout/fleet.ts';
import type { BusMessage, GatewayBus } from '../../../daemon/bridge/wire/bus.ts';
import {
  type AckMessage,
  ackMessage,
  type CtlMessage,
  ctlMessage,
  decode,
  encode,
  type GatewayStatusMessage,
  gatewayStatusMessage,
  type SlotMessage,
  slotMessage,
} from '../../../daemon/bridge/wire/messages.ts';
import { parseTopic, upTopic } from '../../../daemon/bridge/wire/topics.ts';
import type { Clock } from '../../../daemon/clock.ts';
import {
  type BindingConfig,
  type ControlSurface,
  controlSurfaceSchema,
  type GatewayConfig,
  gatewaySchema,
  type TargetRef,
} from '../../../daemon/config/schema.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { Guard } from '../../../daemon/surface/types.ts';
import { FakeCluster } from './fake-cluster.ts';

export const startedAt = 1_800_000_000_000;

/** Time that moves only when told to; timers run in order, promises settle in between. */
export class FakeTime implements Clock, Timers {
  #now = startedAt;
  #setBackMs = 0;
  #order = 0;
  readonly #timers = new Set<{ at: number; order: number; action: () => void }>();

  now(): number {
    return this.#now - this.#setBackMs;
  }

  /** The wall clock jumps; everything else goes on. */
  setBack(ms: number): void {
    this.#setBackMs += ms;
  }

  monotonic(): number {
    return this.#now - startedAt + 1000;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.action();
      await this.settle();
    }
    this.#now = end;
  }
}

/** How much faster than the machine's clock {@link fastTime} goes. */
const speed = 10;

/** Ten seconds in one, for tests with real connections: what the loop waits for takes no patience there. */
export const fastTime: Clock & Timers = {
  now: () => Date.now(),
  monotonic: () => performance.now() * speed,
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs / speed);
    return () => clearTimeout(timer);
  },
};

export interface Sent {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly isRetained: boolean;
}

export class FakeBus implements GatewayBus {
  readonly sent: Sent[] = [];
  readonly disconnected: string[] = [];
  #onMessage: (message: BusMessage) => void = () => {};
  #onSession: (surface: string, isConnected: boolean) => void = () => {};

  readonly #waiting = new Set<() => void>();

  async publish(
    topic: string,
    payload: Uint8Array,
    options: { qos: 0 | 1; isRetained: boolean },
  ): Promise<void> {
    this.sent.push({ topic, payload, ...options });
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves when the condition holds; it is looked at after each message. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  onMessage(listener: (message: BusMessage) => void): void {
    this.#onMessage = listener;
  }

  onSession(listener: (surface: string, isConnected: boolean) => void): void {
    this.#onSession = listener;
  }

  disconnect(surface: string): void {
    this.disconnected.push(surface);
  }

  async close(): Promise<void> {}

  receive(topic: string, payload: Uint8Array, isRetained = false): void {
    this.#onMessage({ topic, payload, isRetained });
  }

  connect(surface: string, isConnected: boolean): void {
    this.#onSession(surface, isConnected);
  }
}

export class FakeRegistry implements Registry {
  readonly #surfaces = new Map<string, ControlSurface>();
  #listener: (names: readonly string[]) => void = () => {};

  list(): readonly ControlSurface[] {
    return [...this.#surfaces.values()];
  }

  get(name: string): ControlSurface | null {
    return this.#surfaces.get(name) ?? null;
  }

  problems(): readonly { source: string; message: string }[] {
    return [];
  }

  onChange(listener: (names: readonly string[]) => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {}

  /** Adds, changes or, with null, removes a surface. */
  set(name: string, surface: ControlSurface | null): void {
    if (surface) this.#surfaces.set(name, surface);
    else this.#surfaces.delete(name);
    this.#listener([name]);
  }
}

export const cart: TargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };

export type BindingInput = Partial<Omit<BindingConfig, 'target'>> & { target?: Partial<TargetRef> };

export function surfaceOf(
  name: string,
  bindings: readonly BindingInput[],
  isRevoked = false,
): ControlSurface {
  return controlSurfaceSchema.parse({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ControlSurface',
    metadata: { name },
    spec: {
      isRevoked,
      bindings: bindings.map((binding, index) => ({
        control: `fader${index + 1}`,
        max: 20,
        ...binding,
        target: { ...cart, ...binding.target },
      })),
    },
  });
}

export const config: GatewayConfig = gatewaySchema.parse({
  apiVersion: 'surfaced.dev/v1alpha1',
  kind: 'Gateway',
  site: 'lab',
  name: 'gw',
  stateDir: '/nowhere',
  registry: { folder: '/nowhere' },
});

export const session = 'session-0001';

export interface CommandInput {
  readonly want: number;
  readonly saw: number;
  readonly slot?: number;
  readonly arm?: readonly Guard[];
  readonly issuedAt?: number;
  readonly ttlMs?: number;
  readonly id?: string;
}

/** The gateway loop between a bus and a registry that a test plays. */
export class Bench<Time extends Clock & Timers, Kube extends Cluster> {
  readonly time: Time;
  readonly cluster: Kube;
  readonly bus = new FakeBus();
  readonly registry = new FakeRegistry();
  readonly records: CommandRecord[] = [];
  /** To be set before `start`. */
  fleet: Pick<Fleet, 'born' | 'went' | 'told'> | null = null;
  ownership: Ownership = ownsAll;
  #relay: Relay | null = null;
  #seq = 0;

  constructor(time: Time, cluster: Kube) {
    this.time = time;
    this.cluster = cluster;
  }

  get relay(): Relay {
    if (!this.#relay) throw new Error('not started');
    return this.#relay;
  }

  start(): void {
    this.#relay = startRelay({
      bus: this.bus,
      cluster: this.cluster,
      registry: this.registry,
      config,
      trustOf: () => 'token',
      clock: this.time,
      timers: this.time,
      log: silentLog,
      random: () => 0.5,
      fleet: this.fleet,
      ownership: this.ownership,
      record: (entry) => this.records.push(entry),
    });
  }

  birth(
    surface: string,
    {
      id = session,
      kind = 'fader',
      isRetained = false,
    }: { id?: string; kind?: string; isRetained?: boolean } = {},
  ): void {
    const controls = [1, 2, 3, 4].map((index) => ({ name: `fader${index}`, kind }));
    const message = {
      v: 1,
      session: id,
      at: this.time.now(),
      model: 'test',
      firmware: '1',
      controls,
      clock: 'synced',
    };
    this.bus.receive(upTopic('lab', surface, 'birth'), encode(message), isRetained);
  }

  status(surface: string, state: 'online' | 'offline', id = session): void {
    const message = { v: 1, state, session: id, seq: 0, at: this.time.now() };
    this.bus.receive(upTopic('lab', surface, 'status'), encode(message));
  }

  /** Sends a command and returns its id. */
  send(
    { slot = 0, issuedAt = this.time.now(), ttlMs = 5000, ...rest }: CommandInput,
    surface = 'desk',
  ): string {
    const id = rest.id ?? `${session}-${++this.#seq}`;
    this.bus.receive(
      upTopic('lab', surface, 'cmd'),
      encode({ v: 1, slot, issuedAt, ttlMs, ...rest, id } as { v: 1 }),
    );
    return id;
  }

  /** All acks that a command got, in order. */
  acks(id: string): readonly AckMessage[] {
    return this.#of(ackMessage, ({ direction, leaf }) => direction === 'down' && leaf === 'ack').filter(
      (ack) => ack.id === id,
    );
  }

  /** The phases of a command so far, e.g. `received accepted converged`. */
  phases(id: string): string {
    return this.acks(id)
      .map(({ phase }) => phase)
      .join(' ');
  }

  /** Whether a command has got its end. */
  hasEnded(id: string): boolean {
    return this.acks(id).some(({ phase }) => phase !== 'received' && phase !== 'accepted');
  }

  /** The last ack of a command as `phase Code`. */
  last(id: string): string {
    const ack = this.acks(id).at(-1);
    return `${ack?.phase} ${ack?.code}`.trim();
  }

  slots(slot = 0, surface = 'desk'): readonly SlotMessage[] {
    return this.#of(
      slotMessage,
      (to) => to.direction === 'down' && to.leaf === 'slot' && to.slot === slot && to.surface === surface,
    );
  }

  ctl(surface = 'desk'): readonly CtlMessage[] {
    return this.#of(
      ctlMessage,
      (to) => to.direction === 'down' && to.leaf === 'ctl' && to.surface === surface,
    );
  }

  beats(): readonly GatewayStatusMessage[] {
    return this.#of(gatewayStatusMessage, ({ direction }) => direction === 'gateway');
  }

  #of<S extends Parameters<typeof decode>[0]>(
    schema: S,
    isWanted: (address: NonNullable<ReturnType<typeof parseTopic>>) => boolean,
  ): ReturnType<S['parse']>[] {
    const found: ReturnType<S['parse']>[] = [];
    for (const { topic, payload } of this.bus.sent) {
      const address = parseTopic(topic);
      if (!address || !isWanted(address) || payload.length === 0) continue;
      const read = decode(schema, payload);
      if (!read.ok) throw new Error(`${topic}: ${read.problem}`);
      found.push(read.message as ReturnType<S['parse']>);
    }
    return found;
  }
}

/** With a fake cluster and time that stands still. */
export class Bed extends Bench<FakeTime, FakeCluster> {
  constructor() {
    const time = new FakeTime();
    super(time, new FakeCluster(time));
  }

  /** Starts with one surface `desk` online, its first fader bound to `cart` at three replicas. */
  static async desk(bindings: readonly BindingInput[] = [{}]): Promise<Bed> {
    const bed = new Bed();
    bed.cluster.add(cart, { desired: 3 });
    bed.registry.set('desk', surfaceOf('desk', bindings));
    bed.start();
    bed.birth('desk');
    await bed.time.settle();
    return bed;
  }

  /** The numbers that were written or tried, in order. */
  get puts(): readonly (number | null)[] {
    return this.cluster.calls.filter(({ verb }) => verb === 'put').map(({ want }) => want);
  }
}
