/** Real brokers with the rules that `surfaced broker acl` prints, and clients with certificates for them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import type { Test } from 'tap';
import { type BrokerFacts, type BrokerKind, brokerFiles } from '../../../daemon/commands/broker-acl-text.ts';
import { authority } from '../broker/bed.ts';
import type { Authority, Issued } from '../pki.ts';

const rabbit = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const programs = { mosquitto: 'mosquitto', nats: 'nats-server', rabbitmq: rabbit } as const;
export type TriedBroker = keyof typeof programs;
export const triedBrokers = Object.keys(programs) as readonly TriedBroker[];

/** Why tests with this broker cannot run; false: they can. */
export function skipOf(kind: TriedBroker): string | false {
  const isThere = spawnSync('sh', ['-c', `command -v ${programs[kind]}`]).status === 0;
  return isThere ? false : `${kind} is not installed`;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export interface RealBroker {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  child: ChildProcess;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Starts it anew on the same port. */
  start(): Promise<void>;
  /** A client that is what its certificate says. */
  client(user: string, clientId?: string): Promise<MqttClient>;
}

const commands: Readonly<Record<TriedBroker, (folder: string) => [string, readonly string[]]>> = {
  mosquitto: (folder) => ['mosquitto', ['-c', path.join(folder, 'mosquitto.conf')]],
  nats: (folder) => ['nats-server', ['-c', path.join(folder, 'nats.conf')]],
  rabbitmq: () => [rabbit, []],
};

export async function startRealBroker(
  t: Pick<Test, 'teardown'>,
  kind: TriedBroker,
  change: (name: string, text: string) => string = (_, text) => text,
  from: Pick<Authority, 'caPem'> & {
    server(): Promise<Issued>;
    client(user: string): Promise<Issued>;
  } = authority,
  users: Pick<BrokerFacts, 'gateways' | 'surfaces'> = {
    gateways: ['_gw-1', '_gw-2'],
    surfaces: ['desk', 'shelf', 'acl-probe'],
  },
): Promise<RealBroker> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sfb-'));
  const port = await freePort();
  const server = await from.server();
  const files = brokerFiles(kind satisfies BrokerKind, {
    site: 'site',
    ...users,
    folder,
    listen: { host: '127.0.0.1', port },
  });
  const own = { 'ca.pem': from.caPem, 'server.pem': server.certificatePem, 'server.key': server.keyPem };
  for (const [name, text] of Object.entries({ ...own, ...files })) {
    // Mosquitto as root gives its rights up to a user who cannot read the files.
    const more = name === 'mosquitto.conf' ? `user root\npersistence_location ${folder}/\n` : '';
    await writeFile(path.join(folder, name), `${change(name, text)}${more}`);
  }
  const ports = { epmd: await freePort(), dist: await freePort() };
  const environment = {
    ...process.env,
    HOME: folder,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `s${randomBytes(4).toString('hex')}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.dist),
    RABBITMQ_MNESIA_BASE: path.join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'enabled_plugins'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}',
  };
  // In the foreground: RabbitMQ would leave one running that nobody ends.
  const epmd =
    kind === 'rabbitmq'
      ? spawn('epmd', ['-port', String(ports.epmd), '-address', '127.0.0.1'], { stdio: 'ignore' })
      : null;
  let output = '';
  const launch = (): ChildProcess => {
    const [program, parameters] = commands[kind](folder);
    const child = spawn(program, parameters, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4000);
      });
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    // RabbitMQ is a script with the machine as its child: they are a group of their own.
    process.kill(-child.pid, 'SIGKILL');
    await once(child, 'exit');
  };
  const open = async (user: string, clientId: string): Promise<MqttClient> => {
    const issued = await from.client(user);
    const client = await connectAsync(
      `mqtts://127.0.0.1:${port}`,
      { clientId, ca: from.caPem, cert: issued.certificatePem, key: issued.keyPem, reconnectPeriod: 0 },
      false,
    );
    client.on('error', () => {});
    return client;
  };
  const ready = async (child: ChildProcess): Promise<void> => {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${kind} ended with ${child.exitCode}: ${output}`);
      // RabbitMQ listens a while before it knows its users.
      const first = await open('_gw-2', 'first').catch(() => null);
      first?.end(true);
      if (first !== null) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const clients: MqttClient[] = [];
  const broker: RealBroker = {
    port,
    folder,
    url: `mqtts://127.0.0.1:${port}`,
    child: launch(),
    kill: () => end(broker.child),
    start: async () => {
      broker.child = launch();
      await ready(broker.child);
    },
    client: async (user, clientId = user) => {
      const client = await open(user, clientId);
      clients.push(client);
      return client;
    },
  };
  t.teardown(async () => {
    for (const client of clients) client.end(true);
    await end(broker.child);
    epmd?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  await ready(broker.child);
  return broker;
}
