import t from 'tap';
import type { KnobReport } from '../../bench/parts/knob-ledger.ts';
import { knobsOf, type SiteFigures, scaleRows, spreadOf } from '../../bench/scale-rows.ts';
import { isMet } from '../../bench/types.ts';

const cpu = (seconds: number) => ({ gateway: seconds, broker: seconds, surfaces: 1, cluster: 1 });
const spread = (all: number) => ({ half: all / 2, most: all * 0.95, all });
const report: KnobReport = {
  ...{ seconds: 10, sent: 100, held: 3, lost: 0, doubled: 0, ends: { converged: 100 } },
  acceptedMs: Array.from({ length: 100 }, (_, index) => index + 1),
  convergedMs: [50],
};

/** Everything costs in proportion to `times` a surface. */
function site(broker: SiteFigures['broker'], surfaces: number, times: number): SiteFigures {
  const all = surfaces * times;
  const change = { pods: 10, podEvents: 10, afterLastEvent: 0.5, slotMessages: surfaces, cpu: cpu(all) };
  const restart = { served: spread(times), up: 1, failures: 0, cpu: cpu(1) };
  return {
    ...{ broker, surfaces, watches: 5, stopped: restart, killed: restart },
    storm: { served: spread(times), failures: 0, cpu: cpu(all / 1000) },
    idle: { seconds: 10, cpu: cpu(all / 1e6) },
    memoryMib: { empty: 100, full: 100 + all / 1024 },
    knobs: knobsOf([report], 100, cpu(times)),
    fanOut: [
      { ...change, shown: spread(1) },
      { ...change, shown: spread(2) },
    ],
  };
}

t.test('the largest first, both brokers side by side, then how it grows', async (t) => {
  const rows = scaleRows([
    site('embedded', 100, 1),
    site('mosquitto', 100, 2),
    site('embedded', 5000, 3),
    site('mosquitto', 5000, 6),
  ]);
  t.match(rows[0]?.what, /^5,000 surfaces, all connect at once/);
  t.same([rows[0]?.ours, rows[0]?.theirs, rows[0]?.ratio], [3, 6, 0.5]);
  const half = rows.findIndex(({ what }) => what.startsWith('100 surfaces'));
  t.equal(half, 15, 'the smaller ones after all rows of the larger ones');
  const growth = rows.slice(30);
  t.same(
    growth.map(({ unit, ratio, peer }) => [unit, Math.round(ratio * 1000) / 1000, peer]),
    ['ms', 'KiB', 'µs', 'ms', 'µs'].map((unit) => [unit, 3, 'with 100 surfaces']),
  );
});

t.test('CPU and memory are of gateway and broker, a surface', async (t) => {
  const rows = scaleRows([site('embedded', 100, 1), site('mosquitto', 100, 1)]);
  const row = (part: string) => rows.find(({ what }) => what.includes(part));
  t.equal(row('CPU of gateway and broker, a surface')?.ours, 2);
  t.equal(row('memory')?.ours, 1);
  t.match(row('at rest')?.ours, 0.2);
  t.equal(row('a command')?.ours, 20);
  t.equal(row('until the last surface shows it')?.ours, 2, 'the slower change counts');
});

t.test('a command that is lost, or done twice, misses the aim', async (t) => {
  const aimed = (change: Partial<KnobReport>, writes: number) => {
    const knobs = knobsOf([{ ...report, ...change }], writes, cpu(1));
    const rows = scaleRows([{ ...site('embedded', 9, 1), knobs }, site('mosquitto', 9, 1)]);
    return isMet(rows.find(({ what }) => what.includes('lost or doubled'))!);
  };
  t.equal(aimed({}, 100), true);
  t.equal(aimed({ lost: 1 }, 100), false);
  t.equal(aimed({ doubled: 1 }, 100), false);
  t.equal(aimed({}, 101), false, 'a number was set for which nobody was told');
  t.equal(aimed({ ends: { 'expired AnswerLost': 1 } }, 101), true, 'unless the end says that nobody knows');
});

t.test('what one broker alone was measured with has no row', async (t) => {
  t.same(scaleRows([site('embedded', 100, 1)]), []);
});

t.test('whoever was not served in time makes it endless', async (t) => {
  const at = [1100, 1200, 1300, 1400];
  t.same(spreadOf(at, 1000, 4), { half: 0.2, most: 0.4, all: 0.4 });
  t.same(spreadOf(at, 1000, 5), { half: 0.3, most: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY });
  t.same(spreadOf([], 0, 1).half, Number.POSITIVE_INFINITY);
});
