import t from 'tap';
import type { Ownership } from '../../../daemon/bridge/gateway/ownership.ts';
import { Bed, cart, surfaceOf } from './bed.ts';

/** What the Leases say, as a test wants it. */
class Held implements Ownership {
  since: number | null;
  until = Number.POSITIVE_INFINITY;
  fence = 0;

  constructor(since: number | null) {
    this.since = since;
  }

  isMine(): boolean {
    return this.since !== null;
  }

  mayActUntil(): number {
    return this.since === null ? 0 : this.until;
  }

  heldSince(): number {
    return this.since ?? 0;
  }

  fencedUntil(): number {
    return this.fence;
  }
}

async function start(since: number | null): Promise<{ bed: Bed; held: Held }> {
  const bed = new Bed();
  const held = new Held(since);
  bed.ownership = held;
  bed.cluster.add(cart, { desired: 3 });
  bed.registry.set('desk', surfaceOf('desk', [{}]));
  bed.start();
  bed.birth('desk');
  await bed.time.settle();
  return { bed, held };
}

t.test('a gateway that does not hold the surface listens, and says nothing to it', async (t) => {
  const { bed } = await start(null);
  const id = bed.send({ want: 5, saw: 3 });
  bed.cluster.change(cart, { desired: 4 });
  bed.status('desk', 'offline');
  bed.status('desk', 'online', 'session-0002');
  bed.registry.set('desk', surfaceOf('desk', []));
  bed.registry.set('desk', null);
  await bed.time.advance(10_000);
  t.same(bed.acks(id), []);
  t.same(bed.records, []);
  t.same(bed.cluster.calls, []);
  t.same(
    bed.bus.sent.filter(({ topic }) => !topic.endsWith('/status')),
    [],
  );
  await bed.relay.close();
});

t.test('one that takes over serves anew what it has kept warm', async (t) => {
  const { bed, held } = await start(null);
  bed.cluster.change(cart, { desired: 7 });
  await bed.time.advance(1000);
  const beats = bed.beats().length;
  held.since = 1;
  held.fence = bed.time.now() + 2000;
  await bed.relay.reconsider();
  t.equal(bed.ctl()[0]?.type, 'served', 'who serves it comes first');
  t.match(bed.ctl()[0], { gateway: 'gw', session: bed.beats()[0]?.session });
  t.same(
    bed.ctl().map(({ type }) => type),
    ['served', 'bindings', 'rebirth'],
  );
  t.match(bed.slots().at(-1), { desired: 7 }, 'without a wait for the API server');
  await bed.time.advance(250);
  t.ok(bed.beats().length > beats, 'and a beat soon, for its clock');
  const before = bed.send({ want: 5, saw: 7 });
  t.equal(bed.last(before), 'stale BindingChanged', 'it has not heard yet which slot is which');
  bed.birth('desk');
  const early = bed.send({ want: 5, saw: 7 });
  t.equal(bed.last(early), 'expired BeforeStart', 'another may have acted on it');
  await bed.time.advance(2000);
  const id = bed.send({ want: 5, saw: 7 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received accepted');
  t.same(bed.puts, [5]);
  await bed.relay.reconsider();
  t.equal(bed.ctl().filter(({ type }) => type === 'served').length, 2, 'with the birth, and not again');
  held.since = 2;
  await bed.relay.reconsider();
  t.equal(bed.ctl().filter(({ type }) => type === 'served').length, 3, 'lost and got back unseen');
  await bed.relay.close();
});

t.test('one that gives a surface up tells it, for its display may be out of date from then on', async (t) => {
  const { bed, held } = await start(1);
  held.since = null;
  await bed.relay.reconsider();
  t.match(bed.ctl().at(-1), { type: 'unserved', session: bed.beats()[0]?.session });
  const { length } = bed.ctl();
  await bed.relay.reconsider();
  t.equal(bed.ctl().length, length, 'once');
  await bed.relay.close();
});

t.test('handed over on purpose: what was not sent ends, what was is waited for', async (t) => {
  const { bed, held } = await start(1);
  bed.cluster.delayMs = 300;
  const sent = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(350);
  t.same(bed.puts, [5]);
  const waits = bed.send({ want: 6, saw: 3 });
  held.since = null;
  let isReleased = false;
  const released = bed.relay.reconsider().then(() => {
    isReleased = true;
  });
  await bed.time.settle();
  t.equal(bed.last(waits), 'expired HandedOver');
  t.equal(bed.last(sent), 'received', 'nobody knows yet what becomes of it');
  t.equal(isReleased, false);
  await bed.time.advance(300);
  await released;
  t.equal(bed.phases(sent), 'received accepted expired');
  t.match(bed.acks(sent).at(-1), { code: 'HandedOver', detail: /accepted/ });
  await bed.time.advance(60_000);
  t.same(bed.puts, [5], 'and nothing more is sent');
  t.equal(bed.records.length, 2);
  await bed.relay.close();
});

t.test('what is lost while the API server is asked is not written', async (t) => {
  const { bed, held } = await start(1);
  bed.cluster.before = () => {
    held.since = null;
  };
  const id = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.last(id), 'expired HandedOver');
  t.same(bed.puts, []);
  held.since = 3;
  held.until = bed.time.monotonic();
  bed.birth('desk');
  bed.cluster.before = () => {};
  const late = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.last(late), 'expired ApiUnavailable', 'nor after the time until which it may act');
  t.same(bed.puts, []);
  await bed.relay.close();
});

t.test('a birth that the broker has kept may be of the time of another gateway', async (t) => {
  const bed = new Bed();
  bed.cluster.add(cart, { desired: 3 });
  bed.registry.set('desk', surfaceOf('desk', [{}]));
  bed.start();
  bed.birth('desk', { isRetained: true });
  await bed.time.settle();
  t.same(
    bed.ctl().map(({ type }) => type),
    ['served', 'bindings', 'rebirth'],
  );
  t.equal(bed.last(bed.send({ want: 5, saw: 3 })), 'stale BindingChanged');
  bed.birth('desk');
  const id = bed.send({ want: 5, saw: 3 });
  await bed.time.advance(50);
  t.equal(bed.phases(id), 'received accepted');
  await bed.relay.close();
});
