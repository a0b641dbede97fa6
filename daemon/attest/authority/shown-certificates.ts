/**
 * Who surfaces are whose connection the gateway does not see, because it is to a broker of others: by the certificates that
 * they show. Each is signed by the CA that all gateways of a site share, so none has to tell the others what it has issued.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Authority } from './ca.ts';
import type { ClientIdentity } from './client-certificate.ts';

/** Longer than any client certificate lives: what was withdrawn before has ended by itself, milliseconds. */
const forgetMs = 3_600_000;

export class ShownCertificates {
  readonly #authority: Pick<Authority, 'certificatePem' | 'identify'>;
  readonly #clock: Clock;
  readonly #shown = new Map<string, ClientIdentity>();
  /** When the trust in a surface was withdrawn, Unix milliseconds: only what was issued later counts. */
  readonly #withdrawn = new Map<string, number>();

  constructor(authority: Pick<Authority, 'certificatePem' | 'identify'>, clock: Clock) {
    this.#authority = authority;
    this.#clock = clock;
  }

  /**
   * Takes what a surface shows.
   * @param surface who shows it, as the broker vouches for by its rules
   * @param der its certificate, not looked at yet
   * @returns false when it is not of this CA and this surface, has ended, or was issued before trust was withdrawn
   */
  show(surface: string, der: Uint8Array): boolean {
    const identity = this.#read(der);
    if (identity?.surface !== surface || identity.notAfter <= this.#clock.now()) return false;
    if (identity.issuedAt <= (this.#withdrawn.get(surface) ?? 0)) return false;
    // Two connections at once while certificates change: the newer one counts.
    const known = this.#shown.get(surface);
    if (!known || known.notAfter < identity.notAfter) this.#shown.set(surface, identity);
    return true;
  }

  /** By the newest certificate that was shown and not withdrawn, even if it has ended; null: none. */
  of(surface: string): ClientIdentity | null {
    return this.#shown.get(surface) ?? null;
  }

  /** Whatever was issued so far does not count any more. */
  withdraw(surface: string): void {
    const now = this.#clock.now();
    for (const [name, at] of this.#withdrawn) if (now - at > forgetMs) this.#withdrawn.delete(name);
    this.#shown.delete(surface);
    this.#withdrawn.set(surface, now);
  }

  #read(der: Uint8Array): ClientIdentity | null {
    try {
      const authority = new X509Certificate(this.#authority.certificatePem);
      if (!new X509Certificate(der).verify(authority.publicKey)) return null;
    } catch {
      // Bytes that are no certificate are nobody's certificate.
      return null;
    }
    return this.#authority.identify(der);
  }
}
