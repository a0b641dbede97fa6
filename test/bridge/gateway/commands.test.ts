import t from 'tap';
import { Bed, cart, session, startedAt, surfaceOf } from './bed.ts';
import { apiError, autoscaled } from './fake-cluster.ts';

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
  t.same(bed.puts, [4]);
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
  t.same(bed.puts, []);
  await bed.relay.close();
});

t.test('guards: what is risky is tried dry and asks to be armed, all guards at once', async (t) => {
  const bed = await Bed.desk([{ min: 0, zero: 'arm' }]);
  bed.cluster.change(cart, {
    autoscaler: autoscaled('web', 2, 4),
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
  t.same(bed.puts, []);

  const once = bed.send({ want: 0, saw: 3, arm: ['zero', 'autoscaler', 'gitops', 'claims'] });
  await bed.time.advance(50);
  t.equal(bed.last(once), 'needs-arm ConfirmAgain', 'data that is lost takes two holds');
  const armed = bed.send({ want: 0, saw: 3, arm: ['zero', 'autoscaler', 'gitops', 'claims'] });
  await bed.time.advance(50);
  t.equal(bed.phases(armed), 'received accepted');
  t.same(bed.puts, [0]);
  await bed.relay.close();
});

t.test('a refusal shows before anybody arms', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.change(cart, { autoscaler: autoscaled('web', 0, 4, 'ScaledObject') });
  bed.cluster.failures.put.push({ error: apiError(403, 'Forbidden', { message: 'denied by policy' }) });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received denied');
  await bed.relay.close();
});

t.test('an owner that appears at the last moment is seen', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.before = (verb) => {
    if (verb === 'get') bed.cluster.object(cart).autoscaler = autoscaled('web', 2, 4);
  };
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received needs-arm');
  t.same(bed.puts, []);
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
  t.same(bed.puts, [4, 6]);
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
  t.same(bed.puts, [5]);
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
    t.same(bed.puts, [4, 6]);
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
    t.same(bed.puts, []);
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

t.test('a gateway clock that is set back does not put the commands after it before its start', async (t) => {
  const bed = await Bed.desk();
  await bed.time.advance(60_000);
  bed.time.setBack(3_600_000);
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received accepted');
  await bed.relay.close();
});

t.test('set back soon after the start, it still refuses what was asked for before', async (t) => {
  const bed = await Bed.desk();
  await bed.time.advance(1000);
  bed.time.setBack(1000);
  t.equal(bed.last(bed.send({ want: 4, saw: 3, issuedAt: startedAt - 500 })), 'expired BeforeStart');
  t.same(bed.puts, []);
  await bed.relay.close();
});
