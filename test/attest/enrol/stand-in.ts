/** Stand-ins for what judges evidence and for the audit log: the contract of the folders `trust` and `audit`, no more. */
import { randomBytes, webcrypto } from 'node:crypto';
import type { AuditEvent } from '../../../daemon/attest/audit/types.ts';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import type { Challenge, Evidence, KeyClaims } from '../../../daemon/attest/evidence/evidence.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { algorithm, curve, decode, encodePublic, publicArea } from '../../../daemon/attest/tpm2/index.ts';
import type { Attesting, Begun } from '../../../daemon/attest/trust/types.ts';
import { SurfacedError } from '../../../daemon/errors.ts';

type Challenged = Extract<Begun, { kind: 'challenged' }>;

export interface StandInAttesting extends Pick<Attesting, 'begin' | 'finish'> {
  /** Surfaces by the endorsement key that they are approved with. */
  readonly approved: Map<string, string>;
  readonly salt: Buffer;
  readonly begins: Parameters<Attesting['begin']>[0][];
  readonly finishes: { begun: Challenged; answer: Parameters<Attesting['finish']>[1] }[];
  /** What `finish` refuses with; null: it accepts. */
  refusal: SurfacedError | null;
  /** Awaited by `finish`. */
  judging: Promise<void>;
}

export function standInAttesting(): StandInAttesting {
  const self: StandInAttesting = {
    approved: new Map(),
    salt: randomBytes(16),
    begins: [],
    finishes: [],
    refusal: null,
    judging: Promise.resolve(),
    begin: async (request) => {
      self.begins.push(request);
      let ekSha256: string;
      try {
        ekSha256 = ekPublicSha256(decode('ekPublic', publicArea, request.claims.ekPublic));
      } catch (cause) {
        throw new SurfacedError('E_ENROL_EVIDENCE', 'ek-public: not one', { cause });
      }
      const surface = self.approved.get(ekSha256);
      if (surface === undefined) return { kind: 'quarantined', ekSha256, salt: self.salt };
      return { kind: 'challenged', surface, ekSha256, challenge: newChallenge() };
    },
    finish: async (begun, answer) => {
      self.finishes.push({ begun, answer });
      await self.judging;
      if (self.refusal) throw self.refusal;
      return {
        surface: begun.surface,
        ekSha256: begun.ekSha256,
        level: 1,
        evidence: `ev-${self.finishes.length}`,
      };
    },
  };
  return self;
}

const newChallenge = (): Challenge => ({
  nonce: randomBytes(32),
  credential: { blob: randomBytes(50), secret: randomBytes(60) },
  bank: 'sha256',
  pcrs: [0, 8, 10],
  logs: { firmware: logStart, ima: logStart, measured: logStart, systemd: logStart },
});

export interface StandInAudit {
  readonly events: AuditEvent[];
  isBroken: boolean;
  append(event: AuditEvent): Promise<void>;
}

export function standInAudit(): StandInAudit {
  const self: StandInAudit = {
    events: [],
    isBroken: false,
    append: async (event) => {
      if (self.isBroken) throw new SurfacedError('E_AUDIT_WRITE', 'the disk is full');
      self.events.push(event);
    },
  };
  return self;
}

/** Keys as a TPM would show them, of which there is none. */
export async function newClaims(): Promise<KeyClaims & { readonly ekSha256: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
  const jwk = await webcrypto.subtle.exportKey('jwk', keys.publicKey);
  const [x, y] = [jwk.x, jwk.y].map((value) => Buffer.from(value ?? '', 'base64url')) as [Buffer, Buffer];
  const area = {
    type: algorithm.ecc,
    nameAlg: algorithm.sha256,
    attributes: new Set<never>(),
    authPolicy: Buffer.alloc(0),
    symmetric: null,
    scheme: null,
    curve: curve.p256,
    kdf: null,
    x,
    y,
  } as const;
  return {
    ekPublic: encodePublic(area),
    ekCertificate: null,
    ekChain: [],
    akPublic: encodePublic(area),
    ekSha256: ekPublicSha256(area),
  };
}

/** Evidence of the right form. @param logBytes size of its IMA list */
export const someEvidence = (logBytes: number): Evidence => ({
  secret: randomBytes(32),
  attest: randomBytes(120),
  signature: randomBytes(70),
  pcrs: new Map([0, 8, 10].map((pcr) => [pcr, randomBytes(32)])),
  logs: {
    firmware: null,
    ima: { from: logStart, bytes: Buffer.alloc(logBytes, 7) },
    measured: null,
    systemd: null,
  },
});
