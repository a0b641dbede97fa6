/**
 * TPMs that no surface is approved for, as they have shown themselves. Anybody who reaches the gateway can show keys, so
 * the list is bounded, as a whole and for each address, and those who wait are not pushed out by those who come. But keys
 * with the certificate of a vendor are hard to come by: they find a place among those that anybody can make.
 */
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { pairingSaltBytes } from '../evidence/pairing.ts';
import { shown } from '../logs/log.ts';
import { networkOf } from '../network.ts';
import { readTrustFile } from './trust-file.ts';
import type { Quarantined } from './types.ts';
import type { Waiting } from './waiting.ts';

/** How many TPMs may wait, and for how long after they were last seen. */
export const quarantineLimits = { most: 256, mostPerAddress: 32, keepMs: 10 * 60 * 1000 } as const;

export interface Quarantine {
  /**
   * Notes that a TPM has shown itself; the salt of its pairing code.
   * @throws SurfacedError E_ENROL_RATE when too many wait already
   */
  see(seen: Omit<Waiting, 'salt' | 'firstSeenAt' | 'lastSeenAt'>): Uint8Array;
  /** Forgets a TPM, because it has a name now. False: it did not wait. */
  drop(ekSha256: string): boolean;
  has(ekSha256: string): boolean;
  /** Forgets those who were not seen for too long. */
  sweep(): void;
  /** Those who wait, the longest first. */
  list(): readonly Waiting[];
}

/** Who waits for approval, for other processes than the gateway. @throws Error when that cannot be read */
export const listQuarantine = async (stateDir: string): Promise<readonly Quarantined[]> =>
  (await readTrustFile(stateDir))?.quarantine ?? [];

/** @param options.kept what was kept from before a restart; @param options.onChange called after every change; `isNews` unless somebody was only seen again */
export function createQuarantine(options: {
  readonly kept: readonly Waiting[];
  readonly clock: Clock;
  readonly random: (bytes: number) => Buffer;
  readonly onChange: (isNews: boolean) => void;
}): Quarantine {
  const { clock, random, onChange } = options;
  /** `until` is monotonic: a clock that jumps neither empties the list nor fills it for ever. */
  const waiting = new Map<string, { readonly entry: Waiting; readonly until: number }>();
  for (const entry of options.kept.slice(0, quarantineLimits.most)) {
    const age = Math.max(0, clock.now() - entry.lastSeenAt);
    waiting.set(entry.ekSha256, { entry, until: clock.monotonic() + quarantineLimits.keepMs - age });
  }
  const sweep = () => {
    const before = waiting.size;
    for (const [ekSha256, { until }] of waiting) if (until <= clock.monotonic()) waiting.delete(ekSha256);
    if (waiting.size < before) onChange(true);
  };
  const makeRoom = ({
    address,
    hasTrustedCertificate,
  }: Pick<Waiting, 'address' | 'hasTrustedCertificate'>) => {
    const network = networkOf(address);
    const neighbours = [...waiting.values()].filter(({ entry }) => networkOf(entry.address) === network);
    if (neighbours.length >= quarantineLimits.mostPerAddress)
      throw new SurfacedError(
        'E_ENROL_RATE',
        `${neighbours.length} TPMs from this address wait for approval already; approve them, or wait ten minutes`,
      );
    if (waiting.size < quarantineLimits.most) return;
    const longest = [...waiting.values()].find(({ entry }) => !entry.hasTrustedCertificate);
    if (!hasTrustedCertificate || !longest)
      throw new SurfacedError('E_ENROL_RATE', `${waiting.size} TPMs wait for approval already`);
    waiting.delete(longest.entry.ekSha256);
  };
  return {
    see: (seen) => {
      sweep();
      const before = waiting.get(seen.ekSha256)?.entry;
      if (!before) makeRoom(seen);
      const now = clock.now();
      const entry: Waiting = {
        ...seen,
        // From the network, and shown on terminals.
        firmware: shown(seen.firmware),
        address: shown(seen.address).slice(0, 64),
        certificate: seen.certificate.slice(0, 8192),
        salt: before?.salt ?? random(pairingSaltBytes).toString('hex'),
        firstSeenAt: before?.firstSeenAt ?? now,
        lastSeenAt: now,
      };
      waiting.set(seen.ekSha256, { entry, until: clock.monotonic() + quarantineLimits.keepMs });
      onChange(!before);
      return Buffer.from(entry.salt, 'hex');
    },
    drop: (ekSha256) => {
      const wasThere = waiting.delete(ekSha256);
      if (wasThere) onChange(true);
      return wasThere;
    },
    sweep,
    has: (ekSha256) => waiting.has(ekSha256),
    list: () => {
      sweep();
      return [...waiting.values()].map(({ entry }) => entry);
    },
  };
}
