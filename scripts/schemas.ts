/**
 * Writes what follows from schemas and tables: schemas/*.schema.json, docs/config.md, docs/errors.md, docs/metrics.md,
 * the Grafana dashboard and the CustomResourceDefinitions in deploy/crd. Run with `npm run schemas`; a test fails when they
 * are out of date.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { partBaseSchema } from '../daemon/config/panel.ts';
import { kinds } from '../daemon/config/schema.ts';
import { errorTable } from '../daemon/errors.ts';
import { partDrivers } from '../daemon/hw/chips/table.ts';
import { configReference, fieldRows, type SchemaNode } from './config-reference.ts';
import { definitionFiles } from './crd/definitions.ts';
import { dashboard } from './dashboard.ts';
import { metricsReference } from './metrics-reference.ts';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const files: Readonly<Record<keyof typeof kinds, string>> = {
  Device: 'device',
  Gateway: 'gateway',
  ControlSurface: 'control-surface',
  ReferenceSet: 'reference-set',
  Rollout: 'rollout',
};

// Draft 7 is what the YAML language server knows best. `input`: fields with a default may be left out.
const schemaOf = (kind: keyof typeof kinds) =>
  z.toJSONSchema(kinds[kind], { target: 'draft-7', io: 'input' }) as SchemaNode;

/** Entries of `panel.parts`, each with the fields of its driver: editors complete them, too. */
function partSchemas(): SchemaNode[] {
  const base = z.toJSONSchema(partBaseSchema, { target: 'draft-7', io: 'input' }) as SchemaNode;
  return partDrivers.map((driver) => {
    const own = z.toJSONSchema(driver.schema, { target: 'draft-7', io: 'input' }) as SchemaNode;
    const part = { ...base.properties?.part, type: 'string', const: driver.part };
    return {
      ...own,
      title: driver.part,
      description: driver.title,
      properties: { ...base.properties, ...own.properties, part },
      required: ['part', ...(own.required ?? [])],
    };
  });
}

function withParts(device: SchemaNode): SchemaNode {
  const panel = device.properties?.panel;
  const variants = panel?.oneOf?.map((variant) => {
    const parts = variant.properties?.parts;
    if (parts === undefined) return variant;
    return {
      ...variant,
      properties: { ...variant.properties, parts: { ...parts, items: { oneOf: partSchemas() } } },
    };
  });
  return { ...device, properties: { ...device.properties, panel: { ...panel, oneOf: variants ?? [] } } };
}

const hex = (address: number): string => `0x${address.toString(16)}`;

function partReference(): string {
  const parts = partDrivers.map((driver) => {
    const where =
      driver.kind === 'i2c'
        ? `On an I2C bus, at ${hex(driver.addresses[0] ?? 0)} unless \`address\` says otherwise; it can be at ${driver.addresses.map(hex).join(', ')}.`
        : 'Not on an I2C bus: behind GPIO lines or a kernel driver.';
    const own = z.toJSONSchema(driver.schema, { target: 'draft-7', io: 'input' }) as SchemaNode;
    return `## ${driver.part}

${driver.title}. ${where}

| field | type | default | what it is |
|---|---|---|---|
${fieldRows(own, '').join('\n')}
`;
  });
  const base = z.toJSONSchema(partBaseSchema, { target: 'draft-7', io: 'input' }) as SchemaNode;
  return `# Parts

<!-- Made by \`npm run schemas\` from daemon/hw/chips/; changes here are lost. -->

What a panel with the preset \`parts\` can be made of. Each entry of \`panel.parts\` in a Device file has these fields
and those of its part. [build.md](build.md) tells how to wire and try a panel, [write-a-driver.md](write-a-driver.md) how
to add a part.

| field | type | default | what it is |
|---|---|---|---|
${fieldRows(base, '').join('\n')}

${parts.join('\n')}`;
}

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
    ReferenceSet: schemaOf('ReferenceSet'),
    Rollout: schemaOf('Rollout'),
  };
  const generated = new Map<string, string>();
  for (const [kind, schema] of Object.entries(schemas)) {
    const name = files[kind as keyof typeof kinds];
    const full = kind === 'Device' ? withParts(schema) : schema;
    const titled = { title: `surfaced ${kind}`, ...full };
    generated.set(`schemas/${name}.schema.json`, `${JSON.stringify(titled, null, 2)}\n`);
  }
  generated.set('docs/config.md', configReference(schemas));
  generated.set('docs/parts.md', partReference());
  generated.set('docs/errors.md', errorReference());
  generated.set('docs/metrics.md', metricsReference());
  generated.set('deploy/monitoring/dashboard.json', dashboard());
  for (const [name, content] of definitionFiles()) generated.set(name, content);
  return generated;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, content] of generate()) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}
