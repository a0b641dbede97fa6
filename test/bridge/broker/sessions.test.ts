import t from 'tap';
import { startBroker } from '../../../daemon/bridge/broker/broker.ts';
import { CleanSessionStore } from '../../../daemon/bridge/broker/store.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { identify } from '../pki.ts';
import { authority, startBed } from './bed.ts';

const live = { qos: 1, isRetained: false } as const;

t.test('the newest connection of a surface is the session, the older one is closed', async (t) => {
  const bed = await startBed(t);
  const old = await bed.surface('desk');
  const fresh = await bed.surface('desk');
  await old.closed;
  await fresh.ping();
  t.equal(bed.broker.sessions, 1);
  t.same(bed.sessions.at(-1), ['desk', true]);
  t.match(bed.broker.identityOf('desk'), { surface: 'desk', trust: 'tpm' });
  fresh.end();
  await bed.until(() => bed.broker.sessions === 0);
  t.same(bed.sessions.at(-1), ['desk', false]);
  t.equal(bed.broker.identityOf('desk'), null);
});

t.test('many take-overs at once leave one session', async (t) => {
  const bed = await startBed(t);
  const clients = await Promise.all([0, 1, 2, 3].map(() => bed.client('desk')));
  await Promise.all(clients.map((each) => each.connect({ clientId: 'desk' })));
  const open = () => clients.filter((each) => !each.socket.destroyed);
  while (open().length > 1) await Promise.race(open().map((each) => each.closed));
  await open()[0]?.ping();
  t.equal(bed.broker.sessions, 1);
});

t.test('disconnect closes every connection of a surface and no other', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  const pending = await bed.client('desk');
  const other = await bed.surface('other');
  bed.broker.disconnect('desk', 'revoked');
  await Promise.all([desk.closed, pending.closed]);
  await other.ping();
  await bed.until(() => bed.broker.sessions === 1);
  t.same(bed.sessions.at(-1), ['desk', false]);
});

t.test('a session ends with its certificate, and when the surface may act no longer', async (t) => {
  const revoked = new Set<string>();
  const bed = await startBed(t, { isAllowed: (identity) => !revoked.has(identity.surface) });
  const desk = await bed.surface('desk');
  const other = await bed.surface('other');
  revoked.add('desk');
  await desk.closed;
  await other.ping();
  bed.clock.aheadMs = 2 * 86_400_000;
  await other.closed;
  await bed.until(() => bed.broker.sessions === 0);
});

t.test('a clock that is set back does not make a session live longer', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  bed.clock.setBackMs = 7 * 86_400_000;
  await desk.ping();
  bed.clock.aheadMs = 2 * 86_400_000;
  await desk.closed;
});

t.test('nothing passes between the end of a certificate and that of its session', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  bed.clock.aheadMs = 2 * 86_400_000;
  desk.publish('surfaced/v1/site/desk/up/cmd', '{}');
  await desk.closed;
  t.same(bed.messages, []);
});

t.test('the server certificate changes without a session being dropped', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  const before = desk.socket.getPeerX509Certificate()?.fingerprint256;
  const next = await authority.server();
  bed.broker.setServerCertificate(next.keyPem, next.certificatePem);
  const later = await bed.surface('later');
  await desk.ping();
  t.not(later.socket.getPeerX509Certificate()?.fingerprint256, before);
  t.equal(later.socket.getProtocol(), 'TLSv1.3');
  t.throws(() => bed.broker.setServerCertificate('nonsense', 'nonsense'));
  await (await bed.surface('last')).ping();
});

t.test('a client certificate is still required after the server certificate changed', async (t) => {
  const bed = await startBed(t);
  const next = await authority.server();
  bed.broker.setServerCertificate(next.keyPem, next.certificatePem);
  t.equal(await (await bed.client(null)).connect({ clientId: 'desk' }), null);
});

t.test('an address that is taken is an error with a code', async (t) => {
  const bed = await startBed(t);
  const server = await authority.server();
  await t.rejects(
    startBroker({
      host: '127.0.0.1',
      port: bed.broker.port,
      site: 'site',
      gateway: 'gw',
      serverKeyPem: server.keyPem,
      serverCertificatePem: server.certificatePem,
      clientCaPem: authority.caPem,
      maxConnections: 1,
      identify,
      isAllowed: () => true,
      clock: systemClock,
      log: silentLog,
    }),
    { code: 'E_LISTEN' },
  );
});

t.test('close ends every connection, and may be called twice', async (t) => {
  const bed = await startBed(t);
  const desk = await bed.surface('desk');
  const pending = await bed.client('pending');
  await bed.broker.close();
  await Promise.all([desk.closed, pending.closed, bed.broker.close()]);
  await t.rejects(bed.broker.publish('surfaced/v1/site/desk/down/ack', Buffer.from('x'), live));
});

t.test('the store keeps nothing but retained messages of ours', async (t) => {
  const store = new CleanSessionStore();
  const packet = (topic: string, payload: string) =>
    ({ cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: true, dup: false }) as never;
  const read = async (...filters: string[]): Promise<string[]> => {
    const topics: string[] = [];
    for await (const each of store.createRetainedStreamCombi(filters)) topics.push(each.topic);
    return topics.sort();
  };
  const own = 'surfaced/v1/site/desk/down/slot/1';
  for (const topic of [
    own,
    'surfaced/v1/site/desk/up/status',
    'surfaced/v1/site/victim/down/slot/1',
    'a/b',
    '$SYS/a',
  ])
    await store.storeRetained(packet(topic, 'x'));
  await store.storeRetained(packet('surfaced/v1/site/_gw/gw/status', 'x'));
  t.same(await read('surfaced/v1/site/desk/down/#'), [own]);
  t.same(await read('surfaced/v1/site/_gw/+/status', own), ['surfaced/v1/site/_gw/gw/status', own].sort());
  t.same(await read('#', 'a/b', '$SYS/a', '+/#', 'surfaced/v1/site/+/down/#'), []);
  await store.storeRetained(packet(own, ''));
  t.same(await read('surfaced/v1/site/desk/down/#', own), []);

  // aedes publishes stored wills of brokers that it believes dead, by the wall clock.
  await store.putWill();
  const wills: unknown[] = [];
  for await (const will of store.streamWill()) wills.push(will);
  t.same(wills, []);
});
