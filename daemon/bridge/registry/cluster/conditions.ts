/** What the gateway says of a ControlSurface: conditions as metav1.Condition has them, from plain facts. */
import type { SurfaceTrust } from '../../../attest/trust/types.ts';
import type { Condition } from '../../../config/custom-resources.ts';
import type { ControlSurface } from '../../../config/schema.ts';
import { type KnownStatus, maxMessage } from './objects.ts';

/** `lastSeen` alone is brought up to date this often at most, milliseconds. */
export const lastSeenMs = 60_000;

/** How one target of a surface stands. */
export interface TargetFact {
  /** `Deployment shop/cart`. */
  readonly name: string;
  /** `unknown`: the API server has not told yet, or does not answer. */
  readonly state: 'found' | 'missing' | 'denied' | 'unknown';
  readonly message: string;
}

/** Everything that the status follows from. */
export interface Facts {
  readonly generation: number;
  /** The last version without fault. */
  readonly surface: ControlSurface | null;
  /** What is wrong with the present version. */
  readonly problem: string | null;
  /** The gateway lets surfaces in by tokens. */
  readonly isTokenEnough: boolean;
  readonly trust: SurfaceTrust | null;
  readonly isOnline: boolean;
  /** Unix milliseconds; null: not since the gateway has started. */
  readonly lastSeenAt: number | null;
  readonly firmware: string | null;
  readonly targets: readonly TargetFact[];
}

/** What is to be written. */
export interface NextStatus {
  /** Fields that are null are removed by the patch. */
  readonly status: {
    readonly observedGeneration: number;
    readonly conditions: readonly Condition[];
    readonly level: number | null;
    readonly lastSeen: string | null;
    readonly firmware: string | null;
  };
  /** `transition`: somebody waits for it. `minor`: it can wait. `none`: nothing is different. */
  readonly change: 'transition' | 'minor' | 'none';
}

type Said = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

const say = (type: string, status: Condition['status'], reason: string, message: string): Said => ({
  type,
  status,
  reason,
  message: message.slice(0, maxMessage),
});

function approved({ surface, isTokenEnough }: Facts): Said {
  if (surface === null) return say('Approved', 'Unknown', 'Invalid', 'there is no version without fault yet');
  const { spec } = surface;
  if (spec.isRevoked) return say('Approved', 'False', 'Revoked', 'spec.isRevoked is true');
  if (spec.tpm)
    return say('Approved', 'True', 'KeyApproved', `the TPM with the key ${spec.tpm.ekSha256} may be it`);
  if (isTokenEnough)
    return say('Approved', 'True', 'TokenIsEnough', 'this gateway lets surfaces in by one-time tokens');
  return say('Approved', 'False', 'NoKey', 'spec.tpm.ekSha256 is not set: approve the request of its TPM');
}

function attested({ trust, surface, isTokenEnough }: Facts): Said {
  if (trust !== null) {
    const reason = trust.state[0]!.toUpperCase() + trust.state.slice(1);
    if (trust.state === 'trusted') return say('Attested', 'True', `Level${trust.level ?? 0}`, trust.reason);
    return say('Attested', 'False', reason, trust.reason);
  }
  if (surface?.spec.tpm) return say('Attested', 'Unknown', 'NotLooked', 'the gateway has not looked yet');
  if (isTokenEnough)
    return say('Attested', 'False', 'Token', 'let in by a token: nothing is claimed about it');
  return say('Attested', 'False', 'NoKey', 'no TPM is approved for it');
}

function connected({ isOnline, lastSeenAt }: Facts): Said {
  if (isOnline) return say('Connected', 'True', 'Online', 'it is connected and has said what it is');
  if (lastSeenAt !== null) return say('Connected', 'False', 'Offline', 'it has gone');
  return say('Connected', 'False', 'NotSeen', 'it was not there since the gateway has started');
}

function resolved({ targets }: Facts): Said {
  const bad = targets.filter(({ state }) => state === 'missing' || state === 'denied');
  if (bad.length > 0) {
    const reason = bad.some(({ state }) => state === 'missing') ? 'TargetMissing' : 'TargetDenied';
    const words = bad.slice(0, 4).map(({ name, message }) => `${name}: ${message}`);
    if (bad.length > words.length) words.push(`and ${bad.length - words.length} more`);
    return say('Resolved', 'False', reason, words.join('; '));
  }
  const unknown = targets.filter(({ state }) => state === 'unknown').length;
  if (unknown > 0)
    return say('Resolved', 'Unknown', 'NotLooked', `${unknown} of ${targets.length} not seen yet`);
  if (targets.length === 0) return say('Resolved', 'True', 'NoBindings', 'nothing is bound');
  return say('Resolved', 'True', 'AllFound', `all targets are found: ${targets.length}`);
}

/** What the status is to be, from what it is. @param now Unix milliseconds */
export function statusOf(facts: Facts, before: KnownStatus, now: number): NextStatus {
  const { generation, problem, surface } = facts;
  const said: readonly Said[] = [
    approved(facts),
    problem === null
      ? say('Valid', 'True', 'Valid', 'the gateway uses the object as it is')
      : say('Valid', 'False', surface === null ? 'Invalid' : 'LastGoodKept', problem),
    attested(facts),
    connected(facts),
    resolved(facts),
  ];
  const ours = new Set(said.map(({ type }) => type));
  let isTransition = false;
  let isMinor = before.observedGeneration !== generation;
  const conditions = said.map((next): Condition => {
    const known = before.conditions.find(({ type }) => type === next.type);
    const isSame = known?.status === next.status;
    if (!isSame || known.reason !== next.reason) isTransition = true;
    else if (known.message !== next.message || known.observedGeneration !== generation) isMinor = true;
    return {
      ...next,
      observedGeneration: generation,
      lastTransitionTime: isSame && known.lastTransitionTime !== '' ? known.lastTransitionTime : timeOf(now),
    };
  });
  const level = facts.trust?.state === 'trusted' ? facts.trust.level : null;
  if (level !== before.level) isTransition = true;
  const firmware = facts.firmware?.slice(0, 512) ?? before.firmware;
  if (firmware !== before.firmware) isMinor = true;
  const seenAt = facts.isOnline ? now : facts.lastSeenAt;
  const isSeenLate = seenAt !== null && seenAt - (before.lastSeenAt ?? 0) >= lastSeenMs;
  if (isSeenLate) isMinor = true;
  // A change for another reason brings it up to date as well: it costs nothing then.
  const lastSeenAt = Math.max(seenAt ?? 0, before.lastSeenAt ?? 0);
  return {
    status: {
      observedGeneration: generation,
      conditions: [...conditions, ...before.conditions.filter(({ type }) => !ours.has(type))],
      level,
      lastSeen: lastSeenAt > 0 ? timeOf(lastSeenAt) : null,
      firmware,
    },
    change: isTransition ? 'transition' : isMinor ? 'minor' : 'none',
  };
}

/** Whole seconds, as metav1.Time is written. */
export const timeOf = (unixMs: number): string => `${new Date(unixMs).toISOString().slice(0, 19)}Z`;
