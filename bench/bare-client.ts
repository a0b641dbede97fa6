/** The peer of the gateway: scale requests over one kept-alive connection with a client certificate, and nothing else. */
import { readFile } from 'node:fs/promises';
import { Client } from 'undici';
import { parse } from 'yaml';

interface Kubeconfig {
  readonly clusters: readonly { cluster: { server: string; 'certificate-authority-data': string } }[];
  readonly users: readonly { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** autoscaling/v1 Scale, as far as it is used here. */
export interface BareScale {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec: { readonly replicas?: number };
}

export class BareClient {
  readonly #client: Client;
  readonly #namespace: string;

  private constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  static async connect(kubeconfigPath: string, namespace: string): Promise<BareClient> {
    const config = parse(await readFile(kubeconfigPath, 'utf8')) as Kubeconfig;
    const decoded = (base64: string): string => Buffer.from(base64, 'base64').toString();
    const { cluster } = config.clusters[0]!;
    const { user } = config.users[0]!;
    const connect = {
      ca: decoded(cluster['certificate-authority-data']),
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
    };
    return new BareClient(new Client(cluster.server, { connect, keepAliveTimeout: 60_000 }), namespace);
  }

  getScale(name: string): Promise<BareScale> {
    return this.#ask('GET', this.#scalePath(name), null);
  }

  /** Sets the number; with the resourceVersion when the scale has one. */
  async putScale(scale: BareScale, replicas: number): Promise<void> {
    const { name, namespace, resourceVersion } = scale.metadata;
    await this.#ask('PUT', `${this.#scalePath(name)}?fieldManager=bench`, {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
      spec: { replicas },
    });
  }

  /** Reads a watch of the namespace's Pods to its end; each chunk is told as it comes. */
  async watchPods(signal: AbortSignal, onChunk: (text: string) => void): Promise<void> {
    const path = `/api/v1/namespaces/${this.#namespace}/pods?watch=1`;
    const { body } = await this.#client.request({ method: 'GET', path, signal });
    for await (const chunk of body) onChunk(String(chunk));
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }

  #scalePath(name: string): string {
    return `/apis/apps/v1/namespaces/${this.#namespace}/deployments/${name}/scale`;
  }

  async #ask<Result>(method: 'GET' | 'PUT', path: string, body: object | null): Promise<Result> {
    const answer = await this.#client.request({
      method,
      path,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: body === null ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return JSON.parse(text) as Result;
  }
}
