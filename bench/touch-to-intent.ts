/** From an edge on the kernel's lines, or a change of a part, to the intent that leaves the daemon and to the PUT. */
import { debounceMs } from '../daemon/hw/signal/button.ts';
import { padHoldMs } from '../daemon/surface/pads.ts';
import { rigNeeds, runInRig } from './rig.ts';
import { compare, summary } from './statistics.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

/** What the rig is asked to do. */
export interface TouchInput {
  readonly rounds: number;
}

/** Controls that are touched. */
export type Touched = 'encoder' | 'button' | 'pad' | 'fader';

/** One touch: milliseconds from it to the intent on its way, and to the arrival of the write. */
export interface TouchTimes {
  readonly toIntent: number;
  readonly toWrite: number;
}

/** One round: our times, and those of the bare loops from the same touch to its being seen. */
export interface TouchRound {
  readonly ours: Readonly<Record<Touched, TouchTimes>>;
  /** Lines stand for encoder and button. */
  readonly bare: Readonly<Record<'line' | 'pad' | 'fader', number>>;
  /** A bare PUT, sent to arrived. */
  readonly put: number;
}

/** As `surface.settleMs` is by default. */
const settleMs = 150;
const rounds = { full: 25, quick: 5 };
const timeoutMs = 900_000;

const kinds: Readonly<
  Record<
    Touched,
    { what: string; waitMs: number; waits: string; bare: keyof TouchRound['bare']; peer: string }
  >
> = {
  encoder: {
    what: 'encoder on the character device, last edge of a detent',
    waitMs: settleMs,
    waits: 'settling',
    bare: 'line',
    peer: 'bare blocking read of line events',
  },
  button: {
    what: 'push button on the character device (undo), its release',
    waitMs: debounceMs,
    waits: 'debouncing',
    bare: 'line',
    peer: 'bare blocking read of line events',
  },
  pad: {
    what: 'NeoTrellis pad on the I2C bus',
    waitMs: padHoldMs,
    waits: 'holding',
    bare: 'pad',
    peer: 'bare i2c-bus loop on that part alone',
  },
  fader: {
    what: 'ADS1115 fader on the I2C bus',
    waitMs: settleMs,
    waits: 'settling',
    bare: 'fader',
    peer: 'bare i2c-bus loop on that channel alone',
  },
};

/** Both rows of a control; what is there to wait for on purpose is taken off. */
export function touchRows(touched: Touched, all: readonly TouchRound[]): Row[] {
  const { what, waitMs, waits, bare, peer } = kinds[touched];
  const bareMs = all.map((round) => round.bare[bare]);
  return [
    {
      what: `${what}, to the intent leaving the daemon, less the ${waitMs} ms of ${waits}`,
      unit: 'ms',
      ...compare(
        all.map(({ ours }) => ours[touched].toIntent - waitMs),
        bareMs,
      ),
      peer,
      aim: null,
    },
    {
      what: 'the same, to the PUT at the API server',
      unit: 'ms',
      ...compare(
        all.map(({ ours }) => ours[touched].toWrite - waitMs),
        all.map(({ put }, round) => (bareMs[round] ?? Number.NaN) + put),
      ),
      peer: `${peer}, and a bare PUT to its arrival`,
      aim: null,
    },
  ];
}

async function run(context: BenchContext): Promise<Findings> {
  const input: TouchInput = { rounds: context.isQuick ? rounds.quick : rounds.full };
  const file = 'bench/parts/touch-rounds.ts';
  const all = await runInRig<TouchRound[]>(context, { file, input, timeoutMs });
  const touched = Object.keys(kinds) as Touched[];
  return {
    rows: touched.flatMap((each) => touchRows(each, all)),
    details: {
      settleMs,
      ...Object.fromEntries(
        touched.flatMap((each) => [
          [`${each}ToIntent`, summary(all.map(({ ours }) => ours[each].toIntent))],
          [`${each}ToWrite`, summary(all.map(({ ours }) => ours[each].toWrite))],
        ]),
      ),
      bareLine: summary(all.map(({ bare }) => bare.line)),
      barePad: summary(all.map(({ bare }) => bare.pad)),
      bareFader: summary(all.map(({ bare }) => bare.fader)),
      barePut: summary(all.map(({ put }) => put)),
    },
  };
}

/** Touch to intent through the kernel. */
export const touchToIntent: Bench = {
  name: 'touch-to-intent',
  title: 'Touch to intent, through the kernel',
  needs: rigNeeds,
  run,
};
