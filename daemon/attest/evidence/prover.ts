/** What the surface's end of enrolment needs of a TPM; `openProver` of tpm-prover.ts is the real one. */
import type { Challenge, Evidence, KeyClaims } from './evidence.ts';

/** A TPM that can prove itself. Nothing stays loaded in it between calls, whatever they throw. */
export interface Prover {
  /**
   * Endorsement key with its certificates, and attestation key. Read once and kept until the TPM is another one.
   * @throws SurfacedError E_TPM, E_TPM_OPEN, E_TPM_LOCKOUT; the reason of the signal
   */
  claims(signal: AbortSignal): Promise<KeyClaims>;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo, known after `claims`. */
  readonly ekSha256: string | null;
  /**
   * Opens the credential, reads the logs from where the challenge says, and quotes. Repeats when a PCR changed meanwhile.
   * @param bound what else the quote is bound to, see binding.ts
   * @throws SurfacedError E_TPM, E_TPM_OPEN, E_TPM_LOCKOUT, E_ATTEST_LOG; the reason of the signal
   */
  prove(
    challenge: Challenge,
    bound: { readonly keySha256: Uint8Array; readonly channel: Uint8Array },
    signal: AbortSignal,
  ): Promise<Evidence>;
  close(): Promise<void>;
}
