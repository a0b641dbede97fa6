/** The server certificate of one listener, for as long as it listens: made for a year, renewed in memory. */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Authority, ServerCertificate } from './ca.ts';

/** Renewed when it has less than this left. */
const renewBeforeMs = 90 * 86_400_000;
/** How often that is looked at, unless the caller says otherwise. */
const lookEveryMs = 3_600_000;

export interface KeepOptions {
  readonly authority: Authority;
  /** Host names and addresses in the certificate. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Left out: once an hour. */
  readonly lookEveryMs?: number;
}

/** A certificate that is kept fresh. */
export interface KeptCertificate {
  /** The one to begin with. */
  readonly first: ServerCertificate;
  /** Begins to renew; the listener gets each new one. Returns a function that ends it. */
  keep(onRenewed: (renewed: ServerCertificate) => void): () => void;
}

/** Makes a certificate for a listener that is about to start. */
export async function makeServerCertificate(options: KeepOptions): Promise<KeptCertificate> {
  const { authority, hosts, clock, log } = options;
  const first = await authority.serverCertificate(hosts);
  return {
    first,
    keep: (onRenewed) => {
      let current = first;
      const look = async (): Promise<void> => {
        if (current.notAfter - clock.now() > renewBeforeMs) return;
        current = await authority.serverCertificate(hosts);
        onRenewed(current);
        log.info('server certificate renewed');
      };
      const timer = setInterval(() => {
        look().catch((error: unknown) => log.error({ err: error }, 'server certificate was not renewed'));
      }, options.lookEveryMs ?? lookEveryMs);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}
