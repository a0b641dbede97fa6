import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer } from 'node:net';
import path from 'node:path';
import { connectAsync } from 'mqtt';
import t, { type Test } from 'tap';
import { authority } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { Gateway, startLink } from './rig.ts';

const hasMosquitto = spawnSync('mosquitto', ['-h']).error === undefined;
const skip = hasMosquitto ? false : 'mosquitto is not installed';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Mosquitto with mutual TLS, where the certificate is the user and an ACL is two patterns a surface. */
async function startMosquitto(t: Test): Promise<{ port: number; child: ChildProcess }> {
  const folder = t.testdir({});
  const port = await freePort();
  const server = await authority.server();
  const file = (name: string): string => path.join(folder, name);
  await writeFile(file('ca.pem'), authority.caPem);
  await writeFile(file('server.pem'), server.certificatePem);
  await writeFile(file('server.key'), server.keyPem);
  await writeFile(
    file('acl'),
    [
      'user gateway',
      'topic readwrite surfaced/v1/site/#',
      'pattern write surfaced/v1/site/%u/up/#',
      'pattern read surfaced/v1/site/%u/down/#',
      'pattern read surfaced/v1/site/_gw/+/status',
      '',
    ].join('\n'),
  );
  await writeFile(
    file('mosquitto.conf'),
    [
      'user root',
      `listener ${port} 127.0.0.1`,
      `cafile ${file('ca.pem')}`,
      `certfile ${file('server.pem')}`,
      `keyfile ${file('server.key')}`,
      `acl_file ${file('acl')}`,
      'tls_version tlsv1.3',
      'require_certificate true',
      'use_identity_as_username true',
      'persistence false',
      '',
    ].join('\n'),
  );
  const child = spawn('mosquitto', ['-c', file('mosquitto.conf')], { stdio: 'ignore' });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  for (;;) {
    const socket = connectTcp(port, '127.0.0.1');
    const isUp = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp) return { port, child };
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

t.test('the same link runs on mosquitto: commands, kept slots, a frozen broker', { skip }, async (t) => {
  const { port, child } = await startMosquitto(t);
  const own = await credentialsFor(authority, 'gateway', port);
  const bus = await connectAsync({
    protocol: 'mqtts',
    host: '127.0.0.1',
    port,
    ca: own.caPem,
    cert: own.certificatePem,
    key: own.privateKeyPem,
    reconnectPeriod: 50,
    keepalive: 600,
  });
  t.teardown(() => bus.endAsync(true));
  const heard: { topic: string; payload: string }[] = [];
  bus.on('message', (topic, payload) => void heard.push({ topic, payload: payload.toString() }));
  await bus.subscribeAsync('surfaced/v1/site/+/up/#', { qos: 1 });
  const gateway = new Gateway(async (topic, payload, isRetained) => {
    await bus.publishAsync(topic, payload, { qos: 1, retain: isRetained });
  }, 'gateway-1');
  await gateway.beat();
  const rig = startLink(t, await credentialsFor(authority, 'desk', port), {
    keepaliveSeconds: 1,
    connectDeadlineMs: 1000,
  });
  const births = () => heard.filter((each) => each.topic.endsWith('/desk/up/birth'));
  await rig.until(() => births().length === 1);
  await rig.until(() => rig.link.state === 'stale');
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');

  rig.link.send({ seq: 1, slot: 0, want: 5, saw: 3, arm: [] });
  await rig.until(() => heard.some((each) => each.topic.endsWith('/up/cmd')));
  await gateway.ack(`${rig.link.status().session}-1`, 'converged');
  await rig.until(() => rig.acks().length === 1);

  child.kill('SIGSTOP');
  await rig.until(() => rig.link.state === 'offline');
  t.match(rig.link.status().detail, /lost|no answer|connack/i);
  child.kill('SIGCONT');
  await rig.until(() => rig.link.status().session !== null);
  const { session } = rig.link.status();
  await rig.until(() => births().some((each) => each.payload.includes(session ?? '?')));
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  t.equal(heard.filter((each) => each.topic.endsWith('/up/cmd')).length, 1, 'nothing was sent again');
});
