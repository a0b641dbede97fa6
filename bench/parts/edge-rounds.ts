/** Turns a knob at each rate for each reader in turn. Inside the rig; see bench/gpio-edges.ts. */
import { readFileSync } from 'node:fs';
import { turnKnob } from '../../hil/rig/guest/quadrature.ts';
import type { EdgeInput, Interface, KnobTurn } from '../gpio-edges.ts';
import { Part } from '../processes.ts';
import type { Reading } from './edge-reader.ts';
import { giveResult, rigInput } from './in-rig.ts';

const { SURFACED_QUADRATURE: adapter } = process.env;
if (adapter === undefined) throw new Error('SURFACED_QUADRATURE names the adapter; boot-rig.ts sets it');

/** Lines of the knob that an interface reads, as in hil/rig/panel.dts. */
const linesOf = (via: Interface | null) => (via === 'rotary-encoder' ? { a: 17, b: 27 } : { a: 5, b: 6 });
const warmUp = { round: -1, ratePerSecond: 500, seconds: 1 };
/**
 * The rig's kernel counts CPU time by looking a hundred times a second at who is running; a rate of whole hundreds would
 * be looked at in the same phase each time. These few more let the phase go round three times a second.
 */
const offBeatPerSecond = 3;

/** Time in which the machine was busy so far, microseconds (proc(5), /proc/stat: idle and iowait are fields 4 and 5). */
function busyUs(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/).slice(1).map(Number);
  const ticks = fields.reduce((sum, value, index) => (index === 3 || index === 4 ? sum : sum + value), 0);
  return ticks * 10_000;
}

interface Turn {
  readonly round: number;
  /** Null: nobody reads it. */
  readonly via: Interface | null;
  readonly ratePerSecond: number;
  readonly seconds: number;
}

async function turn({ round, via, ratePerSecond, seconds }: Turn): Promise<KnobTurn> {
  const reader = via === null ? null : readers.get(via)!;
  // Whole periods, so that the knob ends where it began.
  const edges = 4 * Math.round((ratePerSecond * seconds) / 4);
  const { a, b } = linesOf(via);
  await reader?.call('start', via);
  const busyBefore = busyUs();
  const edgesPerSecond = ratePerSecond + offBeatPerSecond;
  const turned = await turnKnob({ adapter: adapter!, a, b, edges, edgesPerSecond, bounces: 0 });
  const reading = reader === null ? null : await reader.call<Reading>('stop');
  return {
    round,
    via,
    ratePerSecond,
    reachedPerSecond: turned.edges / turned.seconds,
    worstLateMs: turned.worstLateMs,
    turned: turned.edges,
    machineUs: busyUs() - busyBefore,
    reading,
  };
}

const { interfaces, ratesPerSecond, seconds, rounds } = rigInput<EdgeInput>();
const readers = new Map(interfaces.map((via) => [via, new Part('edge-reader')]));
for (const via of interfaces) await turn({ ...warmUp, via });
const turns: KnobTurn[] = [];
for (let round = 0; round < rounds; round += 1) {
  // Each interface comes first as often as the others.
  const order = interfaces.map((_, index) => interfaces[(index + round) % interfaces.length]!);
  for (const ratePerSecond of ratesPerSecond) {
    for (const via of [null, ...order]) turns.push(await turn({ round, via, ratePerSecond, seconds }));
  }
  process.stdout.write(`round ${round + 1} of ${rounds}\n`);
}
await Promise.all([...readers.values()].map((reader) => reader.end()));
giveResult(turns);
