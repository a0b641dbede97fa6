import t from 'tap';
import { Bed, cart, session, startedAt, surfaceOf } from './bed.ts';
import { apiError, managedBy, podOf } from './fake-cluster.ts';

const puts = (bed: Bed): readonly (number | null)[] =>
  bed.cluster.calls.filter(({ verb }) => verb === 'put').map(({ want }) => want);

t.test('a command is received, accepted and followed until the Pods are ready', async (t) => {
  const bed = await Bed.desk();
  const id = bed.send({ want: 5, saw: 3 });
  t.equal(bed.phases(id), 'received', 'the answer to having it does not wait for the API server');
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received accepted', 'the 200 of the API server is not success');
  t.equal(bed.acks(id)[1]?.now, 5);
  bed.cluster.change(cart, { observed: 5, ready: 4, observedGeneration: 2 });
  await bed.time.advance(1000);
  t.equal(bed.phases(id), 'received accepted', 'one Pod is not ready yet');
  bed.cluster.converge(cart);
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received accepted converged');
  t.match(bed.acks(id)[2], { now: 5, detail: '5 Pods are ready.' });
  t.match(bed.records, [{ surface: 'desk', id, want: 5, saw: 3, phase: 'converged', wasAccepted: true }]);
  t.equal(bed.relay.status().commandsInFlight, 0);
  await bed.relay.close();
});

t.test('the gateway acts as the surface', async (t) => {
  const bed = await Bed.desk();
  bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.same(
    bed.cluster.calls.map(({ verb }) => verb),
    ['get', 'put'],
  );
  for (const { actor } of bed.cluster.calls)
    t.same(actor, {
      user: 'surfaced:surface:desk',
      groups: ['surfaced:surfaces'],
      extra: { 'surfaced.dev/surface': 'desk' },
    });
  await bed.relay.close();
});

t.test('a repeat gets the answer again and never acts', async (t) => {
  const bed = await Bed.desk();
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  bed.send({ want: 4, saw: 3, id });
  t.equal(bed.phases(id), 'received accepted accepted');
  bed.cluster.converge(cart);
  await bed.time.advance(50);
  bed.send({ want: 9, saw: 4, id });
  bed.send({ want: 4, saw: 3, id, issuedAt: startedAt - 1 });
  await bed.time.advance(60_000);
  t.equal(bed.phases(id), 'received accepted accepted converged converged converged');
  t.same(puts(bed), [4]);
  t.equal(bed.records.length, 1);
  await bed.relay.close();
});

t.test('nothing is asked of the API server for a command that is refused at the door', async (t) => {
  const bed = await Bed.desk();
  bed.registry.set('gone', surfaceOf('gone', [{}], true));
  await bed.time.advance(10_000);
  const now = bed.time.now();
  t.equal(bed.last(bed.send({ want: 4, saw: 3, issuedAt: now - 6000 })), 'expired Late');
  t.equal(bed.last(bed.send({ want: 4, saw: 3, issuedAt: now + 3000 })), 'denied ClockSkew');
  t.equal(
    bed.last(bed.send({ want: 4, saw: 3, issuedAt: startedAt - 1, ttlMs: 30_000 })),
    'expired BeforeStart',
  );
  t.equal(bed.last(bed.send({ want: 4, saw: 3, slot: 7 })), 'denied UnknownSlot');
  t.equal(bed.last(bed.send({ want: 21, saw: 3 })), 'denied OutOfRange');
  t.equal(bed.last(bed.send({ want: 0, saw: 3, arm: ['zero'] })), 'denied ZeroNotAllowed');
  bed.send({ want: 4, saw: 3 }, 'gone');
  bed.send({ want: 4, saw: 3 }, 'stranger');
  t.same(
    bed.records.slice(-2).map(({ surface, code }) => [surface, code]),
    [
      ['gone', 'Revoked'],
      ['stranger', 'UnknownSurface'],
    ],
  );
  bed.send({ want: -1, saw: 3, id: `${session}-99` });
  t.equal(bed.last(`${session}-99`), 'denied BadMessage');
  t.match(bed.acks(`${session}-99`)[0]?.detail, /want/);
  t.same(bed.cluster.calls, []);
  t.equal(bed.records.length, 9, 'each has its record');
  await bed.relay.close();
});

t.test('a flood is refused beyond its rate', async (t) => {
  const bed = await Bed.desk();
  const ids = Array.from({ length: 100 }, () => bed.send({ want: 99, saw: 3 }));
  const refused = ids.filter((id) => bed.last(id) === 'denied OutOfRange');
  const limited = ids.filter(
    (id) => bed.last(id) === 'denied OutOfRange' || bed.last(id) === 'denied RateLimited',
  );
  t.equal(limited.length, 100);
  t.equal(refused.length, 100, 'the range is checked first, so that the words fit');
  t.equal(bed.last(bed.send({ want: 4, saw: 3 })), 'denied RateLimited');
  await bed.time.advance(100);
  t.not(bed.last(bed.send({ want: 4, saw: 3 })), 'denied RateLimited', 'a moment later there is room');
  await bed.relay.close();
});

t.test('what the operator saw must still be so', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.change(cart, { desired: 7 });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.last(id), 'stale NumberChanged');
  t.equal(bed.acks(id).at(-1)?.now, 7);
  bed.cluster.before = (verb) => {
    if (verb === 'get') bed.cluster.object(cart).uid = 'another';
  };
  const replaced = bed.send({ want: 4, saw: 7 });
  await bed.time.advance(50);
  t.equal(bed.last(replaced), 'stale Replaced');
  t.same(puts(bed), []);
  await bed.relay.close();
});

t.test('a conflict is tried again only while the number is the one seen', async (t) => {
  const bed = await Bed.desk();
  let rounds = 0;
  bed.cluster.before = (verb) => {
    if (verb === 'put' && rounds++ < 2) bed.cluster.change(cart, { ready: 2 });
  };
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(500);
  t.equal(bed.phases(id), 'received accepted');
  t.same(puts(bed), [4, 4, 4]);

  bed.cluster.before = (verb) => {
    if (verb === 'put') bed.cluster.change(cart, { desired: 9 });
  };
  const changed = bed.send({ want: 5, saw: 4 });
  await bed.time.advance(500);
  t.equal(bed.last(changed), 'stale NumberChanged');

  bed.cluster.before = (verb) => {
    if (verb === 'put') bed.cluster.change(cart, { ready: 1 });
  };
  const hopeless = bed.send({ want: 5, saw: 9 });
  await bed.time.advance(500);
  t.equal(bed.last(hopeless), 'stale Conflict');
  t.equal(puts(bed).filter((want) => want === 5).length, 1 + 4, 'three tries more, then no more');
  await bed.relay.close();
});

t.test('every refusal of the API server has its own end and words', async (t) => {
  const rbac =
    'deployments.apps "cart" is forbidden: User "surfaced:surface:desk" cannot update resource "deployments/scale" in API group "apps" in the namespace "shop"';
  const impersonation =
    'users "surfaced:surface:desk" is forbidden: User "system:serviceaccount:surfaced:gateway" cannot impersonate resource "users" in API group "" at the cluster scope';
  const cases: readonly [ReturnType<typeof apiError>, string, RegExp][] = [
    [
      apiError(403, 'Forbidden', { message: rbac }),
      'denied Forbidden',
      /surfaced:surface:desk may not update .* Role in namespace shop/,
    ],
    [
      apiError(403, 'Forbidden', { message: impersonation }),
      'denied Forbidden',
      /own account may not act as surfaced:surface:desk/,
    ],
    [
      apiError(403, 'Forbidden', { message: 'admission webhook "x" denied the request: no' }),
      'denied AdmissionDenied',
      /x.* denied/,
    ],
    [apiError(401, 'Unauthorized'), 'denied Unauthorized', /own credentials/],
    [
      apiError(404, 'NotFound', { message: 'deployments.apps "cart" not found' }),
      'denied NotFound',
      /"cart" not found/,
    ],
    [
      apiError(422, 'Invalid', { message: 'spec.replicas: Invalid value: 99' }),
      'denied Invalid',
      /Invalid value: 99/,
    ],
    [apiError(400, 'BadRequest', { message: 'error decoding' }), 'denied BadRequest', /error decoding/],
  ];
  for (const verb of ['get', 'put'] as const)
    for (const [error, end, words] of cases) {
      const bed = await Bed.desk();
      bed.cluster.failures[verb].push({ error });
      const id = bed.send({ want: 4, saw: 3 });
      await bed.time.advance(50);
      t.equal(bed.last(id), end, `${verb} ${error.status}`);
      t.match(bed.acks(id).at(-1)?.detail, words);
      t.equal(bed.cluster.object(cart).desired, 3);
      await bed.relay.close();
    }
});

t.test('429 waits as long as it is told, within the time to live', async (t) => {
  const bed = await Bed.desk();
  const busy = apiError(429, 'TooManyRequests', { retryAfterMs: 2000 });
  bed.cluster.failures.put.push({ error: busy });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(1900);
  t.same(puts(bed), [4]);
  await bed.time.advance(200);
  t.same(puts(bed), [4, 4]);
  t.equal(bed.phases(id), 'received accepted');
  bed.cluster.failures.get.push({ error: busy }, { error: busy }, { error: busy });
  const overloaded = bed.send({ want: 5, saw: 4 });
  await bed.time.advance(6000);
  t.equal(bed.last(overloaded), 'denied Overloaded');
  t.same(puts(bed), [4, 4]);
  await bed.relay.close();
});

t.test('an API server that is away ends the command with its time to live', async (t) => {
  const bed = await Bed.desk();
  const away = apiError(0, 'Unreachable', { message: 'connect ECONNREFUSED' });
  for (let index = 0; index < 50; index++) bed.cluster.failures.get.push({ error: away });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(5001);
  t.equal(bed.last(id), 'expired ApiUnavailable');
  t.match(bed.acks(id).at(-1)?.detail, /ECONNREFUSED/);
  t.same(puts(bed), []);
  await bed.relay.close();
});

t.test('after a PUT without an answer the gateway looks before it sends anything', async (t) => {
  const lost = apiError(504, 'Timeout', { isUncertain: true });

  t.test('it was done', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost, isCarriedOut: true });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.phases(id), 'received accepted');
    t.same(puts(bed), [4]);
    await bed.relay.close();
  });
  t.test('it was not done', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.phases(id), 'received accepted');
    t.same(
      bed.cluster.calls.map(({ verb }) => verb),
      ['get', 'put', 'get', 'put'],
    );
    await bed.relay.close();
  });
  t.test('somebody else was faster', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    bed.cluster.before = (verb) => {
      if (verb === 'put') bed.cluster.change(cart, { desired: 8 });
    };
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.last(id), 'expired AnswerLost');
    t.same(puts(bed), [4]);
    await bed.relay.close();
  });
  t.test('the answer does not come at all', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost, isCarriedOut: true, delayMs: 60_000 });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(8001);
    t.equal(bed.phases(id), 'received accepted', 'a last look after the time to live tells that it was done');
    t.same(puts(bed), [4]);
    await bed.relay.close();
  });
  t.test('nobody can tell', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    bed.cluster.before = (verb) => {
      if (verb === 'get' && puts(bed).length > 0) bed.cluster.failures.get.push({ error: lost });
    };
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(8001);
    t.equal(bed.last(id), 'expired AnswerLost');
    t.match(bed.acks(id).at(-1)?.detail, /Whether it was done is not known/);
    t.same(puts(bed), [4]);
    await bed.relay.close();
  });
});

t.test('guards: what is risky is tried dry and asks to be armed, all guards at once', async (t) => {
  const bed = await Bed.desk([{ min: 0, zero: 'arm' }]);
  bed.cluster.change(cart, {
    autoscaler: { kind: 'HorizontalPodAutoscaler', name: 'web', min: 2, max: 4 },
    gitops: { tool: 'Argo CD', name: 'shop' },
    deletesClaims: true,
  });
  const id = bed.send({ want: 0, saw: 3 });
  await bed.time.advance(50);
  t.same(
    bed.cluster.calls.map(({ verb }) => verb),
    ['get', 'dry-run'],
  );
  t.equal(bed.phases(id), 'received needs-arm');
  const ack = bed.acks(id).at(-1);
  t.same(ack?.guards, ['zero', 'autoscaler', 'gitops', 'claims']);
  t.match(
    ack?.detail,
    /takes? the service away.*HorizontalPodAutoscaler web.*Argo CD shop.*claims of the 3 removed Pods/,
  );

  const some = bed.send({ want: 0, saw: 3, arm: ['zero', 'autoscaler'] });
  await bed.time.advance(50);
  t.same(
    bed.acks(some).at(-1)?.guards,
    ['zero', 'autoscaler', 'gitops', 'claims'],
    'arming some is not enough',
  );
  t.same(puts(bed), []);

  const armed = bed.send({ want: 0, saw: 3, arm: ['zero', 'autoscaler', 'gitops', 'claims'] });
  await bed.time.advance(50);
  t.equal(bed.phases(armed), 'received accepted');
  t.same(puts(bed), [0]);
  await bed.relay.close();
});

t.test('a refusal shows before anybody arms', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.change(cart, { autoscaler: { kind: 'ScaledObject', name: 'web', min: 0, max: 4 } });
  bed.cluster.failures.put.push({ error: apiError(403, 'Forbidden', { message: 'denied by policy' }) });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received denied');
  await bed.relay.close();
});

t.test('an owner that appears at the last moment is seen', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.before = (verb) => {
    if (verb === 'get')
      bed.cluster.object(cart).autoscaler = { kind: 'HorizontalPodAutoscaler', name: 'web', min: 2, max: 4 };
  };
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received needs-arm');
  t.same(puts(bed), []);
  await bed.relay.close();
});

t.test('autoscaler: refuse does not touch what something else owns', async (t) => {
  const bed = await Bed.desk([{ autoscaler: 'refuse' }]);
  bed.cluster.change(cart, { gitops: { tool: 'Flux', name: 'apps' } });
  const id = bed.send({ want: 4, saw: 3, arm: ['gitops'] });
  await bed.time.advance(50);
  t.equal(bed.last(id), 'denied OwnedByGitOps');
  t.same(bed.cluster.calls, []);
  await bed.relay.close();
});

t.test('what the gateway cannot see it does not touch', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.object(cart).isGone = true;
  t.equal(bed.last(bed.send({ want: 4, saw: 3 })), 'denied NotFound');
  await bed.relay.close();
});

t.test('newest wins: of one slot only the last of those that wait acts', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.delayMs = 100;
  const first = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(150);
  const second = bed.send({ want: 5, saw: 4 });
  const third = bed.send({ want: 6, saw: 4 });
  t.equal(bed.phases(second), 'received reverted');
  t.equal(bed.last(second), 'reverted Superseded');
  await bed.time.advance(1000);
  t.same(puts(bed), [4, 6]);
  t.equal(bed.phases(first), 'received accepted reverted', 'followed until the newer number was accepted');
  t.equal(bed.last(first), 'reverted Superseded');
  t.equal(bed.phases(third), 'received accepted');
  await bed.relay.close();
});

t.test('a newer command stops an older one that has not written yet', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.delayMs = 100;
  const first = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  const second = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(1000);
  t.equal(bed.last(first), 'reverted Superseded');
  t.equal(bed.phases(second), 'received accepted');
  t.same(puts(bed), [5]);
  await bed.relay.close();
});

t.test(
  'a newer command that was accepted ends the older one, even when nothing is seen of either',
  async (t) => {
    const bed = await Bed.desk();
    const first = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(50);
    bed.cluster.change(cart, {
      problem: { state: 'unreachable', reason: 'Unreachable', message: 'the watch is away' },
    });
    const second = bed.send({ want: 5, saw: 4 });
    await bed.time.advance(50);
    t.equal(bed.last(first), 'reverted Superseded');
    t.equal(bed.phases(second), 'received accepted');
    await bed.relay.close();
  },
);

t.test('a newer command that comes to nothing leaves the older one alone', async (t) => {
  const bed = await Bed.desk();
  const first = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  const second = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.last(second), 'stale NumberChanged');
  bed.cluster.converge(cart);
  await bed.time.advance(50);
  t.equal(bed.phases(first), 'received accepted converged');
  await bed.relay.close();
});

t.test(
  'two surfaces take turns at one target, and the second must have seen what the first did',
  async (t) => {
    const bed = await Bed.desk();
    bed.registry.set('wall', surfaceOf('wall', [{}]));
    bed.birth('wall', { id: 'session-0002' });
    bed.cluster.delayMs = 100;
    const desk = bed.send({ want: 4, saw: 3 });
    bed.send({ want: 6, saw: 3, id: 'session-0002-1' }, 'wall');
    await bed.time.advance(1000);
    t.equal(bed.last('session-0002-1'), 'stale NumberChanged');
    bed.send({ want: 6, saw: 4, id: 'session-0002-2' }, 'wall');
    await bed.time.advance(1000);
    t.same(puts(bed), [4, 6]);
    t.equal(bed.last(desk), 'reverted ByOtherSurface');
    t.match(bed.acks(desk).at(-1)?.detail, 'Set to 6 by surface wall.');
    await bed.relay.close();
  },
);

t.test('trust or binding withdrawn while a command waits: it does not act', async (t) => {
  for (const [change, end] of [
    [surfaceOf('desk', [{}], true), 'denied Revoked'],
    [surfaceOf('desk', []), 'denied UnknownSlot'],
    [surfaceOf('desk', [{ max: 3 }]), 'denied OutOfRange'],
    [null, 'denied UnknownSurface'],
  ] as const) {
    const bed = await Bed.desk();
    bed.cluster.delayMs = 100;
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(50);
    bed.registry.set('desk', change);
    await bed.time.advance(1000);
    t.equal(bed.last(id), end);
    t.same(puts(bed), []);
    await bed.relay.close();
  }
});

t.test('a command for a slot that has come to mean another target does not reach it', async (t) => {
  const bed = await Bed.desk();
  const pay = { ...cart, name: 'pay' };
  bed.cluster.add(pay, { desired: 3 });
  const asked = bed.time.now();
  await bed.time.advance(100);
  bed.registry.set('desk', surfaceOf('desk', [{ target: pay }]));
  const id = bed.send({ want: 4, saw: 3, issuedAt: asked });
  await bed.time.advance(50);
  t.equal(bed.last(id), 'denied UnknownSlot');
  t.same(bed.cluster.calls, []);
  const slot = bed
    .ctl()
    .flatMap((message) => (message.type === 'bindings' ? message.bindings : []))
    .at(-1)?.slot;
  const meant = bed.send({ want: 4, saw: 3, slot: slot ?? 0 });
  await bed.time.advance(50);
  t.equal(bed.phases(meant), 'received accepted');
  t.equal(bed.cluster.object(pay).desired, 4);
  await bed.relay.close();
});

t.test('reverted: whoever set another number is named', async (t) => {
  const hpa = { kind: 'HorizontalPodAutoscaler', name: 'web', min: 2, max: 4 };
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
  bed.cluster.change(cart, { autoscaler: { kind: 'HorizontalPodAutoscaler', name: 'web', min: 2, max: 4 } });
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
  t.same(puts(bed), [5, 5], 'nothing is sent after the end');
  t.equal(bed.time.pending, 0, 'no timer is left');
  t.equal(bed.records.length, 3);
});
