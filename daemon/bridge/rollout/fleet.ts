/**
 * The gateway's rollouts at work: looks at what is wanted and what is there, asks surfaces, and keeps how far each has come
 * so that a restart at any instant asks nobody twice. What is to be done is decided by rollout.ts; this file does it.
 */
import type { Clock } from '../../clock.ts';
import type { ControlSurface, Rollout } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { PartHealth } from '../../health.ts';
import type { Log } from '../../log.ts';
import { compareVersions } from '../../version.ts';
import type { Timers } from '../gateway/timers.ts';
import type { Registry } from '../registry/types.ts';
import type { UpdateReport } from '../wire/messages.ts';
import type { Offer, UpdatesFolder } from './folder.ts';
import { countsOf, keptText, readKept } from './kept.ts';
import { isOnItsWay, type Progress, type Seen } from './progress.ts';
import { asked, isEnded, isStopped, type Look, nextToAsk, type RolloutState, step } from './rollout.ts';

/** How often is looked at what only time changes, milliseconds. */
export const lookEveryMs = 5000;

/** One thing that is to be recorded of an update. */
export interface UpdateEvent {
  readonly surface: string;
  readonly rollout: string;
  readonly version: string;
  /** What it ran when it was asked. */
  readonly from: string | null;
  readonly outcome: 'asked' | 'done' | 'failed';
  readonly detail: string;
}

export interface FleetParts {
  readonly folder: UpdatesFolder;
  readonly registry: Registry;
  readonly store: {
    /** Where it is, for messages. */
    readonly file: string;
    /** Null: nothing was kept yet. Rejects with SurfacedError. */
    read(): Promise<string | null>;
    /** Resolves when it is on the disk, whole. */
    write(text: string): Promise<void>;
  };
  /** Why a surface must not be asked to run this, in words; null: nothing speaks against it. */
  readonly obstacleOf: (surface: ControlSurface, offer: Offer) => string | null;
  /** Asks a surface that is there. */
  readonly ask: (whom: { readonly surface: string; readonly offer: Offer }) => Promise<void>;
  /** Rejects when it could not be recorded: then it is not done. */
  readonly record: (event: UpdateEvent) => Promise<void>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

/** `stopped`: by failures. */
export type Standing = 'running' | 'paused' | 'stopped' | 'ended';

export interface Fleet {
  /** A surface has said what it runs. */
  born(surface: string, firmware: string): void;
  went(surface: string): void;
  /** A surface says how it stands to updates. */
  told(surface: string, report: UpdateReport): void;
  states(): readonly RolloutState[];
  /** How many rollouts stand how. */
  standings(): Readonly<Record<Standing, number>>;
  health(): PartHealth;
  /** Resolves when what is known has been looked at, and what follows is done. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

interface Presence extends Omit<Seen, 'forMs'> {
  readonly since: number;
}

/** Begins to work; what was kept that cannot be read is told in log and health, and nobody is asked then. */
export async function startFleet(parts: FleetParts): Promise<Fleet> {
  const { store, clock, log } = parts;
  let kept: ReadonlyMap<string, RolloutState> | null = null;
  let problem: string | null = null;
  try {
    const text = await store.read();
    kept = text === null ? new Map() : readKept(text, store.file, clock.monotonic());
  } catch (error) {
    if (!(error instanceof SurfacedError)) throw error;
    problem = error.message;
    log.error({ problem }, 'rollouts do not go on');
  }
  const work = new Work(parts, kept, problem);
  work.start();
  return work;
}

class Work implements Fleet {
  readonly #parts: FleetParts;
  readonly #startedAt: number;
  readonly #surfaces = new Map<string, Presence>();
  /** Null: not known, so nothing may be done. */
  #states: ReadonlyMap<string, RolloutState> | null;
  #problem: string | null;
  #isClosed = false;
  #isWanted = false;
  #looking: Promise<void> | null = null;
  #cancel: () => void = () => {};

  constructor(parts: FleetParts, kept: ReadonlyMap<string, RolloutState> | null, problem: string | null) {
    this.#parts = parts;
    this.#startedAt = parts.clock.monotonic();
    this.#states = kept;
    this.#problem = problem;
  }

  start(): void {
    this.#parts.folder.onChange(() => this.#wake());
    this.#parts.registry.onChange(() => this.#wake());
    this.#plan();
    this.#wake();
  }

  born(surface: string, firmware: string): void {
    this.#set(surface, { isOnline: true, firmware, report: null, answer: null });
  }

  went(surface: string): void {
    this.#set(surface, { ...(this.#surfaces.get(surface) ?? unseen), isOnline: false });
  }

  told(surface: string, report: UpdateReport): void {
    const before = this.#surfaces.get(surface);
    if (before === undefined || !before.isOnline) return;
    this.#surfaces.set(surface, { ...before, report, answer: report });
    this.#wake();
  }

  states(): readonly RolloutState[] {
    return [...(this.#states ?? new Map<string, RolloutState>()).values()];
  }

  standings(): Readonly<Record<Standing, number>> {
    const counts: Record<Standing, number> = { running: 0, paused: 0, stopped: 0, ended: 0 };
    for (const rollout of this.#parts.folder.rollouts()) {
      const state = this.#states?.get(rollout.metadata.name);
      if (state !== undefined) counts[standingOf(rollout, state)] += 1;
    }
    return counts;
  }

  health(): PartHealth {
    const { folder } = this.#parts;
    const problems = folder.problems().map(({ source, message }) => `${source}: ${message}`);
    const words = folder.rollouts().flatMap((rollout) => {
      const state = this.#states?.get(rollout.metadata.name);
      return state === undefined
        ? []
        : [`${rollout.metadata.name} to ${state.version}: ${wordsOf(rollout, state)}`];
    });
    const all = [...(this.#problem === null ? [] : [this.#problem]), ...problems, ...words];
    // An update that goes wrong is the trouble of its surface: it must not take the gateway out of service.
    return {
      ok: true,
      detail: all.slice(0, 6).join('; ') || `${folder.offers().length} bundles, no rollout`,
    };
  }

  async settled(): Promise<void> {
    while (this.#looking !== null) await this.#looking;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    await this.settled();
  }

  #set(surface: string, presence: Omit<Presence, 'since'>): void {
    this.#surfaces.set(surface, { ...presence, since: this.#parts.clock.monotonic() });
    this.#wake();
  }

  #plan(): void {
    if (this.#isClosed) return;
    this.#cancel = this.#parts.timers.after(lookEveryMs, () => {
      this.#wake();
      this.#plan();
    });
  }

  /** Looks again; one look at a time. */
  #wake(): void {
    if (this.#isClosed) return;
    this.#isWanted = true;
    this.#looking ??= (async () => {
      while (this.#isWanted && !this.#isClosed) {
        this.#isWanted = false;
        await this.#look().catch((error: unknown) =>
          this.#tell(`rollouts do not go on: ${reasonOf(error)}`, error),
        );
      }
      this.#looking = null;
    })();
  }

  async #look(): Promise<void> {
    const { folder } = this.#parts;
    const before = this.#states;
    if (before === null) return;
    const rollouts = folder.rollouts();
    const namesOf = new Map(rollouts.map((rollout) => [rollout, this.#namesOf(rollout)]));
    const next = new Map<string, RolloutState>();
    for (const rollout of rollouts) {
      const { name } = rollout.metadata;
      const look = this.#lookOf(rollout, namesOf);
      next.set(name, step(rollout, namesOf.get(rollout) ?? [], before.get(name) ?? null, look));
    }
    const isSame =
      before.size === next.size && [...next].every(([name, state]) => before.get(name) === state);
    if (!isSame) {
      await this.#keep(next);
      for (const rollout of rollouts) await this.#follow(rollout, before, next);
    }
    for (const rollout of rollouts) await this.#askOf(rollout, this.#lookOf(rollout, namesOf));
    if (this.#problem !== null) this.#parts.log.info({}, 'rollouts go on');
    this.#problem = null;
  }

  /** Asks whom it is their turn. It is kept before it is said: a gateway that dies in between asks nobody twice. */
  async #askOf(rollout: Rollout, look: Look): Promise<void> {
    const { folder, record, ask, log } = this.#parts;
    const state = this.#states?.get(rollout.metadata.name);
    const offer = folder.offer(rollout.spec.version);
    if (state === undefined || offer === null) return;
    const names = nextToAsk(rollout, state, look);
    if (names.length === 0) return;
    await this.#replace(asked(state, names, look));
    for (const [index, surface] of names.entries()) {
      const presence = this.#surfaces.get(surface);
      if (presence) this.#surfaces.set(surface, { ...presence, answer: null });
      const from = presence?.firmware ?? null;
      const about = { surface, rollout: state.name, version: state.version };
      try {
        await record({ ...about, from, outcome: 'asked', detail: '' });
      } catch (error) {
        // What cannot be recorded is not done: it is as if it had not been its turn.
        const surfaces = new Map(this.#states?.get(state.name)?.surfaces);
        for (const unasked of names.slice(index)) {
          const waiting = state.surfaces.get(unasked);
          if (waiting) surfaces.set(unasked, waiting);
        }
        await this.#replace({ ...state, surfaces });
        throw error;
      }
      log.info({ ...about, from }, 'surface is asked to update');
      // A surface that was not reached says nothing, and is asked again.
      await ask({ surface, offer }).catch((error: unknown) =>
        log.warn({ err: error, ...about }, 'surface could not be asked to update'),
      );
    }
  }

  /** Records what came of updates, and says when a rollout stops or ends. */
  async #follow(
    rollout: Rollout,
    before: ReadonlyMap<string, RolloutState>,
    next: ReadonlyMap<string, RolloutState>,
  ): Promise<void> {
    const { record, log } = this.#parts;
    const [old, state] = [before.get(rollout.metadata.name), next.get(rollout.metadata.name)];
    if (state === undefined || old === state) return;
    const { name, version } = state;
    for (const [surface, { phase, detail, from, asks }] of state.surfaces) {
      const was = old?.version === version ? old.surfaces.get(surface)?.phase : undefined;
      if (was === phase || (phase !== 'done' && phase !== 'failed')) continue;
      log[phase === 'done' ? 'info' : 'warn']({ surface, rollout: name, version, detail }, `update ${phase}`);
      // What was never asked for is no outcome of an update.
      if (asks === 0) continue;
      await record({ surface, rollout: name, version, from, outcome: phase, detail }).catch(
        (error: unknown) =>
          log.error({ err: error, surface, version }, 'the outcome of an update could not be recorded'),
      );
    }
    const wasStopped = old !== undefined && old.version === version && isStopped(rollout, old);
    if (isStopped(rollout, state) && !wasStopped)
      log.warn({ rollout: name, version }, 'rollout stops because of failures; nobody else is asked');
    const hadEnded = old !== undefined && old.version === version && isEnded(old);
    if (isEnded(state) && !hadEnded)
      log.info({ rollout: name, version, counts: countsOf(state) }, 'rollout ended');
  }

  #replace(state: RolloutState): Promise<void> {
    return this.#keep(new Map(this.#states ?? []).set(state.name, state));
  }

  /** Nothing counts before it is on the disk. */
  async #keep(states: ReadonlyMap<string, RolloutState>): Promise<void> {
    await this.#parts.store.write(keptText(states.values()));
    this.#states = states;
  }

  #namesOf({ spec }: Rollout): readonly string[] {
    const { registry } = this.#parts;
    const isMeant = (name: string): boolean => registry.get(name)?.spec.isRevoked === false;
    const names =
      spec.surfaces ??
      registry
        .list()
        .map(({ metadata }) => metadata.name)
        .sort();
    return [...new Set(names)].filter(isMeant);
  }

  #lookOf(rollout: Rollout, namesOf: ReadonlyMap<Rollout, readonly string[]>): Look {
    const { clock, folder, registry, obstacleOf } = this.#parts;
    const { version } = rollout.spec;
    const offer = folder.offer(version);
    const newer = [...namesOf.keys()].filter(({ spec }) => compareVersions(spec.version, version) > 0);
    const meant = new Map(
      newer.map(({ metadata }, index) => [metadata.name, new Set(namesOf.get(newer[index]!))]),
    );
    return {
      now: clock.monotonic(),
      at: clock.now(),
      seenOf: (surface) => this.#seenOf(surface),
      newerRolloutOf: (surface) => [...meant].find(([, names]) => names.has(surface))?.[0] ?? null,
      obstacleOf: (surface) => {
        const known = registry.get(surface);
        const other = this.states().find(
          ({ name, surfaces }) => name !== rollout.metadata.name && isUnderWay(surfaces.get(surface)),
        );
        if (other !== undefined) return `is on its way in the rollout ${other.name}`;
        if (offer === null) return `there is no good bundle of ${version} in the folder of updates`;
        return known === null ? 'not in the registry' : obstacleOf(known, offer);
      },
    };
  }

  #seenOf(surface: string): Seen {
    const { since, ...presence } = this.#surfaces.get(surface) ?? { ...unseen, since: this.#startedAt };
    return { ...presence, forMs: this.#parts.clock.monotonic() - since };
  }

  #tell(problem: string, error: unknown): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#parts.log.error({ err: error }, 'rollouts do not go on; tried again');
  }
}

const isUnderWay = (progress: Progress | undefined): boolean =>
  progress !== undefined && isOnItsWay(progress);
const unseen = { isOnline: false, firmware: null, report: null, answer: null } as const;

/** How a rollout stands, in words. */
export function wordsOf(rollout: Rollout, state: RolloutState): string {
  const counts = countsOf(state);
  const words = { ended: 'ended: ', stopped: 'stopped by failures: ', paused: 'paused: ', running: '' };
  return `${words[standingOf(rollout, state)]}${counts}`;
}

function standingOf(rollout: Rollout, state: RolloutState): Standing {
  if (isEnded(state)) return 'ended';
  if (isStopped(rollout, state)) return 'stopped';
  return rollout.spec.isPaused ? 'paused' : 'running';
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
