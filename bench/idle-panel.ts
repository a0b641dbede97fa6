/** What `surfaced device` costs while nobody touches its large panel, beside a naive poller of the same parts. */
import { rigNeeds, runInRig } from './rig.ts';
import { compare } from './statistics.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

/** What the rig is asked to do. */
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
const timeoutMs = 600_000;
const peer = 'naive poller: inputs every 10 ms, whole frames 30 times a second, over i2c-bus';

async function run(context: BenchContext): Promise<Findings> {
  const input: IdleInput = context.isQuick ? size.quick : size.full;
  const file = 'bench/parts/idle-panel-rounds.ts';
  const rounds = await runInRig<IdleRound[]>(context, { file, input, timeoutMs });
  const row = (figure: keyof Rest) => ({
    ...compare(
      rounds.map(({ ours }) => ours[figure]),
      rounds.map(({ theirs }) => theirs[figure]),
    ),
    peer,
    aim: null,
  });
  const lights = rounds.map(({ ours }) => ours.lightBytes);
  return {
    rows: [
      { what: 'large panel at rest: CPU of one processor', unit: '%', ...row('cpuPercent') },
      { what: 'the same: wake-ups a second, all threads', unit: '1/s', ...row('wakeUps') },
      { what: 'the same: transfers on its two buses a second', unit: '1/s', ...row('transfers') },
      { what: 'the same: busier bus, share of its time at 400 kHz', unit: '%', ...row('busPercent') },
      {
        what: 'the same: bytes a second that set lights',
        unit: 'bytes/s',
        ...row('lightBytes'),
        aim: { oursAtMost: 0 },
        condition: { claim: 'in every round', holds: lights.every((bytes) => bytes === 0) },
      },
    ],
    details: { ...input, rounds },
  };
}

/** Idle CPU, wake-ups and bus of the device role with everything attached that a large panel has. */
export const idlePanel: Bench = {
  name: 'idle-panel',
  title: 'Large panel, idle',
  needs: rigNeeds,
  run,
};
