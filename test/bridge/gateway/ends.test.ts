/** What becomes of accepted commands. */
import t from 'tap';
import { Bed, cart } from './bed.ts';
import { apiError, autoscaled, managedBy, podOf } from './fake-cluster.ts';

t.test('reverted: whoever set another number is named', async (t) => {
  const hpa = autoscaled('web', 2, 4);
  const cases = [
    [
      { autoscaler: hpa, replicasManager: managedBy('kube-controller-manager') },
      'ByAutoscaler',
      'horizontal-pod-autoscaler web',
    ],
    [
      { gitops: { tool: 'Argo CD', name: 'x' }, replicasManager: managedBy('argocd-controller', '') },
      'ByGitOps',
      'argocd-controller',
    ],
    [{ replicasManager: managedBy('kubectl') }, 'ByOther', 'kubectl'],
    [{ replicasManager: managedBy('surfaced') }, 'ByOtherSurface', 'another control surface'],
    [{ replicasManager: null }, 'ByOther', 'something that left no name'],
  ] as const;
  for (const [change, code, words] of cases) {
    const bed = await Bed.desk();
    const id = bed.send({ want: 9, saw: 3 });
    await bed.time.advance(50);
    bed.cluster.change(cart, { ...change, desired: 4 });
    await bed.time.advance(100);
    t.equal(bed.last(id), `reverted ${code}`);
    t.match(bed.acks(id).at(-1), { now: 4, detail: `Set to 4 by ${words}.` });
    await bed.relay.close();
  }
});

t.test('where an autoscaler owns the number, it has to hold before it counts', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.change(cart, { autoscaler: autoscaled('web', 2, 4) });
  const id = bed.send({ want: 9, saw: 3, arm: ['autoscaler'] });
  await bed.time.advance(50);
  bed.cluster.converge(cart);
  await bed.time.advance(15_000);
  t.equal(bed.phases(id), 'received accepted');
  bed.cluster.change(cart, { desired: 4, replicasManager: managedBy('kube-controller-manager') });
  await bed.time.advance(100);
  t.equal(bed.last(id), 'reverted ByAutoscaler');
  const kept = bed.send({ want: 3, saw: 4, arm: ['autoscaler'] });
  await bed.time.advance(50);
  bed.cluster.converge(cart);
  await bed.time.advance(21_000);
  t.equal(bed.phases(kept), 'received accepted converged');
  await bed.relay.close();
});

t.test('blocked: the reason is named, once it is more than a moment', async (t) => {
  const bed = await Bed.desk();
  const id = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  const pods = [0, 1, 2].map((index) => podOf(index, 'ready'));
  bed.cluster.change(cart, {
    pods: [...pods, podOf(3, 'pending', 'ContainerCreating')],
    observed: 5,
    observedGeneration: 2,
  });
  await bed.time.advance(60_000);
  t.equal(bed.phases(id), 'received accepted', 'a Pod that is pulling is not blocked');
  bed.cluster.change(cart, { pods: [...pods, podOf(3, 'crashed', 'ErrImagePull', 'no such image')] });
  await bed.time.advance(2000);
  t.equal(bed.phases(id), 'received accepted');
  bed.cluster.change(cart, { pods: [...pods, podOf(3, 'crashed', 'ImagePullBackOff', 'no such image')] });
  await bed.time.advance(1500);
  t.equal(bed.last(id), 'blocked ImagePullBackOff');
  t.match(bed.acks(id).at(-1)?.detail, '1 of 5 Pods cannot pull their image. no such image');
  await bed.relay.close();
});

t.test(
  'blocked by a quota that only the events tell, as with a StatefulSet; its slot keeps the reason',
  async (t) => {
    const bed = await Bed.desk();
    const id = bed.send({ want: 5, saw: 3 });
    await bed.time.advance(50);
    bed.cluster.events.push({
      reason: 'FailedCreate',
      message:
        'create Pod cart-3 in StatefulSet cart failed error: pods "cart-3" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=3, limited: pods=3',
      at: bed.time.now(),
      object: 'StatefulSet/cart',
    });
    bed.cluster.change(cart, { observedGeneration: 2 });
    await bed.time.advance(10_000);
    t.equal(bed.last(id), 'blocked QuotaExceeded');
    t.match(
      bed.acks(id).at(-1)?.detail,
      'Quota pods is used up: pods=3 of pods=3 in use, pods=1 more asked for.',
    );
    t.match(bed.slots().at(-1)?.condition, { state: 'blocked', reason: 'QuotaExceeded' });
    bed.cluster.change(cart, { observed: 4, ready: 4 });
    await bed.time.advance(200);
    t.equal(bed.slots().at(-1)?.condition.state, 'progressing', 'the quota was raised: it goes on');
    bed.cluster.converge(cart);
    await bed.time.advance(200);
    t.equal(bed.slots().at(-1)?.condition.state, 'ok');
    bed.cluster.change(cart, { ready: 4 });
    await bed.time.advance(200);
    t.equal(bed.slots().at(-1)?.condition.state, 'progressing', 'an old reason is not shown for a new state');
    await bed.relay.close();
  },
);

t.test('blocked at last: never ready, and nothing says why', async (t) => {
  const bed = await Bed.desk();
  const id = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  bed.cluster.change(cart, { observed: 5, observedGeneration: 2 });
  await bed.time.advance(119_000);
  t.equal(bed.phases(id), 'received accepted');
  await bed.time.advance(2000);
  t.equal(bed.last(id), 'blocked NotReady');
  t.ok(bed.cluster.eventsAsked > 1, 'the events were asked');
  await bed.relay.close();
});

t.test('a target that is deleted or made anew ends its command', async (t) => {
  for (const [change, end] of [
    [{ isDeleting: true }, 'reverted TargetDeleted'],
    [{ isGone: true }, 'reverted TargetDeleted'],
    [{ uid: 'new' }, 'reverted Replaced'],
  ] as const) {
    const bed = await Bed.desk();
    const id = bed.send({ want: 5, saw: 3 });
    await bed.time.advance(50);
    bed.cluster.change(cart, change);
    await bed.time.advance(100);
    t.equal(bed.last(id), end);
    await bed.relay.close();
  }
});

t.test('an outage while following is sat out; a long one ends honestly', async (t) => {
  const bed = await Bed.desk();
  const id = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  bed.cluster.change(cart, { problem: { state: 'unreachable', reason: 'Unreachable', message: 'away' } });
  await bed.time.advance(600_000);
  t.equal(bed.phases(id), 'received accepted');
  await bed.time.advance(301_000);
  t.equal(bed.last(id), 'expired NotFollowed');
  await bed.relay.close();
});

t.test('a gateway that stops ends everything, and says what is known', async (t) => {
  const bed = await Bed.desk([{}, { target: { name: 'pay' } }, { target: { name: 'web' } }]);
  for (const name of ['pay', 'web']) bed.cluster.add({ ...cart, name }, { desired: 3 });
  const accepted = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  bed.cluster.failures.put.push({ error: apiError(504, 'Timeout', { isUncertain: true }), delayMs: 60_000 });
  const sent = bed.send({ want: 5, saw: 3, slot: 1 });
  await bed.time.advance(50);
  bed.cluster.delayMs = 1000;
  const early = bed.send({ want: 5, saw: 3, slot: 2 });
  await bed.time.advance(50);
  t.equal(bed.relay.status().commandsInFlight, 3);
  await bed.relay.close();
  for (const id of [accepted, sent, early]) t.equal(bed.last(id), 'expired GatewayStopped');
  t.match(bed.acks(accepted).at(-1)?.detail, /accepted/);
  t.match(bed.acks(sent).at(-1)?.detail, /not known/);
  t.match(bed.acks(early).at(-1)?.detail, /before it was done/);
  t.equal(bed.cluster.openWatches, 0);
  await bed.time.advance(120_000);
  t.same(bed.puts, [5, 5], 'nothing is sent after the end');
  t.equal(bed.time.pending, 0, 'no timer is left');
  t.equal(bed.records.length, 3);
});
