import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { authority, startBed, strangers } from './bed.ts';
import { RawClient } from './raw-client.ts';

const status = (state: string): string =>
  JSON.stringify({ v: 1, state, session: 'session-1', seq: 0, at: 1 });
const ownStatus = 'surfaced/v1/site/desk/up/status';

t.test('a client without a certificate, or with one of another CA, gets no further than TLS', async (t) => {
  const bed = await startBed(t);
  for (const raw of [await bed.client(null), await bed.client('desk', strangers)]) {
    t.equal(await raw.connect({ clientId: 'desk' }), null);
    await raw.closed;
  }
  t.equal(bed.broker.sessions, 0);
  t.equal(await (await bed.client('desk')).connect({ clientId: 'desk' }), 0, 'others are unharmed');
});

t.test('TLS 1.2 is refused', async (t) => {
  const bed = await startBed(t);
  const { keyPem, certificatePem } = await authority.client('desk');
  const socket = connectTls({
    host: '127.0.0.1',
    port: bed.broker.port,
    ca: authority.caPem,
    key: keyPem,
    cert: certificatePem,
    maxVersion: 'TLSv1.2',
  });
  const [error] = await once(socket, 'error');
  t.match(String(error), /protocol/i);
});

t.test('a certificate of another site, or without an identity, is refused', async (t) => {
  const bed = await startBed(t);
  for (const certificate of [
    await authority.client('desk', { site: 'elsewhere' }),
    await authority.server(),
  ]) {
    const raw = new RawClient(bed.broker.port, authority.caPem, certificate);
    t.equal(await raw.connect({ clientId: 'desk' }), null);
  }
  t.match(bed.lines.find((line) => line.msg === 'client refused')?.reason, /not one of a surface/);
});

t.test('the client id must be the name in the certificate, and a refused CONNECT is closed', async (t) => {
  const bed = await startBed(t);
  const victim = await bed.surface('victim');
  for (const clientId of ['victim', '', '__proto__', 'desk ']) {
    const raw = await bed.client('desk');
    t.equal(await raw.connect({ clientId }), null, JSON.stringify(clientId));
    await raw.closed;
  }
  const stored = await bed.client('desk');
  // No client id and a stored session (MQTT-3.1.3-8): "MQTT" level 4, flags 0, keepalive 60, empty id.
  stored.socket.write(Buffer.from('100c00044d5154540400003c0000', 'hex'));
  await stored.closed;
  await victim.ping();
  t.same(bed.sessions, [['victim', true]], 'the victim was not taken over');
});

t.test('a surface that may not act is told so by CONNACK 5', async (t) => {
  const bed = await startBed(t, { isAllowed: (identity) => identity.surface !== 'revoked' });
  t.equal(await (await bed.client('revoked')).connect({ clientId: 'revoked' }), 5);
  const late = await bed.client('desk');
  bed.clock.aheadMs = 3 * 86_400_000;
  t.equal(await late.connect({ clientId: 'desk' }), 5, 'certificate out of date by the injected clock');
});

t.test('a registry that throws is never "allowed", and the broker lives on', async (t) => {
  let isBroken = true;
  const bed = await startBed(t, {
    isAllowed: () => {
      if (isBroken) throw new Error('registry is broken');
      return true;
    },
  });
  t.equal(await (await bed.client('desk')).connect({ clientId: 'desk' }), 5);
  isBroken = false;
  t.equal(await (await bed.client('desk')).connect({ clientId: 'desk' }), 0);
});

t.test('MQTT 5 and a keepalive of 0 are refused with words of the protocol', async (t) => {
  const bed = await startBed(t);
  t.equal(await (await bed.client('desk')).connect({ clientId: 'desk', protocolVersion: 5 }), 1);
  t.equal(await (await bed.client('desk')).connect({ clientId: 'desk', keepalive: 0 }), 6);
});

t.test('only the own retained "offline" may be a will', async (t) => {
  const bed = await startBed(t, { limits: { connects: { burst: 100, perSecond: 1 } } });
  const wills = [
    { topic: 'surfaced/v1/site/victim/up/status', payload: status('offline') },
    { topic: 'surfaced/v1/site/desk/up/cmd', payload: status('offline') },
    { topic: '$SYS/x/new/clients', payload: 'victim' },
    { topic: ownStatus, payload: status('online') },
    { topic: ownStatus, payload: 'x' },
    { topic: ownStatus, payload: status('offline'), qos: 2 as const },
  ];
  for (const will of wills) {
    const raw = await bed.client('desk');
    t.equal(await raw.connect({ clientId: 'desk', will }), null, JSON.stringify(will));
  }
  const good = await bed.client('desk');
  t.equal(
    await good.connect({ clientId: 'desk', will: { topic: ownStatus, payload: status('offline') } }),
    0,
  );
  good.end();
  await bed.until(() => bed.messages.length === 1);
  t.match(bed.messages[0], { topic: ownStatus, isRetained: false });
});

t.test('a will is published however much its client has sent', async (t) => {
  const bed = await startBed(t, { limits: { messages: { burst: 1, perSecond: 0 } } });
  const raw = await bed.client('desk');
  await raw.connect({ clientId: 'desk', will: { topic: ownStatus, payload: status('offline') } });
  for (let count = 0; count < 10; count += 1) raw.publish('surfaced/v1/site/desk/up/tele', '{}', { qos: 0 });
  await raw.ping();
  raw.end();
  await bed.until(() => bed.messages.some((message) => message.topic === ownStatus));
});
