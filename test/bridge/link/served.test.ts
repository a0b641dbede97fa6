import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { GatewayWatch } from '../../../daemon/bridge/link/gateway-watch.ts';
import {
  certificateMessage,
  ctlMessage,
  decode,
  encode,
  type GatewayStatusMessage,
} from '../../../daemon/bridge/wire/messages.ts';
import { segmentPattern } from '../../../daemon/bridge/wire/topics.ts';
import { authority, startBed } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { Gateway, startLink } from './rig.ts';

const beat = (session: string, seq: number, at: number, more: Partial<GatewayStatusMessage> = {}) => ({
  ...{ v: 1 as const, state: 'online' as const, session, seq, at, apiHealthy: true, detail: '', ...more },
});

t.test('of several gateways the one that serves counts, and no other', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('one', beat('session-1', 1, 1_000_000), false, 0);
  t.equal(watch.served('one', 'session-1'), false, 'it was the only one so far');
  t.equal(watch.take('two', beat('session-2', 1, 1_000_900), false, 100), false);
  t.equal(watch.session, 'session-1');
  t.equal(watch.time(100), 1_000_100, 'nor is the clock that of the other');
  watch.take('two', beat('session-2', 2, 1_016_000), false, 15_100);
  t.match(watch.problem(15_100), /silent/, 'the heart of another does not beat for it');
  t.equal(watch.served('two', 'session-2'), true, 'another one means a restart');
  t.equal(watch.problem(15_100), null, 'whose beats were heard all the time');
  t.equal(watch.time(15_100), 1_016_000);
  watch.take('one', beat('session-1', 9, 1_016_100, { state: 'offline' }), false, 15_200);
  t.equal(watch.problem(15_200), null, 'the will of the one before');
  t.equal(watch.served('two', 'session-3'), true, 'the same one started anew');
  t.match(watch.problem(15_200), /Waiting/, 'of which no beat has come');
  t.equal(watch.time(15_200), null);
  t.equal(watch.take('two', beat('session-3', 0, 1_016_500), false, 15_300), false);
  t.equal(watch.problem(15_300), null);
  t.equal(
    watch.take('two', beat('session-4', 0, 1_017_500), false, 15_400),
    true,
    'and again, told by its beat',
  );
});

t.test('one that has given the surface up does not vouch for its display, however it beats', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('one', beat('session-1', 1, 1_000_000), false, 0);
  watch.served('one', 'session-1');
  t.equal(watch.problem(0), null);
  watch.unserved('session-0');
  t.equal(watch.problem(0), null, 'late word of a gateway before');
  watch.unserved('session-1');
  t.match(watch.problem(0), /takes over/);
  watch.take('one', beat('session-1', 2, 1_001_000), false, 1000);
  watch.take('two', beat('session-2', 1, 1_001_000), false, 1000);
  t.match(watch.problem(1000), /takes over/);
  t.equal(watch.served('two', 'session-2'), true);
  t.equal(watch.problem(1000), null);
  watch.awaitBeat();
  watch.take('two', beat('session-2', 2, 1_002_000), false, 2000);
  t.match(watch.problem(2000), /takes over/, 'after a connection it must be said anew');
  t.equal(watch.served('two', 'session-2'), false);
  t.equal(watch.problem(2000), null);
});

t.test('a gateway that does not say whom it serves is the only one, as before', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('one', beat('session-1', 1, 1_000_000), false, 0);
  watch.served('one', 'session-1');
  watch.bound();
  watch.awaitBeat();
  watch.take('old', beat('session-o', 1, 1_001_000), false, 1000);
  t.match(watch.problem(1000), /Waiting/, 'until bindings come from it');
  watch.bound();
  t.equal(watch.problem(1000), null);
  t.equal(watch.session, 'session-o');
});

t.test('what one gateway does never shows in what is known of another', async () => {
  const step = fc.record({
    who: fc.constantFrom('two', 'three'),
    session: fc.constantFrom('session-2', 'session-3'),
    seq: fc.nat(20),
    at: fc.nat(2_000_000),
    state: fc.constantFrom<'online' | 'offline'>('online', 'offline'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const watch = new GatewayWatch(5000);
      watch.take('one', beat('session-1', 1, 1_000_000), false, 0);
      watch.served('one', 'session-1');
      return steps.every(
        ({ who, session, seq, at, state }, index) =>
          !watch.take(who, beat(session, seq, at, { state }), false, index) &&
          watch.session === 'session-1' &&
          watch.problem(index) === null &&
          watch.time(index) === 1_000_000 + index,
      );
    }),
  );
});

t.test('the new messages read back as they were written, and nothing else is taken for them', async (t) => {
  const name = fc.stringMatching(segmentPattern);
  const session = fc.stringMatching(/^[A-Za-z0-9_-]{8,40}$/);
  fc.assert(
    fc.property(name, session, (gateway, own) => {
      const message = { v: 1 as const, type: 'served' as const, gateway, session: own };
      const read = decode(ctlMessage, encode(message));
      return read.ok && JSON.stringify(read.message) === JSON.stringify(message);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 2304 }), (der) => {
      const certificate = Buffer.from(der).toString('base64');
      const read = decode(certificateMessage, encode({ v: 1, certificate } as { v: number }));
      return read.ok && Buffer.from(read.message.certificate, 'base64').equals(der);
    }),
  );
  for (const bad of [{ gateway: '_gw' }, { gateway: 'a/b' }, { session: 'short' }, { more: 1 }]) {
    const served = { v: 1, type: 'served', gateway: 'gw', session: 'session-1', ...bad };
    t.equal(decode(ctlMessage, encode(served)).ok, false, JSON.stringify(bad));
  }
  for (const certificate of ['', 'a b', '-----', 'A'.repeat(3073)])
    t.equal(decode(certificateMessage, encode({ v: 1, certificate } as { v: number })).ok, false);
});

t.test('another gateway that serves ends what the one before had taken, once', async (t) => {
  const bed = await startBed(t);
  const gateway = Gateway.on(bed.broker);
  const credentials = await credentialsFor(authority, 'desk', bed.broker.port);
  const rig = startLink(t, credentials);
  const cameUp = (leaf: string) => bed.messages.filter(({ topic }) => topic.endsWith(`/up/${leaf}`));
  await bed.until(() => cameUp('birth').length === 1);
  await gateway.beat();
  await gateway.say('desk/down/ctl', { v: 1, type: 'served', gateway: 'gw', session: 'gateway-1' });
  await rig.until(() => rig.link.state === 'online');
  rig.link.send({ seq: 1, slot: 0, want: 2, saw: 1, arm: [] });
  await bed.until(() => cameUp('cmd').length === 1);
  const { id } = JSON.parse(Buffer.from(cameUp('cmd')[0]?.payload ?? []).toString());
  await gateway.ack(id, 'received');
  await rig.until(() => rig.acks().length === 1);
  await gateway.say('desk/down/ctl', { v: 1, type: 'served', gateway: 'gw', session: 'gateway-2' });
  await rig.until(() => rig.acks().length === 2);
  t.match(rig.acks()[1], { seq: 1, phase: 'expired', code: 'GatewayRestarted' });
  gateway.session = 'gateway-2';
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  await gateway.ack(id, 'converged');
  rig.link.send({ seq: 2, slot: 0, want: 2, saw: 1, arm: [] });
  await bed.until(() => cameUp('cmd').length === 2);
  t.equal(rig.acks().length, 2, 'and a late end of the other is nobody’s');

  await gateway.say('desk/down/ctl', { v: 1, type: 'show-certificate' });
  await bed.until(() => cameUp('certificate').length === 1);
  const shown = decode(certificateMessage, cameUp('certificate')[0]?.payload ?? new Uint8Array());
  const der = shown.ok ? Buffer.from(shown.message.certificate, 'base64') : Buffer.alloc(0);
  t.same(
    der,
    new X509Certificate(credentials.certificatePem).raw,
    'it shows its certificate when it is asked',
  );
});
