/** `surfaced audit show`: records one a line, for people. */
import { type LoggedRecord, recordsAt } from '../attest/audit/read.ts';
import type { LoggedEvent } from '../attest/audit/record.ts';
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

function surfaceOf(event: LoggedEvent): string | null {
  if (event.kind === 'command') return event.command.surface;
  return 'surface' in event ? event.surface : null;
}

function said(event: LoggedEvent): string {
  switch (event.kind) {
    case 'gateway':
      return `${event.what}, version ${event.version}`;
    case 'verdict': {
      const { verdict, why, evidence } = event;
      const bad = verdict.checks.find(({ outcome }) => outcome === 'failed');
      const outcome = verdict.isTrusted ? `trusted, level ${verdict.level}` : 'not trusted';
      return `${outcome} (${why}, evidence ${evidence})${bad === undefined ? '' : `: ${bad.name}: ${bad.reason}`}`;
    }
    case 'certificate':
      return `${event.trust}, evidence ${event.evidence}, serial ${event.serial}`;
    case 'trust':
      return `${event.from} to ${event.to}: ${event.reason}`;
    case 'command': {
      const { target, want, saw, phase, code, detail } = event.command;
      const what = target === null ? 'no target' : `${target.kind} ${target.namespace}/${target.name}`;
      return `${what}, ${saw ?? '?'} to ${want ?? '?'}: ${phase}, ${code}: ${detail}`;
    }
    case 'update':
      return `${event.outcome}, ${event.from ?? '?'} to ${event.version} (rollout ${event.rollout})${event.detail === '' ? '' : `: ${event.detail}`}`;
    case 'segment':
      return `file ${event.segment} begins`;
    case 'signer':
      return `heads are signed by another key (${event.signer.type})`;
    case 'recovered':
      return `${event.bytes} bytes of an incomplete record were cut${event.isHeadMissing ? ', the head was missing' : ''}`;
  }
}
