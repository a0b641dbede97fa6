/** spec.strategy of a Deployment in numbers. */
import type { Workload } from '../objects.ts';

/** What spec.strategy allows for a number of replicas. */
export interface Room {
  readonly surge: number;
  readonly unavailable: number;
}

/** Resolves maxSurge and maxUnavailable: percentages round up and down, and both cannot be 0. */
export function roomOf(deployment: Workload): Room {
  const { replicas } = deployment.spec;
  const strategy = deployment.spec.strategy as
    | { type?: string; rollingUpdate?: { maxSurge?: unknown; maxUnavailable?: unknown } }
    | undefined;
  if (strategy?.type === 'Recreate') return { surge: 0, unavailable: 0 };
  const surge = resolve(strategy?.rollingUpdate?.maxSurge, replicas, Math.ceil);
  const unavailable = resolve(strategy?.rollingUpdate?.maxUnavailable, replicas, Math.floor);
  return { surge, unavailable: Math.min(replicas, surge === 0 && unavailable === 0 ? 1 : unavailable) };
}

function resolve(value: unknown, replicas: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(String(value));
  return percent === null ? 0 : round((Number(percent[1]) * replicas) / 100);
}
