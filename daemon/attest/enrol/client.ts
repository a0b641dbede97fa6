/**
 * A surface's credentials by one-time token: renewed with the certificate itself long before it runs out. When it has run
 * out, only a token helps.
 */
import type { Clock } from '../../clock.ts';
import type { DeviceConfig } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { CredentialSource } from '../types.ts';
import { createCredentialSource } from './credential-source.ts';
import { createKey, exchange, type Issued, type KeyWithRequest } from './exchange.ts';
import { addressOf } from './pinned-gateway.ts';

/** Credentials for a surface that holds a token. Nothing is sent before `current` is first called. */
export function createTokenCredentials(options: {
  readonly config: NonNullable<DeviceConfig['gateway']>;
  readonly token: string;
  readonly clock: Clock;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly log: Log;
}): CredentialSource {
  const { config, token, clock } = options;
  const gateway = { address: addressOf(config.url), pin: config.caPin, clock };
  /** Kept until the token has been accepted: with the same key a lost answer can be asked for again. */
  let tokenKey: KeyWithRequest | null = null;
  let hasEnrolled = false;

  async function enrol(signal: AbortSignal): Promise<Issued> {
    tokenKey ??= await createKey();
    try {
      const issued = await exchange({ ...gateway, key: tokenKey, proof: { kind: 'token', token }, signal });
      tokenKey = null;
      hasEnrolled = true;
      return issued;
    } catch (error) {
      if (hasEnrolled && error instanceof SurfacedError && error.code === 'E_TOKEN_SPENT') {
        throw new SurfacedError(
          'E_CREDENTIALS_ENDED',
          'the certificate could not be renewed in time, and the token has been used already',
          { cause: error },
        );
      }
      throw error;
    }
  }

  return createCredentialSource({
    ...options,
    obtain: async (current, signal) =>
      current === null
        ? enrol(signal)
        : exchange({ ...gateway, key: await createKey(), proof: { kind: 'renew', current }, signal }),
    // A token needs nobody to compare anything.
    pairingOf: () => null,
  });
}
