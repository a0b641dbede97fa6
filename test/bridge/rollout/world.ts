/** A fleet of surfaces that update well or badly, and a gateway that may die at any instant: what the tests of rollouts play with. */

import { createMemoryRegistry } from '../../../daemon/bridge/registry/memory.ts';
import { type Fleet, startFleet, type UpdateEvent } from '../../../daemon/bridge/rollout/fleet.ts';
import type { Offer, UpdatesFolder } from '../../../daemon/bridge/rollout/folder.ts';
import { isOnItsWay } from '../../../daemon/bridge/rollout/progress.ts';
import type { UpdateReport } from '../../../daemon/bridge/wire/messages.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion, type ControlSurface, type Rollout } from '../../../daemon/config/schema.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { FakeTime } from '../gateway/bed.ts';

export const surfaceOf = (name: string, spec: object = {}): ControlSurface =>
  parseConfig(
    'ControlSurface',
    JSON.stringify({ apiVersion, kind: 'ControlSurface', metadata: { name }, spec }),
    'test',
  );

export const rolloutOf = (name: string, spec: object): Rollout =>
  parseConfig('Rollout', JSON.stringify({ apiVersion, kind: 'Rollout', metadata: { name }, spec }), 'test');

export const offerOf = (version: string): Offer => ({
  version,
  file: `/updates/${version}.raucb`,
  bytes: 1,
  manifestSha256: 'ab'.repeat(32),
  references: '',
  signer: 'CN=Release',
});

/** A folder of updates that a test fills. */
export class PaperFolder implements UpdatesFolder {
  offered: Offer[] = [];
  wanted: Rollout[] = [];
  readonly #listeners = new Set<() => void>();
  offer(version: string): Offer | null {
    return this.offered.find((one) => one.version === version) ?? null;
  }
  offers(): readonly Offer[] {
    return this.offered;
  }
  rollouts(): readonly Rollout[] {
    return this.wanted;
  }
  problems(): readonly [] {
    return [];
  }
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
  async close(): Promise<void> {
    this.#listeners.clear();
  }
}

/** What becomes of a surface that is asked. */
export type Plan = 'good' | 'install-fails' | 'falls-back' | 'falls-back-silently' | 'vanishes';

/** A surface, from its own end. */
export class Device {
  readonly name: string;
  firmware = '1.0.0';
  isOnline = false;
  isGone = false;
  /** Asks that it heard nothing of, and those that it forgot in a power cut. */
  losses = 0;
  asks = 0;
  #state: UpdateReport = { state: 'idle', version: null, detail: '' };
  readonly #world: World;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
  }

  get state(): UpdateReport['state'] {
    return this.#state.state;
  }

  comes(): void {
    if (this.isGone) return;
    this.isOnline = true;
    this.#world.fleet?.born(this.name, this.firmware);
    this.#world.fleet?.told(this.name, this.#state);
  }

  goes(): void {
    this.isOnline = false;
    this.#world.fleet?.went(this.name);
  }

  asked(version: string): void {
    this.asks++;
    if (!this.isOnline) this.losses++;
    else if (this.state === 'idle' || this.state === 'failed')
      this.#tell({ state: 'installing', version, detail: '' });
    else this.#tell(this.#state);
  }

  /** Goes on with what it is doing. */
  step(plan: Plan): void {
    const { version } = this.#state;
    if (this.state === 'installing') {
      if (plan === 'install-fails') this.#tell({ state: 'failed', version, detail: 'E_UPDATE_DATA' });
      else this.#tell({ state: 'restarting', version, detail: 'waits' });
    } else if (this.state === 'restarting') {
      this.goes();
      if (plan === 'vanishes') this.isGone = true;
      else if (plan === 'falls-back') this.#state = { state: 'failed', version, detail: 'fell back' };
      else if (plan === 'falls-back-silently') this.#state = { state: 'idle', version: null, detail: '' };
      else {
        this.firmware = version ?? this.firmware;
        this.#state = { state: 'trial', version, detail: '' };
      }
      this.comes();
    } else if (this.state === 'trial') this.#tell({ state: 'idle', version: null, detail: '' });
  }

  /** The power goes and comes back: what is installed at that moment is forgotten, a trial boots on. */
  powerCut(): void {
    this.goes();
    if (this.state === 'installing') {
      this.losses++;
      this.#state = { state: 'idle', version: null, detail: '' };
    }
    this.comes();
  }

  #tell(state: UpdateReport): void {
    this.#state = state;
    if (this.isOnline) this.#world.fleet?.told(this.name, state);
  }
}

export class World {
  readonly time = new FakeTime();
  readonly folder = new PaperFolder();
  readonly registry;
  readonly devices: ReadonlyMap<string, Device>;
  fleet: Fleet | null = null;
  /** On the disk. */
  kept: string | null = null;
  readonly events: UpdateEvent[] = [];
  readonly asks: string[] = [];
  /** How much rarer the gateway looks at what only time changes. */
  slowness = 1;
  /** What the next write or record ends with. */
  fault: 'write' | 'record' | 'ask' | null = null;
  /** The gateway dies before or after it has written, or once it has asked; null: it does not. */
  dying: 'before' | 'after' | 'asking' | null = null;
  obstacleOf: (surface: ControlSurface) => string | null = () => null;
  /** Called before each ask. */
  onAsk: (surface: string) => void = () => {};

  constructor(names: readonly string[]) {
    this.registry = createMemoryRegistry(names.map((name) => surfaceOf(name)));
    this.devices = new Map(names.map((name) => [name, new Device(name, this)]));
  }

  async start(): Promise<void> {
    /** What belongs to a gateway that has died does nothing any more. */
    const life = { isOver: false };
    const never = new Promise<never>(() => {});
    this.#life = life;
    this.fleet = await startFleet({
      folder: this.folder,
      registry: this.registry,
      store: {
        file: '/state/rollouts.json',
        read: async () => this.kept,
        write: async (text) => {
          if (life.isOver) return never;
          if (this.fault === 'write') throw new SurfacedError('E_STATE_DIR', '/state/rollouts.json: ENOSPC');
          if (this.dying === 'before') return this.#die(never);
          this.kept = text;
          if (this.dying === 'after') return this.#die(never);
        },
      },
      obstacleOf: (surface) => this.obstacleOf(surface),
      ask: async ({ surface, offer }) => {
        if (life.isOver) return never;
        if (this.fault === 'ask') throw new Error('the broker is away');
        this.onAsk(surface);
        this.asks.push(surface);
        // What the surface answers finds nobody.
        const isDying = this.dying === 'asking';
        if (isDying) this.kill();
        this.devices.get(surface)?.asked(offer.version);
        if (isDying) return this.#die(never);
      },
      record: async (event) => {
        if (life.isOver) return never;
        if (this.fault === 'record') throw new SurfacedError('E_AUDIT_WRITE', 'the disk is full');
        this.events.push(event);
      },
      clock: this.time,
      timers: { after: (ms, action) => this.time.after(ms * this.slowness, action) },
      log: silentLog,
    });
    await this.settle();
  }

  #life = { isOver: true };

  #die(never: Promise<never>): Promise<never> {
    this.dying = null;
    this.kill();
    return never;
  }

  /** Nothing is said or written any more; surfaces see nothing of it. */
  kill(): void {
    this.#life.isOver = true;
    // For its timers; what it waits for never comes.
    void this.fleet?.close();
    this.fleet = null;
  }

  /** Starts the gateway anew; surfaces that are there come back. */
  async restart(): Promise<void> {
    this.kill();
    this.dying = null;
    await this.start();
    for (const device of this.devices.values()) if (device.isOnline) device.comes();
    await this.settle();
  }

  async settle(): Promise<void> {
    await this.time.settle();
    await this.time.settle();
  }

  async advance(ms: number): Promise<void> {
    await this.time.advance(ms);
    await this.settle();
  }

  /** Phases by surface, of the first rollout or a named one. */
  phases(name = this.folder.wanted[0]?.metadata.name): Record<string, string> {
    const state = this.fleet?.states().find((one) => one.name === name);
    return Object.fromEntries([...(state?.surfaces ?? [])].map(([surface, { phase }]) => [surface, phase]));
  }

  detail(surface: string): string | undefined {
    return this.fleet?.states()[0]?.surfaces.get(surface)?.detail;
  }

  onTheirWay(): number {
    return (this.fleet?.states() ?? []).flatMap(({ surfaces }) => [...surfaces.values()]).filter(isOnItsWay)
      .length;
  }

  device(name: string): Device {
    const device = this.devices.get(name);
    if (device === undefined) throw new Error(`no device ${name}`);
    return device;
  }
}
