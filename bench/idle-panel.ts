/** What `surfaced device` costs while nobody touches its large panel, beside a naive poller of the same parts. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { resultMark } from './parts/in-rig.ts';
import { endProcess, startProgram } from './processes.ts';
import { rigNeeds, runInRig } from './rig.ts';
import { compare } from './statistics.ts';
import type { Aim, Bench, BenchContext, Findings, Row } from './types.ts';

/** What a measurement is to be. */
export interface IdleInput {
  /** Length of one measurement. */
  readonly seconds: number;
  readonly rounds: number;
}

/** One process and its buses at rest, all but the shares a second. */
export interface Rest {
  /** Of one processor. */
  readonly cpuPercent: number;
  /** Voluntary context switches of all threads. */
  readonly wakeUps: number;
  readonly transfers: number;
  readonly bytes: number;
  /** How much of its time the busier bus would be busy at 400 kHz. */
  readonly busPercent: number;
  /** Bytes that set lights. */
  readonly lightBytes: number;
}

/** One round. */
export interface IdleRound {
  readonly ours: Rest;
  readonly theirs: Rest;
}

const size = { full: { seconds: 15, rounds: 3 }, quick: { seconds: 8, rounds: 1 } };
const timeoutMs = 900_000;
const file = 'bench/parts/idle-panel-rounds.ts';
const peer = 'naive poller over i2c-bus: inputs every 10 ms, whole frames 30 times a second';

/** The same part on this host; from source, as in the rig. */
async function runHere(context: BenchContext, input: IdleInput): Promise<IdleRound[]> {
  const child = startProgram(process.execPath, ['--import=tsx', file, JSON.stringify(input)]);
  context.defer(() => endProcess(child));
  child.stderr?.pipe(process.stderr, { end: false });
  let result: IdleRound[] | null = null;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line.startsWith(resultMark)) result = JSON.parse(line.slice(resultMark.length)) as IdleRound[];
    else context.say(`  ${line}`);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || result === null) throw new Error(`${file} ended with ${code}; its last words are above`);
  return result;
}

function row(
  what: string,
  unit: string,
  figure: keyof Rest,
  rounds: readonly IdleRound[],
  aim: Aim | null,
): Row {
  const ours = rounds.map((round) => round.ours[figure]);
  const theirs = rounds.map((round) => round.theirs[figure]);
  return { what, unit, ...compare(ours, theirs), peer, aim };
}

async function run(context: BenchContext): Promise<Findings> {
  const input = context.isQuick ? size.quick : size.full;
  const here = await runHere(context, input);
  const inRig = await runInRig<IdleRound[]>(context, { file, input, timeoutMs });
  const all = [...here, ...inRig];
  return {
    rows: [
      // At rest a panel may have a twentieth of one core, whatever is on it: the rest is for gestures and lights.
      row('large panel at rest, its I2C parts: CPU of one processor', '%', 'cpuPercent', here, {
        oursAtMost: 5,
      }),
      row('the same: wake-ups a second, all threads', '1/s', 'wakeUps', here, null),
      row('the same: transfers on its two buses a second', '1/s', 'transfers', here, null),
      row('the same: time of the busier bus at 400 kHz', '%', 'busPercent', here, null),
      row('the same on kernel devices, lines and all, in the rig: CPU', '%', 'cpuPercent', inRig, null),
      row('the same in the rig: wake-ups a second', '1/s', 'wakeUps', inRig, null),
      {
        ...row(
          'large panel at rest, here and in the rig: bytes that set lights',
          'bytes/s',
          'lightBytes',
          all,
          {
            oursAtMost: 0,
          },
        ),
        condition: { claim: 'in every round', holds: all.every(({ ours }) => ours.lightBytes === 0) },
      },
    ],
    details: { ...input, here, inRig },
  };
}

/** Idle CPU, wake-ups and bus of the device role with everything attached that a large panel has. */
export const idlePanel: Bench = {
  name: 'idle-panel',
  title: 'Large panel, idle',
  needs: rigNeeds,
  run,
};
