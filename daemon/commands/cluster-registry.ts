/** What commands do to a registry in the cluster, by the rights of whoever runs them. */
import type { Quarantined } from '../attest/trust/types.ts';
import { type KubeAccess, openAccess } from '../bridge/kube/access.ts';
import { KubeError } from '../bridge/kube/types.ts';
import { approveKey, type KeyApproval, type KeyOutcome } from '../bridge/registry/cluster/approve-key.ts';
import {
  pathOf,
  readAll,
  recordOf,
  remedyOf,
  type SurfaceRecord,
} from '../bridge/registry/cluster/objects.ts';
import { type RequestRecord, requestOf } from '../bridge/registry/cluster/request-objects.ts';
import { writeDecision } from '../bridge/registry/cluster/write-decision.ts';
import { systemClock } from '../clock.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';

/** Name of what commands write, in managedFields. */
const fieldManager = 'surfaced-cli';

/** The objects of one namespace. */
export interface ClusterObjects {
  surfaces(): Promise<{
    readonly surfaces: readonly ControlSurface[];
    readonly records: readonly SurfaceRecord[];
    readonly problems: readonly { readonly source: string; readonly message: string }[];
  }>;
  requests(): Promise<readonly RequestRecord[]>;
  /**
   * Writes the decision that a TPM is a surface, and waits for the gateway to carry it out.
   * @returns the request as it is then; null: the gateway has not done it yet
   * @throws SurfacedError E_USAGE with the gateway's words when it refuses
   */
  decide(request: RequestRecord, approval: KeyApproval): Promise<RequestRecord | null>;
  /** Approves a key that nobody has shown yet. */
  approve(approval: KeyApproval): Promise<KeyOutcome>;
  /** Merges into the spec of a surface; false: there is no such surface. */
  change(name: string, spec: object): Promise<boolean>;
}

/** Opens a connection for the work. @throws SurfacedError E_KUBE_CONFIG, E_REGISTRY */
export async function withCluster<T>(
  config: GatewayConfig,
  work: (objects: ClusterObjects) => Promise<T>,
): Promise<T> {
  const namespace = config.registry.cluster?.namespace ?? '';
  const access = await openAccess({
    config: config.cluster,
    log: silentLog,
    clock: systemClock,
    random: Math.random,
    fieldManager,
  });
  try {
    return await work(objectsOver(access, namespace));
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const plural = error.message.includes('surfacerequests') ? 'surfacerequests' : 'controlsurfaces';
    throw new SurfacedError('E_REGISTRY', `namespace ${namespace}: ${remedyOf(error, plural, namespace)}`, {
      cause: error,
    });
  } finally {
    await access.close();
  }
}

function objectsOver(access: KubeAccess, namespace: string): ClusterObjects {
  const { signal } = new AbortController();
  const surfacesPath = pathOf('controlsurfaces', namespace);
  const requestsPath = pathOf('surfacerequests', namespace);
  const patch = (path: string, body: object) => access.write({ method: 'PATCH', path, body }, signal);

  const surfaces: ClusterObjects['surfaces'] = async () => {
    const found = await readAll(access, surfacesPath, signal);
    const records = found.map((object) => recordOf(object, undefined));
    return {
      records,
      surfaces: records.flatMap(({ surface }) => surface ?? []),
      problems: records.flatMap(({ name, problem }) =>
        problem === null ? [] : [{ source: `ControlSurface ${namespace}/${name}`, message: problem }],
      ),
    };
  };
  return {
    surfaces,
    requests: async () => (await readAll(access, requestsPath, signal)).map(requestOf),
    decide: async (request, approval) =>
      writeDecision(
        access,
        { path: `${requestsPath}/${encodeURIComponent(request.name)}`, request },
        { decision: 'Approve', ...approval },
        signal,
      ),
    approve: async (approval) => {
      const owners = new Map(
        (await surfaces()).surfaces.flatMap(({ metadata, spec }) =>
          spec.tpm ? [[metadata.name, spec.tpm.ekSha256] as const] : [],
        ),
      );
      return approveKey(access, { namespace, owners }, approval, signal);
    },
    change: async (name, spec) => {
      try {
        await patch(`${surfacesPath}/${encodeURIComponent(name)}`, { spec });
        return true;
      } catch (error) {
        const isUnknown = error instanceof KubeError && error.status === 404;
        if (!isUnknown) throw error;
        // Without the definition every name is unknown.
        await surfaces();
        return false;
      }
    },
  };
}

/** A request as lists of those who wait show it. */
export const waitingOf = ({ facts }: RequestRecord): Quarantined => ({
  ...facts,
  firstSeenAt: Date.parse(facts.firstSeen) || 0,
  lastSeenAt: Date.parse(facts.firstSeen) || 0,
});
