import t from 'tap';
import { planTable } from '../../bench/scale-plan.ts';
import type { BenchResult } from '../../bench/types.ts';
import { failed, measured } from './results.ts';

const withDetails = (name: string, details: Record<string, unknown>): BenchResult => ({
  ...measured(name, []),
  findings: { rows: [], details },
});
const verifier = withDetails('verifier', { rates: [{ boot: { ours: 100 } }, { boot: { ours: 200 } }] });
const cpu = { gateway: 10, broker: 5, surfaces: 1, cluster: 1 };
const site = (broker: string, surfaces: number) => ({
  ...{ broker, surfaces, memoryMib: { empty: 100, full: 200 } },
  storm: { cpu },
  idle: { seconds: 10, cpu },
  knobs: { sent: 1000, cpu },
});

t.test('worked out from the largest site on a broker of others', async (t) => {
  const figures = [site('mosquitto', 5000), site('embedded', 9000), site('mosquitto', 100)];
  const table = planTable({ results: [verifier, withDetails('scale', { figures })] });
  const value = (what: string) => new RegExp(`^\\| ${what} \\| ([^|]*) \\|`, 'm').exec(table)?.[1];
  t.equal(value('gateways'), '20.0');
  t.equal(value('renewals of certificates, a second'), '250 /s');
  t.equal(value('verdicts on them, all gateways'), '1.67 cores');
  t.equal(value('new MQTT connections for them, brokers'), '0.25 cores');
  t.equal(value('heartbeats of gateways, a second'), '400,000 messages');
  t.equal(value('memory of each gateway for its surfaces'), '1.95 GiB');
  t.equal(value('CPU of each gateway at rest'), '20.0 cores');
  t.equal(value('CPU for them, all gateways'), '10.0 cores');
  t.equal(value('all come at once: CPU, brokers and gateways together'), '300 core seconds');
  for (const line of table.split('\n')) t.equal(line.split('|').length, 5, 'three cells each');
});

t.test('without the benches it says which are needed', async (t) => {
  for (const results of [[], [verifier], [failed('scale', 'no mosquitto'), verifier]])
    t.match(planTable({ results }), /needs the benches `scale` and `verifier`/);
});
