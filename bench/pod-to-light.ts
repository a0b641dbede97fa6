/** From a change of a Pod, as it leaves the API server, to the bytes of its light, beside readers of the same watch. */
import { BareClient } from './bare-client.ts';
import { endProcess, sharedNow, startProgram } from './processes.ts';
import { binding, namespace, Stack } from './stack.ts';
import { compare, summary } from './statistics.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

const rounds = { full: 30, quick: 8 };
/** Note of the top left pad of a Launchpad in programmer mode: the light of the first Pod. */
const firstPad = 81;
/** `03 <pad>`: an RGB colour in the SysEx that sets lights (Launchpad Mini MK3 programmer's reference). */
const setsFirstPad = Buffer.from([0x03, firstPad]);
const quietMs = 400;

/** Remembers when it was last told of something, and tells who waits. */
class Watcher {
  #seenAt: number | null = null;
  #onSeen = (): void => {};

  /** Forgets what was seen. */
  arm(): void {
    this.#seenAt = null;
  }

  see(): void {
    this.#seenAt ??= sharedNow();
    this.#onSeen();
  }

  /** When it was first seen after `arm`. */
  async at(what: string): Promise<number> {
    if (this.#seenAt === null) {
      const problem = new Error(`${what} saw nothing of the Pod's change for 5 s`);
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(problem), 5000);
        this.#onSeen = (): void => {
          clearTimeout(late);
          resolve();
        };
      });
    }
    return this.#seenAt ?? Number.NaN;
  }
}

async function run(context: BenchContext): Promise<Findings> {
  const stack = await Stack.start(context, {
    deployments: [{ name: 'web', replicas: 1 }],
    surfaces: { desk: [binding('row1', 'web', 8)] },
  });
  const light = new Watcher();
  const kubectlLine = new Watcher();
  const bareLine = new Watcher();

  const terminal = await stack.startDevice('desk', { preset: 'launchpad-mini-mk3' });
  let lastBytesAt = sharedNow();
  terminal.onData = (bytes) => {
    lastBytesAt = sharedNow();
    if (Buffer.from(bytes).includes(setsFirstPad)) light.see();
  };
  const words = ['get', 'pods', '--watch', '--no-headers'];
  const kubectl = startProgram('kubectl', [
    '--kubeconfig',
    stack.kubeconfigPath,
    '--namespace',
    namespace,
    ...words,
  ]);
  context.defer(() => endProcess(kubectl));
  kubectl.stdout?.on('data', () => kubectlLine.see());
  const bare = await BareClient.connect(stack.kubeconfigPath, namespace);
  context.defer(() => bare.close());
  const reading = new AbortController();
  const read = bare
    .watchPods(reading.signal, (text) => {
      if (text.includes('"MODIFIED"')) bareLine.see();
    })
    .catch(() => {});
  context.defer(() => {
    reading.abort();
    return read;
  });
  /** Steady lights send nothing; a Pod that is not ready pulses. */
  const quiet = async (): Promise<void> => {
    do await new Promise((resolve) => setTimeout(resolve, 50));
    while (sharedNow() - lastBytesAt < quietMs);
  };

  await light.at('the Launchpad');
  await kubectlLine.at('kubectl');
  const ours: number[] = [];
  const theirs = { kubectl: [] as number[], bare: [] as number[] };
  const all = context.isQuick ? rounds.quick : rounds.full;
  const warmUp = 2;
  for (let round = -warmUp; round < all; round++) {
    await quiet();
    for (const watcher of [light, kubectlLine, bareLine]) watcher.arm();
    await stack.clear();
    await stack.setNeverReady('web', true);
    const passed = await stack.passings('pod-event', 1, 5000);
    const leftAt = passed.find(({ what }) => what === 'pod-event')?.at ?? Number.NaN;
    const took = {
      light: (await light.at('the Launchpad')) - leftAt,
      kubectl: (await kubectlLine.at('kubectl')) - leftAt,
      bare: (await bareLine.at('the bare watch')) - leftAt,
    };
    await stack.setNeverReady('web', false);
    if (round < 0) continue;
    ours.push(took.light);
    theirs.kubectl.push(took.kubectl);
    theirs.bare.push(took.bare);
  }
  const what = 'Pod change leaves the API server to bytes of its light';
  return {
    rows: [
      {
        what,
        unit: 'ms',
        ...compare(ours, theirs.kubectl),
        peer: 'line of `kubectl get pods --watch`',
        aim: null,
      },
      { what: 'the same', unit: 'ms', ...compare(ours, theirs.bare), peer: 'bare watch', aim: null },
    ],
    details: { light: summary(ours), kubectl: summary(theirs.kubectl), bareWatch: summary(theirs.bare) },
  };
}

export const podToLight: Bench = {
  name: 'pod-to-light',
  title: 'Pod change to light bytes',
  needs: ['kubectl'],
  run,
};
