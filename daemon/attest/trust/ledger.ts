/** The state of every surface with a TPM, in memory, and who is told when it changes. */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Audit } from '../audit/types.ts';
import type { Verdict } from '../verifier/verdict.ts';
import { type Binding, type Book, contestedReason, haveRulesChanged } from './book.ts';
import type { Accepted } from './dossier.ts';
import { nextState, type TrustEvent } from './states.ts';
import type { SurfaceTrust, TrustState } from './types.ts';

/** When the last accepted evidence came, by both clocks: wall time for people and for restarts, the other for what runs. */
export interface AcceptedAt extends Pick<Accepted, 'at' | 'evidence'> {
  /** Monotonic milliseconds of this process. */
  readonly monotonic: number;
}

/** What the last judged evidence said. */
export interface Standing {
  readonly firmware: string;
  readonly verdict: Verdict;
  /** Monotonic milliseconds when that evidence came. */
  readonly receivedAt: number;
  readonly accepted: AcceptedAt | null;
}

/** A surface, as it is until it is replaced. */
export interface Entry {
  readonly binding: Binding;
  readonly state: TrustState;
  readonly reason: string;
  readonly standing: Standing | null;
  /** Another number whenever what its evidence is judged by has changed. */
  readonly rulesNumber: number;
}

/** What following the registry leads to. */
export interface Followed {
  /** Surfaces whose evidence must be judged anew. */
  readonly toJudge: readonly string[];
  /** Keys of which nothing that was kept counts any more. */
  readonly withdrawn: readonly string[];
}

export interface Ledger {
  get(surface: string): Entry | null;
  list(): readonly Entry[];
  view(entry: Entry): SurfaceTrust;
  /** Whether the surface is trusted and its evidence young enough, now. */
  isTrusted(surface: string): boolean;
  isFresh(accepted: AcceptedAt | null): boolean;
  /**
   * Takes over what the registry says.
   * @param stateOf what a key was before it had this name; null: that it has one is nothing new, as at the start
   */
  follow(book: Book, stateOf: (ekSha256: string) => string | null): Followed;
  /** What happened to a surface. `standing` replaces what is known, null: it stays. Nothing happens to unknown ones. */
  apply(surface: string, event: TrustEvent, told: { reason: string; standing: Standing | null }): void;
  /** Finds those that have become too old. */
  sweep(): void;
  onChange(listener: (surfaces: readonly string[]) => void): void;
  /** Resolves when all changes so far are in the audit log, or could not be written. */
  recorded(): Promise<void>;
}

/** @param options.limitMs evidence is too old after this many milliseconds, by either clock */
export function createLedger(options: {
  readonly limitMs: number;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}): Ledger {
  const { limitMs, audit, clock, log } = options;
  const entries = new Map<string, Entry>();
  const listeners: ((surfaces: readonly string[]) => void)[] = [];
  const recording = new Set<Promise<void>>();
  let rulesCount = 0;

  const isFresh = (accepted: AcceptedAt | null): boolean =>
    accepted !== null &&
    clock.monotonic() - accepted.monotonic < limitMs &&
    // A clock that jumps ahead ends trust; one that jumps back cannot make it last.
    clock.now() - accepted.at < limitMs;

  /** Trust is taken away whether or not that can be recorded; it is given only after the verdict was. */
  const record = (binding: Binding, from: string, to: string, reason: string): void => {
    const { surface, ekSha256 } = binding;
    log.info({ surface, from, to, reason }, 'trust changed');
    const writing = audit
      .append({ kind: 'trust', surface, ekSha256, from, to, reason })
      .catch((error: unknown) => {
        log.error({ surface, err: error }, 'a change of trust could not be recorded');
      })
      .finally(() => recording.delete(writing));
    recording.add(writing);
  };
  const tell = (surfaces: readonly string[]): void => {
    if (surfaces.length === 0) return;
    for (const listener of listeners) {
      try {
        listener(surfaces);
      } catch (error) {
        log.error({ err: error }, 'a listener of trust failed');
      }
    }
  };
  const levelOf = ({ state, standing }: Entry) =>
    state === 'trusted' ? (standing?.verdict.level ?? null) : null;

  const apply: Ledger['apply'] = (surface, event, { reason, standing }) => {
    const before = entries.get(surface);
    if (!before) return;
    const state = nextState(before.state, event);
    /** A newer word on the same, where the state is what the event leads to. */
    const isNewerWord = nextState('pending', event) === state;
    const after: Entry = {
      ...before,
      state,
      reason: state !== before.state || isNewerWord ? reason : before.reason,
      standing: standing ?? before.standing,
    };
    entries.set(surface, after);
    if (state !== before.state) record(before.binding, before.state, state, reason);
    // A level that changed is told as well: certificates carry it.
    if (state !== before.state || levelOf(after) !== levelOf(before)) tell([surface]);
  };

  const follow: Ledger['follow'] = (book, stateOf) => {
    const toJudge: string[] = [];
    const withdrawn: string[] = [];
    const changed: string[] = [];
    for (const [surface, binding] of book.bySurface) {
      const before = entries.get(surface) ?? null;
      const isOther = before !== null && before.binding.ekSha256 !== binding.ekSha256;
      const events = eventsOf(isOther ? null : before, binding);
      const from = before !== null && !isOther ? before.state : 'pending';
      const state = events.reduce(nextState, from);
      const haveRulesMoved = before !== null && !isOther && haveRulesChanged(before.binding, binding);
      const isNews = before === null || isOther || state !== before.state;
      entries.set(surface, {
        binding,
        state,
        reason: reasonOf(binding, { state, before, isOther, isNews }),
        standing: events.includes('approved') ? null : (before?.standing ?? null),
        rulesNumber: isNews || haveRulesMoved ? ++rulesCount : before.rulesNumber,
      });
      if (haveRulesMoved) toJudge.push(surface);
      if (!isNews) continue;
      changed.push(surface);
      if (isOther) withdrawn.push(before.binding.ekSha256);
      if (before !== null || events.length > 1) withdrawn.push(binding.ekSha256);
      const was = before?.state ?? stateOf(binding.ekSha256);
      if (was !== null) record(binding, was, state, entries.get(surface)?.reason ?? '');
    }
    for (const [surface, { binding, state }] of entries) {
      if (book.bySurface.has(surface)) continue;
      entries.delete(surface);
      changed.push(surface);
      withdrawn.push(binding.ekSha256);
      record(binding, state, 'unknown', 'removed from the registry');
    }
    tell(changed);
    return { toJudge, withdrawn };
  };

  return {
    get: (surface) => entries.get(surface) ?? null,
    list: () => [...entries.values()],
    view: (entry) => {
      const { binding, standing } = entry;
      const isOld = entry.state === 'trusted' && !isFresh(standing?.accepted ?? null);
      const state = isOld ? 'stale' : entry.state;
      const verdict = standing?.verdict ?? null;
      return {
        surface: binding.surface,
        ekSha256: binding.ekSha256,
        state,
        level: isOld ? null : levelOf(entry),
        reason: isOld ? agedReason(standing?.accepted ?? null) : entry.reason,
        attestedAt: standing?.accepted?.at ?? null,
        evidence: standing?.accepted?.evidence ?? null,
        reference: state === 'trusted' ? (verdict?.reference ?? null) : null,
        hasTrustedCertificate: verdict?.hasTrustedCertificate ?? false,
        firmware: standing?.firmware ?? null,
      };
    },
    isTrusted: (surface) => {
      const entry = entries.get(surface);
      return entry?.state === 'trusted' && isFresh(entry.standing?.accepted ?? null);
    },
    isFresh,
    follow,
    apply,
    sweep: () => {
      for (const { binding, state, standing } of [...entries.values()]) {
        if (state !== 'trusted' || isFresh(standing?.accepted ?? null)) continue;
        apply(binding.surface, 'aged', { reason: agedReason(standing?.accepted ?? null), standing: null });
      }
    },
    onChange: (listener) => {
      listeners.push(listener);
    },
    recorded: async () => {
      await Promise.all(recording);
    },
  };
}

/** Why a surface is stale. */
export const agedReason = (accepted: Pick<Accepted, 'at'> | null): string =>
  accepted === null
    ? 'no evidence was ever accepted'
    : `no evidence was accepted since ${new Date(accepted.at).toISOString()}`;

/** What the registry says has happened; `before` is null for a key that has this name for the first time. */
function eventsOf(before: Entry | null, binding: Binding): TrustEvent[] {
  const isBack =
    (before?.binding.isRevoked === true && !binding.isRevoked) ||
    (before !== null && before.binding.rivals.length > 0 && binding.rivals.length === 0);
  const events: TrustEvent[] = before === null || isBack ? ['approved'] : [];
  if (binding.rivals.length > 0) events.push('contested');
  if (binding.isRevoked) events.push('revoked');
  return events;
}

function reasonOf(
  binding: Binding,
  told: {
    readonly state: TrustState;
    readonly before: Entry | null;
    readonly isOther: boolean;
    readonly isNews: boolean;
  },
): string {
  if (told.state === 'revoked') return 'revoked by an operator';
  if (binding.rivals.length > 0) return contestedReason(binding);
  if (told.before !== null && !told.isNews) return told.before.reason;
  return told.isOther
    ? 'approved with another endorsement key, which has not proved itself yet'
    : 'approved; it has not proved itself yet';
}
