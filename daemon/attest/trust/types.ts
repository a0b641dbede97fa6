/** What the gateway holds of each surface; `openTrust` of trust.ts is the real one. */
import type { Challenge, Evidence, KeyClaims } from '../evidence/evidence.ts';
import type { Level } from '../types.ts';
import type { MatchedReference, Verdict } from '../verifier/verdict.ts';

/**
 * - `quarantined`: a TPM that no surface is approved for has shown itself. It has no name and gets nothing.
 * - `pending`: approved, and has not proved itself yet, or not since the gateway lost what it knew.
 * - `trusted`: its last evidence was accepted and is not too old.
 * - `stale`: no evidence for too long.
 * - `failed`: its last evidence was refused, or is not enough any more since the policy changed.
 * - `revoked`: by an operator; only an operator takes it back.
 *
 * Good evidence leads from `pending`, `stale` and `failed` to `trusted` by itself.
 */
export type TrustState = 'quarantined' | 'pending' | 'trusted' | 'stale' | 'failed' | 'revoked';

/** A surface with a TPM, as lists and pages show it. */
export interface SurfaceTrust {
  readonly surface: string;
  readonly ekSha256: string;
  readonly state: TrustState;
  /** Null unless trusted. */
  readonly level: Level | null;
  /** Why it is in this state, one sentence. */
  readonly reason: string;
  /** Unix milliseconds of the last accepted evidence; null: none. */
  readonly attestedAt: number | null;
  readonly evidence: string | null;
  readonly reference: MatchedReference | null;
  readonly hasTrustedCertificate: boolean;
  readonly firmware: string | null;
}

/** A TPM that waits for approval. */
export interface Quarantined {
  readonly ekSha256: string;
  /** What the panel shows. */
  readonly pairingCode: string;
  /** Unix milliseconds. */
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly address: string;
  readonly firmware: string;
  /** Whether its certificate leads to one of the operator's roots, and why not. */
  readonly hasTrustedCertificate: boolean;
  readonly certificate: string;
}

/** The gateway's knowledge of attested surfaces. An error is never "trusted". */
export interface Trust {
  /** Whether a surface with a TPM may act now. */
  isTrusted(surface: string): boolean;
  of(surface: string): SurfaceTrust | null;
  /** The last verdict, null: none is known. */
  verdictOf(surface: string): Promise<Verdict | null>;
  list(): readonly SurfaceTrust[];
  quarantine(): readonly Quarantined[];
  /** Called when a TPM has come into quarantine or left it; not each time that one is seen again. */
  onQuarantine(listener: () => void): void;
  /** Called with the surfaces whose state or level changed, or that are gone. */
  onChange(listener: (surfaces: readonly string[]) => void): void;
  close(): Promise<void>;
}

/** What `begin` leads to. */
export type Begun =
  | { readonly kind: 'quarantined'; readonly ekSha256: string; readonly salt: Uint8Array }
  | {
      readonly kind: 'challenged';
      readonly surface: string;
      readonly ekSha256: string;
      readonly challenge: Challenge;
    };

/** What certificates are issued for. */
export interface Attested {
  readonly surface: string;
  readonly ekSha256: string;
  readonly level: Level;
  /** Id of the evidence, `[A-Za-z0-9_-]{1,64}`. */
  readonly evidence: string;
}

/** The two steps of attestation, without HTTP. Whoever calls keeps what `begin` gave to the connection that asked. */
export interface Attesting extends Trust {
  /**
   * Judges the keys and makes a challenge, or puts a TPM without a name into quarantine.
   * @param request.isRenewal whether the connection shows a valid certificate for this endorsement key: then activation may
   *   be left out, see `Challenge.credential`
   * @throws SurfacedError E_ENROL_EVIDENCE, E_SURFACE_REVOKED, E_ENROL_RATE when the quarantine is full, E_ENROL_FAILED
   *   while the gateway is being stopped
   */
  begin(request: {
    readonly claims: KeyClaims;
    readonly firmware: string;
    readonly address: string;
    readonly isRenewal: boolean;
  }): Promise<Begun>;
  /**
   * Judges the evidence, records the verdict in the audit log and keeps what later evidence is compared with.
   * @param begun as `begin` gave it; counts once
   * @param answer.keySha256 of the SubjectPublicKeyInfo in the certificate request
   * @param answer.channel of the connection, see binding.ts
   * @throws SurfacedError E_ENROL_EVIDENCE, E_ENROL_EPOCH, E_ENROL_BUSY, E_SURFACE_REVOKED, E_AUDIT_WRITE; E_ENROL_SESSION
   *   for what was finished before or is too old; E_STATE_DIR when nothing can be kept; E_ENROL_FAILED as above
   */
  finish(
    begun: Extract<Begun, { kind: 'challenged' }>,
    answer: {
      readonly evidence: Evidence;
      readonly keySha256: Uint8Array;
      readonly channel: Uint8Array;
    },
  ): Promise<Attested>;
}
