/** `restart`: every kind that has a rollout, until all Pods are new. */
import t from 'tap';
import { stampOf } from '../../../../daemon/bridge/gateway/verbs/restart.ts';
import { startSite } from './site.ts';

const inShop = (kind: string, name: string) => ({ kind, namespace: 'shop', name });
const at = (plural: string, name: string) => `/apis/apps/v1/namespaces/shop/${plural}/${name}`;

t.test('all Pods are new and ready before it counts', async (t) => {
  const site = await startSite(t, {
    controls: 'pads',
    workloads: [
      { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 },
      { kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 2 },
    ],
    things: [
      {
        apiVersion: 'apps/v1',
        kind: 'DaemonSet',
        metadata: { namespace: 'shop', name: 'agent' },
        spec: {
          selector: { matchLabels: { app: 'agent' } },
          template: {
            metadata: { labels: { app: 'agent' } },
            spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'i:1' }] },
          },
        },
      },
    ],
    bindings: [
      { verb: 'restart', max: undefined, target: inShop('Deployment', 'cart') },
      { verb: 'restart', max: undefined, target: inShop('StatefulSet', 'db') },
      { verb: 'restart', max: undefined, target: inShop('DaemonSet', 'agent') },
      { verb: 'pause', max: undefined, target: inShop('Deployment', 'cart') },
    ],
  });
  for (const [slot, count] of [3, 2, 3].entries()) {
    const before = await site.until(
      slot,
      ({ ready, condition }) => ready === count && condition.state === 'ok',
    );
    t.equal(before.desired, 0, 'momentary: nothing is seen of it');
    t.equal(await site.turn(slot, 1), 'received needs-arm Disrupts');
    t.match(site.said(), new RegExp(`^All ${count} Pods are replaced`));
    t.equal(await site.turn(slot, 1, ['disrupts']), 'received accepted converged');
    t.equal(site.said(), `All ${count} Pods are new and ready.`);
    const after = await site.until(
      slot,
      ({ ready, condition }) => ready === count && condition.state === 'ok',
    );
    t.equal(after.desired, 0);
    t.equal(
      after.pods.filter(([key]) => before.pods.some(([old]) => old === key)).length,
      slot === 1 ? 2 : 0,
      'other Pods; those of a StatefulSet keep their ordinals',
    );
  }
  t.equal(await site.turn(0, 1, ['disrupts']), 'received accepted converged', 'and again');
  const accepted = site.bench.records.filter(({ wasAccepted }) => wasAccepted).length;
  t.equal(accepted, 4);

  await site.merge(at('deployments', 'cart'), { spec: { paused: true } });
  await site.until(3, ({ desired }) => desired === 1);
  t.equal(await site.turn(0, 1, ['disrupts']), 'received denied Paused');
});

t.test('a restart that is replaced by another is told so; an image that is gone blocks it', async (t) => {
  const site = await startSite(t, {
    controls: 'pads',
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2 }],
    bindings: [{ verb: 'restart', max: undefined, target: inShop('Deployment', 'cart') }],
  });
  await site.until(0, ({ ready }) => ready === 2);
  site.sim.control.setImageBroken({ apiVersion: 'apps/v1', ...inShop('Deployment', 'cart') }, true);
  const id = site.bench.send({ want: 1, saw: 0, arm: ['disrupts'] });
  await site.bench.bus.until(() => site.bench.phases(id).endsWith('accepted'));
  const restartedAt = { 'kubectl.kubernetes.io/restartedAt': '2027-01-01T00:00:00Z' };
  await site.merge(at('deployments', 'cart'), {
    spec: { template: { metadata: { annotations: restartedAt } } },
  });
  await site.bench.bus.until(() => site.bench.hasEnded(id));
  t.equal(site.bench.last(id), 'reverted ByOther');
  t.match(await site.turn(0, 1, ['disrupts']), /^received accepted blocked (?:Err)?Image/);
});

t.test('the stamp is a time, and of one command alone', async (t) => {
  const one = stampOf({ issuedAt: 1_800_000_000_123, id: 'session-0001-7' });
  t.equal(one, '2027-01-15T08:00:00.123000007Z');
  t.not(one, stampOf({ issuedAt: 1_800_000_000_123, id: 'session-0001-8' }));
  t.equal(Date.parse(one), 1_800_000_000_123);
});
