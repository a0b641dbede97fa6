/** Leases of coordination.k8s.io/v1 over the connection of the gateway. */
import type { KubeAccess } from '../kube/access.ts';
import { count, type Fields, fields, list, text } from '../kube/read.ts';
import type { LeaseApi, LeaseDraft, LeaseRecord } from './types.ts';

/** Marks the Leases of gateways, and says into how many shards the writer divides the surfaces. */
export const countLabel = 'surfaced.dev/shards';

/** Beginning of the names of the Leases of shards; their number follows. */
export const shardPrefix = 'surfaced-shard-';
/** Beginning of the names of the Leases by which gateways show that they live; their name follows. */
export const replicaPrefix = 'surfaced-replica-';

function parse(document: unknown): LeaseRecord {
  const { metadata, spec } = fields(document);
  const meta = fields(metadata);
  const lease = fields(spec);
  return {
    name: text(meta.name, 253),
    resourceVersion: text(meta.resourceVersion, 64),
    holder: text(lease.holderIdentity, 253),
    durationMs: count(lease.leaseDurationSeconds) * 1000,
    transitions: count(lease.leaseTransitions),
    acquireTime: text(lease.acquireTime, 64),
    count: Number(text(fields(meta.labels)[countLabel], 8)) || 0,
  };
}

/** @param namespace where the Leases are; the account of the gateway needs get, list, create, update and delete there */
export function leasesOver(access: KubeAccess, namespace: string): LeaseApi {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
  const objectOf = (draft: LeaseDraft, resourceVersion: string | null): Fields => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: draft.name,
      namespace,
      labels: { [countLabel]: String(draft.count), 'app.kubernetes.io/part-of': 'surfaced' },
      ...(resourceVersion !== null && { resourceVersion }),
    },
    spec: {
      holderIdentity: draft.holder,
      leaseDurationSeconds: Math.ceil(draft.durationMs / 1000),
      leaseTransitions: draft.transitions,
      acquireTime: draft.acquireTime,
      renewTime: draft.renewTime,
    },
  });
  return {
    // Without a resourceVersion a list is what is true now (Kubernetes API concepts, "Semantics for get and list").
    list: async (signal) =>
      list(
        fields(await access.get(`${path}?labelSelector=${encodeURIComponent(countLabel)}`, signal)).items,
      ).map(parse),
    create: async (draft, signal) =>
      parse(await access.write({ method: 'POST', path, body: objectOf(draft, null) }, signal)),
    update: async (draft, resourceVersion, signal) =>
      parse(
        await access.write(
          { method: 'PUT', path: `${path}/${draft.name}`, body: objectOf(draft, resourceVersion) },
          signal,
        ),
      ),
    remove: async (name, resourceVersion, signal) => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } };
      await access.write({ method: 'DELETE', path: `${path}/${name}`, body }, signal);
    },
  };
}
