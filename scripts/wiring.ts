/**
 * Draws the wiring pictures and writes the tables that go with them into docs/build-a-surface.md. Run with
 * `node --import=tsx scripts/wiring.ts`; a test fails when they are out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { faultsOf } from './wiring/check.ts';
import { draw } from './wiring/draw.ts';
import { pictures } from './wiring/pictures.ts';
import { powerTable, wireTable } from './wiring/tables.ts';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const guide = 'docs/build-a-surface.md';
const textOf = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** Puts a table between its marks. @throws Error when the guide has no such marks */
function withTable(text: string, name: string, table: string): string {
  const [begin, end] = [`<!-- wiring:${name} -->\n`, `<!-- /wiring:${name} -->`];
  const [at, to] = [text.indexOf(begin), text.indexOf(end)];
  if (at < 0 || to < at) throw new Error(`${guide} has no place for the table ${name}`);
  return `${text.slice(0, at)}${begin}${table}${text.slice(to)}`;
}

/** All that is made from the wirings: path from the root of the project -> content. */
export function generate(): Map<string, string> {
  const made = new Map(pictures.map((wiring) => [`docs/images/wiring-${wiring.name}.svg`, draw(wiring)]));
  const tables = pictures.map((wiring) => [wiring.name, wireTable(wiring)] as const);
  const filled = [...tables, ['power', powerTable(pictures, textOf)] as const].reduce(
    (text, [name, table]) => withTable(text, name, table),
    textOf(guide),
  );
  return made.set(guide, filled);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const faults = pictures.flatMap((wiring) => faultsOf(wiring).map((fault) => `${wiring.name}: ${fault}`));
  if (faults.length > 0) {
    console.error(faults.join('\n'));
    process.exit(1);
  }
  for (const [file, content] of generate()) writeFileSync(path.join(root, file), content);
}
