/** A custom resource with a scale subresource through the whole gateway, against the simulated cluster. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import { rbacFor } from '../../../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { startSimCluster } from '../../../hil/sim/cluster/cluster.ts';
import { loadRecording } from '../../../hil/sim/replay/recording.ts';
import { quick } from '../kube/start.ts';
import { Bench, fastTime, surfaceOf } from './bed.ts';

interface Definition {
  readonly apiVersion: string;
  readonly kind: string;
}
const recording = new URL('../../fixtures/kube/11-custom-resource-scale.json', import.meta.url).pathname;
const target = { apiVersion: 'fleet.example.com/v1', kind: 'Broker', namespace: 'shop', name: 'main' };

t.test('a kind that only its definition knows is scaled and followed to its end', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'surfaced-custom-'));
  const sim = await startSimCluster({
    port: 0,
    dir,
    log: silentLog,
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 1 }],
    timing: {},
    seed: 1,
  });
  const { exchanges } = await loadRecording(recording);
  const [definition, , broker] = exchanges.map(({ request }) => request.body as Definition);
  sim.control.create(definition!);
  sim.control.create(broker!);
  const desk = surfaceOf('desk', [{ control: 'fader1', max: 9, target }]);
  for (const object of rbacFor(desk, { userPrefix: 'surfaced:surface:' })) sim.control.create(object);
  const cluster = await connectCluster({
    config: { kubeconfig: sim.kubeconfigPath, userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' },
    log: silentLog,
    clock: systemClock,
    random: Math.random,
    fieldManager: 'surfaced',
    tuning: quick,
  });
  const bench = new Bench(fastTime, cluster);
  bench.registry.set('desk', desk);
  bench.start();
  bench.birth('desk');
  t.teardown(async () => {
    await bench.relay.close();
    await cluster.close();
    await sim.close();
    rmSync(dir, { recursive: true });
  });

  await bench.bus.until(() => bench.slots(0).at(-1)?.desired === 3);
  t.match(bench.slots(0).at(-1), { kind: 'Broker', name: 'main', colour: 'blue' });
  const id = bench.send({ slot: 0, want: 5, saw: 3, ttlMs: 30_000 });
  await bench.bus.until(() => bench.phases(id).includes('accepted'));
  await bench.bus.until(() => bench.slots(0).at(-1)?.desired === 5);

  sim.control.setStatus(target, { nodes: 5 });
  await bench.bus.until(() => bench.hasEnded(id));
  t.equal(bench.phases(id), 'received accepted converged', 'its operator has as many as were asked for');
  await bench.bus.until(() => bench.slots(0).at(-1)?.ready === 5);
  t.match(bench.slots(0).at(-1), { observed: 5, ready: 5, condition: { state: 'ok' } });
});
