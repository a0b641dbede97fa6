import type { Packet } from 'mqtt-packet';
import t, { type Test } from 'tap';
import type { CredentialSource, Credentials } from '../../../daemon/attest/types.ts';
import { createLink, type Link } from '../../../daemon/bridge/link/link.ts';
import type { LinkTiming } from '../../../daemon/bridge/link/timing.ts';
import { encode } from '../../../daemon/bridge/wire/messages.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { Fault } from '../../../daemon/surface/types.ts';
import { authority, strangers } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { answerWell, type Peer, startFalseBroker } from './false-broker.ts';
import { startLink } from './rig.ts';

const beat = (peer: Peer): void =>
  peer.send({
    cmd: 'publish',
    topic: 'surfaced/v1/site/_gw/gw/status',
    payload: encode({
      ...{ v: 1, state: 'online', session: 'gateway-1', seq: peer.index, at: Date.now() },
      ...{ apiHealthy: true, detail: '' },
    }),
    qos: 0,
    retain: false,
    dup: false,
  });

const credentials = (port: number): Promise<Credentials> => credentialsFor(authority, 'desk', port);

/** A link whose credentials come from `current`, and are never renewed. */
const linkWith = (current: CredentialSource['current'], timing: Partial<LinkTiming>): Link =>
  createLink({
    credentials: {
      current,
      onRenewed: () => () => {},
      onPairing: () => () => {},
      renew: () => {},
      stop: () => {},
    },
    birth: { model: 'test', firmware: '1', controls: [] },
    clock: systemClock,
    log: silentLog,
    random: Math.random,
    timing,
  });

/** Good manners and a beat, except where `spoil` says that it has answered itself. */
const broker = (t: Test, spoil: (packet: Packet, peer: Peer) => boolean) =>
  startFalseBroker(t, authority, (packet, peer) => {
    if (spoil(packet, peer)) return;
    answerWell(packet, peer);
    if (packet.cmd === 'publish' && packet.topic.endsWith('/birth')) beat(peer);
  });

t.test('a refused CONNECT is tried again, and says so meanwhile', async (t) => {
  const { port } = await broker(t, (packet, peer) => {
    if (packet.cmd !== 'connect' || peer.index > 1) return false;
    peer.send({ cmd: 'connack', returnCode: 3, sessionPresent: false });
    return true;
  });
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.inputs.some((each) => each.type === 'link' && /unavailable/i.test(each.detail)));
  await rig.until(() => rig.link.state === 'online');
});

t.test('a broker that never answers CONNECT is left after the deadline', async (t) => {
  const { port } = await broker(t, (packet, peer) => packet.cmd === 'connect' && peer.index === 0);
  const rig = startLink(t, await credentials(port), { connectDeadlineMs: 200 });
  await rig.until(() => rig.link.state === 'online');
  t.ok(rig.inputs.some((each) => each.type === 'link' && /no answer|connack timeout/.test(each.detail)));
});

t.test('so is one that never answers SUBSCRIBE, and one that denies it', async (t) => {
  const { port } = await broker(t, (packet, peer) => {
    if (packet.cmd !== 'subscribe' || peer.index > 1) return false;
    if (peer.index === 1) peer.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: [128, 128] });
    return true;
  });
  const rig = startLink(t, await credentials(port), { connectDeadlineMs: 200 });
  await rig.until(() => rig.link.state === 'online');
});

t.test('a packet of 200 MB ends the connection on its header', async (t) => {
  const { port, connections } = await broker(t, (packet, peer) => {
    if (packet.cmd !== 'publish' || peer.index > 0) return false;
    peer.socket.write(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x64]));
    return true;
  });
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.link.state === 'online');
  t.equal(connections(), 2);
  t.ok(rig.inputs.some((each) => each.type === 'link' && /209715200 bytes/.test(each.detail)));
});

t.test(
  'a broker that closes each connection as soon as it is open is left alone more and more',
  async (t) => {
    const { port, connections } = await broker(t, (packet, peer) => {
      if (packet.cmd !== 'publish') return false;
      peer.socket.destroy();
      return true;
    });
    const rig = startLink(t, await credentials(port));
    await rig.until(() => connections() >= 4);
    t.ok(rig.link.status().attempts >= 3, 'attempts add up though each connected');
  },
);

t.test('a command is not sent again on the next connection', async (t) => {
  const { port, received } = await broker(t, (packet, peer) => {
    if (packet.cmd !== 'publish' || !packet.topic.endsWith('/cmd')) return false;
    // No PUBACK: mqtt.js would keep and repeat it.
    peer.socket.destroy();
    return true;
  });
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.link.state === 'online');
  rig.link.send({ seq: 1, slot: 0, want: 5, saw: 3, arm: [] });
  await rig.until(() => rig.link.state === 'offline');
  await rig.until(() => rig.link.state === 'online');
  const commands = received.filter((each) => each.cmd === 'publish' && each.topic.endsWith('/cmd'));
  t.equal(commands.length, 1);
});

t.test('a connection on which nothing comes any more is given up', async (t) => {
  const { port, connections } = await broker(t, () => false);
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.link.state === 'online');
  rig.clock.aheadMs = 61_000;
  await rig.until(() => connections() === 2 && rig.link.state === 'online');
});

t.test('a broker that stops answering pings is found out by the keepalive', async (t) => {
  const { port, connections } = await broker(
    t,
    (packet, peer) => packet.cmd === 'pingreq' && peer.index === 0,
  );
  const rig = startLink(t, await credentials(port), { keepaliveSeconds: 1 });
  await rig.until(() => connections() === 2 && rig.link.state === 'online');
});

t.test('a gateway of another CA is refused', async (t) => {
  const { port, received } = await startFalseBroker(t, strangers, answerWell);
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.inputs.some((each) => each.type === 'link' && /certificate/i.test(each.detail)));
  t.same(received, [], 'not a byte of MQTT was sent to it');
});

t.test('a certificate that is not the gateway is refused, and sent nothing', async (t) => {
  const cases = [
    [await authority.client('another'), /not one for servers/],
    [await authority.server({ address: '127.0.0.2' }), /altname/i],
    [await strangers.server(), /not signed by the pinned CA/],
  ] as const;
  for (const [certificate, reason] of cases) {
    const { port, received } = await startFalseBroker(t, authority, answerWell, certificate);
    const rig = startLink(t, await credentials(port));
    await rig.until(() => rig.inputs.some((each) => each.type === 'link' && reason.test(each.detail)));
    t.match(rig.inputs.at(-1), { type: 'link', state: 'offline', fault: 'refused' });
    t.same(received, []);
    await rig.link.stop();
  }
});

t.test(
  'a gateway whose certificate ended by the clock of this machine is the gateway all the same',
  async (t) => {
    const ended = await authority.server({ notAfter: new Date(Date.now() - 3_600_000) });
    const { port } = await startFalseBroker(
      t,
      authority,
      (packet, peer) => {
        answerWell(packet, peer);
        if (packet.cmd === 'publish' && packet.topic.endsWith('/birth')) beat(peer);
      },
      ended,
    );
    const rig = startLink(t, await credentials(port));
    await rig.until(() => rig.link.state === 'online');
    t.equal(rig.link.health().ok, true);
  },
);

t.test('what a picture can say of an error; a refusal asks for new credentials', async (t) => {
  const { port } = await broker(t, (packet, peer) => {
    if (packet.cmd !== 'connect' || peer.index > 0) return false;
    peer.send({ cmd: 'connack', returnCode: 5, sessionPresent: false });
    return true;
  });
  const rig = startLink(t, await credentials(port));
  await rig.until(() => rig.link.state === 'online');
  t.equal(rig.source.renewalsAsked, 1);
  const errors: [Error, Fault][] = [
    [new SurfacedError('E_TPM_OPEN', 'no TPM'), 'identity'],
    [new SurfacedError('E_ATTEST_LOG', 'no log'), 'identity'],
    [new SurfacedError('E_ENROL_EVIDENCE', 'not as expected'), 'refused'],
    [new SurfacedError('E_GATEWAY_UNREACHABLE', 'nobody'), 'network'],
    [new Error('what is this'), 'network'],
  ];
  for (const [error, fault] of errors) {
    const link = linkWith(() => Promise.reject(error), {});
    t.teardown(() => link.stop());
    const told = new Promise((resolve) => {
      link.onInput((input) => {
        if (input.type === 'link' && input.fault !== null) resolve(input.fault);
      });
    });
    link.start(new AbortController().signal);
    t.equal(await told, fault, error.message);
  }
});

t.test('credentials that fail, or cannot be read, are shown and asked for again', async (t) => {
  const { port } = await broker(t, () => false);
  const good = await credentials(port);
  let asked = 0;
  const details: string[] = [];
  const link = linkWith(
    async () => {
      asked += 1;
      if (asked === 1) throw new SurfacedError('E_LINK_REFUSED', 'waiting for approval');
      return asked === 2 ? { ...good, privateKeyPem: 'nonsense' } : good;
    },
    { backOffMinMs: 10, tickMs: 10 },
  );
  t.teardown(() => link.stop());
  const online = new Promise<void>((resolve) => {
    link.onInput((input) => {
      if (input.type !== 'link') return;
      details.push(input.detail);
      if (input.state === 'online') resolve();
    });
  });
  link.start(new AbortController().signal);
  await online;
  t.equal(asked, 3);
  t.ok(details.includes('waiting for approval'));
});

t.test('stop ends an attempt that hangs, and the signal does the same', async (t) => {
  const { port, connections } = await broker(t, (packet) => packet.cmd === 'connect');
  const hanging = startLink(t, await credentials(port));
  await hanging.until(() => connections() === 1);
  await hanging.link.stop();

  const ending = new AbortController();
  const never = linkWith(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
      }),
    {},
  );
  never.start(ending.signal);
  ending.abort();
  await never.stop();
  t.equal(connections(), 1);
});
