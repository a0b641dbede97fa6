/**
 * Writes what the gateway knows of its surfaces into their status, sparingly: the API server keeps it in etcd, which is no
 * place for what changes by the second. Changes of one surface are told together, and there is a budget for all.
 */
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../log.ts';
import { TokenBucket } from '../../gateway/rate.ts';
import type { KubeAccess } from '../../kube/access.ts';
import { fields } from '../../kube/read.ts';
import { KubeError } from '../../kube/types.ts';
import { type Facts, statusOf } from './conditions.ts';
import { type KnownStatus, pathOf, recordOf, type SurfaceRecord } from './objects.ts';

/** How much is written. */
export const statusBudget = {
  /** Writes of all surfaces together. */
  perSecond: 20,
  burst: 100,
  /** Of these, writes that nobody waits for. */
  minorPerSecond: 5,
  /** A surface that comes and goes: so many writes at once, then one each `intervalMs`. */
  surfaceBurst: 5,
  intervalMs: 30_000,
  parallel: 8,
  /** Surfaces that are looked at in one go, so that a crowd does not stop everything else. */
  looksPerTick: 1000,
} as const;

const tickMs = 1000;
/** After a conflict the mirror needs a moment to show what there is now. */
const conflictMs = 2000;
const refusedMs = 30_000;
const invalidMs = 300_000;
const failedMs = 5000;

interface Pace {
  readonly bucket: TokenBucket;
  /** Monotonic milliseconds. */
  wroteAt: number;
  notBefore: number;
  /** What the API server answered to the last write, until the mirror shows it. */
  answer: {
    readonly from: string;
    readonly uid: string;
    readonly version: string;
    status: KnownStatus;
  } | null;
}

export interface StatusWriter {
  /** Something about these may be different. */
  mark(names: Iterable<string>): void;
  /** Writes what is due; resolves when that is done. Called every second by itself. */
  tick(): Promise<void>;
  /** Why nothing can be written; null: it can. */
  problem(): string | null;
  /** Surfaces whose status is not written yet. */
  waiting(): number;
  close(): Promise<void>;
}

/** Starts writing. */
export function startStatusWriter(options: {
  readonly access: KubeAccess;
  readonly namespace: string;
  readonly recordOf: (name: string) => SurfaceRecord | null;
  readonly factsOf: (record: SurfaceRecord) => Facts;
  readonly clock: Clock;
  readonly log: Log;
}): StatusWriter {
  const { access, namespace, factsOf, clock, log } = options;
  const path = pathOf('controlsurfaces', namespace);
  const closing = new AbortController();
  const marked = new Set<string>();
  const urgent = new Set<string>();
  const minor = new Set<string>();
  const paces = new Map<string, Pace>();
  const budget = new TokenBucket(statusBudget.perSecond, statusBudget.burst, clock.monotonic());
  const minorBudget = new TokenBucket(
    statusBudget.minorPerSecond,
    statusBudget.minorPerSecond,
    clock.monotonic(),
  );
  let notBefore = 0;
  let problem: string | null = null;
  let ticking: Promise<void> | null = null;

  const paceOf = (name: string): Pace => {
    const known = paces.get(name);
    if (known) return known;
    const { surfaceBurst, intervalMs } = statusBudget;
    const bucket = new TokenBucket(1000 / intervalMs, surfaceBurst, clock.monotonic());
    const pace: Pace = { bucket, wroteAt: Number.NEGATIVE_INFINITY, notBefore: 0, answer: null };
    paces.set(name, pace);
    return pace;
  };
  /** The newer of what the mirror shows and what was answered to our last write. */
  const latest = (record: SurfaceRecord): { readonly version: string; readonly status: KnownStatus } => {
    const { answer } = paceOf(record.name);
    const isAhead = answer?.from === record.resourceVersion && answer.uid === record.uid;
    return isAhead ? answer : { version: record.resourceVersion, status: record.status };
  };
  const nextOf = (record: SurfaceRecord) => statusOf(factsOf(record), latest(record).status, clock.now());

  const sort = (): void => {
    let looks = 0;
    for (const name of marked) {
      if (++looks > statusBudget.looksPerTick) return;
      marked.delete(name);
      const record = options.recordOf(name);
      const change = record === null ? 'none' : nextOf(record).change;
      if (record === null) paces.delete(name);
      if (change === 'transition') urgent.add(name);
      else urgent.delete(name);
      if (change === 'minor') minor.add(name);
      else minor.delete(name);
    }
  };
  /** Those whose turn it is, within all budgets. */
  const due = (): readonly string[] => {
    const now = clock.monotonic();
    const names: string[] = [];
    for (const [queue, isMinor] of [
      [urgent, false],
      [minor, true],
    ] as const) {
      for (const name of queue) {
        const pace = paceOf(name);
        if (pace.notBefore > now) continue;
        if (isMinor && now - pace.wroteAt < statusBudget.intervalMs) continue;
        if (isMinor && !minorBudget.take(now)) break;
        if (!isMinor && !pace.bucket.take(now)) {
          // When the next token is there; the last word is never lost.
          pace.notBefore = now + tickMs;
          continue;
        }
        if (!budget.take(now)) return names;
        queue.delete(name);
        names.push(name);
      }
    }
    return names;
  };

  async function write(name: string): Promise<void> {
    const record = options.recordOf(name);
    if (record === null) return;
    const { version, status: before } = latest(record);
    const { status, change } = statusOf(factsOf(record), before, clock.now());
    if (change === 'none') return;
    const pace = paceOf(name);
    pace.wroteAt = clock.monotonic();
    try {
      const metadata = { uid: record.uid, resourceVersion: version };
      const written = recordOf(
        fields(
          await access.write(
            {
              method: 'PATCH',
              path: `${path}/${encodeURIComponent(name)}/status`,
              body: { metadata, status },
            },
            closing.signal,
          ),
        ),
        record,
      );
      pace.answer = {
        from: record.resourceVersion,
        uid: record.uid,
        version: written.resourceVersion,
        status: written.status,
      };
      problem = null;
    } catch (error) {
      if (closing.signal.aborted) return;
      failed(name, pace, error);
    }
  }
  /** Says when it is tried again, and for whom. */
  function failed(name: string, pace: Pace, error: unknown): void {
    if (!(error instanceof KubeError)) throw error;
    const now = clock.monotonic();
    marked.add(name);
    if (error.status === 409) {
      pace.answer = null;
      pace.notBefore = now + conflictMs;
    }
    // Gone; if the object is still there then its definition has no status, which is told as its age.
    else if (error.status === 404) pace.notBefore = now + refusedMs;
    else if (error.status === 400 || error.status === 422) {
      pace.notBefore = now + invalidMs;
      tell(`the status of ${name} is refused: ${error.message}`);
    } else if (error.status === 401 || error.status === 403) {
      notBefore = now + refusedMs;
      tell(`the status of surfaces cannot be written: ${error.message}`);
    } else {
      notBefore = now + Math.max(failedMs, error.retryAfterMs ?? 0);
      log.debug({ err: error, surface: name }, 'status not written');
    }
  }
  function tell(words: string): void {
    if (problem !== words) log.warn({ problem: words }, 'status cannot be written');
    problem = words;
  }

  const run = async (): Promise<void> => {
    if (clock.monotonic() < notBefore) return;
    sort();
    const names = [...due()];
    const work = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        // What is left of a round that failed has its turn later.
        if (clock.monotonic() < notBefore || closing.signal.aborted) marked.add(name);
        else await write(name);
      }
    };
    await Promise.all(Array.from({ length: statusBudget.parallel }, work));
  };
  const tick = (): Promise<void> => {
    ticking ??= run()
      .catch((error: unknown) => log.error({ err: error }, 'status writer failed'))
      .finally(() => {
        ticking = null;
      });
    return ticking;
  };
  const timer = setInterval(() => void tick(), tickMs);
  timer.unref();

  return {
    mark: (names) => {
      for (const name of names) marked.add(name);
    },
    tick,
    problem: () => problem,
    waiting: () => new Set([...marked, ...urgent, ...minor]).size,
    close: async () => {
      clearInterval(timer);
      closing.abort();
      await ticking;
    },
  };
}
