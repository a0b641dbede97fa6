import t, { type Test } from 'tap';
import type { LinkTiming } from '../../../daemon/bridge/link/timing.ts';
import {
  birthMessage,
  commandMessage,
  decode,
  statusMessage,
  teleMessage,
} from '../../../daemon/bridge/wire/messages.ts';
import { authority, type Bed, startBed } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { Gateway, type Rig, startLink } from './rig.ts';

const intent = (seq: number) => ({ seq, slot: 0, want: 5, saw: 3, arm: [] });
const said = (bed: Bed, leaf: string): unknown[] =>
  bed.messages
    .filter((message) => message.topic.endsWith(`/up/${leaf}`))
    .map((message) => JSON.parse(Buffer.from(message.payload).toString()));

interface Set {
  readonly bed: Bed;
  readonly gateway: Gateway;
  readonly rig: Rig;
}

/** Broker, gateway and link; online unless told otherwise. */
async function start(
  t: Test,
  options: { timing?: Partial<LinkTiming>; bed?: Parameters<typeof startBed>[1]; isOnline?: boolean } = {},
): Promise<Set> {
  const bed = await startBed(t, options.bed);
  const gateway = Gateway.on(bed.broker);
  const rig = startLink(t, await credentialsFor(authority, 'desk', bed.broker.port), options.timing);
  await bed.until(() => said(bed, 'birth').length > 0);
  if (options.isOnline ?? true) {
    await gateway.beat();
    await rig.until(() => rig.link.state === 'online');
  }
  return { bed, gateway, rig };
}

t.test('it says that it is online, what it is, and is stale until the gateway is heard', async (t) => {
  const { bed, gateway, rig } = await start(t, { isOnline: false });
  const payloads = bed.messages.map((message) => message.payload);
  const status = decode(statusMessage, payloads[0] ?? Buffer.alloc(0));
  const birth = decode(birthMessage, payloads[1] ?? Buffer.alloc(0));
  if (!status.ok || !birth.ok) throw new Error('not as the wire has it');
  t.match(status.message, { state: 'online', session: birth.message.session });
  t.match(birth.message, { model: 'test', clock: 'unset', controls: [{ name: 'fader1', kind: 'fader' }] });
  await rig.until(() => rig.link.state === 'stale');
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  t.same(rig.states(), ['offline', 'stale', 'online']);
  t.match(rig.inputs.at(-1), { type: 'link', detail: '', isAttested: true });
  t.same(rig.link.health(), { ok: true, detail: 'online, attested at level 0' });
  t.match(
    rig.lines.find(({ msg }) => msg === 'connected'),
    { surface: 'desk', trust: 'tpm', attestedLevel: 0 },
  );
  t.match(rig.link.status(), { level: 0, gatewaySession: 'gateway-1', session: birth.message.session });
});

t.test('stale: beats missed, API server away, gateway gone; each says why, and it comes back', async (t) => {
  const { gateway, rig } = await start(t);
  const detail = () => rig.link.status().detail;
  rig.clock.aheadMs = 15_100;
  await rig.until(() => rig.states().at(-1) === 'stale');
  t.match(detail(), /silent/);
  await gateway.beat();
  await rig.until(() => rig.states().at(-1) === 'online');
  await gateway.beat({ apiHealthy: false, detail: 'API server refuses connections' });
  await rig.until(() => rig.states().at(-1) === 'stale');
  t.equal(detail(), 'API server refuses connections');
  await gateway.beat();
  await rig.until(() => rig.states().at(-1) === 'online');
  await gateway.beat({ state: 'offline', session: 'of-before' });
  await gateway.beat({ state: 'offline' });
  await rig.until(() => rig.states().at(-1) === 'stale');
  t.match(detail(), /stopping/);
  t.equal(rig.link.health().ok, false);
});

t.test('a kept beat alone does not make it online', async (t) => {
  const bed = await startBed(t);
  const gateway = Gateway.on(bed.broker);
  await gateway.beat();
  const rig = startLink(t, await credentialsFor(authority, 'desk', bed.broker.port));
  await gateway.say('desk/down/slot/1', { v: 1 }, true);
  // The slot is refused and counted: it came after the kept beat.
  await rig.until(() => rig.link.status().counters.bad === 1 || rig.link.state === 'online');
  t.equal(rig.link.state, 'stale');
});

t.test('a command carries the time of the gateway, and is answered to its end once', async (t) => {
  const { bed, gateway, rig } = await start(t, { isOnline: false });
  gateway.aheadMs = 3_600_000;
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  rig.link.send(intent(1));
  await bed.until(() => said(bed, 'cmd').length === 1);
  const command = decode(commandMessage, bed.messages.at(-1)?.payload ?? Buffer.alloc(0));
  if (!command.ok) throw new Error(command.problem);
  t.match(command.message, { slot: 0, want: 5, saw: 3, ttlMs: 5000, id: `${rig.link.status().session}-1` });
  t.ok(Math.abs(command.message.issuedAt - Date.now() - 3_600_000) < 60_000, 'gateway time, not ours');
  for (const phase of ['received', 'accepted', 'accepted', 'converged', 'converged', 'reverted'])
    await gateway.ack(command.message.id, phase);
  await gateway.ack('another-session-1', 'denied');
  await gateway.beat({ apiHealthy: false });
  await rig.until(() => rig.link.state === 'stale');
  t.same(
    rig.acks().map((ack) => [ack.seq, ack.phase]),
    [
      [1, 'received'],
      [1, 'accepted'],
      [1, 'converged'],
    ],
  );
});

t.test('nothing is sent or kept while it is not online', async (t) => {
  const { bed, gateway, rig } = await start(t, { isOnline: false });
  rig.link.send(intent(1));
  await rig.until(() => rig.acks().length === 1);
  t.match(rig.acks()[0], { seq: 1, phase: 'expired', code: 'NotConnected' });
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  rig.link.send(intent(2));
  await bed.until(() => said(bed, 'cmd').length > 0);
  t.match(said(bed, 'cmd'), [{ id: /-2$/ }]);
});

t.test('nothing is sent while it is stale, though it is connected', async (t) => {
  const { bed, gateway, rig } = await start(t);
  await gateway.beat({ apiHealthy: false, detail: 'API server is away' });
  await rig.until(() => rig.link.state === 'stale');
  rig.link.send(intent(1));
  await rig.until(() => rig.acks().length === 1);
  t.match(rig.acks()[0], { seq: 1, phase: 'expired', code: 'NotConnected', detail: 'API server is away' });
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  rig.link.send(intent(2));
  await bed.until(() => said(bed, 'cmd').length > 0);
  t.match(said(bed, 'cmd'), [{ id: /-2$/ }]);
});

t.test('a command without an answer has an end after its time to live', async (t) => {
  const { bed, rig } = await start(t);
  rig.link.send(intent(1));
  await bed.until(() => said(bed, 'cmd').length === 1);
  rig.clock.aheadMs = 8100;
  await rig.until(() => rig.acks().length > 0);
  t.match(rig.acks(), [{ seq: 1, phase: 'expired', code: 'NoAnswer' }]);
});

t.test('a gateway that was started anew ends what it had accepted before', async (t) => {
  const { bed, gateway, rig } = await start(t);
  rig.link.send(intent(1));
  await bed.until(() => said(bed, 'cmd').length === 1);
  const id = `${rig.link.status().session}-1`;
  await gateway.ack(id, 'accepted');
  gateway.session = 'gateway-2';
  await gateway.beat();
  await rig.until(() => rig.acks().length === 2);
  t.match(rig.acks()[1], { seq: 1, phase: 'expired', code: 'GatewayRestarted' });
});

t.test('a broker that goes away and comes back: offline, online, and no command twice', async (t) => {
  const { bed, gateway, rig } = await start(t);
  rig.link.send(intent(1));
  await bed.until(() => said(bed, 'cmd').length === 1);
  const before = rig.link.status().session;
  const { port } = bed.broker;
  await bed.broker.close();
  await rig.until(() => rig.link.state === 'offline');
  rig.link.send(intent(2));
  const again = await startBed(t, { port });
  await again.until(() => said(again, 'birth').length > 0);
  t.equal(rig.link.state, 'stale', 'what was heard of the gateway before does not count');
  const fresh = Gateway.on(again.broker, 'gateway-2');
  fresh.seq = gateway.seq;
  await fresh.beat();
  await rig.until(() => rig.link.state === 'online');
  rig.link.send(intent(3));
  await again.until(() => said(again, 'cmd').length > 0);
  t.match(said(again, 'cmd'), [{ id: /-3$/ }]);
  t.not(rig.link.status().session, before, 'a session for each connection');
  t.match(said(again, 'status'), [{ state: 'online', session: rig.link.status().session }]);
});

t.test('the will of a lost connection carries its session', async (t) => {
  const { bed, rig } = await start(t);
  const { session } = rig.link.status();
  bed.broker.disconnect('desk', 'test');
  await bed.until(() => said(bed, 'status').length >= 3);
  t.match(said(bed, 'status').slice(0, 2), [
    { state: 'online', session, seq: 0 },
    { state: 'offline', session, seq: 1 },
  ]);
  await rig.until(() => rig.link.status().session !== session && rig.link.status().session !== null);
});

t.test('slots, bindings, rebirth and renew', async (t) => {
  const { bed, gateway, rig } = await start(t);
  const slot = {
    v: 1,
    rev: 7,
    at: 1,
    name: 'cart',
    colour: 'green',
    kind: 'Deployment',
    desired: 3,
    observed: 3,
    ready: 2,
    pods: [['a', 'ready']],
    podsLeftOut: 0,
    condition: { state: 'ok', reason: '', message: '' },
    owner: null,
  };
  const binding = {
    slot: 4,
    control: 'fader1',
    bank: 0,
    name: 'cart',
    colour: 'green',
    min: 1,
    max: 9,
    step: 1,
    takeover: 'pickup',
    zero: 'never',
    isInverted: false,
  };
  const bindings = { v: 1, type: 'bindings', rev: 1, part: 0, parts: 1, bindings: [binding], trust: 'token' };
  await gateway.say('desk/down/slot/4', slot, true);
  await gateway.say('desk/down/slot/4', { ...slot, rev: 6 }, true);
  await gateway.say('desk/down/ctl', bindings);
  await gateway.say('desk/down/ctl', { ...bindings, rev: 2 });
  await gateway.say('desk/down/ctl', { v: 1, type: 'renew', reason: 'policy changed' });
  const births = said(bed, 'birth').length;
  await gateway.say('desk/down/ctl', { v: 1, type: 'rebirth' });
  await bed.until(() => said(bed, 'birth').length > births);
  t.match(said(bed, 'birth').at(-1), { session: rig.link.status().session, clock: 'synced' });
  const slots = rig.inputs.filter((each) => each.type === 'slot');
  t.match(slots, [{ slot: 4, view: { rev: 7, ready: 2, pods: [['a', 'ready']] } }]);
  const sets = rig.inputs.filter((each) => each.type === 'bindings');
  t.same(sets, [{ type: 'bindings', bindings: [binding] }], 'the same set is not told twice');
  t.equal(rig.source.renewalsAsked, 1);
  t.match(rig.inputs.at(-1), { type: 'link', state: 'online', isAttested: false });
  t.equal(rig.link.status().level, null, 'what a token is trusted with has no level');
  t.equal(rig.link.health().detail, 'online, not attested');
});

t.test('messages that are not as they should be are counted, logged once, and do no harm', async (t) => {
  const { bed, gateway, rig } = await start(t);
  for (const bad of ['', '{', '{"v":2}', '{"v":1}', 'null', '[]', '\u0000']) {
    await gateway.say('desk/down/slot/0', bad);
    await gateway.say('desk/down/ack', bad);
    await gateway.say('desk/down/ctl', bad);
    await gateway.say('_gw/gw/status', bad);
  }
  const births = said(bed, 'birth').length;
  await gateway.say('desk/down/ctl', { v: 1, type: 'rebirth' });
  await bed.until(() => said(bed, 'birth').length > births);
  t.equal(rig.link.status().counters.bad, 24);
  t.equal(rig.lines.filter((line) => line.problem !== undefined).length, 4, 'one line for each kind');
  t.equal(rig.link.state, 'online');
});

t.test('a message that the broker drops is answered, and the connection stays', async (t) => {
  const { bed, rig } = await start(t, { bed: { limits: { messages: { burst: 5, perSecond: 0 } } } });
  const { session } = rig.link.status();
  // Two subscriptions, status and birth have taken four.
  rig.link.send(intent(1));
  rig.link.send(intent(2));
  await rig.until(() => rig.acks().length > 0);
  t.match(rig.acks(), [{ seq: 2, phase: 'denied', code: 'RateLimited' }]);
  await bed.until(() => said(bed, 'cmd').length === 1);
  t.equal(rig.link.status().session, session);
  t.same(bed.sessions, [['desk', true]]);
});

t.test('a renewed certificate is taken into use without the surface noticing', async (t) => {
  const { bed, rig } = await start(t);
  const before = { serial: bed.broker.identityOf('desk')?.serial, session: rig.link.status().session };
  const renewed = await credentialsFor(authority, 'desk', bed.broker.port);
  rig.source.set({ ...renewed, notAfter: renewed.notAfter + 60_000 }, true);
  await rig.until(() => {
    const { session } = rig.link.status();
    return session !== null && session !== before.session;
  });
  await bed.until(() => said(bed, 'birth').length === 2);
  t.not(bed.broker.identityOf('desk')?.serial, before.serial);
  t.same(rig.states(), ['offline', 'stale', 'online'], 'online throughout');
  t.equal(rig.link.state, 'online');
  rig.link.send(intent(1));
  await bed.until(() => said(bed, 'cmd').length === 1);
  t.match(said(bed, 'cmd'), [{ id: `${rig.link.status().session}-1` }]);
  t.equal(bed.broker.sessions, 1);
});

t.test(
  'a renewed certificate serves also when it ends earlier: the clock of the gateway was set back',
  async (t) => {
    const { bed, rig } = await start(t);
    const before = bed.broker.identityOf('desk')?.serial;
    const renewed = await credentialsFor(authority, 'desk', bed.broker.port);
    rig.source.set({ ...renewed, notAfter: renewed.notAfter - 3_600_000 }, true);
    await bed.until(() => said(bed, 'birth').length === 2);
    t.not(bed.broker.identityOf('desk')?.serial, before);
    t.same(rig.states(), ['offline', 'stale', 'online'], 'online throughout');
  },
);

t.test('a renewed certificate that does not serve leaves the old connection alone', async (t) => {
  const { bed, gateway, rig } = await start(t);
  const { session } = rig.link.status();
  const good = await credentialsFor(authority, 'desk', bed.broker.port);
  rig.source.set({ ...good, privateKeyPem: 'nonsense', notAfter: good.notAfter + 60_000 }, true);
  await rig.until(() => rig.lines.some((line) => line.msg === 'renewed certificate is not in use yet'));
  await gateway.beat();
  t.equal(rig.link.status().session, session);
  t.equal(rig.link.state, 'online');
  rig.source.set({ ...good, notAfter: good.notAfter + 120_000 }, true);
  await rig.until(() => ![null, session].includes(rig.link.status().session));
  t.same(rig.states(), ['offline', 'stale', 'online'], 'and the next one is tried');
});

t.test('a session closed with its old certificate comes back with the current one', async (t) => {
  const { bed, gateway, rig } = await start(t);
  const before = bed.broker.identityOf('desk')?.serial;
  rig.source.set(await credentialsFor(authority, 'desk', bed.broker.port), false);
  bed.broker.disconnect('desk', 'certificate is out of date');
  await bed.until(() => said(bed, 'birth').length === 2);
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  t.not(bed.broker.identityOf('desk')?.serial, before);
});

t.test('counters are sent from time to time', async (t) => {
  const { bed, rig } = await start(t);
  rig.clock.aheadMs = 30_100;
  await bed.until(() => said(bed, 'tele').length === 1);
  const tele = decode(teleMessage, bed.messages.at(-1)?.payload ?? Buffer.alloc(0));
  t.match(tele, { ok: true, message: { counters: { connects: 1, bad: 0 } } });
});

t.test('stop says good-bye, once, and leaves nothing running', async (t) => {
  const { bed, rig } = await start(t);
  const { session } = rig.link.status();
  await Promise.all([rig.link.stop(), rig.link.stop()]);
  await bed.until(() => bed.broker.sessions === 0);
  t.match(said(bed, 'status'), [
    { state: 'online', session, seq: 0 },
    { state: 'offline', session, seq: 2 },
  ]);
  const count = rig.inputs.length;
  rig.link.send(intent(9));
  await rig.until(() => rig.inputs.length > count);
  t.match(rig.acks(), [{ seq: 9, phase: 'expired' }], 'even then every intent has its end');
});
