/**
 * From apiVersion and kind to the resource's path. Aggregated discovery (apidiscovery.k8s.io/v2, v2beta1)
 * where the API server has it, else the list of one group version.
 */
import type { Clock } from '../../clock.ts';
import type { ApiClient } from './client.ts';
import { failureOfException } from './failure.ts';
import { orAbort } from './pause.ts';
import { type Fields, fields, list, text } from './read.ts';
import type { Tuning } from './tuning.ts';
import { KubeError } from './types.ts';

/** One resource as far as it is needed. */
export interface ResourceInfo {
  readonly apiVersion: string;
  readonly kind: string;
  /** Plural name in paths. */
  readonly resource: string;
  readonly isNamespaced: boolean;
  readonly hasScale: boolean;
}

type Kinds = ReadonlyMap<string, ResourceInfo>;

interface GroupVersion {
  readonly kinds: Kinds;
  readonly loadedAt: number;
}

interface Root {
  readonly loadedAt: number;
  /** What it does not list does not exist. */
  readonly isComplete: boolean;
}

const aggregated = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .concat('application/json')
  .join(',');

/** Path prefix of a group version: the core group has one of its own. */
export function rootOf(apiVersion: string): '/api' | '/apis' {
  return apiVersion.includes('/') ? '/apis' : '/api';
}

/** Path of a collection. @param namespace empty: of the cluster */
export function collectionPath(info: ResourceInfo, namespace: string): string {
  const within = namespace === '' ? '' : `namespaces/${encodeURIComponent(namespace)}/`;
  return `${rootOf(info.apiVersion)}/${info.apiVersion}/${within}${info.resource}`;
}

function addKind(kinds: Map<string, ResourceInfo>, info: ResourceInfo): void {
  // Several resources may share a kind; the one that can be scaled is meant.
  if (info.kind !== '' && info.resource !== '' && !kinds.get(info.kind)?.hasScale) kinds.set(info.kind, info);
}

/** Group versions of an APIGroupDiscoveryList; stale ones are those whose own API server is away. */
export function parseAggregated(document: Fields): {
  readonly versions: ReadonlyMap<string, Kinds>;
  readonly hasStale: boolean;
} {
  const versions = new Map<string, Kinds>();
  let hasStale = false;
  for (const group of list(document.items).map(fields)) {
    const groupName = text(fields(group.metadata).name);
    for (const version of list(group.versions).map(fields)) {
      const versionName = text(version.version);
      const apiVersion = groupName === '' ? versionName : `${groupName}/${versionName}`;
      const kinds = new Map<string, ResourceInfo>();
      for (const resource of list(version.resources).map(fields)) {
        addKind(kinds, {
          apiVersion,
          kind: text(fields(resource.responseKind).kind),
          resource: text(resource.resource),
          isNamespaced: resource.scope === 'Namespaced',
          hasScale: list(resource.subresources).some((sub) => fields(sub).subresource === 'scale'),
        });
      }
      versions.set(apiVersion, kinds);
      hasStale ||= version.freshness === 'Stale';
    }
  }
  return { versions, hasStale };
}

/** Kinds of an APIResourceList. */
export function parseLegacy(document: Fields, apiVersion: string): Kinds {
  const resources = list(document.resources).map(fields);
  const names = new Set(resources.map((resource) => text(resource.name)));
  const kinds = new Map<string, ResourceInfo>();
  for (const resource of resources) {
    const name = text(resource.name);
    if (name.includes('/')) continue;
    addKind(kinds, {
      apiVersion,
      kind: text(resource.kind),
      resource: name,
      isNamespaced: resource.namespaced === true,
      hasScale: names.has(`${name}/scale`),
    });
  }
  return kinds;
}

/** An empty document for what is not there or may not be listed: the path of a kind may be allowed nevertheless. */
async function orNotFound(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KubeError && [403, 404, 406].includes(error.status)) return null;
    throw error;
  }
}

export interface DiscoveryParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly tuning: Tuning;
  /** Of the cluster: loads are shared, so they do not end with the one who asked first. */
  readonly signal: AbortSignal;
}

/** Finds resources; keeps what it found and asks again for what is missing, but not too often. */
export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #versions = new Map<string, GroupVersion>();
  readonly #roots = new Map<string, Root>();
  readonly #pending = new Map<string, Promise<void>>();

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** The resource, or null when the cluster does not know the kind. @throws KubeError */
  async find(apiVersion: string, kind: string, signal: AbortSignal): Promise<ResourceInfo | null> {
    const root = rootOf(apiVersion);
    const lookUp = (): ResourceInfo | null => this.#versions.get(apiVersion)?.kinds.get(kind) ?? null;
    // A definition may get its scale, or be installed, later.
    const isKnown = (): boolean =>
      lookUp()?.hasScale === true ||
      this.#isFresh(this.#versions.get(apiVersion)?.loadedAt) ||
      (this.#roots.get(root)?.isComplete === true && this.#isFresh(this.#roots.get(root)?.loadedAt));
    if (!isKnown() && !this.#isFresh(this.#roots.get(root)?.loadedAt))
      await this.#shared(root, () => this.#loadRoot(root), signal);
    if (!isKnown()) await this.#shared(apiVersion, () => this.#loadVersion(root, apiVersion), signal);
    return lookUp();
  }

  #isFresh(loadedAt: number | undefined): boolean {
    const { clock, tuning } = this.#parts;
    return loadedAt !== undefined && clock.monotonic() - loadedAt < tuning.discoveryMissMs;
  }

  /** Runs a load once for all who wait for it. */
  async #shared(key: string, load: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const pending = this.#pending.get(key) ?? load().finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    try {
      await orAbort(pending, signal);
    } catch (error) {
      throw failureOfException(error, 'GET', { isLate: false, isAborted: signal.aborted, wasSent: false });
    }
  }

  async #loadRoot(root: string): Promise<void> {
    const { client, clock, signal } = this.#parts;
    const document = fields(await orNotFound(client.get(root, signal, { accept: aggregated })));
    const loadedAt = clock.monotonic();
    const isAggregated = document.kind === 'APIGroupDiscoveryList';
    const { versions, hasStale } = parseAggregated(document);
    this.#roots.set(root, { loadedAt, isComplete: isAggregated && !hasStale });
    for (const [apiVersion, kinds] of versions) {
      // What was known of a stale group stays; what was not is asked for by itself.
      if (kinds.size > 0) this.#versions.set(apiVersion, { kinds, loadedAt });
    }
  }

  async #loadVersion(root: string, apiVersion: string): Promise<void> {
    const { client, clock, signal } = this.#parts;
    const document = fields(await orNotFound(client.get(`${root}/${apiVersion}`, signal)));
    const kinds = parseLegacy(document, apiVersion);
    this.#versions.set(apiVersion, { kinds, loadedAt: clock.monotonic() });
  }
}
