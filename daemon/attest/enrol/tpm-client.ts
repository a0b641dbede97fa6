/**
 * A surface's credentials by its TPM: each certificate stands for fresh evidence, the first one and every renewal. Nothing
 * has to be kept for it, so a surface whose certificate ran out proves itself anew, whenever the gateway is there again.
 */
import type { Clock } from '../../clock.ts';
import type { DeviceConfig } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { pairingCode } from '../evidence/pairing.ts';
import type { Prover } from '../evidence/prover.ts';
import type { CredentialSource, Credentials } from '../types.ts';
import { createCredentialSource } from './credential-source.ts';
import { createKey, exchange, type Issued } from './exchange.ts';
import { QuarantineError } from './gateway-connection.ts';
import { addressOf } from './pinned-gateway.ts';

/**
 * Credentials for a surface with a TPM. Nothing is sent, and the TPM not asked, before `current` is first called. While the
 * gateway does not know the TPM, `current` waits, and `onPairing` has the code to compare; it is worked out here from the
 * surface's own key, so that it fits only if the gateway has seen that same key.
 * @param options.prover stays the caller's, who closes it after `stop`
 */
export function createTpmCredentials(options: {
  readonly config: NonNullable<DeviceConfig['gateway']>;
  readonly prover: Prover;
  /** Version of the surface's software, for lists. */
  readonly firmware: string;
  readonly clock: Clock;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly log: Log;
}): CredentialSource {
  const { config, prover, firmware, clock, log } = options;
  const gateway = { address: addressOf(config.url), pin: config.caPin, clock };
  const attempt = async (current: Credentials | null, signal: AbortSignal): Promise<Issued> =>
    exchange({
      ...gateway,
      key: await createKey(),
      proof: { kind: 'tpm', prover, firmware, current },
      signal,
    });
  return createCredentialSource({
    ...options,
    obtain: async (current, signal) => {
      try {
        return await attempt(current, signal);
      } catch (error) {
        if (!isBegunAnew(error)) throw error;
        log.info({ reason: error.message }, 'enrolment begins anew');
        return attempt(current, signal);
      }
    },
    pairingOf: (error) =>
      error instanceof QuarantineError && prover.ekSha256 !== null
        ? pairingCode(error.salt, prover.ekSha256, config.caPin)
        : null,
  });
}

/** What a second attempt mends at once: all logs are wanted now, or the nonce became too old while the TPM was at work. */
const isBegunAnew = (error: unknown): error is SurfacedError =>
  error instanceof SurfacedError && (error.code === 'E_ENROL_EPOCH' || error.code === 'E_ENROL_SESSION');
