/**
 * The registry as ControlSurfaces in the cluster, listed and watched. An object with a fault keeps its last good version;
 * an API server that is away, a definition that is gone and rights that were withdrawn change nothing of what is known,
 * and are told.
 */
import type { Clock } from '../../../clock.ts';
import type { ControlSurface } from '../../../config/schema.ts';
import { SurfacedError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { MirroringAccess } from '../../kube/access.ts';
import { changedNames } from '../changes.ts';
import type { Registry } from '../types.ts';
import { checkDefinitions, type DefinitionProblem } from './definitions.ts';
import { pathOf, recordOf, remedyOf, type SurfaceRecord } from './objects.ts';
import { keepSnapshot, readSnapshot } from './snapshot.ts';

/** More objects than that are left out: a gateway has room for so many. */
export const maxSurfaces = 5000;
const maxProblemsTold = 50;

/** Durations; tests shorten them. */
export interface ClusterRegistryTiming {
  /** A start waits so long for the first list before it goes by what was known last, milliseconds. */
  readonly startMs: number;
  /** How often the definitions are looked at, milliseconds. */
  readonly definitionsMs: number;
  /** Least time between two writes of the snapshot, milliseconds. */
  readonly snapshotMs: number;
}

export const clusterRegistryTiming: ClusterRegistryTiming = {
  startMs: 10_000,
  definitionsMs: 600_000,
  snapshotMs: 10_000,
};

/** The registry, and the objects behind it. */
export interface ClusterRegistry extends Registry {
  /** Objects as they were seen last, by name; empty until the first list of this process. */
  records(): ReadonlyMap<string, SurfaceRecord>;
  /** Whether a list of this process has succeeded: until then everything is what was known last. */
  isSynced(): boolean;
  /** Called after any change of objects, their status included, with the names of those that are there. */
  onRecords(listener: (names: readonly string[]) => void): void;
}

/**
 * Lists the namespace and watches it from then on.
 * @throws SurfacedError E_REGISTRY when nothing can be listed and nothing is known from an earlier start
 */
export async function openClusterRegistry(options: {
  readonly access: MirroringAccess;
  readonly namespace: string;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timing: ClusterRegistryTiming;
}): Promise<ClusterRegistry> {
  const { access, namespace, stateDir, log, timing } = options;
  const source = `ControlSurfaces in namespace ${namespace}`;
  const closing = new AbortController();
  const listeners: ((names: readonly string[]) => void)[] = [];
  const recordListeners: ((names: readonly string[]) => void)[] = [];
  let surfaces: ReadonlyMap<string, ControlSurface> = new Map();
  let records: ReadonlyMap<string, SurfaceRecord> = new Map();
  let faults: readonly DefinitionProblem[] = [];
  let definitions: readonly DefinitionProblem[] = [];
  let hasFailed = false;
  let onFirst = (): void => {};

  const snapshot = keepSnapshot({
    stateDir,
    namespace,
    surfaces: () => [...surfaces.values()],
    pauseMs: timing.snapshotMs,
    log,
  });
  let isLooking = false;
  const lookAtDefinitions = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      const found = await checkDefinitions(access, closing.signal);
      report(definitions, found);
      definitions = found;
    } catch (error) {
      // That it does not answer is told by the list already.
      log.debug({ err: error }, 'definitions not looked at');
    }
    isLooking = false;
  };
  /** Logs what is new, not what is known. */
  const report = (before: readonly DefinitionProblem[], after: readonly DefinitionProblem[]): void => {
    const told = new Set(before.map(({ source, message }) => `${source}\n${message}`));
    for (const { source, message } of after)
      if (!told.has(`${source}\n${message}`)) log.warn({ source, problem: message }, 'registry problem');
  };

  const look = (): void => {
    const { reflector } = lease;
    if (reflector.failure !== null) hasFailed = true;
    else if (hasFailed && reflector.isSynced) {
      hasFailed = false;
      // Whatever it was: the definitions may be others now.
      void lookAtDefinitions();
    }
    if (reflector.isSynced) take([...reflector.items.values()]);
    if (reflector.isSynced || reflector.failure !== null) onFirst();
  };
  const take = (items: readonly SurfaceRecord[]): void => {
    const kept = items.slice(0, maxSurfaces);
    const earlier = records;
    records = new Map(kept.map((record) => [record.name, record]));
    const touched = kept.filter((record) => earlier.get(record.name) !== record).map(({ name }) => name);
    const found = kept.flatMap(({ name, problem, surface }) => {
      if (problem === null) return [];
      const stays = surface === null ? '' : '; the last good version stays in force';
      return [{ source: `ControlSurface ${namespace}/${name}`, message: `${problem}${stays}` }];
    });
    if (items.length > kept.length)
      found.push({ source, message: `more than ${maxSurfaces}; ${items.length - kept.length} are left out` });
    report(faults, found);
    faults = found;
    const before = surfaces;
    surfaces = new Map(kept.flatMap(({ name, surface }) => (surface === null ? [] : [[name, surface]])));
    const names = changedNames(before, surfaces);
    if (names.length > 0) {
      snapshot.touch();
      for (const listener of listeners) listener(names);
    }
    for (const listener of recordListeners) listener(touched);
  };

  const lease = access.mirror<SurfaceRecord>(
    { path: pathOf('controlsurfaces', namespace), selector: {}, isOptional: false, parse: recordOf },
    look,
  );
  const timer = setInterval(() => void lookAtDefinitions(), timing.definitionsMs);
  timer.unref();
  const close = async (): Promise<void> => {
    closing.abort();
    clearInterval(timer);
    lease.release();
    listeners.length = 0;
    recordListeners.length = 0;
    await snapshot.close();
  };

  await firstList();
  if (!lease.reflector.isSynced) {
    const kept = await readSnapshot(stateDir, namespace, log);
    const { failure } = lease.reflector;
    const why = failure
      ? remedyOf(failure, 'controlsurfaces', namespace)
      : 'the API server has not answered in time';
    if (kept === null) {
      await close();
      throw new SurfacedError('E_REGISTRY', `${source}: ${why}`, { cause: failure });
    }
    log.warn({ source, surfaces: kept.length, why }, 'the registry is what was known last');
    if (!lease.reflector.isSynced)
      surfaces = new Map(kept.map((surface) => [surface.metadata.name, surface]));
  }
  void lookAtDefinitions();

  /** Waits for the first list, for a refusal that only people can end, or until it has taken too long. */
  async function firstList(): Promise<void> {
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, timing.startMs);
      onFirst = () => {
        const { isSynced, failure } = lease.reflector;
        const isRefused = failure !== null && failure.status >= 400 && failure.status < 429;
        if (!isSynced && !isRefused) return;
        clearTimeout(late);
        resolve();
      };
      look();
    });
    onFirst = () => {};
  }

  return {
    list: () => [...surfaces.values()],
    get: (name) => surfaces.get(name) ?? null,
    problems: () => {
      const { failure, isSynced } = lease.reflector;
      const away = failure
        ? `${remedyOf(failure, 'controlsurfaces', namespace)}; what was read last stays in force`
        : isSynced
          ? null
          : 'not read yet; what was known last is in force';
      const all = [...(away === null ? [] : [{ source, message: away }]), ...definitions, ...faults];
      return all.slice(0, maxProblemsTold);
    },
    records: () => records,
    isSynced: () => lease.reflector.isSynced,
    onChange: (listener) => {
      listeners.push(listener);
    },
    onRecords: (listener) => {
      recordListeners.push(listener);
    },
    close,
  };
}
