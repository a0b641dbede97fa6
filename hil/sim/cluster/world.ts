/** What every part of the simulated cluster works with. */
import type { Log } from '../../../daemon/log.ts';
import type { EventRecorder } from './controllers/events.ts';
import type { Random } from './random.ts';
import type { Resources } from './resources.ts';
import type { Store } from './store.ts';
import type { Timers } from './timers.ts';

/** How long things take. Every duration but the periods varies by 30 %; 0 means at once. */
export interface SimTiming {
  /** One hop of a controller: seeing a change and acting on it. */
  readonly createMs: number;
  /** From creation of a Pod to its node. */
  readonly scheduleMs: number;
  /** From the node to the running container; the Pod says ContainerCreating. */
  readonly startMs: number;
  /** From running to ready. 0 makes a Pod ready in the same step. */
  readonly readyMs: number;
  /** From the deletion of a Pod to its end. */
  readonly terminateMs: number;
  /** How long a crashing container runs. */
  readonly crashMs: number;
  /** First wait of CrashLoopBackOff and ImagePullBackOff; it doubles up to 30 times. */
  readonly backOffMs: number;
  /** Period of the autoscaler. */
  readonly hpaSyncMs: number;
  /** Period of bookmarks on watches that ask for them. */
  readonly bookmarkMs: number;
  /** Until a GitOps tool sets back what somebody else changed. */
  readonly revertMs: number;
}

/** A small healthy cluster with images in its cache. */
export const defaultTiming: SimTiming = {
  createMs: 25,
  scheduleMs: 40,
  startMs: 900,
  readyMs: 600,
  terminateMs: 1200,
  crashMs: 1500,
  backOffMs: 4000,
  hpaSyncMs: 15_000,
  bookmarkMs: 60_000,
  revertMs: 2000,
};

/** The shared parts. */
export interface World {
  readonly store: Store;
  readonly resources: Resources;
  readonly timers: Timers;
  readonly random: Random;
  readonly timing: SimTiming;
  readonly events: EventRecorder;
  readonly log: Log;
  now(): number;
}
