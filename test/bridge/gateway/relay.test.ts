import t from 'tap';
import { partsOf } from '../../../daemon/bridge/gateway/session.ts';
import type { Binding } from '../../../daemon/surface/types.ts';
import { Bed, cart, surfaceOf } from './bed.ts';

const bindingMessages = (bed: Bed): readonly string[] =>
  bed
    .ctl()
    .filter(({ type }) => type !== 'served')
    .map((message) =>
      message.type === 'bindings' ? message.bindings.map(({ slot }) => slot).join() : message.type,
    );

t.test('after each birth: the bindings, then every slot', async (t) => {
  const bed = await Bed.desk([{}, { target: { name: 'pay' } }]);
  bed.cluster.add({ ...cart, name: 'pay' }, { desired: 1 });
  t.same(
    bed.bus.sent.map(({ topic }) => topic.replace('surfaced/v1/lab/', '')),
    ['_gw/gw/status', 'desk/down/ctl', 'desk/down/ctl', 'desk/down/slot/0', 'desk/down/slot/1'],
  );
  t.match(bed.ctl(), [
    { type: 'served', gateway: 'gw', session: bed.beats()[0]?.session },
    { type: 'bindings', part: 0, parts: 1, trust: 'token', bindings: [{ slot: 0 }, { slot: 1 }] },
  ]);
  t.match(bed.slots(0), [{ name: 'cart', desired: 3, ready: 3, condition: { state: 'ok' }, colour: 'blue' }]);
  t.match(bed.slots(1), [{ name: 'pay', desired: null, condition: { state: 'missing' }, colour: 'orange' }]);
  for (const { topic, isRetained, qos } of bed.bus.sent) {
    t.equal(isRetained, !topic.endsWith('/ctl'), topic);
    t.equal(qos, 1);
  }
  bed.birth('desk');
  t.equal(bed.ctl().length, 4);
  t.equal(bed.slots(0).length, 2, 'unchanged slots are sent again to who has just come');
  t.ok((bed.slots(0)[1]?.rev ?? 0) > (bed.slots(0)[0]?.rev ?? 0));
  t.ok((bed.slots(0)[0]?.rev ?? 0) >= 1_800_000_000_000, 'above the revisions of an earlier process');
  await bed.relay.close();
});

t.test(
  'who comes online gets a fresh beat within a quarter of a second, many at once share it',
  async (t) => {
    const bed = await Bed.desk();
    await bed.time.advance(1000);
    const beats = (): number => bed.bus.sent.filter(({ topic }) => topic.endsWith('_gw/gw/status')).length;
    const before = beats();
    bed.birth('desk');
    bed.birth('desk');
    await bed.time.advance(250);
    t.equal(beats(), before + 1);
    await bed.time.advance(5000);
    t.equal(beats(), before + 2, 'and goes on as ever');
    await bed.relay.close();
  },
);

t.test('nothing is sent to who is not there', async (t) => {
  const bed = await Bed.desk();
  bed.status('desk', 'offline');
  bed.cluster.change(cart, { ready: 2 });
  await bed.time.advance(1000);
  t.equal(bed.slots().length, 1);
  t.equal(bed.relay.status().surfacesOnline, 0);
  bed.birth('desk', { id: 'session-0002' });
  t.match(bed.slots().at(-1), { ready: 2 });
  await bed.relay.close();
});

t.test('a late will of an earlier session does not take a live surface away', async (t) => {
  const bed = await Bed.desk();
  bed.birth('desk', { id: 'session-0002' });
  bed.status('desk', 'offline', 'session-0001');
  t.equal(bed.relay.status().surfacesOnline, 1);
  bed.status('desk', 'offline', 'session-0002');
  t.equal(bed.relay.status().surfacesOnline, 0);
  bed.birth('desk', { id: 'session-0002', isRetained: true });
  t.equal(bed.relay.status().surfacesOnline, 0, 'the retained birth of a session that has ended is history');
  await bed.relay.close();
});

t.test('the transport counts too: a takeover is not an end', async (t) => {
  const bed = await Bed.desk();
  bed.bus.connect('desk', true);
  bed.bus.connect('desk', true);
  bed.bus.connect('desk', false);
  t.equal(bed.relay.status().surfacesOnline, 1);
  bed.bus.connect('desk', false);
  t.equal(bed.relay.status().surfacesOnline, 0);
  await bed.relay.close();
});

t.test('who connects and says nothing is asked', async (t) => {
  const bed = await Bed.desk();
  bed.status('desk', 'online', 'session-0009');
  await bed.time.advance(2900);
  t.same(bindingMessages(bed), ['0']);
  await bed.time.advance(200);
  t.same(bindingMessages(bed), ['0', 'rebirth']);
  bed.bus.connect('desk', true);
  bed.birth('desk', { id: 'session-0010' });
  await bed.time.advance(10_000);
  t.same(bindingMessages(bed), ['0', 'rebirth', '0'], 'not who has said it');
  await bed.relay.close();
});

t.test('slots: the first change at once, a burst as one, no change as none', async (t) => {
  const bed = await Bed.desk();
  await bed.time.advance(1000);
  bed.cluster.change(cart, { ready: 2 });
  t.equal(bed.slots().length, 2, 'leading edge');
  for (let ready = 0; ready < 50; ready++) {
    bed.cluster.change(cart, { ready: ready % 3 });
    await bed.time.advance(10);
  }
  await bed.time.advance(200);
  t.ok(bed.slots().length <= 2 + 7, `${bed.slots().length} messages in 0.7 s`);
  t.equal(bed.slots().at(-1)?.ready, 49 % 3, 'and the last one tells what is');
  const before = bed.slots().length;
  bed.cluster.change(cart, {});
  await bed.time.advance(1000);
  t.equal(bed.slots().length, before, 'a new resourceVersion alone is not news');
  const revs = bed.slots().map(({ rev }) => rev);
  t.same(
    revs,
    [...new Set(revs)].sort((a, b) => a - b),
  );
  await bed.relay.close();
});

t.test('a change of the registry: new bindings, their slots, and the old ones taken away', async (t) => {
  const bed = await Bed.desk();
  bed.registry.set('desk', surfaceOf('desk', [{}]));
  t.same(
    bindingMessages(bed),
    ['0'],
    'what says the same is not sent again: controls would have to be picked up anew',
  );
  bed.registry.set('desk', surfaceOf('desk', [{ max: 9 }]));
  t.same(bindingMessages(bed), ['0', '0']);
  bed.registry.set('desk', surfaceOf('desk', [{ target: { name: 'pay' } }]));
  t.same(bindingMessages(bed), ['0', '0', '1']);
  const cleared = bed.bus.sent.filter(({ payload }) => payload.length === 0);
  t.match(cleared, [{ topic: 'surfaced/v1/lab/desk/down/slot/0', isRetained: true }]);
  t.equal(bed.cluster.openWatches, 1);
  bed.registry.set('desk', null);
  t.equal(bed.cluster.openWatches, 0);
  t.equal(bed.relay.status().surfaces.length, 0);
  await bed.relay.close();
});

t.test('many bindings come in parts that fit', (t) => {
  const binding = (slot: number): Binding => ({
    slot,
    control: 'c'.repeat(32),
    bank: 0,
    name: '日'.repeat(63),
    colour: 'vermilion',
    min: 0,
    max: 100_000,
    step: 1000,
    takeover: 'relative',
    zero: 'never',
    isInverted: false,
  });
  const parts = partsOf(Array.from({ length: 64 }, (_, slot) => binding(slot)));
  t.same(
    parts.flat().map(({ slot }) => slot),
    [...Array(64).keys()],
  );
  for (const part of parts) t.ok(Buffer.byteLength(JSON.stringify(part)) < 4000 && part.length <= 12);
  t.same(partsOf([]), [[]], 'no bindings are told too');
  t.end();
});

t.test('a binding that does not fit the panel is told, and the others work', async (t) => {
  const bed = await Bed.desk([{ control: 'fader9' }, { control: 'fader1' }]);
  t.match(bed.relay.status().problems, [/desk: fader9 on bank 0: the panel has no control/]);
  t.same(bindingMessages(bed), ['1']);
  t.equal(bed.slots(1).length, 1);
  await bed.relay.close();
});

t.test('the beat: at once, every five seconds, at each change of health, and a goodbye', async (t) => {
  const bed = await Bed.desk();
  t.match(bed.beats(), [{ state: 'online', seq: 0, apiHealthy: true, detail: '' }]);
  await bed.time.advance(10_000);
  t.equal(bed.beats().length, 3);
  bed.cluster.setHealth(false, 'connect ECONNREFUSED');
  t.match(bed.beats().at(-1), { apiHealthy: false, detail: 'connect ECONNREFUSED', seq: 3 });
  t.match(bed.relay.status(), { apiHealthy: false, problems: [/API server: connect ECONNREFUSED/] });
  t.equal(new Set(bed.beats().map(({ session }) => session)).size, 1);
  await bed.relay.close();
  t.match(bed.beats().at(-1), { state: 'offline' });
  await bed.time.advance(60_000);
  t.equal(bed.beats().length, 5);
  t.equal(bed.time.pending, 0);
});

t.test('messages that are not ours or not readable do no harm', async (t) => {
  const bed = await Bed.desk();
  const before = bed.bus.sent.length;
  for (const topic of [
    'x',
    'surfaced/v1/other/desk/up/birth',
    'surfaced/v1/lab/desk/down/ack',
    'surfaced/v1/lab/_gw/gw/status',
  ])
    bed.bus.receive(topic, Buffer.from('{}'));
  for (const leaf of ['birth', 'status', 'tele', 'cmd']) {
    bed.bus.receive(`surfaced/v1/lab/desk/up/${leaf}`, Buffer.from('nonsense'));
    bed.bus.receive(`surfaced/v1/lab/desk/up/${leaf}`, new Uint8Array(0));
    bed.bus.receive(`surfaced/v1/lab/nobody/up/${leaf}`, Buffer.from('{}'));
  }
  await bed.time.advance(100);
  t.equal(bed.bus.sent.length, before);
  t.equal(bed.relay.status().surfacesOnline, 1);
  await bed.relay.close();
});

t.test('a change of the bindings that is no news to the surface leaves no slot behind', async (t) => {
  const bed = await Bed.desk();
  await bed.time.advance(1000);
  bed.registry.set('desk', surfaceOf('desk', [{ autoscaler: 'refuse' }]));
  t.equal(bindingMessages(bed).length, 1, 'the surface need not know');
  bed.cluster.change(cart, { ready: 1 });
  await bed.time.advance(200);
  t.match(bed.slots().at(-1), { ready: 1 }, 'the slot goes on');
  await bed.relay.close();
});

t.test('who comes back hears what became of its commands meanwhile, before anything else', async (t) => {
  const bed = await Bed.desk([{}, { target: { name: 'pay' } }]);
  bed.cluster.add({ ...cart, name: 'pay' }, { desired: 1 });
  const ended = bed.send({ want: 4, saw: 3 });
  const followed = bed.send({ want: 2, saw: 1, slot: 1 });
  await bed.time.advance(50);
  bed.status('desk', 'offline');
  bed.cluster.converge(cart);
  await bed.time.advance(50);
  const before = bed.bus.sent.length;
  bed.birth('desk', { id: 'session-0002' });
  t.same(
    bed.bus.sent.slice(before, before + 3).map(({ topic }) => topic.split('/').at(-1)),
    ['ack', 'ack', 'ctl'],
  );
  t.equal(bed.phases(ended), 'received accepted converged converged');
  t.equal(bed.phases(followed), 'received accepted accepted');
  await bed.time.advance(60_000);
  bed.birth('desk', { id: 'session-0003' });
  t.equal(bed.acks(ended).length, 4, 'what is long over is not told again');
  t.equal(bed.phases(followed), 'received accepted accepted accepted');
  await bed.relay.close();
});
