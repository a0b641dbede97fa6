/**
 * Evidence as a file: everything that is needed to judge it again, anywhere. `surfaced surfaces show NAME --evidence`
 * writes it, `surfaced policy test` and `surfaced policy learn` read it.
 */
import { z } from 'zod';
import { readBounded } from '../../config/read-bounded.ts';
import { SurfacedError } from '../../errors.ts';
import {
  base64,
  bytes,
  evidenceJson,
  evidenceSchema,
  keyClaimsJson,
  keyClaimsSchema,
  type LogName,
  logNames,
  mostWholeLogBytes,
  quotableBanks,
} from '../evidence/evidence.ts';
import { shown } from '../logs/log.ts';
import type { Case } from '../verifier/types.ts';

/** Largest file that is read: all logs at their largest, in base64. */
export const mostEvidenceFileBytes = 96 * 1024 * 1024;

const count = z.int().min(0);
const digest = z.strictObject({
  from: z.strictObject({ bytes: count, records: count }),
  length: count,
  sha256: bytes(32),
});
const fixed = (length: number) =>
  bytes(length).refine((value) => value.length === length, `expected ${length} bytes`);
const eachLog = <Kind extends z.ZodType>(kind: Kind) =>
  z.strictObject({ firmware: kind, ima: kind, measured: kind, systemd: kind });

const caseSchema = z.strictObject({
  v: z.literal(1),
  kind: z.literal('surfaced/evidence'),
  claims: keyClaimsSchema,
  expected: z.strictObject({
    nonce: fixed(32),
    keySha256: fixed(32),
    channel: fixed(32),
    secret: bytes(64).nullable(),
    bank: z.enum(quotableBanks),
    pcrs: z.array(z.int().min(0).max(15)).min(1).max(16),
    sentLogs: eachLog(digest.nullable()),
  }),
  evidence: evidenceSchema.omit({ logs: true }),
  logs: eachLog(bytes(mostWholeLogBytes).nullable()),
  previous: z
    .strictObject({
      resetCount: count,
      restartCount: count,
      clock: z.string().regex(/^\d{1,20}$/),
      isSafe: z.boolean(),
      firmwareVersion: z.string().max(64),
    })
    .nullable(),
  isIncremental: z.boolean(),
});

/** The text of an evidence file; ends with a line end. */
export function caseText(subject: Case): string {
  const { claims, expected, evidence, logs, previous, isIncremental } = subject;
  const noLogs = { firmware: null, ima: null, measured: null, systemd: null };
  const { logs: _none, ...answer } = evidenceJson({ ...evidence, logs: noLogs });
  const each = <Json>(json: (name: LogName) => Json) =>
    Object.fromEntries(logNames.map((name) => [name, json(name)])) as Record<LogName, Json>;
  const written: z.input<typeof caseSchema> = {
    v: 1,
    kind: 'surfaced/evidence',
    claims: keyClaimsJson(claims),
    expected: {
      nonce: base64(expected.nonce),
      keySha256: base64(expected.keySha256),
      channel: base64(expected.channel),
      secret: expected.secret && base64(expected.secret),
      bank: expected.bank,
      pcrs: [...expected.pcrs],
      sentLogs: each((name) => {
        const sent = expected.sentLogs[name];
        return sent && { ...sent, sha256: base64(sent.sha256) };
      }),
    },
    evidence: answer,
    logs: each((name) => {
      const log = logs[name];
      return log && base64(log);
    }),
    previous,
    isIncremental,
  };
  return `${JSON.stringify(written)}\n`;
}

/** Reads what {@link caseText} wrote. @throws SurfacedError E_USAGE, naming the field */
export function parseCase(text: string, name: string): Case {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SurfacedError('E_USAGE', `${name}: not JSON, so no evidence`, { cause });
  }
  const result = caseSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    const field = shown(issue?.path.join('.') || 'evidence', 200);
    throw new SurfacedError('E_USAGE', `${name}: ${field}: ${shown(issue?.message ?? 'not evidence', 200)}`, {
      cause: result.error,
    });
  }
  const { v: _v, kind: _kind, ...subject } = result.data;
  return subject;
}

/** Reads an evidence file of at most 96 MiB. @throws SurfacedError E_CFG_READ, E_CFG_INVALID, E_USAGE */
export async function readCase(file: string): Promise<Case> {
  return parseCase((await readBounded(file, mostEvidenceFileBytes)).toString('utf8'), file);
}
