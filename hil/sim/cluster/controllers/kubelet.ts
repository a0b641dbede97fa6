/** The kubelets: start containers, let them become ready, crash or fail to pull, and end Pods that are deleted. */
import { listAt, textAt } from '../json.ts';
import { isDeleting, type Pod } from '../objects.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { BEHAVIOUR, behaviourOf, podsBelow } from './behaviour.ts';
import { report } from './pod-status.ts';

const SLOWDOWN = 6;
const LONGEST_BACK_OFF = 30;
const UNHEALTHY_EVERY_MS = 10_000;

/** What a kubelet remembers of one Pod between two steps. */
interface Run {
  cancel: () => void;
  stage: 'starting' | 'running' | 'ready' | 'unready' | 'waiting' | 'ending';
  restarts: number;
  failures: number;
  startedAt: number;
  lastExit: { code: number; startedAt: number; endedAt: number } | null;
}

/** Runs the kubelets of all nodes. */
export function startKubelets(world: World): void {
  const runs = new Map<string, Run>();
  const kubelet = new Kubelet(world, runs);
  world.store.on(builtin.pods, (event) => {
    const pod = event.object as Pod;
    const { uid } = pod.metadata;
    if (event.type === 'DELETED') {
      runs.get(uid)?.cancel();
      runs.delete(uid);
      return;
    }
    if (pod.spec.nodeName === undefined) return;
    const run = runs.get(uid);
    if (run === undefined) kubelet.begin(pod);
    else if (isDeleting(pod) && run.stage !== 'ending') kubelet.end(pod, run);
  });
  for (const resource of [
    builtin.deployments,
    builtin.statefulSets,
    builtin.replicaSets,
    builtin.replicationControllers,
  ]) {
    world.store.on(resource, (event) => {
      const said = event.object.metadata.annotations?.[BEHAVIOUR];
      if (event.type !== 'MODIFIED' || said === event.previous?.metadata.annotations?.[BEHAVIOUR]) return;
      for (const pod of podsBelow(world, event.object)) {
        const run = runs.get(pod.metadata.uid);
        if (run !== undefined) kubelet.reconsider(pod as Pod, run);
      }
    });
  }
}

class Kubelet {
  private readonly world: World;
  private readonly runs: Map<string, Run>;

  constructor(world: World, runs: Map<string, Run>) {
    this.world = world;
    this.runs = runs;
  }

  begin(pod: Pod): void {
    const run: Run = {
      cancel: () => {},
      stage: 'starting',
      restarts: 0,
      failures: 0,
      startedAt: 0,
      lastExit: null,
    };
    this.runs.set(pod.metadata.uid, run);
    if (isDeleting(pod)) this.end(pod, run);
    else this.create(pod, run);
  }

  end(pod: Pod, run: Run): void {
    run.stage = 'ending';
    this.note(pod, 'Normal', 'Killing', `Stopping container ${containerName(pod)}`);
    this.next(pod, run, this.world.timing.terminateMs, (now) => {
      const done = { ...now, metadata: { ...now.metadata, deletionGracePeriodSeconds: 0 } };
      this.world.store.remove(builtin.pods, this.world.store.update(builtin.pods, done));
    });
  }

  /** The behaviour of the workload was changed. */
  reconsider(pod: Pod, run: Run): void {
    const behaviour = behaviourOf(this.world, pod);
    const isUp = run.stage === 'running' || run.stage === 'ready' || run.stage === 'unready';
    if (!isUp) return;
    const soonMs = this.world.timing.createMs * 4;
    if (behaviour === 'crash') this.next(pod, run, soonMs, (now) => this.crash(now, run));
    else if (behaviour === 'never-ready') this.next(pod, run, soonMs, (now) => this.failProbe(now, run));
    else if (run.stage !== 'ready') this.next(pod, run, soonMs, (now) => this.becomeReady(now, run));
  }

  private create(pod: Pod, run: Run): void {
    const behaviour = behaviourOf(this.world, pod);
    const { startMs, createMs } = this.world.timing;
    if (behaviour === 'pull-error') {
      this.next(pod, run, createMs, (now) => this.failPull(now, run));
      return;
    }
    if (startMs === 0) {
      this.next(pod, run, 0, (now) => this.start(now, run));
      return;
    }
    this.next(pod, run, createMs, (now) => {
      const state = { name: 'waiting', reason: 'ContainerCreating', message: '' } as const;
      report(this.world, now, { ...run, phase: 'Pending', isReady: false, state });
      const factor = behaviour === 'slow' ? SLOWDOWN : 1;
      this.next(now, run, startMs * factor, (later) => this.start(later, run));
    });
  }

  private start(pod: Pod, run: Run): void {
    const { readyMs, crashMs } = this.world.timing;
    const behaviour = behaviourOf(this.world, pod);
    run.startedAt = this.world.now();
    run.stage = 'running';
    const container = containerName(pod);
    this.note(pod, 'Normal', 'Pulled', `Container image "${imageOf(pod)}" already present on machine`);
    this.note(pod, 'Normal', 'Created', `Created container: ${container}`);
    this.note(pod, 'Normal', 'Started', `Started container ${container}`);
    if (behaviour === 'crash') {
      this.reportRunning(pod, run, false);
      this.next(pod, run, crashMs, (now) => this.crash(now, run));
    } else if (behaviour === 'never-ready') {
      this.failProbe(pod, run);
    } else if (readyMs === 0) {
      this.becomeReady(pod, run);
    } else {
      this.reportRunning(pod, run, false);
      const factor = behaviour === 'slow' ? SLOWDOWN : 1;
      this.next(pod, run, readyMs * factor, (now) => this.becomeReady(now, run));
    }
  }

  private becomeReady(pod: Pod, run: Run): void {
    run.stage = 'ready';
    run.failures = 0;
    this.reportRunning(pod, run, true);
  }

  private failProbe(pod: Pod, run: Run): void {
    if (run.stage !== 'unready') this.reportRunning(pod, run, false);
    run.stage = 'unready';
    this.note(pod, 'Warning', 'Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 503');
    this.next(pod, run, UNHEALTHY_EVERY_MS, (now) => this.failProbe(now, run));
  }

  private crash(pod: Pod, run: Run): void {
    run.stage = 'waiting';
    run.lastExit = { code: 1, startedAt: run.startedAt, endedAt: this.world.now() };
    report(this.world, pod, { ...run, phase: 'Running', isReady: false, state: { name: 'terminated' } });
    this.next(pod, run, this.world.timing.createMs * 8, (now) => {
      const waitMs = this.backOff(run);
      const seconds = Math.max(1, Math.round(waitMs / 1000));
      const text =
        `back-off ${seconds}s restarting failed container=${containerName(now)} ` +
        `pod=${now.metadata.name}_${now.metadata.namespace}(${now.metadata.uid})`;
      const state = { name: 'waiting', reason: 'CrashLoopBackOff', message: text } as const;
      report(this.world, now, { ...run, phase: 'Running', isReady: false, state });
      const event = `Back-off restarting failed container ${containerName(now)} in pod ${now.metadata.name}`;
      const place = `_${now.metadata.namespace}(${now.metadata.uid})`;
      this.note(now, 'Warning', 'BackOff', `${event}${place}`);
      this.next(now, run, waitMs, (later) => {
        run.restarts++;
        this.start(later, run);
      });
    });
  }

  private failPull(pod: Pod, run: Run): void {
    const image = imageOf(pod);
    if (behaviourOf(this.world, pod) !== 'pull-error') {
      this.start(pod, run);
      return;
    }
    run.stage = 'waiting';
    const why = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`;
    const failed = { name: 'waiting', reason: 'ErrImagePull', message: why } as const;
    report(this.world, pod, { ...run, phase: 'Pending', isReady: false, state: failed });
    this.note(pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${why}`);
    this.note(pod, 'Warning', 'Failed', 'Error: ErrImagePull');
    this.next(pod, run, this.world.timing.createMs * 8, (now) => {
      const text = `Back-off pulling image "${image}"`;
      const state = { name: 'waiting', reason: 'ImagePullBackOff', message: text } as const;
      report(this.world, now, { ...run, phase: 'Pending', isReady: false, state });
      this.note(now, 'Normal', 'BackOff', text);
      this.note(now, 'Warning', 'Failed', 'Error: ImagePullBackOff');
      this.next(now, run, this.backOff(run), (later) => this.failPull(later, run));
    });
  }

  private backOff(run: Run): number {
    const factor = Math.min(LONGEST_BACK_OFF, 2 ** run.failures);
    run.failures++;
    return this.world.timing.backOffMs * factor;
  }

  private reportRunning(pod: Pod, run: Run, isReady: boolean): void {
    const state = { name: 'running', startedAt: run.startedAt } as const;
    report(this.world, pod, { ...run, phase: 'Running', isReady, state });
  }

  private note(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const path = `spec.containers{${containerName(pod)}}`;
    this.world.events.record(pod, type, reason, message, 'kubelet', path);
  }

  /** One step is pending per Pod: a newer one replaces it, and a Pod that is gone has none. */
  private next(pod: Pod, run: Run, delayMs: number, step: (pod: Pod) => void): void {
    run.cancel();
    run.cancel = this.world.timers.after(this.world.random.jitter(delayMs), () => {
      const now = this.world.store.of(builtin.pods).objects.get(keyOf(pod));
      if (now?.metadata.uid === pod.metadata.uid) step(now as Pod);
    });
  }
}

function containerName(pod: Pod): string {
  return textAt(listAt(pod, 'spec', 'containers')[0], 'name');
}

function imageOf(pod: Pod): string {
  return textAt(listAt(pod, 'spec', 'containers')[0], 'image');
}
