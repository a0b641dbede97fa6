/** A TPM that waits for approval, as it is kept on the disk. */
import { z } from 'zod';
import { pairingCode, pairingSaltBytes } from '../evidence/pairing.ts';
import type { Quarantined } from './types.ts';

/** The salt stays as long as the entry, and with it the code that the panel shows. */
export const waitingSchema = z.strictObject({
  ekSha256: z.string().regex(/^[0-9a-f]{64}$/),
  salt: z.string().regex(new RegExp(`^[0-9a-f]{${2 * pairingSaltBytes}}$`)),
  firstSeenAt: z.number().min(0),
  lastSeenAt: z.number().min(0),
  address: z.string().max(64),
  firmware: z.string().max(512),
  hasTrustedCertificate: z.boolean(),
  certificate: z.string().max(8192),
});
export type Waiting = z.infer<typeof waitingSchema>;

/** As lists show it. @param caPin of the gateway */
export const quarantinedOf = ({ salt, ...waiting }: Waiting, caPin: string): Quarantined => ({
  ...waiting,
  pairingCode: pairingCode(Buffer.from(salt, 'hex'), waiting.ekSha256, caPin),
});
