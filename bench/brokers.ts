/** The embedded broker beside mosquitto: the same surfaces send the same commands to the gateway through both. */
import path from 'node:path';
import type { Authority } from '../daemon/attest/authority/ca.ts';
import { clientCertificate, type KeyPair, openAuthority, site } from './certificates.ts';
import { freePort, startMosquitto } from './mosquitto.ts';
import type { PublishersOptions } from './parts/publishers.ts';
import { cpuSeconds, endProcess, Part, sharedNow } from './processes.ts';
import { compare } from './statistics.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

const surfaceCount = 10;
const window = 20;
const rounds = { full: 5, quick: 2 };
const measureMs = { full: 3000, quick: 1200 };
const warmUpMs = 700;
const payload = JSON.stringify({
  v: 1,
  id: '0123456789abcdef-1',
  slot: 0,
  want: 5,
  saw: 4,
  issuedAt: 1_790_000_000_000,
  ttlMs: 3000,
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A broker at work: where to publish, how far the gateway has come, which processes do it. */
interface Contender {
  readonly port: number;
  readonly brokerPid: number;
  readonly gatewayPid: number | null;
  messages(): Promise<number>;
  end(): Promise<void>;
}

async function embedded(stateDir: string): Promise<Contender> {
  const part = new Part('embedded-broker');
  const port = await part.call<number>('start', { stateDir });
  return {
    port,
    brokerPid: part.pid,
    gatewayPid: null,
    messages: () => part.call('messages'),
    end: () => part.end(),
  };
}

/** Files of mosquitto for surfaces and this bench's gateway. */
async function filesFor(folder: string, authority: Authority, port: number): Promise<Record<string, string>> {
  const server = await authority.serverCertificate(['localhost', '127.0.0.1']);
  const file = (name: string): string => path.join(folder, name);
  return {
    'ca.pem': authority.certificatePem,
    'server.pem': server.certificatePem,
    'server.key': server.privateKeyPem,
    acl: [
      'user gateway',
      `topic read surfaced/v1/${site}/#`,
      `pattern write surfaced/v1/${site}/%u/up/#`,
      `pattern read surfaced/v1/${site}/%u/down/#`,
      '',
    ].join('\n'),
    'mosquitto.conf': [
      // It starts as root here and would not be able to read the folder as another user.
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
      'log_type error',
      'set_tcp_nodelay true',
      // Nothing may be dropped: neither at 20 in flight to the gateway nor at 1000 that wait.
      'max_inflight_messages 1000',
      'max_queued_messages 0',
      '',
    ].join('\n'),
  };
}

async function mosquitto(folder: string, authority: Authority, gateway: KeyPair): Promise<Contender> {
  const port = await freePort();
  const child = await startMosquitto(folder, await filesFor(folder, authority, port), port);
  const client = new Part('mqtt-gateway');
  await client.call('start', { port, ca: authority.certificatePem, ...gateway });
  return {
    port,
    brokerPid: child.pid ?? 0,
    gatewayPid: client.pid,
    messages: () => client.call('messages'),
    end: async () => {
      await client.end();
      await endProcess(child);
    },
  };
}

interface Measured {
  readonly perSecond: number;
  /** Answered to the surfaces; more than `perSecond` when messages pile up before the gateway. */
  readonly acknowledgedPerSecond: number;
  /** Of the broker's process. */
  readonly cpuMicroseconds: number;
  /** Of the broker and of what hands the messages to the gateway's code. */
  readonly cpuMicrosecondsInAll: number;
}

async function measure(contender: Contender, load: PublishersOptions, ms: number): Promise<Measured> {
  const publishers = new Part('publishers');
  try {
    await publishers.call('start', { ...load, port: contender.port });
    await sleep(warmUpMs);
    const cpu = (): [number, number] => {
      const broker = cpuSeconds(contender.brokerPid);
      return [broker, broker + (contender.gatewayPid === null ? 0 : cpuSeconds(contender.gatewayPid))];
    };
    const acknowledged = (): Promise<number> => publishers.call('acknowledged');
    const before = {
      at: sharedNow(),
      messages: await contender.messages(),
      acknowledged: await acknowledged(),
      cpu: cpu(),
    };
    await sleep(ms);
    const messages = (await contender.messages()) - before.messages;
    const answers = (await acknowledged()) - before.acknowledged;
    const [broker, all] = cpu();
    const seconds = (sharedNow() - before.at) / 1000;
    if (messages === 0) throw new Error('no message came through');
    return {
      perSecond: messages / seconds,
      acknowledgedPerSecond: answers / seconds,
      cpuMicroseconds: ((broker - before.cpu[0]) * 1e6) / messages,
      cpuMicrosecondsInAll: ((all - before.cpu[1]) * 1e6) / messages,
    };
  } finally {
    await publishers.end();
    await contender.end();
  }
}

async function run(context: BenchContext): Promise<Findings> {
  const { folder, isQuick } = context;
  const stateDir = path.join(folder, 'state');
  const authority = await openAuthority(stateDir);
  const surfaces = await Promise.all(
    Array.from({ length: surfaceCount }, async (_, index) => {
      const name = `surface${index}`;
      return { name, ...(await clientCertificate(authority, name)) };
    }),
  );
  const gateway = await clientCertificate(authority, 'gateway');
  const load = { port: 0, ca: authority.certificatePem, surfaces, window, payload };
  const ms = isQuick ? measureMs.quick : measureMs.full;
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let round = 0; round < (isQuick ? rounds.quick : rounds.full); round++) {
    ours.push(await measure(await embedded(stateDir), load, ms));
    theirs.push(await measure(await mosquitto(path.join(folder, 'mosquitto'), authority, gateway), load, ms));
  }
  const both = (pick: (measured: Measured) => number) => compare(ours.map(pick), theirs.map(pick));
  return {
    rows: [
      {
        what: `embedded broker, ${surfaceCount} surfaces, QoS 1, mutual TLS, window ${window}: commands to the gateway a second`,
        unit: '/s',
        ...both(({ perSecond }) => perSecond),
        peer: 'mosquitto with an mqtt.js gateway',
        aim: null,
      },
      {
        what: 'the same: CPU a message, broker process',
        unit: 'µs',
        ...both(({ cpuMicroseconds }) => cpuMicroseconds),
        peer: 'mosquitto alone',
        aim: null,
      },
      {
        what: 'the same: CPU a message, until the gateway has it',
        unit: 'µs',
        ...both(({ cpuMicrosecondsInAll }) => cpuMicrosecondsInAll),
        peer: 'mosquitto and mqtt.js',
        aim: null,
      },
    ],
    details: { surfaces: surfaceCount, window, payloadBytes: payload.length, ours, theirs },
  };
}

export const brokers: Bench = {
  name: 'brokers',
  title: 'Embedded broker and mosquitto',
  needs: ['mosquitto'],
  run,
};
