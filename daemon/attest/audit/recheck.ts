/**
 * Checks again, offline, what verdicts of a log rest on: the quote is judged by the code that judged it first, and what
 * has none must rest on one that stands before it. Needs memory for each surface, not for each record.
 */
import { ekPublicSha256 } from '../certificates/public-key.ts';
import { decode, nameOfPublic, publicArea } from '../tpm2/index.ts';
import { Checklist, failed, passed } from '../verifier/checks.ts';
import { clockState } from '../verifier/clock.ts';
import { attestationKeyFault, endorsementKeyFault } from '../verifier/key-areas.ts';
import { judgeQuote } from '../verifier/quote.ts';
import type { Check, CheckName, ClockState } from '../verifier/verdict.ts';
import type { LoggedEvent } from './record.ts';

type LoggedVerdict = Extract<LoggedEvent, { kind: 'verdict' }>;
type LoggedQuote = NonNullable<LoggedVerdict['quote']>;

/** Something about a record. A fault is a contradiction; `unproven` rests on records that are not here. */
export interface Finding {
  readonly is: 'fault' | 'unproven' | 'note';
  readonly what: string;
}

const fault = (what: string): Finding => ({ is: 'fault', what });

/** How many quotes of verdicts were judged again. */
export interface QuoteCounts {
  held: number;
  /** They do not hold, and the verdict says so. */
  refused: number;
  /** Verdicts without a quote of their own. */
  none: number;
}

/** How much of the past of one surface or key is remembered: a verdict rests on evidence that is minutes old. */
const remembered = 16;

/** What is remembered of an endorsement key. */
interface Past {
  /** Ids of evidence whose quote holds, the newest last. */
  readonly evidence: readonly string[];
  /** The attestation key that opened a credential, and in which epoch. */
  readonly activated: (Pick<ClockState, 'resetCount' | 'restartCount'> & { readonly akName: string }) | null;
  readonly clock: ClockState | null;
}
const noPast: Past = { evidence: [], activated: null, clock: null };

/** Reads the records of a log in their order. */
export class Recheck {
  readonly counts: QuoteCounts = { held: 0, refused: 0, none: 0 };
  /** Whether records before the first are missing: what rests on them cannot be checked. */
  readonly #isPartial: boolean;
  readonly #keys = new Map<string, Past>();
  /** Ids of trusted evidence by surface, the newest last. */
  readonly #surfaces = new Map<string, readonly string[]>();

  constructor(isPartial: boolean) {
    this.#isPartial = isPartial;
  }

  /** What is to be said about the next record. Never throws for what it holds. */
  look(event: LoggedEvent): readonly Finding[] {
    if (event.kind === 'verdict') return this.#verdict(event);
    if (event.kind !== 'certificate' || event.trust !== 'tpm') return [];
    const known = this.#surfaces.get(event.surface)?.includes(event.evidence) === true;
    return known ? [] : [this.#missing('a certificate for evidence that no trusted verdict names')];
  }

  #verdict(event: LoggedVerdict): readonly Finding[] {
    const { verdict, quote, evidence, surface } = event;
    const findings: Finding[] = [];
    if (verdict.isTrusted) findings.push(...contradictions(verdict));
    if (quote === null) this.counts.none++;
    else findings.push(...this.#quote(event, quote));
    if (!verdict.isTrusted) return findings;
    if (quote === null && !this.#past(verdict.ekSha256).evidence.includes(evidence))
      findings.push(
        event.why === 'policy'
          ? this.#missing('a trusted verdict that rests on evidence that is not here')
          : fault('a trusted verdict without a quote'),
      );
    if (surface !== null)
      this.#surfaces.set(surface, [...(this.#surfaces.get(surface) ?? []), evidence].slice(-remembered));
    return findings;
  }

  #quote({ verdict, evidence }: LoggedVerdict, quote: LoggedQuote): readonly Finding[] {
    const { checks, clock } = judgeAgain(quote, verdict);
    const bad = checks.find(({ outcome }) => outcome === 'failed');
    if (bad !== undefined) {
      const said = verdict.checks.find(({ name }) => name === bad.name)?.outcome;
      if (verdict.isTrusted || said === 'passed') return [fault(`${bad.name}: ${bad.reason}`)];
      this.counts.refused++;
      return [];
    }
    this.counts.held++;
    if (clock === null || verdict.ekSha256 === null || verdict.akName === null) return [];
    const past = this.#past(verdict.ekSha256);
    const { resetCount, restartCount } = clock;
    const now = { akName: verdict.akName, resetCount, restartCount };
    const isOpened = quote.secret !== null && outcomeOf(verdict.checks, 'activation') === 'passed';
    this.#keys.set(verdict.ekSha256, {
      evidence: [...past.evidence, evidence].slice(-remembered),
      activated: isOpened ? now : past.activated,
      clock: verdict.isTrusted ? clock : past.clock,
    });
    return verdict.isTrusted ? this.#history(quote, { past, now, clock }) : [];
  }

  /** What a quote says together with those before it. */
  #history(
    quote: LoggedQuote,
    { past, now, clock }: { past: Past; now: NonNullable<Past['activated']>; clock: ClockState },
  ): readonly Finding[] {
    const findings: Finding[] = [];
    const { activated } = past;
    const isKnown =
      activated?.akName === now.akName &&
      activated.resetCount === now.resetCount &&
      activated.restartCount === now.restartCount;
    if (quote.secret === null && !isKnown)
      findings.push(
        this.#missing('a trusted verdict for an attestation key that no credential was opened with'),
      );
    const before = past.clock;
    if (before?.resetCount === clock.resetCount && BigInt(clock.clock) < BigInt(before.clock))
      findings.push({ is: 'note', what: 'the clock of the TPM is before that of its last quote' });
    return findings;
  }

  #missing(what: string): Finding {
    return this.#isPartial ? { is: 'unproven', what } : fault(what);
  }

  #past(ekSha256: string | null): Past {
    return this.#keys.get(ekSha256 ?? '') ?? noPast;
  }
}

function contradictions({ checks, level, ekSha256 }: LoggedVerdict['verdict']): readonly Finding[] {
  const bad = checks.find(({ outcome }) => outcome === 'failed');
  if (bad !== undefined) return [fault(`a trusted verdict whose check ${bad.name} failed`)];
  return level === null || ekSha256 === null ? [fault('a trusted verdict without a level or a key')] : [];
}

/** Makes the checks of keys and quote once more. Logs and reference values are not in the audit log. */
function judgeAgain(
  quote: LoggedQuote,
  verdict: LoggedVerdict['verdict'],
): { readonly checks: readonly Check[]; readonly clock: ClockState | null } {
  const checks = new Checklist();
  checks.judge('ek-public', () => {
    const area = decode('ekPublic', publicArea, quote.claims.ekPublic);
    const problem =
      endorsementKeyFault(area) ??
      (ekPublicSha256(area) === verdict.ekSha256 ? null : 'not that of the verdict');
    return problem === null ? passed('as it was', true) : failed(problem);
  });
  const ak = checks.judge('ak-public', () => {
    const area = decode('akPublic', publicArea, quote.claims.akPublic);
    const problem =
      attestationKeyFault(area) ??
      (nameOfPublic(area).toString('hex') === verdict.akName ? null : 'not that of the verdict');
    return problem === null ? passed('as it was', area) : failed(problem);
  });
  if (ak === null || checks.hasFailed) return { checks: checks.of(), clock: null };
  const { attest, signature, pcrs, logs, claims, ...bound } = quote;
  const expected = { ...bound, sentLogs: logs, pcrs: [...pcrs.keys()] };
  const said = judgeQuote(checks, { ak, expected, evidence: { attest, signature, pcrs }, whole: null });
  if (said === null) return { checks: checks.of(), clock: null };
  const clock = clockState(said);
  checks.judge('clock', () =>
    verdict.clock === null || isSameClock(clock, verdict.clock)
      ? passed('as it was', true)
      : failed('the clock in the quote is not that of the verdict'),
  );
  return { checks: checks.of(), clock };
}

const isSameClock = (one: ClockState, other: ClockState): boolean =>
  one.resetCount === other.resetCount &&
  one.restartCount === other.restartCount &&
  one.clock === other.clock &&
  one.isSafe === other.isSafe &&
  one.firmwareVersion === other.firmwareVersion;

const outcomeOf = (checks: LoggedVerdict['verdict']['checks'], name: CheckName) =>
  checks.find((check) => check.name === name)?.outcome;
