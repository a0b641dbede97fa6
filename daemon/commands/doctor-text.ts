/** `surfaced doctor`, the report: as a table for people, and as JSON. Pure. */
import { areas, type Check, type Found, type Result } from '../hw/doctor/report.ts';
import { hex } from '../hw/parts/addresses.ts';

/** Everything that the doctor has to say. */
export interface Report {
  /** No check is a fault. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly found: Found;
}

/** How the table is drawn. */
export interface Drawing {
  readonly isColoured: boolean;
  /** Characters a line, at least so far as words allow it. */
  readonly columns: number;
}

/** Marks that need no colour, and the colours (ECMA-48 SGR) that they have besides. */
const marks: Readonly<Record<Result, { readonly text: string; readonly colour: number }>> = {
  ok: { text: 'ok', colour: 32 },
  warning: { text: 'warn', colour: 33 },
  fault: { text: 'FAIL', colour: 31 },
  skipped: { text: 'skip', colour: 90 },
};
const markWidth = 4;
/** Share of a line for the names; longer ones stand on a line of their own. */
const nameShare = 0.3;

/** The report as JSON; I2C addresses are hexadecimal as people write them. */
export function reportJson(report: Report): string {
  const readable = (key: string, value: unknown) =>
    key === 'address' && typeof value === 'number' ? hex(value) : value;
  return `${JSON.stringify(report, readable, 2)}\n`;
}

/** The report as a table by area, the remedy below each check that needs one, and a last line that counts. */
export function reportText({ checks }: Report, drawing: Drawing): string {
  const widest = Math.floor(drawing.columns * nameShare);
  const widths = checks.map(({ name }) => plain(name).length);
  const nameWidth = Math.max(0, ...widths.filter((width) => width <= widest));
  const lines = areas.flatMap((area) => {
    const own = checks.filter((check) => check.area === area);
    let told: string | null = null;
    const shown = own.map((check) => {
      const isToldAbove = check.remedy !== null && check.remedy === told;
      told = check.remedy ?? told;
      return isToldAbove ? { ...check, remedy: 'as above' } : check;
    });
    return own.length === 0 ? [] : [area, ...shown.flatMap((check) => rows(check, nameWidth, drawing)), ''];
  });
  return `${[...lines, summary(checks)].join('\n')}\n`;
}

function rows({ name, result, found, remedy }: Check, nameWidth: number, drawing: Drawing): string[] {
  const { text, colour } = marks[result];
  const padded = text.padEnd(markWidth);
  const mark = drawing.isColoured ? `\u001b[${colour}m${padded}\u001b[0m` : padded;
  const indent = ' '.repeat(2 + markWidth + 2 + nameWidth + 2);
  const room = Math.max(20, drawing.columns - indent.length);
  const words = found.split('\n').flatMap((line) => wrap(plain(line), room));
  const advice = remedy === null ? [] : wrap(plain(remedy), room - 3);
  const title = plain(name);
  const head = `  ${mark}  ${title.padEnd(nameWidth)}`;
  const [first = '', ...rest] = words;
  return [
    ...(title.length > nameWidth ? [head, `${indent}${first}`] : [`${head}  ${first}`.trimEnd()]),
    ...rest.map((line) => `${indent}${line}`),
    ...advice.map((line, index) => `${indent}${index === 0 ? '-> ' : '   '}${line}`),
  ];
}

/** Breaks a text between words; a word that is longer than the line stands alone. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Names of devices come from the devices: nothing of them moves the cursor. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

function summary(checks: readonly Check[]): string {
  const count = (result: Result) => checks.filter((check) => check.result === result).length;
  const many = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${many(count('fault'), 'fault')}, ${many(count('warning'), 'warning')}, ${count('ok')} ok, ${count('skipped')} skipped.`;
}
