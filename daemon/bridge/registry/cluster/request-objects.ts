/** SurfaceRequests as the API server holds them: how they are called, and what is kept of each. */
import type { Quarantined } from '../../../attest/trust/types.ts';
import {
  type Condition,
  type SurfaceRequest,
  surfaceRequestSchema,
} from '../../../config/custom-resources.ts';
import { findingsOf } from '../../../config/findings.ts';
import { apiVersion } from '../../../config/schema.ts';
import { count, type Fields, fields, text } from '../../kube/read.ts';
import { timeOf } from './conditions.ts';
import { conditionsOf, maxMessage } from './objects.ts';

/** Label that says which gateway has made a request: it alone removes it. */
export const gatewayLabel = 'surfaced.dev/gateway';

/** Name of the request of a TPM: 64 bits of its hash. Two TPMs that share them are told apart by the whole hash, and one of them waits. */
export const requestName = (ekSha256: string): string => `tpm-${ekSha256.slice(0, 16)}`;

/** What the gateway writes about a TPM that waits. */
export interface RequestFacts {
  readonly ekSha256: string;
  readonly pairingCode: string;
  readonly address: string;
  readonly firmware: string;
  readonly hasTrustedCertificate: boolean;
  readonly certificate: string;
  readonly firstSeen: string;
}

/** What is kept of a SurfaceRequest. */
export interface RequestRecord {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Null: it cannot be read. */
  readonly spec: SurfaceRequest['spec'] | null;
  readonly problem: string | null;
  readonly facts: RequestFacts;
  readonly observedGeneration: number | null;
  readonly conditions: readonly Condition[];
}

/** What is to be seen of a TPM. */
export const factsOf = (waiting: Quarantined): RequestFacts => ({
  ekSha256: waiting.ekSha256,
  pairingCode: waiting.pairingCode,
  address: waiting.address.slice(0, 64),
  firmware: waiting.firmware.slice(0, 512),
  hasTrustedCertificate: waiting.hasTrustedCertificate,
  certificate: waiting.certificate.slice(0, 2048),
  firstSeen: timeOf(waiting.firstSeenAt),
});

/** A record of an object. */
export function requestOf(object: Fields): RequestRecord {
  const metadata = fields(object.metadata);
  const status = fields(object.status);
  const name = text(metadata.name);
  const value = { apiVersion, kind: 'SurfaceRequest', spec: object.spec };
  const read = surfaceRequestSchema.safeParse(value);
  const findings = read.success ? [] : findingsOf(read.error, surfaceRequestSchema, value);
  return {
    name,
    uid: text(metadata.uid, 64),
    resourceVersion: text(metadata.resourceVersion, 64),
    generation: count(metadata.generation),
    spec: read.success ? read.data.spec : null,
    problem: read.success
      ? null
      : findings
          .map(({ path, message }) => `${path.join('.')}: ${message}`)
          .join('; ')
          .slice(0, maxMessage),
    facts: {
      ekSha256: text(status.ekSha256, 64),
      pairingCode: text(status.pairingCode, 16),
      address: text(status.address, 64),
      firmware: text(status.firmware, 512),
      hasTrustedCertificate: status.hasTrustedCertificate === true,
      certificate: text(status.certificate, 2048),
      firstSeen: text(status.firstSeen, 64),
    },
    observedGeneration:
      typeof status.observedGeneration === 'number' ? count(status.observedGeneration) : null,
    conditions: conditionsOf(status),
  };
}
