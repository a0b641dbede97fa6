/** What the verification of an audit log comes to. */
import { shown } from '../logs/log.ts';
import type { ClockInfo } from '../tpm2/index.ts';
import type { QuoteCounts } from './recheck.ts';
import type { SignerPublic } from './record.ts';

/** Where something is; all null: the log as a whole. */
export interface Place {
  readonly file: string | null;
  /** From 1; null: the whole file. */
  readonly line: number | null;
  readonly seq: number | null;
}

/** Something to know about a record or the log. */
export interface Remark extends Place {
  /** Safe on a terminal. */
  readonly what: string;
}

/** What was found. */
export interface AuditReport {
  /** True when there is no fault. */
  readonly isSound: boolean;
  readonly path: string;
  readonly files: number;
  readonly records: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly first: { readonly seq: number; readonly at: number } | null;
  readonly last: { readonly seq: number; readonly at: number; readonly hash: string } | null;
  readonly head: {
    readonly seq: number;
    readonly hash: string;
    readonly at: number;
    readonly signerType: SignerPublic['type'];
    readonly signer: string;
    /** Clock of the gateway's TPM when it signed; `clock` is milliseconds. Null: no TPM signed. */
    readonly clock: (Omit<ClockInfo, 'clock'> & { readonly clock: string }) | null;
  } | null;
  /** Records behind the head, which nobody has signed yet: they could be cut or made anew unseen. */
  readonly unsigned: number;
  readonly quotes: Readonly<QuoteCounts>;
  /** Verdicts and certificates that rest on records that are not here. */
  readonly unproven: number;
  /** The first of them, the worst is the first. */
  readonly faults: readonly Remark[];
  readonly faultCount: number;
  readonly notes: readonly Remark[];
  readonly noteCount: number;
}

/** Most faults and notes that are listed; all are counted. */
const mostListed = 50;
/** Most characters of what is said about one. */
const mostCharacters = 600;

/** A list that keeps its first entries and counts all. */
export class Remarks {
  readonly listed: Remark[] = [];
  count = 0;

  add(place: Place, what: string): void {
    this.count++;
    if (this.listed.length < mostListed) this.listed.push({ ...place, what: shown(what, mostCharacters) });
  }
}
