/** Starts etcd and both API servers on loopback, and stops them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { Programs } from './build.ts';

const token = 'administrator';
const startMs = 120_000;

/** An answer of an API server, its body parsed. */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind, and each check names the fields it looks at
  readonly body: any;
}

/** A running API server. */
export interface ApiServer {
  readonly url: string;
  /** A kubeconfig with the given bearer token. */
  kubeconfig(bearer: string): Promise<string>;
  /** By default as the administrator, with JSON. */
  ask(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    where: string,
    more?: { readonly body?: unknown; readonly headers?: readonly string[]; readonly bearer?: string },
  ): Promise<Answer>;
}

/** Both API servers; what each knows is in README.md. */
export interface Servers {
  readonly core: ApiServer;
  readonly extensions: ApiServer;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function apiServer(port: number, folder: string, name: string): ApiServer {
  const url = `https://127.0.0.1:${port}`;
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  return {
    url,
    kubeconfig: async (bearer) => {
      const file = path.join(folder, `${name}-${bearer.slice(-8)}.kubeconfig`);
      const cluster = { server: url, 'insecure-skip-tls-verify': true };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name, cluster }],
        users: [{ name, user: { token: bearer } }],
        contexts: [{ name, context: { cluster: name, user: name } }],
        'current-context': name,
      };
      await writeFile(file, JSON.stringify(config));
      return file;
    },
    ask: async (method, where, { body, headers = [], bearer = token } = {}) => {
      const answer = await request(`${url}${where}`, {
        method,
        dispatcher,
        headers: ['authorization', `Bearer ${bearer}`, 'content-type', 'application/json', ...headers],
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: /^\s*[{[]/.test(text) ? JSON.parse(text) : text };
    },
  };
}

/** Starts all in `folder`, where their logs are, too. Rejects when one does not get ready within two minutes. */
export async function startServers(programs: Programs, folder: string): Promise<Servers> {
  const children: ChildProcess[] = [];
  const at = (name: string): string => path.join(folder, name);
  const start = (name: string, program: string, args: readonly string[]): void => {
    const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(at(`${name}.log`));
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    children.push(child);
  };
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
  };
  const ready = async (name: string, server: ApiServer): Promise<void> => {
    const endsAt = performance.now() + startMs;
    for (;;) {
      const answer = await server.ask('GET', '/readyz').catch(() => null);
      if (answer?.status === 200) return;
      if (performance.now() > endsAt)
        throw new Error(
          `${name} did not get ready: ${(await readFile(at(`${name}.log`), 'utf8')).slice(-2000)}`,
        );
      await delay(200);
    }
  };
  try {
    await mkdir(folder, { recursive: true });
    const [etcdPort, peerPort, corePort, extensionsPort] = await Promise.all([
      ...[freePort(), freePort(), freePort(), freePort()],
    ]);
    const etcd = `http://127.0.0.1:${etcdPort}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    start('etcd', programs.etcd, [
      ...['--data-dir', at('etcd'), '--unsafe-no-fsync', '--listen-client-urls', etcd],
      ...['--advertise-client-urls', etcd, '--listen-peer-urls', peer],
      ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
    ]);
    await writeFile(at('tokens.csv'), `${token},admin,1,system:masters\n`);
    execFileSync('openssl', ['genrsa', '-out', at('account.key'), '2048'], { stdio: 'ignore' });
    execFileSync('openssl', ['rsa', '-in', at('account.key'), '-pubout', '-out', at('account.pub')], {
      stdio: 'ignore',
    });
    const own = ['--etcd-servers', etcd, '--bind-address', '127.0.0.1'];
    const core = apiServer(corePort ?? 0, folder, 'core');
    start('core', programs.core, [
      ...[...own, '--secure-port', String(corePort), '--cert-dir', at('core')],
      ...['--token-auth-file', at('tokens.csv'), '--authorization-mode', 'RBAC'],
      ...[
        '--service-account-key-file',
        at('account.pub'),
        '--service-account-signing-key-file',
        at('account.key'),
      ],
      ...[
        '--service-account-issuer',
        'https://kubernetes.default.svc',
        '--service-cluster-ip-range',
        '10.96.0.0/16',
      ],
      // Nothing makes the accounts' secrets of that time, which it would wait for.
      ...['--disable-admission-plugins', 'ServiceAccount'],
    ]);
    await ready('core', core);
    const extensions = apiServer(extensionsPort ?? 0, folder, 'extensions');
    const kubeconfig = await core.kubeconfig(token);
    start('extensions', programs.extensions, [
      ...[...own, '--etcd-prefix', '/extensions', '--secure-port', String(extensionsPort)],
      ...[
        '--cert-dir',
        at('extensions'),
        '--kubeconfig',
        kubeconfig,
        '--authentication-kubeconfig',
        kubeconfig,
      ],
      ...['--authorization-kubeconfig', kubeconfig, '--authentication-skip-lookup'],
      // These it would ask the other one for, which does not know them.
      '--enable-priority-and-fairness=false',
      '--disable-admission-plugins=MutatingAdmissionPolicy,MutatingAdmissionWebhook,ValidatingAdmissionPolicy,ValidatingAdmissionWebhook',
    ]);
    await ready('extensions', extensions);
    return { core, extensions, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
