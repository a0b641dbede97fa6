/** What is kept of each endorsement key, and its form on the disk: two lines, a checksum and JSON; logs are files beside. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type LogName, mostWholeLogBytes } from '../evidence/evidence.ts';
import { caseText, parseCase } from '../policy/evidence-file.ts';
import type { Case, WholeLogs } from '../verifier/types.ts';
import { type ClockState, checkNames, type Verdict } from '../verifier/verdict.ts';
import type { LogEnds } from './log-ends.ts';

/** The last evidence that was accepted. */
export interface Accepted {
  /** Unix milliseconds when it came. */
  readonly at: number;
  readonly evidence: string;
  readonly clock: ClockState | null;
}

/** The last evidence that the TPM signed, whether it was accepted or not, with everything to judge it anew. */
export interface Dossier {
  readonly ekSha256: string;
  readonly surface: string;
  /** What the surface said about its software. */
  readonly firmware: string;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  /** Id of the evidence. */
  readonly evidence: string;
  readonly case: Case;
  /** Where the logs of `case` go on. */
  readonly ends: LogEnds;
  readonly verdict: Verdict;
  readonly accepted: Accepted | null;
}

/** A log in a file of its own. */
export interface FiledLog {
  readonly file: string;
  readonly bytes: number;
  /** Hex, of these bytes; what stands behind them in the file does not count. */
  readonly sha256: string;
}
export type FiledLogs = Readonly<Record<LogName, FiledLog | null>>;

/** A dossier as far as it is in its own file. */
export interface FiledDossier extends Omit<Dossier, 'case'> {
  readonly case: Omit<Case, 'logs'>;
  readonly logs: FiledLogs;
}

const time = z.number().min(0);
const hex = (bytes: number) => z.string().regex(new RegExp(`^(?:[0-9a-f]{2}){${bytes}}$`));
const count = z.int().min(0);
const position = z.strictObject({ bytes: count, records: count });
const eachLog = <Kind extends z.ZodType>(kind: Kind) =>
  z.strictObject({ firmware: kind, ima: kind, measured: kind, systemd: kind });
const evidenceId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const clock = z.strictObject({
  resetCount: count,
  restartCount: count,
  clock: z.string().regex(/^\d{1,20}$/),
  isSafe: z.boolean(),
  firmwareVersion: z.string().max(64),
});

const verdict = z.strictObject({
  v: z.literal(1),
  isTrusted: z.boolean(),
  level: z.literal([0, 1, 2, 3]).nullable(),
  ekSha256: hex(32).nullable(),
  akName: z.string().max(256).nullable(),
  hasTrustedCertificate: z.boolean(),
  checks: z.array(
    z.strictObject({
      name: z.enum(checkNames),
      outcome: z.enum(['passed', 'failed', 'skipped']),
      reason: z.string(),
    }),
  ),
  clock: clock.nullable(),
  epoch: z.enum(['first', 'same', 'new']).nullable(),
  reference: z.strictObject({ name: z.string(), version: z.number(), sha256: hex(32) }).nullable(),
  measured: z.strictObject({
    firmwareEvents: count,
    files: count,
    systemdRecords: count,
    imaEntries: count,
    imaViolations: count,
  }),
});

const dossierSchema = z.strictObject({
  v: z.literal(1),
  ekSha256: hex(32),
  surface: z.string().min(1).max(63),
  firmware: z.string().max(512),
  receivedAt: time,
  evidence: evidenceId,
  /** As in an evidence file, without the logs. */
  case: z.string(),
  ends: eachLog(position),
  verdict,
  accepted: z.strictObject({ at: time, evidence: evidenceId, clock: clock.nullable() }).nullable(),
  logs: eachLog(
    z
      .strictObject({
        file: z.string().regex(/^(?:firmware|ima|measured|systemd)-[0-9a-f]{12}\.log$/),
        bytes: count.max(mostWholeLogBytes),
        sha256: hex(32),
      })
      .nullable(),
  ),
});

const noLogs = { firmware: null, ima: null, measured: null, systemd: null } as const;
const checksum = (body: string): string => createHash('sha256').update(body).digest('hex');

/** The text of a dossier. */
export function dossierText({ case: judged, verdict: said, ...rest }: FiledDossier): string {
  const stored: z.input<typeof dossierSchema> = {
    v: 1,
    ...rest,
    case: caseText({ ...judged, logs: noLogs }),
    verdict: { ...said, checks: [...said.checks] },
  };
  const body = JSON.stringify(stored);
  return `${checksum(body)}\n${body}\n`;
}

/** Reads what {@link dossierText} wrote. @throws Error that says what is wrong with it */
export function parseDossier(text: string): FiledDossier {
  const [sum, body = '', end, ...more] = text.split('\n');
  if (sum !== checksum(body) || end !== '' || more.length > 0) throw new Error('its checksum does not fit');
  const { v: _, case: judged, ...dossier } = dossierSchema.parse(JSON.parse(body));
  const { logs: _none, ...subject } = parseCase(judged, 'case');
  return { ...dossier, case: subject };
}

/** A dossier with its logs. */
export const withLogs = ({ logs: _, ...dossier }: FiledDossier, logs: WholeLogs): Dossier => ({
  ...dossier,
  case: { ...dossier.case, logs },
});
