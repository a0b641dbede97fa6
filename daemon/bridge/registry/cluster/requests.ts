/**
 * TPMs that wait for approval, as SurfaceRequests: made when one knocks, carried out when somebody has decided, removed
 * when it goes. Their number is bounded, and so is what is written: anybody who reaches the gateway can knock.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Quarantined } from '../../../attest/trust/types.ts';
import type { Clock } from '../../../clock.ts';
import type { Condition } from '../../../config/custom-resources.ts';
import { apiVersion } from '../../../config/schema.ts';
import type { Log } from '../../../log.ts';
import { TokenBucket } from '../../gateway/rate.ts';
import type { MirroringAccess } from '../../kube/access.ts';
import { KubeError } from '../../kube/types.ts';
import { approveKey } from './approve-key.ts';
import { timeOf } from './conditions.ts';
import { type Step, stepOf } from './decide.ts';
import { maxMessage, pathOf, remedyOf } from './objects.ts';
import { factsOf, gatewayLabel, type RequestRecord, requestName, requestOf } from './request-objects.ts';

/** How much there may be. */
export const requestLimits = {
  /** Requests in the cluster; who has a vendor's certificate goes first, then who waits longest. */
  most: 64,
  perSecond: 2,
  burst: 20,
  /** A request that was approved stays so long, so that whoever approved it can see that, milliseconds. */
  keepMs: 600_000,
} as const;

const tickMs = 5000;
const failedMs = 5000;
const refusedMs = 30_000;
/** After an approval the mirrors need a moment to show the key, milliseconds. */
const settleMs = 15_000;

export interface Requests {
  /** Something may be different: looks now. */
  look(): void;
  /** Resolves when everything that was asked for so far has been looked at. */
  idle(): Promise<void>;
  problem(): string | null;
  close(): Promise<void>;
}

/** Publishes those who wait and carries decisions out. */
export function serveRequests(options: {
  readonly access: MirroringAccess;
  readonly namespace: string;
  /** Name of this gateway. */
  readonly gateway: string;
  readonly quarantine: () => readonly Quarantined[];
  /** Which surface has which key: name -> key. */
  readonly owners: () => ReadonlyMap<string, string>;
  /** Whether what is known of the surfaces is what the cluster has: without it nobody is approved. */
  readonly isSynced: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}): Requests {
  const { access, namespace, gateway, quarantine, owners, isSynced, clock, log } = options;
  const path = pathOf('surfacerequests', namespace);
  const pathTo = (name: string): string => `${path}/${encodeURIComponent(name)}`;
  const closing = new AbortController();
  const budget = new TokenBucket(requestLimits.perSecond, requestLimits.burst, clock.monotonic());
  let problem: string | null = null;
  let notBefore = 0;
  let running: Promise<void> | null = null;
  let isAsked = false;

  /** Those who get a request, by its name. */
  const wanted = (): Map<string, Quarantined> => {
    const ranked = [...quarantine()].sort(
      (a, b) => Number(b.hasTrustedCertificate) - Number(a.hasTrustedCertificate),
    );
    const chosen = new Map<string, Quarantined>();
    for (const waiting of ranked) {
      const name = requestName(waiting.ekSha256);
      if (chosen.size < requestLimits.most && !chosen.has(name)) chosen.set(name, waiting);
    }
    return chosen;
  };
  const patchStatus = async (
    record: Pick<RequestRecord, 'name' | 'uid' | 'resourceVersion'>,
    status: object,
  ): Promise<RequestRecord> =>
    requestOf(
      (await access.write(
        {
          method: 'PATCH',
          path: `${pathTo(record.name)}/status`,
          body: { metadata: { uid: record.uid, resourceVersion: record.resourceVersion }, status },
        },
        closing.signal,
      )) as Record<string, unknown>,
    );

  async function create(name: string, waiting: Quarantined): Promise<void> {
    const metadata = { name, labels: { [gatewayLabel]: gateway } };
    const made = await access.write(
      { method: 'POST', path, body: { apiVersion, kind: 'SurfaceRequest', metadata, spec: {} } },
      closing.signal,
    );
    await patchStatus(requestOf(made as Record<string, unknown>), factsOf(waiting));
    log.info({ request: name, pairingCode: waiting.pairingCode }, 'a TPM waits for approval');
  }

  /** Brings one request up to date and carries out what was decided. */
  async function serve(record: RequestRecord, waiting: Quarantined): Promise<void> {
    const truth = factsOf(waiting);
    const step = stepOf(waiting, record);
    if (step.kind === 'forged') return forged(record, waiting, step.message);
    const isDone = record.observedGeneration === record.generation;
    // It was let in, and is not any more: what was decided then says nothing of now.
    if (isDone && approvedAt(record) < clock.now() - settleMs && !isOwned(truth.ekSha256))
      return remove(record);
    if (step.kind === 'wait' || isDone) {
      const isOver = step.kind === 'wait' && record.conditions.length > 0 && !isDone;
      if (isDeepStrictEqual(record.facts, truth) && !isOver) return;
      if (!budget.take(clock.monotonic())) return;
      const past = isOver ? { conditions: [], observedGeneration: record.generation } : {};
      await patchStatus(record, { ...truth, ...past });
      return;
    }
    await carryOut(record, truth.ekSha256, step);
  }

  async function carryOut(record: RequestRecord, ekSha256: string, step: Step): Promise<void> {
    if (step.kind === 'deny') {
      log.info({ request: record.name, ekSha256 }, 'a TPM was denied');
      await settle(record, 'Denied', 'Decided', 'it is not let in');
    } else if (step.kind === 'refuse') await refuse(record, step.reason, step.message);
    else if (step.kind === 'approve') {
      const { approval } = step;
      // A key that another surface has must be known to be that: by a snapshot it is not.
      if (!isSynced()) return;
      const outcome = await approveKey(access, { namespace, owners: owners() }, approval, closing.signal);
      if (outcome.kind === 'refused') return refuse(record, outcome.reason, outcome.message);
      log.info({ request: record.name, surface: approval.surface, ekSha256 }, 'a TPM was approved');
      const note = outcome.isRevoked ? '; it is still revoked: spec.isRevoked is true' : '';
      await settle(record, 'Approved', 'Decided', `it is surface "${approval.surface}" now${note}`);
    }
  }

  async function refuse(record: RequestRecord, reason: string, message: string): Promise<void> {
    log.warn({ request: record.name, reason, problem: message }, 'a decision is not carried out');
    await settle(record, 'Refused', reason, message);
  }

  const settle = (record: RequestRecord, type: string, reason: string, message: string) =>
    patchStatus(record, {
      observedGeneration: record.generation,
      conditions: [conditionOf(record, type, reason, message, clock.now())],
    });

  async function forged(record: RequestRecord, waiting: Quarantined, message: string): Promise<void> {
    log.error({ request: record.name, ekSha256: waiting.ekSha256 }, 'a request was tampered with');
    // First: with the decision gone the truth may be written.
    const { uid, resourceVersion } = record;
    const cleared = requestOf(
      (await access.write(
        {
          method: 'PATCH',
          path: pathTo(record.name),
          body: { metadata: { uid, resourceVersion }, spec: { decision: null } },
        },
        closing.signal,
      )) as Record<string, unknown>,
    );
    await patchStatus(cleared, {
      ...factsOf(waiting),
      observedGeneration: cleared.generation,
      conditions: [conditionOf(cleared, 'Refused', 'Forged', message, clock.now())],
    });
  }

  /** Whether a request of nobody who waits stays for a while. */
  const isKept = (record: RequestRecord): boolean => {
    const at = approvedAt(record);
    return Number.isFinite(at) && clock.now() - at < requestLimits.keepMs;
  };
  const isOwned = (ekSha256: string): boolean => [...owners().values()].includes(ekSha256);
  const remove = async ({ name, uid, resourceVersion }: RequestRecord): Promise<void> => {
    // Not one that has been decided on meanwhile, nor another of the same name.
    const preconditions = { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    await access.write({ method: 'DELETE', path: pathTo(name), body }, closing.signal);
  };

  const each = async (work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      problem = null;
      return true;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // Another version, or gone: the mirror will show what there is, and it is looked at anew then.
      if (error.status === 409 || error.status === 404) return true;
      const isRefused = error.status === 401 || error.status === 403;
      notBefore = clock.monotonic() + Math.max(isRefused ? refusedMs : failedMs, error.retryAfterMs ?? 0);
      const words = `requests cannot be written: ${error.message}`;
      if (problem !== words) log.warn({ problem: words }, 'requests cannot be written');
      problem = words;
      return false;
    }
  };
  async function round(): Promise<void> {
    const { reflector } = lease;
    if (!reflector.isSynced || clock.monotonic() < notBefore) return;
    const chosen = wanted();
    const records = new Map([...reflector.items.values()].map((record) => [record.name, record]));
    for (const [name, record] of records) {
      const waiting = chosen.get(name);
      if (waiting) {
        if (!(await each(() => serve(record, waiting)))) return;
      } else if (!isKept(record) && budget.take(clock.monotonic()) && !(await each(() => remove(record))))
        return;
    }
    for (const [name, waiting] of chosen) {
      if (records.has(name)) continue;
      if (!budget.take(clock.monotonic())) return;
      if (!(await each(() => create(name, waiting)))) return;
    }
  }
  async function run(): Promise<void> {
    while (isAsked && !closing.signal.aborted) {
      isAsked = false;
      await round().catch((error: unknown) => {
        if (!closing.signal.aborted) log.error({ err: error }, 'requests not looked at');
      });
    }
    running = null;
  }
  const look = (): void => {
    isAsked = true;
    running ??= Promise.resolve().then(run);
  };

  const lease = access.mirror<RequestRecord>(
    {
      path,
      selector: { labelSelector: `${gatewayLabel}=${gateway}` },
      isOptional: false,
      parse: (object) => requestOf(object),
    },
    look,
  );
  const timer = setInterval(look, tickMs);
  timer.unref();

  return {
    look,
    idle: async () => {
      while (running !== null) await running;
    },
    problem: () => {
      const { failure } = lease.reflector;
      return failure ? remedyOf(failure, 'surfacerequests', namespace) : problem;
    },
    close: async () => {
      clearInterval(timer);
      closing.abort();
      lease.release();
      await running;
    },
  };
}

/** When it was approved, Unix milliseconds; infinite: it was not. */
const approvedAt = ({ conditions }: RequestRecord): number => {
  const approved = conditions.find(({ type, status }) => type === 'Approved' && status === 'True');
  return Date.parse(approved?.lastTransitionTime ?? '') || Number.POSITIVE_INFINITY;
};

const conditionOf = (
  { generation }: RequestRecord,
  type: string,
  reason: string,
  message: string,
  now: number,
): Condition => ({
  type,
  status: 'True',
  observedGeneration: generation,
  lastTransitionTime: timeOf(now),
  reason,
  message: message.slice(0, maxMessage),
});
