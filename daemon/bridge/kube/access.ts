/**
 * The API for parts that keep objects of their own in it: any path, read, written and mirrored over the connection of the
 * gateway and with its own rights.
 */
import type { Clock } from '../../clock.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import { ApiClient } from './client.ts';
import { loadCredentials } from './credentials.ts';
import type { Collection } from './reflector.ts';
import type { Lease } from './target-watch.ts';
import { defaultTuning, type Tuning } from './tuning.ts';

/** How a patch changes an object: RFC 7386, the one patch that custom resources and built-in kinds both take. */
export const mergePatch = 'application/merge-patch+json';

/** A request that changes something. */
export interface Write {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query, but without `fieldManager`, which is added. */
  readonly path: string;
  /** Null: none. */
  readonly body: unknown;
}

/** Objects of the API, whatever their kind. Every call has a deadline of its own. */
export interface KubeAccess {
  /** @throws KubeError */
  get(path: string, signal: AbortSignal): Promise<unknown>;
  /** One attempt; a PATCH is a merge patch. The answer is the object as it is then. @throws KubeError */
  write(write: Write, signal: AbortSignal): Promise<unknown>;
}

/** The same with mirrors of whole collections. */
export interface MirroringAccess extends KubeAccess {
  /** Lists and watches until the lease is released; `onChange` is a hint to look at the items again. */
  mirror<Item>(collection: Collection<Item>, onChange: () => void): Lease<Item>;
}

/** Access over a client that others use, too. */
export function accessOver(parts: {
  readonly client: ApiClient;
  readonly tuning: Tuning;
  readonly fieldManager: string;
}): KubeAccess {
  const { client, tuning, fieldManager } = parts;
  return {
    get: (path, signal) => client.get(path, signal, { maxBytes: tuning.maxListBytes }),
    write: ({ method, path, body }, signal) =>
      client.json(
        {
          method,
          path:
            method === 'DELETE'
              ? path
              : `${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams({ fieldManager })}`,
          accept: 'application/json',
          actor: null,
          body: body === null ? null : JSON.stringify(body),
          ...(method === 'PATCH' && { contentType: mergePatch }),
          maxBytes: tuning.maxBodyBytes,
          attempts: 1,
          deadlineMs: tuning.requestMs,
        },
        signal,
      ),
  };
}

/**
 * Access for a command: a connection of its own, without probes of the API server's health.
 * @throws SurfacedError E_KUBE_CONFIG when the kubeconfig cannot be used
 */
export async function openAccess(options: {
  readonly config: GatewayConfig['cluster'];
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly fieldManager: string;
}): Promise<KubeAccess & { close(): Promise<void> }> {
  const { config, log, clock, random, fieldManager } = options;
  const tuning = defaultTuning;
  const credentials = await loadCredentials({ config, log, clock, tuning });
  const client = new ApiClient({ credentials, tuning, clock, random, observe: () => {} });
  return { ...accessOver({ client, tuning, fieldManager }), close: () => credentials.close() };
}
