/** The scale subresource (autoscaling/v1 Scale) of any kind that has one. */
import type { ApiClient } from './client.ts';
import { collectionPath, type Discovery, type ResourceInfo } from './discovery.ts';
import { count, fields, text } from './read.ts';
import type { Tuning } from './tuning.ts';
import { type Actor, KubeError, type Numbered, type Scale, type TargetRef } from './types.ts';

/** How a target is called in messages. */
export function nameOf({ kind, namespace, name }: TargetRef): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

/** Scale of an API object; every field is optional there. */
export function parseScale(document: unknown): Scale {
  const scale = fields(document);
  const metadata = fields(scale.metadata);
  const status = fields(scale.status);
  return {
    uid: text(metadata.uid, 64),
    resourceVersion: text(metadata.resourceVersion, 64),
    replicas: count(fields(scale.spec).replicas),
    observed: count(status.replicas),
    selector: text(status.selector, 4096),
  };
}

/**
 * The resource of a target.
 * @param needsScale whether it must have a scale
 * @throws KubeError with status 404
 */
export async function resolve(
  discovery: Discovery,
  ref: TargetRef,
  needsScale: boolean,
  signal: AbortSignal,
): Promise<ResourceInfo> {
  const info = await discovery.find(ref.apiVersion, ref.kind, signal);
  const missing = { status: 404, retryAfterMs: null, isUncertain: false };
  if (info === null)
    throw new KubeError(`the cluster does not know the kind ${ref.kind} of ${ref.apiVersion}`, {
      ...missing,
      reason: 'UnknownKind',
    });
  if (info.isNamespaced !== (ref.namespace !== ''))
    throw new KubeError(
      `${ref.kind} of ${ref.apiVersion} ${info.isNamespaced ? 'needs a namespace' : 'belongs to no namespace'}`,
      { ...missing, reason: 'WrongScope' },
    );
  if (needsScale && !info.hasScale)
    throw new KubeError(`${ref.kind} of ${ref.apiVersion} cannot be scaled: it has no scale subresource`, {
      ...missing,
      reason: 'NoScale',
    });
  return info;
}

/** Path of one object. */
export function objectPath(info: ResourceInfo, ref: TargetRef): string {
  return `${collectionPath(info, ref.namespace)}/${encodeURIComponent(ref.name)}`;
}

/** Reads and writes scales. */
export class Scales {
  readonly #parts: {
    readonly client: ApiClient;
    readonly discovery: Discovery;
    readonly tuning: Tuning;
    readonly fieldManager: string;
  };

  constructor(parts: {
    readonly client: ApiClient;
    readonly discovery: Discovery;
    readonly tuning: Tuning;
    readonly fieldManager: string;
  }) {
    this.#parts = parts;
  }

  /** @throws KubeError */
  async get(ref: TargetRef, actor: Actor | null, signal: AbortSignal): Promise<Scale> {
    const info = await resolve(this.#parts.discovery, ref, true, signal);
    return parseScale(await this.#parts.client.get(`${objectPath(info, ref)}/scale`, signal, { actor }));
  }

  /** One attempt: what to do about a conflict or a lost answer is for the caller to decide. @throws KubeError */
  async put(
    ref: TargetRef,
    scale: Numbered,
    replicas: number,
    actor: Actor,
    options: { readonly isDryRun: boolean },
    signal: AbortSignal,
  ): Promise<Scale> {
    const { client, discovery, tuning, fieldManager } = this.#parts;
    const info = await resolve(discovery, ref, true, signal);
    const query = new URLSearchParams({ fieldManager });
    if (options.isDryRun) query.set('dryRun', 'All');
    const { uid, resourceVersion } = scale;
    const body = {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name: ref.name, namespace: ref.namespace, uid, resourceVersion },
      spec: { replicas },
    };
    const answer = await client.json(
      {
        method: 'PUT',
        path: `${objectPath(info, ref)}/scale?${query}`,
        accept: 'application/json',
        actor,
        body: JSON.stringify(body),
        maxBytes: tuning.maxBodyBytes,
        attempts: 1,
        deadlineMs: tuning.requestMs,
      },
      signal,
    );
    return parseScale(answer);
  }
}
