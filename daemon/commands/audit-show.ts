/** `surfaced audit show`: records one a line, for people. */
import { type LoggedRecord, recordsAt } from '../attest/audit/read.ts';
import { said, surfaceOf } from '../attest/audit/words.ts';
import { shown } from '../attest/logs/log.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';

/** Which records; null: all. */
export interface ShowOptions {
  readonly path: string;
  readonly kind: string | null;
  readonly surface: string | null;
  readonly last: number;
}

/** The newest records that fit. @throws SurfacedError E_USAGE, E_AUDIT_BROKEN */
export async function runAuditShow(options: ShowOptions, output: Output): Promise<string> {
  const { path, kind, surface, last } = options;
  const found: LoggedRecord[] = [];
  for await (const record of recordsAt(path)) {
    if (kind !== null && record.kind !== kind) continue;
    if (surface !== null && surfaceOf(record.event) !== surface) continue;
    found.push(record);
    if (found.length >= 2 * last) found.splice(0, last);
  }
  const records = found.slice(-last);
  if (output === 'json')
    return `${JSON.stringify(
      records.map(({ json }) => json),
      null,
      2,
    )}\n`;
  const rows = records.map(({ seq, at, event }) => [
    `${seq}`,
    Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : `${at}`,
    event.kind,
    shown(surfaceOf(event) ?? '-', 64),
    shown(said(event), 300),
  ]);
  return columns([['RECORD', 'TIME', 'KIND', 'SURFACE', 'WHAT'], ...rows]);
}
