/** A knob turned at up to 5,000 edges a second on simulated lines: edges lost and CPU, by kernel interface. */
import type { Reading } from './parts/edge-reader.ts';
import { rigNeeds, runInRig } from './rig.ts';
import { compare, median } from './statistics.ts';
import { figure } from './table.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

/** The character device (ours), the old sysfs interface through onoff, the kernel's own encoder driver. */
export type Interface = 'character-device' | 'sysfs' | 'rotary-encoder';

/** What the rig is asked to do. */
export interface EdgeInput {
  readonly interfaces: readonly Interface[];
  readonly ratesPerSecond: readonly number[];
  /** Length of one turn. */
  readonly seconds: number;
  readonly rounds: number;
}

/** One turn of the knob. */
export interface KnobTurn {
  readonly round: number;
  /** Null: nobody read it. */
  readonly via: Interface | null;
  readonly ratePerSecond: number;
  readonly reachedPerSecond: number;
  /** How late the latest edge was. */
  readonly worstLateMs: number;
  readonly turned: number;
  /** Time in which the machine was busy with anything, microseconds. */
  readonly machineUs: number;
  readonly reading: Reading | null;
}

const ours: Interface = 'character-device';
const peers: readonly { readonly via: Interface; readonly name: string }[] = [
  { via: 'sysfs', name: 'sysfs, by onoff' },
  { via: 'rotary-encoder', name: "the kernel's rotary-encoder" },
];
const ratesPerSecond = [100, 500, 1000, 2000, 5000];
const size = { full: { seconds: 2, rounds: 5 }, quick: { seconds: 1, rounds: 1 } };
/** A busy machine turns some rates at a fraction of their speed. */
const timeoutMs = 900_000;
/** A rate that was reached to this part is not remarked on. */
const reachedPart = 0.97;

/**
 * By how many edges the knob's count is off, in percent of what was turned: what is counted twice in one turn makes up for
 * nothing that another turn loses.
 */
function lostPercent(turns: readonly KnobTurn[]): number {
  const turned = turns.reduce((sum, turn) => sum + turn.turned, 0);
  const off = turns.reduce((sum, turn) => sum + Math.abs(turn.turned - (turn.reading?.pulses ?? 0)), 0);
  return (100 * off) / turned;
}

function cpuUsPerEdge(turns: readonly KnobTurn[]): number {
  const turned = turns.reduce((sum, turn) => sum + turn.turned, 0);
  return turns.reduce((sum, { reading }) => sum + (reading?.cpuUs ?? 0), 0) / turned;
}

/** A figure of the turns of each round. */
const byRound = (turns: readonly KnobTurn[], measure: (turns: readonly KnobTurn[]) => number): number[] =>
  [...new Set(turns.map(({ round }) => round))].map((round) =>
    measure(turns.filter((turn) => turn.round === round)),
  );

/** Rows about some of the turns, which are of the same rates for each interface; `what` names them. */
function rowsOf(what: string, turns: readonly KnobTurn[]): Row[] {
  const of = (via: Interface): KnobTurn[] => turns.filter((turn) => turn.via === via);
  const lost = byRound(of(ours), lostPercent);
  return [
    ...peers.map(({ via, name }, index) => ({
      what: index === 0 ? `${what}: edges lost` : 'the same',
      unit: '%',
      peer: name,
      ...compare(lost, byRound(of(via), lostPercent)),
      aim: { oursAtMost: 0 },
      condition: { claim: 'in every round', holds: lost.every((percent) => percent === 0) },
    })),
    ...peers.map(({ via, name }) => ({
      what: 'the same: CPU of the process, an edge',
      unit: 'µs',
      peer: name,
      ...compare(byRound(of(ours), cpuUsPerEdge), byRound(of(via), cpuUsPerEdge)),
      aim: null,
    })),
  ];
}

/** Rate as asked for, and as it was where the machine could not turn so fast. */
function rateWords(rate: number, turns: readonly KnobTurn[]): string {
  const slow = [ours, ...peers.map(({ via }) => via)].flatMap((via) => {
    const reached = median(turns.filter((turn) => turn.via === via).map((turn) => turn.reachedPerSecond));
    return reached < rate * reachedPart ? [`${via} ${figure(Math.round(reached))}`] : [];
  });
  const remark = slow.length === 0 ? '' : ` (reached: ${slow.join(', ')})`;
  return `knob at ${figure(rate)} edges/s${remark}`;
}

/** All rows of a run; those over all rates come first. */
export function edgeRows(turns: readonly KnobTurn[]): Row[] {
  const rates = [...new Set(turns.map((turn) => turn.ratePerSecond))];
  const span = `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))} edges/s`;
  return [
    ...rowsOf(`knob at ${span}, all together`, turns),
    ...rates.flatMap((rate) => {
      const some = turns.filter((turn) => turn.ratePerSecond === rate);
      return rowsOf(rateWords(rate, some), some);
    }),
  ];
}

/** What is behind the rows: each rate and reader, nobody reading included, which is what turning the knob alone takes. */
function edgeDetails(turns: readonly KnobTurn[]) {
  const kinds = [...new Set(turns.map(({ ratePerSecond, via }) => `${ratePerSecond} ${via}`))];
  return kinds.map((kind) => {
    const some = turns.filter(({ ratePerSecond, via }) => `${ratePerSecond} ${via}` === kind);
    const perEdge = (value: (turn: KnobTurn) => number) =>
      median(some.map((turn) => value(turn) / turn.turned));
    const isRead = some[0]?.via !== null;
    return {
      ratePerSecond: some[0]?.ratePerSecond,
      via: some[0]?.via,
      reachedPerSecond: median(some.map(({ reachedPerSecond }) => reachedPerSecond)),
      worstLateMs: Math.max(...some.map(({ worstLateMs }) => worstLateMs)),
      machineUsPerEdge: perEdge(({ machineUs }) => machineUs),
      processUsPerEdge: isRead ? perEdge(({ reading }) => reading?.cpuUs ?? 0) : null,
      handedOutPercent: isRead ? 100 * perEdge(({ reading }) => reading?.edges ?? 0) : null,
      lostPercent: isRead ? byRound(some, lostPercent) : null,
    };
  });
}

async function run(context: BenchContext): Promise<Findings> {
  const input: EdgeInput = {
    interfaces: [ours, ...peers.map(({ via }) => via)],
    ratesPerSecond,
    ...(context.isQuick ? size.quick : size.full),
  };
  const file = 'bench/parts/edge-rounds.ts';
  const turns = await runInRig<KnobTurn[]>(context, { file, input, timeoutMs });
  return {
    rows: edgeRows(turns),
    details: { seconds: input.seconds, rounds: input.rounds, readings: edgeDetails(turns) },
  };
}

export const gpioEdges: Bench = {
  name: 'gpio-edges',
  title: 'Edges of a knob that are lost, and their CPU, by kernel interface',
  needs: rigNeeds,
  run,
};
