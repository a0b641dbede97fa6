/** What the enrolment client, the link and the broker agree on. */

/** How a surface has proved itself: by its TPM, or only by a one-time token ("not attested"). */
export type Trust = 'tpm' | 'token';

/**
 * What is claimed about a surface's software: 0 identity only, 1 self-measured, 2 verified boot and self-measured, 3 measured
 * boot. verifier/verdict.ts has the sentence for each.
 */
export type Level = 0 | 1 | 2 | 3;

/** Everything a surface needs to open a session; the private key exists in memory only. */
export interface Credentials {
  readonly site: string;
  readonly surface: string;
  readonly broker: { readonly host: string; readonly port: number };
  /** CA of the gateway: the only one that is trusted. */
  readonly caPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** End of the certificate, Unix milliseconds by the gateway's clock. */
  readonly notAfter: number;
  readonly trust: Trust;
  /** Null with trust `token`. */
  readonly level: Level | null;
}

/** Where the link gets its credentials; renewing is the source's own business. */
export interface CredentialSource {
  /** The credentials now, fetched when there are none that hold. Rejects with SurfacedError; the caller backs off. */
  current(signal: AbortSignal): Promise<Credentials>;
  /** Called with each renewed set, before the old one ends. Returns a function that ends the subscription. */
  onRenewed(listener: (credentials: Credentials) => void): () => void;
  /**
   * Called with the code that a person must compare before this surface is let in, and with null when it is not needed any
   * more; at once if there is one. Returns a function that ends the subscription.
   */
  onPairing(listener: (code: string | null) => void): () => void;
  /** Asks for a renewal now, e.g. when the gateway says so. */
  renew(): void;
  stop(): void;
}

/** Identity as read from a client certificate, never from anything else. */
export interface Identity {
  readonly site: string;
  readonly surface: string;
  readonly trust: Trust;
  /** Null with trust `token`. */
  readonly level: Level | null;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo; null with trust `token`. */
  readonly ekSha256: string | null;
  /** End of the certificate, Unix milliseconds. */
  readonly notAfter: number;
  /** Serial number in hex, for logs and revocation. */
  readonly serial: string;
}
