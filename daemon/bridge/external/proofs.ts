/**
 * Whether something may be taken from a surface, whose connection only the broker sees: by the certificate that it has shown
 * here, asked anew for each message.
 */
import { TokenBuckets } from '../broker/limits.ts';
import { type CtlMessage, certificateMessage, decode } from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';
import type { ExternalBrokerOptions } from './options.ts';

/** Why nothing is taken from a surface now. */
export interface Doubt {
  readonly words: string;
  /** It need only show a certificate that holds. */
  readonly isUnproven: boolean;
}

type Options = Pick<ExternalBrokerOptions, 'identityOf' | 'isAllowed' | 'shown' | 'withdrawn' | 'clock'>;

export class Proofs {
  readonly #options: Options;
  readonly #tell: (surface: string, message: CtlMessage) => void;
  readonly #asked: TokenBuckets;
  readonly #renewed: TokenBuckets;
  /** How often in a row a surface was asked to show its certificate. */
  readonly #unshown = new Map<string, number>();

  constructor(options: Options, tell: (surface: string, message: CtlMessage) => void) {
    this.#options = options;
    this.#tell = tell;
    this.#asked = new TokenBuckets({ burst: 2, perSecond: 0.2 }, options.clock);
    this.#renewed = new TokenBuckets({ burst: 2, perSecond: 0.2 }, options.clock);
  }

  /** Null: it may act. */
  doubtOf(surface: string): Doubt | null {
    const { identityOf, isAllowed, clock } = this.#options;
    try {
      const identity = identityOf(surface);
      if (identity === null) return { words: 'it has shown no certificate', isUnproven: true };
      if (identity.notAfter <= clock.now())
        return { words: 'its certificate is out of date', isUnproven: true };
      if (isAllowed(identity)) return null;
      return { words: 'not in the registry, revoked or not trusted', isUnproven: false };
    } catch (error) {
      return { words: `registry: ${String(error)}`, isUnproven: false };
    }
  }

  /** Takes what a surface shows; true when it counts. One that does not is to be replaced. */
  show(surface: string, payload: Uint8Array): boolean {
    const read = decode(certificateMessage, payload);
    if (read.ok && this.#options.shown(surface, Buffer.from(read.message.certificate, 'base64'))) {
      this.#unshown.delete(surface);
      return true;
    }
    this.renew(surface, 'the certificate that it shows does not count');
    return false;
  }

  /**
   * Asks for its certificate, or tells it to renew. One that knows nothing of showing is told to renew at every third time:
   * whoever issues it a new one then knows it.
   */
  ask(surface: string, { words, isUnproven }: Doubt): void {
    if (!isUnproven) {
      this.renew(surface, words);
      return;
    }
    if (!this.#asked.take(surface)) return;
    const times = (this.#unshown.get(surface) ?? 0) + 1;
    this.#unshown.set(surface, times);
    if (times % 3 === 0) this.renew(surface, words);
    else this.#tell(surface, { v: wireVersion, type: 'show-certificate' });
  }

  /** Tells it to get a new certificate, which is refused with the reason where there is one. */
  renew(surface: string, reason: string): void {
    if (this.#renewed.take(surface))
      this.#tell(surface, { v: wireVersion, type: 'renew', reason: reason.slice(0, 256) });
  }
}
