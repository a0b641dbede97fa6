/** `surfaced audit verify`: what the verification of an audit log found, for people. */
import type { AuditReport, Remark } from '../attest/audit/report.ts';
import { type VerifyOptions, verifyAudit } from '../attest/audit/verify.ts';
import { shown } from '../attest/logs/log.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';

/** Verifies a log. @throws SurfacedError E_USAGE when there is none at that path */
export async function runAuditVerify(
  options: VerifyOptions,
  output: Output,
): Promise<{ readonly text: string; readonly isSound: boolean }> {
  const report = await verifyAudit(options);
  const text = output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : reportText(report);
  return { text, isSound: report.isSound };
}

const time = (at: number): string => (Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : `${at}`);

function reportText(report: AuditReport): string {
  const { kinds, quotes, unproven, faults, faultCount, notes, noteCount } = report;
  const rows = [
    ['FOUND', ''],
    ['log', shown(report.path, 4096)],
    ['files', `${report.files}`],
    ['records', recordsText(report)],
    [
      'kinds',
      Object.entries(kinds)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', '),
    ],
    [
      'quotes',
      `${quotes.held} hold, ${quotes.refused} were refused and do not, ${quotes.none} verdicts had none`,
    ],
    ...(unproven > 0
      ? [['unproven', `${unproven} verdicts or certificates rest on records that are not here`]]
      : []),
    ...headRows(report),
  ];
  const listed = (word: string, remarks: readonly Remark[], count: number) =>
    remarks.map((remark) => `${word}${placeOf(remark)}: ${remark.what}\n`).join('') +
    (count > remarks.length ? `and ${count - remarks.length} more\n` : '');
  const conclusion = report.isSound ? 'The log is sound.' : 'The log is NOT sound.';
  return `${columns(rows)}
${listed('note', notes, noteCount)}${listed('FAULT', faults, faultCount)}${conclusion}
`;
}

function recordsText({ records, first, last }: AuditReport): string {
  if (first === null || last === null) return 'none';
  return `${records}: ${first.seq} to ${last.seq}, ${time(first.at)} to ${time(last.at)}`;
}

function headRows({ head, last, unsigned }: AuditReport): readonly (readonly string[])[] {
  const newest = last === null ? [] : [['newest hash', last.hash]];
  if (head === null) return [['signed head', 'none'], ...newest];
  const { clock } = head;
  const tpm =
    clock === null
      ? []
      : [
          [
            'TPM clock',
            `${clock.clock} ms${clock.isSafe ? '' : ' (not safe)'}, ${clock.resetCount} resets, ${clock.restartCount} restarts`,
          ],
        ];
  return [
    ['signed head', `record ${head.seq}, ${time(head.at)}`],
    ['head hash', head.hash],
    ['signer', `${head.signerType} ${head.signer}`],
    ...tpm,
    ['not yet signed', `${unsigned} records`],
    ...(unsigned > 0 ? newest : []),
  ];
}

function placeOf({ file, line, seq }: Remark): string {
  const parts = [file, line === null ? null : `line ${line}`, seq === null ? null : `record ${seq}`];
  const text = parts.filter((part) => part !== null).join(', ');
  return text === '' ? '' : ` ${text}`;
}
