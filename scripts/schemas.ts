/**
 * Writes what follows from the schemas and the error table: schemas/*.schema.json, docs/config.md and
 * docs/errors.md. Run with `npm run schemas`; a test fails when they are out of date.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { kinds } from '../daemon/config/schema.ts';
import { errorTable } from '../daemon/errors.ts';
import { configReference, type SchemaNode } from './config-reference.ts';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const files: Readonly<Record<keyof typeof kinds, string>> = {
  Device: 'device',
  Gateway: 'gateway',
  ControlSurface: 'control-surface',
};

// Draft 7 is what the YAML language server knows best. `input`: fields with a default may be left out.
const schemaOf = (kind: keyof typeof kinds) =>
  z.toJSONSchema(kinds[kind], { target: 'draft-7', io: 'input' }) as SchemaNode;

const classWords = {
  usage: 'The command line or a file is wrong; exit code 2.',
  retry: 'May pass by itself; tried again with growing pauses.',
  refused: 'The other side says no; something must be changed.',
  fatal: 'The program cannot go on; exit code 1.',
} as const;

function errorReference(): string {
  const rows = Object.entries(errorTable)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, entry]) => `### ${code}\n\n${entry.title}. *${entry.class}*\n\n${entry.remedy}\n`);
  const classes = Object.entries(classWords).map(([name, words]) => `| ${name} | ${words} |`);
  return `# Errors

<!-- Made by \`npm run schemas\` from daemon/errors.ts; changes here are lost. -->

Every error that surfaced shows has one of these codes, a sentence that says what happened this time, and the
remedy that stands here.

| class | what it means |
|---|---|
${classes.join('\n')}

${rows.join('\n')}`;
}

/** All generated files: path from the root of the project -> content. */
export function generate(): Map<string, string> {
  const schemas = {
    Device: schemaOf('Device'),
    Gateway: schemaOf('Gateway'),
    ControlSurface: schemaOf('ControlSurface'),
  };
  const generated = new Map<string, string>();
  for (const [kind, schema] of Object.entries(schemas)) {
    const name = files[kind as keyof typeof kinds];
    const titled = { title: `surfaced ${kind}`, ...schema };
    generated.set(`schemas/${name}.schema.json`, `${JSON.stringify(titled, null, 2)}\n`);
  }
  generated.set('docs/config.md', configReference(schemas));
  generated.set('docs/errors.md', errorReference());
  return generated;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, content] of generate()) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}
