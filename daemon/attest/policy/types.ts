/** Reference values as the verifier uses them. */

import type { QuotableBank } from '../evidence/evidence.ts';
import type { EventRecord } from '../logs/event-log.ts';
import type { ImaEntry } from '../logs/ima-entry.ts';
import type { MeasureRecord } from '../logs/measure-log.ts';
import type { MatchedReference } from '../verifier/verdict.ts';
import type { Reference } from './reference-set.ts';

/** Measurements that a quote has proven: every record here was replayed to the quoted value. Iterated once at most each. */
export interface Proven {
  readonly bank: QuotableBank;
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** Null: there is no such log, or it does not replay. */
  readonly firmware: Iterable<EventRecord> | null;
  readonly measured: Iterable<MeasureRecord> | null;
  readonly systemd: Iterable<MeasureRecord> | null;
  /** Up to the quoted entry. */
  readonly ima: Iterable<ImaEntry> | null;
  readonly imaViolations: number;
}

/** What came of the comparison with one set or several. */
export type Match =
  | {
      readonly isMatch: true;
      readonly reference: MatchedReference;
      /** What the set covers; a level is only claimed for what was compared. */
      readonly covers: {
        readonly files: boolean;
        /** Why the log of the firmware is not covered, in part of a sentence; null: it is. */
        readonly firmwareGap: string | null;
        readonly ima: boolean;
      };
    }
  | {
      readonly isMatch: false;
      /** One sentence for each set that was tried, or why there was none to try. */
      readonly reasons: readonly string[];
    };

/** The versions of one named policy. Several may be valid at once, so that a rollout locks nobody out. */
export interface References {
  readonly name: string;
  /** Compares with the versions that are valid at `now` (Unix milliseconds), the newest first. Never throws for what logs hold. */
  match(proven: Proven, now: number): Match;
}

/** All reference sets of a gateway, watched for changes. */
export interface PolicyStore {
  /** Null: there is no set of that name. Then a surface that names it is not trusted. */
  references(name: string): References | null;
  /** The versions of a policy that count at this time, Unix milliseconds; empty: none does, or there is no such policy. */
  inForce(name: string, now: number): readonly Reference[];
  /** Files that are not used, each with why: unsigned, signed by somebody else, broken. */
  problems(): readonly { readonly source: string; readonly message: string }[];
  /** Sets as lists show them. */
  list(): readonly PolicyInfo[];
  /** Called when the sets or their validity changed: whoever was judged by them must be judged anew. */
  onChange(listener: () => void): void;
  close(): Promise<void>;
}

export interface PolicyInfo extends MatchedReference {
  readonly file: string;
  /** Unix milliseconds; null: open. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  /** Hex of SHA-256 of the signer's SubjectPublicKeyInfo; null: unsigned, which the operator allowed. */
  readonly signer: string | null;
}
