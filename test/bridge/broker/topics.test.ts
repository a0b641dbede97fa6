import t from 'tap';
import { startBed } from './bed.ts';

const up = (surface: string, leaf: string): string => `surfaced/v1/site/${surface}/up/${leaf}`;
const ackTopic = 'surfaced/v1/site/desk/down/ack';
const command = JSON.stringify({
  v: 1,
  id: 'session-1-7',
  slot: 0,
  want: 3,
  saw: 2,
  issuedAt: 1,
  ttlMs: 5000,
});
const isAck = (each: { cmd?: string | undefined; topic?: string }): boolean =>
  each.cmd === 'publish' && each.topic === ackTopic;

t.test('own messages reach the gateway with their bytes', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  desk.publish(up('desk', 'cmd'), command);
  await bed.until(() => bed.messages.length > 0);
  t.equal(bed.messages[0]?.topic, up('desk', 'cmd'));
  t.equal(Buffer.from(bed.messages[0]?.payload ?? []).toString(), command);
});

t.test("nobody publishes under $SYS, another's name, or names that are not topics of ours", async (t) => {
  const bed = await startBed(t, { limits: { connects: { burst: 100, perSecond: 1 } } });
  const victim = await bed.surface('victim');
  const attempts: [string, 0 | 1 | 2][] = [
    ['$SYS/other/new/clients', 1],
    [up('victim', 'cmd'), 1],
    [up('victim', 'status'), 0],
    ['surfaced/v1/site/desk/down/ack', 1],
    ['surfaced/v1/site/_gw/gw/status', 1],
    ['surfaced/v1/elsewhere/desk/up/cmd', 1],
    [`${up('desk', 'cmd')}\u0000`, 1],
    [up('desk\u0000', 'cmd'), 1],
    [up('desk', 'cmd'), 2],
    ['a/'.repeat(60), 1],
  ];
  for (const [topic, qos] of attempts) {
    const raw = await bed.client('desk');
    t.equal(await raw.connect({ clientId: 'desk' }), 0);
    raw.publish(topic, 'victim', { qos });
    await raw.closed;
    t.pass(`${JSON.stringify(topic)} at QoS ${qos} is closed`);
  }
  await victim.ping();
  t.same(bed.messages, []);
  t.notOk(
    bed.sessions.some(([surface, isConnected]) => surface === 'victim' && !isConnected),
    'the victim of a forged $SYS message stays',
  );
});

t.test('what a well-formed surface may not do is answered, and its connection stays', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  const answered = async (send: () => void): Promise<unknown> => {
    const before = desk.packets.filter(isAck).length;
    send();
    await desk.next(() => desk.packets.filter(isAck).length > before);
    const ack = desk.packets.filter(isAck).at(-1);
    return ack?.cmd === 'publish' ? JSON.parse(ack.payload.toString()) : null;
  };
  t.match(await answered(() => desk.publish(up('desk', 'cmd'), command, { retain: true })), {
    id: 'session-1-7',
    phase: 'denied',
    code: 'RetainRefused',
  });
  t.match(await answered(() => desk.publish(up('desk', 'cmd'), Buffer.alloc(4097, 'x'))), {
    id: '',
    code: 'TooLarge',
  });
  t.match(await answered(() => desk.publish(up('desk', 'later'), '{}')), { code: 'UnknownTopic' });
  await desk.ping();
  t.equal(desk.packets.filter((each) => each.cmd === 'puback').length, 3, 'PUBACK: nothing to send again');
  t.same(bed.messages, [], 'the gateway saw none of it');
  t.same(bed.sessions, [['desk', true]]);
});

t.test('filters that are not its own are denied, shared ones too', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  for (const filter of [
    '#',
    '+/#',
    '$SYS/#',
    'surfaced/v1/site/+/down/#',
    'surfaced/v1/site/victim/down/#',
    'surfaced/v1/site/desk/#',
    'surfaced/v1/site/desk/up/#',
    '$share/group/surfaced/v1/site/desk/down/#',
    'surfaced/v1/site/desk/down/ack\u0000',
  ]) {
    t.same(await desk.subscribe(filter), [128], JSON.stringify(filter));
  }
  t.same(await desk.subscribe('surfaced/v1/site/desk/down/slot/3', 'surfaced/v1/site/desk/down/ctl'), [1, 1]);
});

t.test('a mixed SUBSCRIBE of a clean=false session keeps nothing that was denied', async (t) => {
  const bed = await startBed(t);
  const spied = 'surfaced/v1/site/victim/down/slot/0';
  const first = await bed.client('desk');
  t.equal(await first.connect({ clientId: 'desk', clean: false }), 0);
  t.same(await first.subscribe('surfaced/v1/site/desk/down/#', spied), [1, 128]);
  first.end();
  await bed.until(() => bed.broker.sessions === 0);
  await bed.broker.publish(spied, Buffer.from('secret'), { qos: 1, isRetained: false });
  await bed.broker.publish(ackTopic, Buffer.from('own'), { qos: 1, isRetained: false });

  const second = await bed.client('desk');
  t.equal(await second.connect({ clientId: 'desk', clean: false }), 0);
  await second.ping();
  const connack = second.packets.find((each) => each.cmd === 'connack');
  t.match(connack, { sessionPresent: false });
  await bed.broker.publish(spied, Buffer.from('secret'), { qos: 1, isRetained: false });
  await second.ping();
  t.same(second.topics(), [], 'nothing denied, nothing from while it was away');
});

t.test('retained messages: only its own, at once, and gone when cleared', async (t) => {
  const bed = await startBed(t);
  const keep = { qos: 1, isRetained: true } as const;
  const slot = (surface: string, number: number) => `surfaced/v1/site/${surface}/down/slot/${number}`;
  await bed.broker.publish(slot('desk', 0), Buffer.from('a'), keep);
  await bed.broker.publish(slot('desk', 63), Buffer.from('b'), keep);
  await bed.broker.publish(slot('desk', 1), Buffer.from('c'), keep);
  await bed.broker.publish(slot('desk', 1), Buffer.alloc(0), keep);
  await bed.broker.publish(slot('victim', 0), Buffer.from('d'), keep);
  await bed.broker.publish('surfaced/v1/site/_gw/gw/status', Buffer.from('e'), keep);
  const desk = await bed.surface('desk');
  await desk.next(() => desk.topics().length >= 3);
  await desk.ping();
  t.same(desk.topics().sort(), ['surfaced/v1/site/_gw/gw/status', slot('desk', 0), slot('desk', 63)]);
  t.ok(desk.packets.every((each) => each.cmd !== 'publish' || each.retain));
});

t.test('the gateway publishes to topics of ours only, within the limit', async (t) => {
  const { broker } = await startBed(t);
  const live = { qos: 1, isRetained: false } as const;
  for (const topic of [
    up('desk', 'cmd'),
    'surfaced/v1/elsewhere/desk/down/ack',
    'surfaced/v1/site/_gw/another/status',
    '$SYS/x',
    'a/#',
  ]) {
    await t.rejects(broker.publish(topic, Buffer.from('x'), live), /not a topic that a gateway publishes/);
  }
  await t.rejects(broker.publish(ackTopic, Buffer.alloc(4097), live), /over the wire limit/);
  await t.resolves(broker.publish(ackTopic, Buffer.alloc(4096), live));
});
