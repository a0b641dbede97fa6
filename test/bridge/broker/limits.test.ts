import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { ComplaintLog, TokenBucket, TokenBuckets } from '../../../daemon/bridge/broker/limits.ts';
import { silentLog } from '../../../daemon/log.ts';
import { authority, MovableClock, startBed, strangers } from './bed.ts';
import { RawClient } from './raw-client.ts';

const slot = (surface: string): string => `surfaced/v1/site/${surface}/down/slot/0`;
const cmd = 'surfaced/v1/site/desk/up/cmd';
const live = { qos: 1, isRetained: false } as const;
const command = (seq: number): string =>
  JSON.stringify({ v: 1, id: `session-1-${seq}`, slot: 0, want: 3, saw: 2, issuedAt: 1, ttlMs: 5000 });
const refusals = (lines: readonly { msg: string; source?: string }[], source: string): number =>
  lines.filter((line) => line.msg === 'client refused' && line.source === source).length;

t.test('a 200 MB header is closed at once, before CONNECT and after', async (t) => {
  const bed = await startBed(t);
  const bystander = await bed.surface('bystander');
  // Type CONNECT or PUBLISH, Remaining Length 200 MiB.
  for (const type of [0x10, 0x30]) {
    const raw = await bed.client('desk');
    if (type === 0x30) t.equal(await raw.connect({ clientId: 'desk' }), 0);
    raw.socket.write(Buffer.from([type, 0x80, 0x80, 0x80, 0x64]));
    await raw.closed;
  }
  await bystander.ping();
  t.equal(refusals(bed.lines, 'desk'), 1, 'logged once');
  t.match(bed.lines.find((line) => line.source === 'desk')?.reason, /209715200 bytes or more, at most 2048/);
});

t.test('2 KiB are enough for CONNECT and 8 KiB for anything else, in one chunk or many', async (t) => {
  const bed = await startBed(t);
  const large = await bed.client('desk');
  t.equal(await large.connect({ clientId: 'x'.repeat(2100) }), null);
  const desk = await bed.surface('desk');
  desk.publish(cmd, Buffer.alloc(7000, 'x'));
  await desk.ping();
  desk.publish(cmd, Buffer.alloc(8300, 'x'));
  await desk.closed;
  t.same(bed.messages, []);
});

t.test('nothing of an oversized packet is acted upon', async (t) => {
  const bed = await startBed(t, { limits: { maxPacketBytes: 1000 } });
  const desk = await bed.surface('desk');
  desk.publish(cmd, Buffer.alloc(1500, 'x'));
  await desk.closed;
  t.same(bed.messages, [], 'the packet came whole in one chunk and was still dropped');
});

t.test('slow-loris: idle sockets do not keep a surface out, and are closed', async (t) => {
  const bed = await startBed(t, {
    maxConnections: 2,
    limits: { maxUnfinishedHandshakes: 3, handshakeTimeoutMs: 300, connectTimeoutMs: 300 },
  });
  const idle: Socket[] = [];
  for (let count = 0; count < 6; count += 1) {
    const socket = connect(bed.broker.port, '127.0.0.1');
    socket.on('error', () => {});
    idle.push(socket);
    await once(socket, 'connect');
  }
  const desk = await bed.surface('desk');
  const silent = await bed.client('silent');
  await Promise.all([...idle.map((socket) => socket.closed || once(socket, 'close')), silent.closed]);
  await desk.ping();
  t.same(bed.sessions, [['desk', true]]);
});

t.test('too many messages are dropped and answered, and the connection stays', async (t) => {
  const bed = await startBed(t, { limits: { messages: { burst: 5, perSecond: 0 } } });
  const desk = await bed.surface('desk');
  for (let seq = 1; seq <= 20; seq += 1) desk.publish(cmd, command(seq));
  await desk.ping();
  await desk.next(() => desk.packets.filter((each) => each.cmd === 'puback').length === 20);
  // PUBACK comes before routing.
  await bed.until(() => bed.messages.length >= 3);
  await desk.next(() => desk.topics().length >= 5);
  await desk.ping();
  t.equal(bed.messages.length, 3, 'two of five went into subscriptions');
  const acks = desk.packets.flatMap((each) =>
    each.cmd === 'publish' ? [JSON.parse(each.payload.toString())] : [],
  );
  t.equal(acks.length, 5, 'answers are limited, too');
  t.match(acks[0], { id: 'session-1-4', phase: 'denied', code: 'RateLimited' });
  t.same(await desk.subscribe(slot('desk')), [128], 'subscriptions count');
  bed.clock.aheadMs = 1000;
  desk.publish(cmd, command(99));
  const later = await desk.next((each) => each.cmd === 'publish' && each.payload.includes('session-1-99'));
  t.ok(later, 'one answer a second');
  t.same(bed.sessions, [['desk', true]]);
});

t.test('a flood of packets of any kind is closed', async (t) => {
  const bed = await startBed(t, { limits: { packets: { burst: 50, perSecond: 0 } } });
  const desk = await bed.surface('desk');
  desk.socket.write(Buffer.concat(Array.from({ length: 100 }, () => Buffer.from([0xc0, 0x00]))));
  await desk.closed;
  t.match(bed.lines.find((line) => line.source === 'desk')?.reason, /too many MQTT packets/);
});

/** Fills the buffers of a client that does not read; none of the messages may reject. */
function flood(publish: (payload: Buffer) => Promise<void>): Promise<unknown> {
  const payload = Buffer.alloc(4000, 'x');
  return Promise.all(Array.from({ length: 3000 }, () => publish(payload).catch(() => {})));
}

t.test('a subscriber that does not read holds up nobody, not even for its drain time', async (t) => {
  const endless = { drainTimeoutMs: 600_000, maxBacklogBytes: Number.MAX_SAFE_INTEGER };
  const bed = await startBed(t, { limits: endless });
  const frozen = await bed.surface('frozen');
  const desk = await bed.surface('desk');
  frozen.socket.pause();
  const flooded = flood((payload) => bed.broker.publish(slot('frozen'), payload, live));
  await bed.broker.publish(slot('desk'), Buffer.from('own'), live);
  await desk.next((each) => each.cmd === 'publish');
  t.equal(bed.broker.sessions, 2, 'while the other is still there, unread');
  frozen.end();
  await flooded;
});

t.test('a backlog of any length does not end the process when its client goes', async (t) => {
  const bed = await startBed(t, { limits: { drainTimeoutMs: 600_000 } });
  const bystander = await bed.surface('bystander');
  const frozen = await bed.surface('frozen');
  frozen.socket.pause();
  const flooded = flood((payload) => bed.broker.publish(slot('frozen'), payload, live));
  // Nobody subscribes to these: a queue would be emptied by recursion, one frame a message.
  const unheard = Array.from({ length: 20_000 }, () =>
    bed.broker.publish(slot('nobody'), Buffer.from('x'), live),
  );
  // The bystander has its answer when all of them are with the broker.
  await bystander.ping();
  frozen.end();
  await Promise.all([flooded, ...unheard]);
  await bystander.ping();
});

t.test('a subscriber that does not read is closed: after its drain time, or at its backlog', async (t) => {
  for (const limits of [
    { drainTimeoutMs: 300, maxBacklogBytes: Number.MAX_SAFE_INTEGER },
    { drainTimeoutMs: 600_000, maxBacklogBytes: 100_000 },
  ]) {
    const bed = await startBed(t, { limits });
    const desk = await bed.surface('desk');
    const frozen = await bed.surface('frozen');
    frozen.socket.pause();
    const publish = (payload: Buffer) => bed.broker.publish(slot('frozen'), payload, live);
    const flooded = flood(publish);
    // By then the flood is in the buffers, so that the next message sees what waits already.
    await desk.ping();
    await Promise.all([flooded, publish(Buffer.from('x'))]);
    await bed.until(() => bed.broker.sessions === 1);
    t.same(bed.sessions.at(-1), ['frozen', false], JSON.stringify(limits));
  }
});

t.test('1000 connects of one surface leave room for others, and one line in the log', async (t) => {
  const bed = await startBed(t, { limits: { connects: { burst: 10, perSecond: 0 } } });
  const certificate = await authority.client('desk');
  for (let round = 0; round < 20; round += 1) {
    // Bare TCP is cheap to open: 40 of 50 are dropped without a word of TLS.
    const sockets = Array.from({ length: 40 }, () => connect(bed.broker.port, '127.0.0.1'));
    const clients = Array.from(
      { length: 10 },
      () => new RawClient(bed.broker.port, authority.caPem, certificate),
    );
    for (const each of clients)
      each.send({ cmd: 'connect', protocolId: 'MQTT', clientId: 'desk', keepalive: 9, clean: true });
    for (const socket of sockets) socket.on('error', () => {}).destroy();
    await Promise.all(clients.slice(4).map((each) => Promise.race([each.closed, each.next(() => true)])));
    for (const each of clients) each.end();
    await Promise.all(clients.map((each) => each.closed));
  }
  const other = await bed.surface('other');
  await other.ping();
  t.equal(refusals(bed.lines, 'desk'), 1);
  t.ok(bed.sessions.filter(([surface, isConnected]) => surface === 'desk' && isConnected).length <= 10);
});

t.test('one surface cannot take all places', async (t) => {
  const bed = await startBed(t, { maxConnections: 6, limits: { connectTimeoutMs: 60_000 } });
  const hogs = await Promise.all(Array.from({ length: 6 }, () => bed.client('desk')));
  await Promise.race(hogs.map((each) => each.closed));
  t.equal(await (await bed.client('other')).connect({ clientId: 'other' }), 0);
});

t.test('a stranger is logged once a minute, with how often it was left out', async (t) => {
  const bed = await startBed(t);
  const refuse = async (): Promise<void> => {
    const raw = await bed.client('desk', strangers);
    await raw.closed;
  };
  const before = () => bed.lines.filter((line) => line.msg === 'client refused').length;
  for (let count = 0; count < 5; count += 1) await refuse();
  t.equal(before(), 1);
  bed.clock.aheadMs = 61_000;
  await refuse();
  await bed.until(() => before() === 2);
  t.match(bed.lines.filter((line) => line.msg === 'client refused')[1], { leftOut: 4 });
});

t.test('a bucket fills with time, and tables do not grow with attackers', async (t) => {
  const clock = new MovableClock();
  const bucket = new TokenBucket({ burst: 2, perSecond: 1 }, clock);
  t.same([bucket.take(), bucket.take(), bucket.take()], [true, true, false]);
  clock.aheadMs = 1000;
  t.same([bucket.take(), bucket.take()], [true, false]);
  clock.aheadMs = 100_000;
  t.equal(bucket.take(3), false, 'never more than the burst');
  const buckets = new TokenBuckets({ burst: 1, perSecond: 0 }, clock);
  for (let key = 0; key < 10_000; key += 1) buckets.take(String(key));
  t.ok(buckets.size <= 4096);
  const complaints = new ComplaintLog(silentLog, clock);
  for (let key = 0; key < 10_000; key += 1) complaints.warn(String(key), 'x');
  t.ok(complaints.size <= 4096);
});
