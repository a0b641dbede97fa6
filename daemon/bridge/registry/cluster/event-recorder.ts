/**
 * Kubernetes Events (events.k8s.io/v1), as series: what happens again within minutes is counted in one Event, so that a
 * knob that is turned is one line of `kubectl events`. Their number and their writes are bounded; they are news, not a record:
 * that is the audit log.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import { TokenBucket } from '../../gateway/rate.ts';
import type { KubeAccess } from '../../kube/access.ts';
import { KubeError } from '../../kube/types.ts';

/** How much there may be. */
export const eventLimits = {
  /** Series that are followed. */
  most: 1000,
  perSecond: 5,
  burst: 25,
  /** A series ends when nothing was added for so long (client-go, tools/events: 6 minutes), milliseconds. */
  quietMs: 360_000,
  /** Its first count is written after this, later ones each `countMs`, milliseconds. */
  firstCountMs: 5000,
  countMs: 60_000,
} as const;

const tickMs = 1000;
const refusedMs = 60_000;
const failedMs = 5000;
const controller = 'surfaced.dev/gateway';

/** An object that an Event is about. */
export interface Subject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Null: not known; `kubectl describe` does not find the Event then. */
  readonly uid: string | null;
}

/** Where Events on an object are: those on what is in no namespace, such as a Node, are in `default`. */
const spaceOf = ({ namespace }: Subject): string => namespace || 'default';

/** One thing that happened. */
export interface Occurrence {
  readonly regarding: Subject;
  readonly related: Subject | null;
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase. */
  readonly reason: string;
  /** What was done or refused, in CamelCase. */
  readonly action: string;
  /** For people. That of a series is its first one's: the API does not let it change. */
  readonly note: string;
}

interface Series {
  readonly occurrence: Occurrence;
  /** Name of the Event. */
  readonly name: string;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** Count that the API server has; 0: the Event is not made yet. */
  written: number;
  /** Monotonic milliseconds. */
  dueAt: number;
  heardAt: number;
}

export interface EventRecorder {
  record(occurrence: Occurrence): void;
  /** Writes what is due. Called every second by itself. */
  tick(): Promise<void>;
  problem(): string | null;
  /** Things that happened and are in no Event, because there were too many. */
  dropped(): number;
  /** Writes counts that are not written yet, as far as that goes at once. */
  close(): Promise<void>;
}

/** micro time of meta/v1. */
const microTime = (unixMs: number): string => new Date(unixMs).toISOString().replace('Z', '000Z');

/** @param options.instance name of this gateway */
export function createEventRecorder(options: {
  readonly access: KubeAccess;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}): EventRecorder {
  const { access, instance, clock, log } = options;
  const closing = new AbortController();
  const all = new Map<string, Series>();
  const budget = new TokenBucket(eventLimits.perSecond, eventLimits.burst, clock.monotonic());
  /** Namespaces that refuse: until when, monotonic milliseconds. */
  const refused = new Map<string, number>();
  let notBefore = 0;
  let problem: string | null = null;
  let dropped = 0;
  let ticking: Promise<void> | null = null;

  const keyOf = ({ regarding, related, type, reason, action }: Occurrence): string =>
    JSON.stringify([regarding, related?.kind, related?.namespace, related?.name, type, reason, action]);

  const record = (occurrence: Occurrence): void => {
    const key = keyOf(occurrence);
    const known = all.get(key);
    const now = clock.now();
    if (known && clock.monotonic() - known.heardAt < eventLimits.quietMs) {
      known.count++;
      known.lastAt = now;
      known.heardAt = clock.monotonic();
      return;
    }
    if (!known && all.size >= eventLimits.most) {
      dropped++;
      return;
    }
    const suffix = `.${now.toString(16)}${randomBytes(3).toString('hex')}`;
    all.set(key, {
      occurrence,
      name: `${occurrence.regarding.name.slice(0, 200)}${suffix}`,
      firstAt: now,
      lastAt: now,
      count: 1,
      written: 0,
      dueAt: 0,
      heardAt: clock.monotonic(),
    });
  };

  const pathOf = (namespace: string): string =>
    `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
  const reference = ({ uid, ...subject }: Subject) => ({ ...subject, ...(uid !== null && { uid }) });

  async function make(series: Series): Promise<void> {
    const { regarding, related, type, reason, action, note } = series.occurrence;
    const { count } = series;
    await access.write(
      {
        method: 'POST',
        path: pathOf(spaceOf(regarding)),
        body: {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { name: series.name, namespace: spaceOf(regarding) },
          eventTime: microTime(series.firstAt),
          reportingController: controller,
          reportingInstance: instance,
          action,
          reason,
          regarding: reference(regarding),
          ...(related && { related: reference(related) }),
          note: note.slice(0, 1024),
          type,
          ...(count > 1 && { series: { count, lastObservedTime: microTime(series.lastAt) } }),
        },
      },
      closing.signal,
    );
    series.written = count;
    series.dueAt = clock.monotonic() + eventLimits.firstCountMs;
  }

  async function bringUpToDate(series: Series): Promise<void> {
    const { count, lastAt, name } = series;
    const namespace = spaceOf(series.occurrence.regarding);
    try {
      await access.write(
        {
          method: 'PATCH',
          path: `${pathOf(namespace)}/${name}`,
          body: { series: { count, lastObservedTime: microTime(lastAt) } },
        },
        closing.signal,
      );
      series.written = count;
      series.dueAt = clock.monotonic() + eventLimits.countMs;
    } catch (error) {
      // Events live for an hour in most clusters.
      if (!(error instanceof KubeError) || error.status !== 404) throw error;
      await make(series);
    }
  }

  async function write(key: string, series: Series): Promise<void> {
    const namespace = spaceOf(series.occurrence.regarding);
    try {
      await (series.written === 0 ? make(series) : bringUpToDate(series));
      problem = null;
    } catch (error) {
      if (closing.signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      const now = clock.monotonic();
      const words = `Events in namespace ${namespace} cannot be written: ${error.message}`;
      if (error.status === 401 || error.status === 403) refused.set(namespace, now + refusedMs);
      // Its namespace is gone, or the API server does not like it: it is news no more.
      else if (error.status >= 400 && error.status < 429) all.delete(key);
      else notBefore = now + Math.max(failedMs, error.retryAfterMs ?? 0);
      if (problem !== words) log.warn({ problem: words }, 'Events cannot be written');
      problem = words;
    }
  }

  const run = async (isLast: boolean): Promise<void> => {
    const now = clock.monotonic();
    if (now < notBefore) return;
    for (const [key, series] of all) {
      const isQuiet = now - series.heardAt >= eventLimits.quietMs;
      if (series.count === series.written || isQuiet) {
        if (isQuiet) all.delete(key);
        continue;
      }
      if (series.dueAt > now && !isLast) continue;
      if ((refused.get(spaceOf(series.occurrence.regarding)) ?? 0) > now) continue;
      if (!budget.take(clock.monotonic())) return;
      await write(key, series);
      if (clock.monotonic() < notBefore || closing.signal.aborted) return;
    }
  };
  const tick = (isLast = false): Promise<void> => {
    ticking ??= run(isLast)
      .catch((error: unknown) => log.error({ err: error }, 'Events not written'))
      .finally(() => {
        ticking = null;
      });
    return ticking;
  };
  const timer = setInterval(() => void tick(), tickMs);
  timer.unref();

  return {
    record,
    tick: () => tick(),
    problem: () => problem,
    dropped: () => dropped,
    close: async () => {
      clearInterval(timer);
      const giveUp = setTimeout(() => closing.abort(), 1000);
      await ticking;
      await tick(true);
      clearTimeout(giveUp);
      closing.abort();
    },
  };
}
