/** What the verifier is given. It does no I/O and has no clock of its own. */
import type { Certificate } from '../certificates/certificate.ts';
import type { EkPolicy } from '../certificates/rules.ts';
import type { LogDigests } from '../evidence/binding.ts';
import type { Evidence, KeyClaims, LogName, QuotableBank } from '../evidence/evidence.ts';
import type { References } from '../policy/types.ts';
import type { Level } from '../types.ts';
import type { ClockState } from './verdict.ts';

/** What the operator demands of keys. */
export interface KeyRules {
  /** CA certificates of TPM vendors. */
  readonly roots: readonly Certificate[];
  readonly certificates: EkPolicy;
  /** Whether a certificate that leads to a root is needed; without, approval of the key is enough, and the verdict says so. */
  readonly isCertificateRequired: boolean;
  /** Hex of the key that was approved under the name that is asked for; null: none. */
  readonly approvedEkSha256: string | null;
  /** Unix milliseconds, of a clock that the operator keeps right: the gateway's, never the surface's. */
  readonly now: number;
}

/** What the gateway knows about the exchange; never taken from the evidence. */
export interface Expected {
  readonly nonce: Uint8Array;
  readonly keySha256: Uint8Array;
  readonly channel: Uint8Array;
  /** What the credential held; null: none was sent because `akName` was activated before, in this epoch. */
  readonly secret: Uint8Array | null;
  readonly bank: QuotableBank;
  readonly pcrs: readonly number[];
  /** Of the logs as they were sent; the digests that the quote must cover. */
  readonly sentLogs: LogDigests;
}

/** Logs from their first byte: what was kept from earlier evidence of the epoch, and what came now. Null: no such log. */
export type WholeLogs = Readonly<Record<LogName, Uint8Array | null>>;

/** Evidence with all that is needed to judge it, now or years later. */
export interface Case {
  readonly claims: KeyClaims;
  readonly expected: Expected;
  readonly evidence: Pick<Evidence, 'secret' | 'attest' | 'signature' | 'pcrs'>;
  readonly logs: WholeLogs;
  /** Clock of the last evidence that was trusted, null: there is none. */
  readonly previous: ClockState | null;
  /** Whether `logs` were put together from several messages, which a new epoch forbids. */
  readonly isIncremental: boolean;
}

/** What the operator demands of evidence. */
export interface Rules extends KeyRules {
  /** What the operator says about how the surface boots (reference 5.4): the highest level that is ever claimed. */
  readonly assertedLevel: Level;
  readonly requiredLevel: Level;
  /** Reference sets of the policy that the surface names; null: it names none, and nothing above level 0 is claimed. */
  readonly references: References | null;
}
