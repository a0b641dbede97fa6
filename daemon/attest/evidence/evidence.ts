/**
 * Evidence: what a surface sends to prove itself. Bytes in memory, base64 in JSON, one schema for the wire, for the
 * gateway's disk and for `surfaced policy test`.
 */
import { z } from 'zod';
import { asBuffer, type LogPosition } from '../logs/log.ts';

/** Logs that can be sent, in the order in which the signed digest covers them. */
export const logNames = ['firmware', 'ima', 'measured', 'systemd'] as const;
/**
 * `firmware`: the TCG event log. `ima`: the kernel's list in its binary form. `measured`: that of `surfaced measure`.
 * `systemd`: /run/log/systemd/tpm2-measure.log.
 */
export type LogName = (typeof logNames)[number];

/** Hashes of PCR banks that a verifier may choose; SHA-1 is not among them. */
export const quotableBanks = ['sha256', 'sha384', 'sha512'] as const;
export type QuotableBank = (typeof quotableBanks)[number];

/** Most bytes of all logs in one message; a surface that has more is refused by name, not cut. */
export const mostLogBytes = 8 * 1024 * 1024;
/** Most bytes of one log when its parts are put together. */
export const mostWholeLogBytes = 16 * 1024 * 1024;

/** Most bytes of one certificate that is sent. */
export const mostCertificateBytes = 4096;
/** Most certificates of a chain that are sent. */
export const mostChainCertificates = 16;

/** Who the surface says that it is; nothing of it is proven yet. */
export interface KeyClaims {
  /** TPMT_PUBLIC of the endorsement key. */
  readonly ekPublic: Uint8Array;
  /** DER, unwrapped from what NV held; null: the TPM has none for this key. */
  readonly ekCertificate: Uint8Array | null;
  /** DER, at most 16. */
  readonly ekChain: readonly Uint8Array[];
  /** TPMT_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array;
}

/** What the gateway wants signed. */
export interface Challenge {
  /** 32 random bytes, used once. */
  readonly nonce: Uint8Array;
  /** To be opened by TPM2_ActivateCredential; null: this attestation key is known to belong to the endorsement key. */
  readonly credential: { readonly blob: Uint8Array; readonly secret: Uint8Array } | null;
  readonly bank: QuotableBank;
  /** Ascending, 0 to 15. */
  readonly pcrs: readonly number[];
  /** Where each log goes on; `logStart` asks for all of it. */
  readonly logs: Readonly<Record<LogName, LogPosition>>;
}

/** Part of a log: from a position to what was its end. */
export interface LogPart {
  readonly from: LogPosition;
  readonly bytes: Uint8Array;
}

/** The logs that were sent; null: the machine has no such log. */
export type LogParts = Readonly<Record<LogName, LogPart | null>>;

/** The answer to a challenge. */
export interface Evidence {
  /** What the credential held; null: there was none. */
  readonly secret: Uint8Array | null;
  /** TPMS_ATTEST, exactly as signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** The quoted PCRs of the bank that was asked for, by number. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly logs: LogParts;
}

/** JSON form of bytes: base64 as it is written here, of at most so many. */
export const bytes = (most: number) =>
  z
    .string()
    .max(Math.ceil(most / 3) * 4)
    .transform((text, context): Uint8Array => {
      const decoded = Buffer.from(text, 'base64');
      const isBase64 = decoded.toString('base64') === text;
      if (isBase64 && decoded.length <= most) return decoded;
      const message = isBase64 ? `${decoded.length} bytes, at most ${most}` : 'not base64';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    });

const position = z.strictObject({
  bytes: z.int().min(0).max(mostWholeLogBytes),
  records: z.int().min(0).max(1_000_000),
});
const part = z.strictObject({ from: position, bytes: bytes(mostLogBytes) }).nullable();
const pcrNumber = z
  .string()
  .regex(/^(?:\d|1[0-5])$/)
  .transform(Number);

/** JSON form of {@link KeyClaims}. */
export const keyClaimsSchema = z.strictObject({
  ekPublic: bytes(1024),
  ekCertificate: bytes(mostCertificateBytes).nullable(),
  ekChain: z.array(bytes(mostCertificateBytes)).max(mostChainCertificates),
  akPublic: bytes(1024),
});

/** JSON form of {@link Challenge}. */
export const challengeSchema = z.strictObject({
  nonce: bytes(32).refine(({ length }) => length === 32, '32 bytes'),
  credential: z.strictObject({ blob: bytes(256), secret: bytes(1024) }).nullable(),
  bank: z.enum(quotableBanks),
  pcrs: z
    .array(z.int().min(0).max(15))
    .min(1)
    .max(16)
    .refine((pcrs) => pcrs.every((pcr, index) => pcr > (pcrs[index - 1] ?? -1)), 'not ascending'),
  logs: z.strictObject({ firmware: position, ima: position, measured: position, systemd: position }),
});

/** JSON form of {@link Evidence}. */
export const evidenceSchema = z.strictObject({
  secret: bytes(64).nullable(),
  attest: bytes(2048),
  signature: bytes(1024),
  pcrs: z.record(pcrNumber, bytes(64)).transform((values) => {
    const entries = Object.entries(values).map(([pcr, value]) => [Number(pcr), value] as const);
    return new Map(entries.sort(([one], [other]) => one - other)) as ReadonlyMap<number, Uint8Array>;
  }),
  logs: z
    .strictObject({ firmware: part, ima: part, measured: part, systemd: part })
    .refine(
      (logs) => logNames.reduce((total, name) => total + (logs[name]?.bytes.length ?? 0), 0) <= mostLogBytes,
      `more than ${mostLogBytes} bytes in all`,
    ),
});

/** What {@link bytes} reads. */
export const base64 = (value: Uint8Array): string => asBuffer(value).toString('base64');

/** What {@link keyClaimsSchema} reads. */
export const keyClaimsJson = (claims: KeyClaims): z.input<typeof keyClaimsSchema> => ({
  ekPublic: base64(claims.ekPublic),
  ekCertificate: claims.ekCertificate && base64(claims.ekCertificate),
  ekChain: claims.ekChain.map(base64),
  akPublic: base64(claims.akPublic),
});

/** What {@link challengeSchema} reads. */
export const challengeJson = (challenge: Challenge): z.input<typeof challengeSchema> => ({
  nonce: base64(challenge.nonce),
  credential: challenge.credential && {
    blob: base64(challenge.credential.blob),
    secret: base64(challenge.credential.secret),
  },
  bank: challenge.bank,
  pcrs: [...challenge.pcrs],
  logs: challenge.logs,
});

/** What {@link evidenceSchema} reads. */
export function evidenceJson(evidence: Evidence): z.input<typeof evidenceSchema> {
  const partJson = (log: LogPart | null) => log && { from: log.from, bytes: base64(log.bytes) };
  const { firmware, ima, measured, systemd } = evidence.logs;
  return {
    secret: evidence.secret && base64(evidence.secret),
    attest: base64(evidence.attest),
    signature: base64(evidence.signature),
    pcrs: Object.fromEntries([...evidence.pcrs].map(([pcr, value]) => [pcr, base64(value)])),
    logs: {
      firmware: partJson(firmware),
      ima: partJson(ima),
      measured: partJson(measured),
      systemd: partJson(systemd),
    },
  };
}
