/** From a MIDI byte to the PUT at the API server, beside kubectl and beside bare requests to the same server. */
import { once } from 'node:events';
import { BareClient } from './bare-client.ts';
import { Fader, faderPanel } from './fader.ts';
import { sharedNow, startProgram } from './processes.ts';
import { binding, namespace, Stack } from './stack.ts';
import { compare, summary } from './statistics.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

/** As `surface.settleMs` is by default: a value counts when it has rested this long. */
const settleMs = 150;
const max = 20;
const low = 4;
const high = 5;
const rounds = { full: 40, quick: 8 };
const warmUpRounds = 4;
const pauseMs = 60;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pauseMs));

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = sharedNow();
  await work();
  return sharedNow() - startedAt;
}

async function run(context: BenchContext): Promise<Findings> {
  const stack = await Stack.start(context, {
    deployments: ['ours', 'kubectl', 'bare', 'pair'].map((name) => ({ name, replicas: low })),
    surfaces: { desk: [binding('fader1', 'ours', max)] },
  });
  const fader = new Fader(await stack.startDevice('desk', faderPanel), max);
  const bare = await BareClient.connect(stack.kubeconfigPath, namespace);
  context.defer(() => bare.close());
  const kubectl = async (replicas: number): Promise<void> => {
    const words = ['scale', 'deployment', 'kubectl', `--replicas=${replicas}`];
    const child = startProgram('kubectl', [
      '--kubeconfig',
      stack.kubeconfigPath,
      '--namespace',
      namespace,
      ...words,
    ]);
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`kubectl scale ended with ${code}`);
  };
  /** Sends something and tells when its write arrived. */
  const arrival = async (send: () => unknown): Promise<{ toWrite: number; toGet: number }> => {
    await stack.clear();
    const passed = stack.passings('write', 1, 5000);
    await pause();
    const startedAt = sharedNow();
    const sent = send();
    const seen = await passed;
    await sent;
    const at = (what: string): number =>
      (seen.find((each) => each.what === what)?.at ?? Number.NaN) - startedAt;
    return { toWrite: at('write'), toGet: at('GET') };
  };

  await fader.takeOver(stack, low, high);
  await kubectl(high);
  const measured = {
    key: [] as number[],
    keyToGet: [] as number[],
    fader: [] as number[],
    kubectl: [] as number[],
    put: [] as number[],
    putArrival: [] as number[],
    pair: [] as number[],
    pairArrival: [] as number[],
  };
  const all = context.isQuick ? rounds.quick : rounds.full;
  for (let round = -warmUpRounds; round < all; round++) {
    // Undone each time, so that the fader has to pick the lower number up before it sets the higher one again.
    fader.pressUndo();
    const key = await arrival(() => fader.releaseUndo());
    fader.move(fader.positionOf(low));
    const faderMs = (await arrival(() => fader.move(fader.positionOf(high)))).toWrite;

    const [first, second] = round % 2 === 0 ? [low, high] : [high, low];
    await pause();
    const kubectlMs = await timed(() => kubectl(first));
    await pause();
    const unversioned = { metadata: { name: 'bare', namespace }, spec: {} };
    const putMs = await timed(() => bare.putScale(unversioned, first));
    const putArrival = await arrival(() => bare.putScale(unversioned, second));
    await pause();
    const getAndPut = async (wanted: number): Promise<void> =>
      bare.putScale(await bare.getScale('pair'), wanted);
    const pairMs = await timed(() => getAndPut(first));
    const pairArrival = await arrival(() => getAndPut(second));
    if (round < 0) continue;
    measured.key.push(key.toWrite);
    measured.keyToGet.push(key.toGet);
    measured.fader.push(faderMs);
    measured.kubectl.push(kubectlMs);
    measured.put.push(putMs);
    measured.putArrival.push(putArrival.toWrite);
    measured.pair.push(pairMs);
    measured.pairArrival.push(pairArrival.toWrite);
  }

  const unit = 'ms';
  const { key, fader: whole, kubectl: kubectlMs, put, pairArrival } = measured;
  const bareKubectl = '`kubectl scale`';
  return {
    rows: [
      {
        what: 'MIDI byte in to PUT at the API server, by a key that needs no settling (undo)',
        unit,
        ...compare(key, kubectlMs),
        peer: bareKubectl,
        aim: { ratioAtMost: 0.1 },
      },
      {
        what: 'the same',
        unit,
        ...compare(key, put),
        peer: 'bare kept-alive PUT, sent to answered',
        aim: { ratioAtMost: 1.5 },
      },
      {
        what: 'the same',
        unit,
        ...compare(key, pairArrival),
        peer: 'bare GET, then PUT, to its arrival',
        aim: null,
      },
      {
        what: `the same by a fader, less the ${settleMs} ms of settling`,
        unit,
        ...compare(
          whole.map((ms) => ms - settleMs),
          put,
        ),
        peer: 'bare kept-alive PUT, sent to answered',
        aim: null,
      },
      {
        what: 'the same by a fader, settling included',
        unit,
        ...compare(whole, kubectlMs),
        peer: bareKubectl,
        aim: null,
      },
    ],
    details: Object.fromEntries(Object.entries(measured).map(([name, values]) => [name, summary(values)])),
  };
}

export const midiToPut: Bench = {
  name: 'midi-to-put',
  title: 'MIDI byte in to PUT at the API server',
  needs: ['kubectl'],
  run,
};
