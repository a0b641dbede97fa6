/** The tables for the terminal and the READMEs. Pure. */
import { type Aim, type BenchResult, isMet, type Making, type Report, type Row } from './types.ts';

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
  if (findings !== null) return findings.rows.map(line);
  // A cell has no lines.
  const [why] = (problem ?? '').split('\n');
  return [`| ${title}: not measured: ${why?.replaceAll('|', '\\|')} | | | | | |`];
}

const madeBy = ({ madeAt, isQuick, machine }: Making): string => {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return `\`npm run bench${isQuick ? ' -- --quick' : ''}\` on ${madeAt.slice(0, 10)}: ${facts.join(', ')}.`;
};

/** Where and when: one sentence for each run, which names its benches when there are several runs. */
function makings(results: readonly BenchResult[]): string[] {
  const runs = [...new Set(results.map(madeBy))];
  if (runs.length === 1) return runs.map((words) => `Made by ${words}`);
  return runs.map((words) => {
    const names = results.filter((result) => madeBy(result) === words).map(({ name }) => `\`${name}\``);
    return `- ${names.join(', ')}: made by ${words}`;
  });
}

/** The report as a Markdown table with a sentence about where it was made. */
export function markdownTable({ results }: Report): string {
  return [
    '| what | surfaced | peer, same run | ratio (quartiles) | aim | |',
    '|---|---|---|---|---|---|',
    ...results.flatMap(section),
    '',
    ...makings(results),
  ].join('\n');
}

/** What a newcomer wants to see: the first row of each bench and every row that misses its aim, each with its full name. */
export function headlines({ results }: Report): Report {
  return {
    results: results.map((result) => {
      const { findings } = result;
      return findings === null
        ? result
        : { ...result, findings: { ...findings, rows: headlineRows(findings.rows) } };
    }),
  };
}

const reference = 'the same';

function headlineRows(rows: readonly Row[]): Row[] {
  let subject = '';
  return rows.flatMap((row, index) => {
    const { what } = row;
    if (!what.startsWith(reference)) subject = what;
    if (index > 0 && isMet(row) !== false) return [];
    if (!what.startsWith(reference)) return [row];
    // `the same: CPU` is of what stands before the colon; `the same` alone is all of it.
    const rest = what.slice(reference.length);
    return [{ ...row, what: (rest.startsWith(':') ? subject.replace(/:.*$/, '') : subject) + rest }];
  });
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
