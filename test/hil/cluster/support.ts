/** A simulated cluster for tests, a bare HTTPS client for it, and the recordings that it is held against. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { silentLog } from '../../../daemon/log.ts';
import {
  type SimCluster,
  type SimTiming,
  type SimWorkload,
  startSimCluster,
} from '../../../hil/sim/cluster/cluster.ts';

export type Json = Record<string, unknown>;

/** The pace of the recordings: one step from node to ready, deletion within a second. */
export const recordedPace: SimTiming = {
  createMs: 4,
  scheduleMs: 4,
  startMs: 0,
  readyMs: 0,
  terminateMs: 60,
  crashMs: 20,
  backOffMs: 40,
  hpaSyncMs: 300,
  bookmarkMs: 60_000,
  revertMs: 20,
};

export interface Exchange {
  readonly note?: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: unknown;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: Json | string;
    readonly closedByServerAfterMs?: number;
    readonly stream?: readonly { readonly ms: number; readonly event: WatchEvent }[];
  };
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Json & { metadata: Json; spec?: Json; status?: Json };
}

/** The exchanges of one recording. */
export function recording(name: string): readonly Exchange[] {
  const url = new URL(`../../fixtures/kube/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { exchanges: readonly Exchange[] }).exchanges;
}

/** An answer, its body parsed where it is JSON. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Json;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Without the admin's certificate. */
  readonly isAnonymous?: boolean;
}

/** One watch: the events so far, and waiting for more. */
export interface OpenWatch {
  readonly events: WatchEvent[];
  readonly closed: Promise<void>;
  until(isEnough: (events: readonly WatchEvent[]) => boolean): Promise<readonly WatchEvent[]>;
  close(): void;
}

/** Talks to a simulated cluster. */
export class Client {
  private readonly cluster: SimCluster;
  private readonly admin: Agent;
  private readonly nobody: Agent;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    const config = parse(readFileSync(cluster.kubeconfigPath, 'utf8')) as {
      users: [{ user: Record<'client-certificate-data' | 'client-key-data', string> }];
    };
    const text = (data: string): string => Buffer.from(data, 'base64').toString();
    const { user } = config.users[0];
    this.admin = new Agent({
      ca: cluster.caPem,
      cert: text(user['client-certificate-data']),
      key: text(user['client-key-data']),
      keepAlive: true,
    });
    this.nobody = new Agent({ ca: cluster.caPem, keepAlive: true });
  }

  close(): void {
    this.admin.destroy();
    this.nobody.destroy();
  }

  async send(path: string, sent: Sent = {}): Promise<Reply> {
    const response = await this.open(path, sent);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const isJson = /^\s*[{[]/.test(text);
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: isJson ? (JSON.parse(text) as Json) : {},
      text,
    };
  }

  get(path: string): Promise<Reply> {
    return this.send(path);
  }

  /** PATCH with a merge patch. */
  merge(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string | string[]>> = {},
  ): Promise<Reply> {
    return this.send(path, {
      method: 'PATCH',
      body,
      headers: { 'content-type': 'application/merge-patch+json', ...headers },
    });
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.send(path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  }

  /** Sends what was recorded, with the resourceVersions and uids replaced by `rewrite`. */
  replay(exchange: Exchange, rewrite: (text: string) => string = (text) => text): Promise<Reply> {
    const { method, path, headers, body } = exchange.request;
    const { 'content-length': _, ...rest } = headers;
    const text =
      body === undefined || body === null
        ? undefined
        : typeof body === 'string'
          ? body
          : JSON.stringify(body);
    return this.send(rewrite(path), {
      method,
      headers: rest,
      ...(text === undefined ? {} : { body: rewrite(text) }),
    });
  }

  async watch(path: string, headers: Readonly<Record<string, string>> = {}): Promise<OpenWatch> {
    const response = await this.open(path, { headers });
    const events: WatchEvent[] = [];
    const waiting = new Set<() => void>();
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') events.push(JSON.parse(line) as WatchEvent);
      for (const look of waiting) look();
    });
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    response.on('error', () => {});
    return {
      events,
      closed,
      until: (isEnough) =>
        new Promise((resolve) => {
          const look = (): void => {
            if (!isEnough(events)) return;
            waiting.delete(look);
            resolve(events);
          };
          waiting.add(look);
          look();
        }),
      close: () => response.destroy(),
    };
  }

  /** Waits until an object satisfies a claim, by watching it. */
  async until(path: string, isSo: (object: WatchEvent['object']) => boolean): Promise<Json> {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const watch = await this.watch(`${path.slice(0, slash)}?watch=1&fieldSelector=metadata.name%3D${name}`);
    const events = await watch.until((seen) => seen.some((event) => isSo(event.object)));
    watch.close();
    return events.at(-1)!.object;
  }

  private open(path: string, sent: Sent): Promise<IncomingMessage> {
    const payload =
      sent.body === undefined ? null : typeof sent.body === 'string' ? sent.body : JSON.stringify(sent.body);
    return new Promise((resolve, reject) => {
      const request = httpsRequest(`${this.cluster.url}${path}`, {
        method: sent.method ?? 'GET',
        agent: sent.isAnonymous === true ? this.nobody : this.admin,
        headers: {
          ...(sent.headers as Record<string, string>),
          ...(payload === null ? {} : { 'content-length': Buffer.byteLength(payload) }),
        },
      });
      request.once('response', resolve);
      request.once('error', reject);
      request.end(payload ?? undefined);
    });
  }
}

/** A running cluster with a client, both ended with the test. */
export async function startedCluster(
  t: Test,
  options: { workloads?: readonly SimWorkload[] | 'demo' | 'none'; timing?: Partial<SimTiming> } = {},
): Promise<{ cluster: SimCluster; client: Client }> {
  const dir = mkdtempSync(join(tmpdir(), 'sim-cluster-'));
  const cluster = await startSimCluster({
    port: 0,
    dir,
    log: silentLog,
    workloads: options.workloads ?? 'none',
    timing: { ...recordedPace, ...options.timing },
    seed: 7,
  });
  const client = new Client(cluster);
  t.teardown(async () => {
    client.close();
    await cluster.close();
    rmSync(dir, { recursive: true });
  });
  return { cluster, client };
}

const LETTER = '[bcdfghjklmnpqrstvwxz2456789]';

/** What differs from run to run, or names the bed of the recordings: replaced in both before they are compared. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<time>'],
  [/(resourceVersion\\*":\\*")\d+/g, '$1<version>'],
  [/"(pod-template-hash|controller-revision-hash)":"([a-z]+-)?[a-z0-9]+"/g, '"$1":"<hash>"'],
  [/"(currentRevision|updateRevision)":"[a-z0-9-]+"/g, '"$1":"<hash>"'],
  [new RegExp(`-${LETTER}{8,10}-${LETTER}{5}`, 'g'), '-<hash>-<suffix>'],
  [new RegExp(`-${LETTER}{8,10}`, 'g'), '-<hash>'],
  [new RegExp(`kube-api-access-${LETTER}{5}`, 'g'), 'kube-api-access-<suffix>'],
  [/\.[0-9a-f]{16}"/g, '.<moment>"'],
  [/bed-fake-kubelet/g, 'kubelet'],
  [/default-scheduler-(vm|sim)/g, 'default-scheduler-<host>'],
  [/\b(bed-[0-9]|sim-[0-9])\b/g, '<node>'],
  [/"(fake|sim):\/\//g, '"runtime://'],
  [/"(bed\.example\/fake|sim\.surfaced\.dev\/none)"/g, '"<provisioner>"'],
  [/"topology.kubernetes.io\/zone":"[a-z]+"/g, '"topology.kubernetes.io/zone":"<zone>"'],
  [/"storageClassName":"[a-z]+"/g, '"storageClassName":"<class>"'],
  [/"path":"\/var\/lib\/[a-z]+\//g, '"path":"/var/lib/<bed>/'],
  [/0\/\d+ nodes/g, '0/<n> nodes'],
  [/"storageVersionHash":"[^"]+"/g, '"storageVersionHash":"<hash>"'],
];

/** A value without what is volatile. */
export function steady(value: unknown): unknown {
  let text = JSON.stringify(value) ?? 'null';
  for (const [pattern, replacement] of VOLATILE) text = text.replaceAll(pattern, replacement);
  return JSON.parse(text, (key, inner: unknown) =>
    key === 'managedFields' && Array.isArray(inner) ? inner.sort(byManager) : inner,
  ) as unknown;
}

/** Entries are ordered by time in whole seconds, so that their order depends on the pace. */
function byManager(a: unknown, b: unknown): number {
  const rank = (entry: unknown) => {
    const { manager, subresource } = entry as Record<string, string | undefined>;
    return `${manager} ${subresource ?? ''}`;
  };
  return rank(a) < rank(b) ? -1 : 1;
}

/** A Deployment as the recordings create them. */
export function deployment(name: string, replicas: number, more: Json = {}, annotations: Json = {}): Json {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name }, annotations },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'main', image: `registry.example/${name}:1.0` }],
        },
      },
      ...more,
    },
  };
}

export const DEPLOYMENTS = '/apis/apps/v1/namespaces/shop/deployments';
export const PODS = '/api/v1/namespaces/shop/pods';

/** Creates the namespace that the recordings use. */
export async function makeNamespace(client: Client, name = 'shop'): Promise<void> {
  await client.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

/** Whether a Deployment has as many ready Pods as it wants, and has seen its newest spec. */
export function isSettled(replicas: number): (object: WatchEvent['object']) => boolean {
  return ({ metadata, status, spec }) =>
    spec?.replicas === replicas &&
    status?.observedGeneration === metadata.generation &&
    (status?.readyReplicas ?? 0) === replicas &&
    (status?.replicas ?? 0) === replicas &&
    (status?.terminatingReplicas ?? 0) === 0;
}
