/** What goes into the audit log; `openAudit` of audit-log.ts is the real one. */
import type { CommandRecord } from '../../bridge/gateway/command.ts';
import type { UpdateEvent } from '../../bridge/rollout/fleet.ts';
import type { LogDigests } from '../evidence/binding.ts';
import type { Evidence, KeyClaims, QuotableBank } from '../evidence/evidence.ts';
import type { Verdict } from '../verifier/verdict.ts';

/** Everything that is needed to check the quote of a verdict again, without the logs themselves. */
export interface AuditedQuote {
  readonly claims: Pick<KeyClaims, 'ekPublic' | 'akPublic'>;
  readonly nonce: Uint8Array;
  readonly keySha256: Uint8Array;
  readonly channel: Uint8Array;
  readonly secret: Uint8Array | null;
  readonly bank: QuotableBank;
  readonly logs: LogDigests;
  readonly attest: Evidence['attest'];
  readonly signature: Evidence['signature'];
  readonly pcrs: Evidence['pcrs'];
}

/** One thing that happened. Each is written before its consequence is told to anybody. */
export type AuditEvent =
  | { readonly kind: 'gateway'; readonly what: 'started' | 'stopped'; readonly version: string }
  /** `why`: enrolment, renewal, or judged anew because the policy changed (then without a quote of its own). */
  | {
      readonly kind: 'verdict';
      readonly surface: string | null;
      readonly evidence: string;
      readonly why: 'enrol' | 'renew' | 'policy';
      readonly verdict: Verdict;
      readonly quote: AuditedQuote | null;
    }
  | {
      readonly kind: 'certificate';
      readonly surface: string;
      readonly trust: 'tpm' | 'token';
      readonly evidence: string;
      readonly serial: string;
      /** Unix milliseconds. */
      readonly notAfter: number;
    }
  | {
      readonly kind: 'trust';
      readonly surface: string | null;
      readonly ekSha256: string | null;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    }
  | { readonly kind: 'command'; readonly command: CommandRecord }
  /** What somebody decided on the gateway's pages; `detail` is what was to be, in words. */
  | {
      readonly kind: 'operator';
      /** As Kubernetes knows them. */
      readonly user: string;
      readonly what: 'approve' | 'deny' | 'revoke' | 'restore';
      readonly surface: string | null;
      readonly ekSha256: string | null;
      readonly detail: string;
    }
  /** A surface was asked to run another version, and what came of that. */
  | ({ readonly kind: 'update' } & UpdateEvent);

/** An append-only log. */
export interface Audit {
  /**
   * Resolves once the record is on the disk and in the chain. Rejects with SurfacedError E_AUDIT_WRITE: then what it was
   * about must not be done.
   */
  append(event: AuditEvent): Promise<void>;
  close(): Promise<void>;
}
