import t from 'tap';
import { edgeRows, type Interface, type KnobTurn } from '../../bench/gpio-edges.ts';

/** A turn of 1,000 edges. */
const turn = (round: number, via: Interface | null, rate: number, pulses: number): KnobTurn => ({
  round,
  via,
  ratePerSecond: rate,
  reachedPerSecond: via === 'sysfs' && rate === 5000 ? 3210 : rate + 3,
  worstLateMs: 1,
  turned: 1000,
  machineUs: 900_000,
  reading: via === null ? null : { pulses, edges: pulses, cpuUs: via === 'sysfs' ? 400_000 : 100_000 },
});

/** Two rounds; the knob that sysfs reads goes wrong at the fast rate, the kernel's own loses a little. */
const rounds = (oursAtLast: number): KnobTurn[] =>
  [0, 1].flatMap((round) =>
    [100, 5000].flatMap((rate) => [
      turn(round, null, rate, 0),
      turn(round, 'rotary-encoder', rate, rate === 5000 ? 900 : 1000),
      turn(round, 'sysfs', rate, rate === 5000 ? -200 : 1000),
      turn(round, 'character-device', rate, round === 1 && rate === 5000 ? oursAtLast : 1000),
    ]),
  );

t.test('rows of each rate and of all of them, lost edges and CPU beside both peers', async (t) => {
  const rows = edgeRows(rounds(1000));
  t.same(
    rows.map(({ what, peer, ours, theirs }) => [what, peer, ours, theirs]),
    [
      ['knob at 100 to 5,000 edges/s, all together: edges lost', 'sysfs, by onoff', 0, 60],
      ['the same', "the kernel's rotary-encoder", 0, 5],
      ['the same: CPU of the process, an edge', 'sysfs, by onoff', 100, 400],
      ['the same: CPU of the process, an edge', "the kernel's rotary-encoder", 100, 100],
      ['knob at 100 edges/s: edges lost', 'sysfs, by onoff', 0, 0],
      ['the same', "the kernel's rotary-encoder", 0, 0],
      ['the same: CPU of the process, an edge', 'sysfs, by onoff', 100, 400],
      ['the same: CPU of the process, an edge', "the kernel's rotary-encoder", 100, 100],
      ['knob at 5,000 edges/s (reached: sysfs 3,210): edges lost', 'sysfs, by onoff', 0, 120],
      ['the same', "the kernel's rotary-encoder", 0, 10],
      ['the same: CPU of the process, an edge', 'sysfs, by onoff', 100, 400],
      ['the same: CPU of the process, an edge', "the kernel's rotary-encoder", 100, 100],
    ],
  );
  t.ok(rows.every(({ condition }) => condition?.holds !== false));
});

t.test('one lost edge in one round is told, though the median does not see it', async (t) => {
  const three = [...rounds(999), ...rounds(1000).map((one) => ({ ...one, round: one.round + 2 }))];
  const [all, , , , slow, , , , fast] = edgeRows(three);
  t.match(fast, { ours: 0, aim: { oursAtMost: 0 }, condition: { holds: false } });
  t.match(all, { ours: 0, condition: { holds: false } });
  t.match(slow, { condition: { holds: true } });
});
