/** Whole objects that commands read and patch, and evictions of Pods. */
import { mergePatch } from './access.ts';
import type { ApiClient, ApiRequest } from './client.ts';
import type { Discovery } from './discovery.ts';
import { type Fields, fields } from './read.ts';
import { objectPath, resolve } from './scales.ts';
import type { Tuning } from './tuning.ts';
import type { Actor, Numbered, TargetRef } from './types.ts';

export interface ObjectsParts {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly tuning: Tuning;
  readonly fieldManager: string;
}

/** Reads and writes objects as somebody; what to do about a conflict or a lost answer is for the caller to decide. */
export class Objects {
  readonly #parts: ObjectsParts;

  constructor(parts: ObjectsParts) {
    this.#parts = parts;
  }

  /** @throws KubeError */
  async get(ref: TargetRef, actor: Actor, signal: AbortSignal): Promise<Fields> {
    const { client, discovery } = this.#parts;
    const info = await resolve(discovery, ref, false, signal);
    return fields(await client.get(objectPath(info, ref), signal, { actor }));
  }

  /**
   * One merge patch. A resourceVersion in it must be that of the object (Kubernetes API concepts, "Updates to existing
   * resources"): a patch made for what is no more is answered with 409. @throws KubeError
   */
  async patch(
    ref: TargetRef,
    { uid, resourceVersion }: Numbered,
    patch: Fields,
    actor: Actor,
    { isDryRun }: { readonly isDryRun: boolean },
    signal: AbortSignal,
  ): Promise<Fields> {
    const { discovery, fieldManager } = this.#parts;
    const info = await resolve(discovery, ref, false, signal);
    const query = new URLSearchParams({ fieldManager, ...(isDryRun && { dryRun: 'All' }) });
    const body = { ...patch, metadata: { ...fields(patch.metadata), uid, resourceVersion } };
    const path = `${objectPath(info, ref)}?${query}`;
    return fields(await this.#send({ method: 'PATCH', path, contentType: mergePatch }, body, actor, signal));
  }

  /** Of this very Pod: another one of its name is left alone. @throws KubeError with status 429 while a budget forbids it */
  async evict(
    pod: { readonly namespace: string; readonly name: string; readonly uid: string },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, name, uid } = pod;
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/eviction`;
    const body = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace },
      deleteOptions: { preconditions: { uid } },
    };
    await this.#send({ method: 'POST', path }, body, actor, signal);
  }

  #send(
    how: Pick<ApiRequest, 'method' | 'path' | 'contentType'>,
    body: unknown,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { client, tuning } = this.#parts;
    return client.json(
      {
        ...how,
        accept: 'application/json',
        actor,
        body: JSON.stringify(body),
        maxBytes: tuning.maxBodyBytes,
        attempts: 1,
        deadlineMs: tuning.requestMs,
      },
      signal,
    );
  }
}
