/** A fader swept at 100 Hz: how many writes reach the API server, beside one write a message. */
import { BareClient } from './bare-client.ts';
import { Fader, faderPanel } from './fader.ts';
import type { Passing } from './parts/api-server.ts';
import { binding, namespace, Stack } from './stack.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

const max = 20;
const rateHz = 100;
const sweepSeconds = { full: 10, quick: 3 };
/** One stroke from end to end. */
const strokeSeconds = 1.3;
/** Where the fader rests in the end: the number that has to be in force then. */
const lastReplicas = 13;

/** Position at a time: strokes up and down. */
function positionAt(seconds: number): number {
  const phase = (seconds / strokeSeconds) % 2;
  return Math.round(127 * (phase < 1 ? phase : 2 - phase));
}

/** Positions of a sweep from the number in force to the last one. */
function sweep(fader: Fader, seconds: number): number[] {
  const positions = Array.from({ length: seconds * rateHz }, (_, index) => positionAt(index / rateHz));
  positions[positions.length - 1] = fader.positionOf(lastReplicas);
  return positions;
}

/** Plays positions at their rate, late ones at once, as a controller would. */
async function play(positions: readonly number[], send: (position: number) => void): Promise<void> {
  const startedAt = performance.now();
  for (const [index, position] of positions.entries()) {
    const waitMs = startedAt + (index * 1000) / rateHz - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    send(position);
  }
}

/** Most writes within any second. */
function mostInASecond(writes: readonly Passing[]): number {
  return Math.max(
    0,
    ...writes.map(({ at }) => writes.filter((other) => other.at >= at && other.at < at + 1000).length),
  );
}

async function run(context: BenchContext): Promise<Findings> {
  const seconds = context.isQuick ? sweepSeconds.quick : sweepSeconds.full;
  const stack = await Stack.start(context, {
    deployments: ['ours', 'naive'].map((name) => ({ name, replicas: 1 })),
    surfaces: { desk: [binding('fader1', 'ours', max)] },
  });
  const fader = new Fader(await stack.startDevice('desk', faderPanel), max);
  const bare = await BareClient.connect(stack.kubeconfigPath, namespace);
  context.defer(() => bare.close());
  const writesOf = async (work: () => Promise<unknown>): Promise<readonly Passing[]> => {
    await stack.clear();
    await work();
    // Longer than settling, pick-up of the last value and its answer take together.
    const passed = await stack.passings('write', Number.POSITIVE_INFINITY, 1500);
    return passed.filter(({ what }) => what === 'write');
  };
  const inForce = async (name: string): Promise<number> => (await bare.getScale(name)).spec.replicas ?? 0;

  await fader.takeOver(stack, 1, 2);
  fader.move(0);
  await stack.passings('write', 2, 2000);
  const positions = sweep(fader, seconds);
  const ours = await writesOf(() => play(positions, (position) => fader.move(position)));
  const oursInForce = await inForce('ours');

  const naive = await writesOf(async () => {
    const under: Promise<void>[] = [];
    await play(positions, (position) => {
      const replicas = 1 + Math.round((position / 127) * (max - 1));
      under.push(bare.putScale({ metadata: { name: 'naive', namespace }, spec: {} }, replicas));
    });
    await Promise.all(under);
  });
  const ratio = ours.length / naive.length;
  return {
    rows: [
      {
        what: `fader swept at ${rateHz} Hz for ${seconds} s: writes to the API a second`,
        unit: 'writes/s',
        ours: ours.length / seconds,
        peer: 'one PUT a message',
        theirs: naive.length / seconds,
        ratio,
        ratioLow: ratio,
        ratioHigh: ratio,
        aim: { oursAtMost: 2 },
        condition: {
          claim: 'the last value is in force at the end',
          holds: oursInForce === lastReplicas,
        },
      },
    ],
    details: {
      messages: positions.length,
      writes: ours.length,
      mostWritesInASecond: mostInASecond(ours),
      inForceAtTheEnd: oursInForce,
      wantedAtTheEnd: lastReplicas,
      naiveWrites: naive.length,
    },
  };
}

export const faderSweep: Bench = {
  name: 'fader-sweep',
  title: 'Writes to the API while a fader is swept',
  needs: [],
  run,
};
