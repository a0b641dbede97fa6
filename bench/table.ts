/** The table for the terminal and the README. Pure. */
import { type Aim, type BenchResult, isMet, type Report, type Row } from './types.ts';

const startMarker = '<!-- bench -->';
const endMarker = '<!-- /bench -->';
/** What stood in the README before the first table. */
const placeholder = 'BENCH-TABLE';

/** Three significant digits are more than the machine can promise. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1000) return String(Math.round(value)).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

function aimWords(aim: Aim | null, row: Row): string {
  if (aim === null) return '-';
  const words = [
    ...(aim.ratioAtMost === undefined ? [] : [`ratio at most ${aim.ratioAtMost}`]),
    ...(aim.oursAtMost === undefined ? [] : [`at most ${aim.oursAtMost} ${row.unit}`]),
    ...(row.condition === undefined ? [] : [row.condition.claim]),
  ];
  return words.join(', ');
}

function verdict(row: Row): string {
  const met = isMet(row);
  return met === null ? '-' : met ? 'met' : '**missed**';
}

function line(row: Row): string {
  const ratio = Number.isFinite(row.ratio)
    ? `${figure(row.ratio)} (${figure(row.ratioLow)} to ${figure(row.ratioHigh)})`
    : '-';
  const cells = [
    row.what,
    `${figure(row.ours)} ${row.unit}`,
    `${row.peer}: ${figure(row.theirs)} ${row.unit}`,
    ratio,
    aimWords(row.aim, row),
    verdict(row),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function section({ title, findings, problem }: BenchResult): string[] {
  if (findings === null) return [`| ${title}: not measured: ${problem ?? ''} | | | | | |`];
  return findings.rows.map(line);
}

/** The report as a Markdown table with a sentence about where it was made. */
export function markdownTable(report: Report): string {
  const { machine, madeAt, isQuick, results } = report;
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return [
    '| what | surfaced | peer, same run | ratio (quartiles) | aim | |',
    '|---|---|---|---|---|---|',
    ...results.flatMap(section),
    '',
    `Made by \`npm run bench${isQuick ? ' -- --quick' : ''}\` on ${madeAt.slice(0, 10)}: ${facts.join(', ')}.`,
  ].join('\n');
}

/** The text with the table between its markers; the placeholder becomes the markers the first time. Null: no place for it. */
export function withTable(text: string, table: string): string | null {
  const block = `${startMarker}\n${table}\n${endMarker}`;
  const start = text.indexOf(startMarker);
  const end = text.indexOf(endMarker, start);
  if (start >= 0 && end >= 0) return text.slice(0, start) + block + text.slice(end + endMarker.length);
  const lines = text.split('\n');
  const at = lines.findIndex((candidate) => candidate.trim() === placeholder);
  if (at < 0) return null;
  return lines.with(at, block).join('\n');
}
