/**
 * Kubeconfig and credentials, by client-node; connections, by undici. client-node builds a new undici
 * dispatcher, and so a new TLS connection, for every request (kubernetes-client/javascript issue 2893), so
 * it is only asked for options and headers: the dispatcher is made here, once, and again when they change.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import path from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type buildConnector, type Dispatcher, ProxyAgent } from 'undici';
import { parse } from 'yaml';
import type { Clock } from '../../clock.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { fields, list, text } from './read.ts';
import type { Tuning } from './tuning.ts';

/** What a request needs: where to, over which connections, with which headers. */
export interface Session {
  readonly origin: string;
  /** Path of the server URL without a slash at the end, for API servers behind a proxy. */
  readonly basePath: string;
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
}

interface Options {
  readonly config: GatewayConfig['cluster'];
  readonly log: Log;
  readonly clock: Clock;
  readonly tuning: Tuning;
}

/** The files that client-node reads the configuration from; none when it is the service account's. */
function kubeconfigFiles(config: GatewayConfig['cluster']): readonly string[] {
  if (config.kubeconfig !== undefined) return [config.kubeconfig];
  const variable = process.env.KUBECONFIG;
  if (variable !== undefined && variable !== '') return variable.split(path.delimiter).filter(Boolean);
  return [path.join(process.env.HOME ?? homedir(), '.kube', 'config')];
}

/**
 * Users with `tokenFile` (client-go clientcmd/api/v1, AuthInfo.TokenFile): client-node 2.0.1 knows only the
 * misspelt `token-file`. They get the loader that it uses for service accounts, which reads the file again.
 */
async function addTokenFiles(kubeConfig: KubeConfig, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const source = await readFile(file, 'utf8').catch(() => '');
    for (const entry of list(fields(parse(source)).users)) {
      const tokenFile = text(fields(fields(entry).user).tokenFile, 4096);
      const user = kubeConfig.getUsers().find((known) => known.name === fields(entry).name);
      if (tokenFile === '' || user === undefined || user.authProvider) continue;
      const absolute = path.resolve(path.dirname(file), tokenFile);
      Object.assign(user, { authProvider: { name: 'tokenFile', config: { tokenFile: absolute } } });
    }
  }
}

/** Exec plug-ins refuse to run without KUBERNETES_EXEC_INFO (client-go exec protocol), which client-node does not set. */
function addExecInfo(kubeConfig: KubeConfig): void {
  const user = kubeConfig.getCurrentUser();
  const exec = user?.exec as
    | { apiVersion?: string; env?: { name: string; value: string }[] }
    | null
    | undefined;
  if (!exec) return;
  const name = 'KUBERNETES_EXEC_INFO';
  const value = JSON.stringify({
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: { interactive: false },
  });
  exec.env = [...(exec.env ?? []).filter((variable) => variable.name !== name), { name, value }];
}

/** The same options by the types of undici, which has its own idea of how read-only they are. */
const asConnect = (options: object): buildConnector.BuildOptions => options as buildConnector.BuildOptions;

/** With CA and key read once: otherwise every connection reads them anew, and a start makes a thousand watches. */
function withContext(options: buildConnector.BuildOptions): buildConnector.BuildOptions {
  try {
    return { ...options, secureContext: createSecureContext(options as SecureContextOptions) };
  } catch {
    // What cannot be read is the error of each connection, and told as such.
    return options;
  }
}

async function loadKubeConfig(config: GatewayConfig['cluster']): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  const where = config.kubeconfig ?? 'the default kubeconfig';
  try {
    if (config.kubeconfig === undefined) kubeConfig.loadFromDefault();
    else kubeConfig.loadFromFile(config.kubeconfig);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SurfacedError('E_KUBE_CONFIG', `${where}: ${why}`, { cause });
  }
  if (config.context !== undefined) kubeConfig.setCurrentContext(config.context);
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    const known = kubeConfig.getContexts().map((context) => context.name);
    throw new SurfacedError(
      'E_KUBE_CONFIG',
      `${where}: context ${JSON.stringify(kubeConfig.getCurrentContext() ?? '')} names no cluster; contexts: ${known.join(', ') || 'none'}`,
    );
  }
  // What loadFromDefault falls back to when it found nothing.
  if (config.kubeconfig === undefined && cluster.server === 'http://localhost:8080')
    throw new SurfacedError(
      'E_KUBE_CONFIG',
      'no kubeconfig in KUBECONFIG or ~/.kube/config, and no service account',
    );
  if (!URL.canParse(cluster.server))
    throw new SurfacedError('E_KUBE_CONFIG', `${where}: ${cluster.server} is not a URL`);
  if (cluster.server.startsWith('http:') && !cluster.skipTLSVerify)
    throw new SurfacedError(
      'E_KUBE_CONFIG',
      `${where}: ${cluster.server} is plain HTTP; that needs insecure-skip-tls-verify`,
    );
  await addTokenFiles(kubeConfig, kubeconfigFiles(config));
  addExecInfo(kubeConfig);
  return kubeConfig;
}

/** Loads the kubeconfig. @throws SurfacedError E_KUBE_CONFIG */
export async function loadCredentials(options: Options): Promise<Credentials> {
  return new Credentials(options, await loadKubeConfig(options.config));
}

/** Headers and connections for requests, kept up to date. */
export class Credentials {
  readonly #options: Options;
  #kubeConfig: KubeConfig;
  #session: Session | null = null;
  #sessionAt = 0;
  #pending: Promise<Session> | null = null;
  #fingerprint = '';
  #reload: 'refused' | 'unreachable' | null = null;
  #reloadedAt = Number.NEGATIVE_INFINITY;
  readonly #retired: Dispatcher[] = [];

  constructor(options: Options, kubeConfig: KubeConfig) {
    this.#options = options;
    this.#kubeConfig = kubeConfig;
  }

  get server(): string {
    return this.#kubeConfig.getCurrentCluster()?.server ?? '';
  }

  /** The session to use now. Files and plug-ins are asked again every few seconds; they keep caches of their own. */
  async session(): Promise<Session> {
    const age = this.#options.clock.monotonic() - this.#sessionAt;
    if (this.#session !== null && age < this.#options.tuning.credentialMs) return this.#session;
    this.#pending ??= this.#refresh().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** Reads the kubeconfig again before the next request, after a 401 or when nothing answers at its address. */
  renew(why: 'refused' | 'unreachable'): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#reloadedAt < this.#options.tuning.reloadMs) return;
    this.#reloadedAt = now;
    this.#reload = why;
    this.#sessionAt = Number.NEGATIVE_INFINITY;
  }

  async close(): Promise<void> {
    const dispatchers = [...this.#retired, this.#session?.dispatcher];
    await Promise.all(dispatchers.map((dispatcher) => dispatcher?.destroy()));
  }

  async #refresh(): Promise<Session> {
    const why = this.#reload;
    this.#reload = null;
    if (why !== null) await this.#loadAgain(why);
    const request: RequestOptions = { headers: {} };
    await this.#kubeConfig.applyToHTTPSOptions(request);
    const headers: Record<string, string> = {};
    // A token file usually ends with a line feed, which no header may carry.
    for (const [name, value] of Object.entries(request.headers ?? {})) headers[name] = String(value).trim();
    if (request.auth) headers.Authorization = `Basic ${Buffer.from(request.auth).toString('base64')}`;
    const { origin, pathname } = new URL(this.server);
    this.#session = {
      origin,
      basePath: pathname.replace(/\/+$/, ''),
      dispatcher: await this.#dispatcher(request),
      headers,
    };
    this.#sessionAt = this.#options.clock.monotonic();
    return this.#session;
  }

  async #loadAgain(why: 'refused' | 'unreachable'): Promise<void> {
    try {
      const fresh = await loadKubeConfig(this.#options.config);
      // After a refusal the same configuration is taken again too: its plug-ins then start without their caches.
      if (why === 'refused' || fresh.exportConfig() !== this.#kubeConfig.exportConfig())
        this.#kubeConfig = fresh;
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        'kubeconfig cannot be read again; the one in memory stays in use',
      );
    }
  }

  /** The dispatcher for these options: the one in use as long as they are the same. */
  async #dispatcher(request: RequestOptions): Promise<Dispatcher> {
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = request;
    const agentOptions = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
    const cluster = this.#kubeConfig.getCurrentCluster();
    const print = createHash('sha256');
    for (const part of [...Object.values(agentOptions), cluster?.server, cluster?.proxyUrl]) {
      print.update(Buffer.isBuffer(part) ? part : String(part)).update('\0');
    }
    const fingerprint = print.digest('hex');
    if (this.#session !== null && this.#fingerprint === fingerprint) return this.#session.dispatcher;
    const known = Object.fromEntries(Object.entries(agentOptions).filter(([, value]) => value !== undefined));
    const dispatcher = await this.#newDispatcher(known);
    if (this.#session !== null) this.#retire(this.#session.dispatcher);
    this.#fingerprint = fingerprint;
    return dispatcher;
  }

  async #newDispatcher(agentOptions: Record<string, unknown>): Promise<Dispatcher> {
    const cluster = this.#kubeConfig.getCurrentCluster();
    const wanted = this.#kubeConfig.createDispatcherOptions(cluster, agentOptions);
    const { connectMs, keepAliveMs } = this.#options.tuning;
    const common = { keepAliveTimeout: keepAliveMs, pipelining: 1 };
    switch (wanted.type) {
      case 'agent':
        return new Agent({
          ...common,
          connect: { ...withContext(asConnect(wanted.connect)), timeout: connectMs },
        });
      case 'none':
        return new Agent({
          ...common,
          connect: { timeout: connectMs, keepAlive: true, keepAliveInitialDelay: 30_000 },
        });
      case 'proxy':
        return new ProxyAgent({
          ...common,
          uri: wanted.uri,
          requestTls: asConnect(wanted.requestTls),
          connect: asConnect(wanted.connect),
        });
      case 'socks': {
        // Its SOCKS connector is not exported; only this method gives it.
        // biome-ignore lint/complexity/useLiteralKeys: only this form reaches a private method
        const made: unknown = this.#kubeConfig['createDispatcher'](cluster, agentOptions);
        return made as Dispatcher;
      }
    }
  }

  /** Lets running watches end by themselves on the old connections. */
  #retire(dispatcher: Dispatcher): void {
    this.#retired.push(dispatcher);
    dispatcher.close().then(
      () => this.#retired.splice(this.#retired.indexOf(dispatcher), 1),
      () => {},
    );
  }
}
