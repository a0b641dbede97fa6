/** Writes docs/config.md from the JSON Schemas: a table of all fields and a commented sample for each kind. */
import { stringify } from 'yaml';
import { samples } from './config-samples.ts';

/** As much of a JSON Schema as the configuration files use. */
export interface SchemaNode {
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly oneOf?: readonly SchemaNode[];
}

type Kind = keyof typeof samples;

const intros: Readonly<Record<Kind, string>> = {
  Device: 'The file of a surface: which gateway it belongs to, how it proves itself, and which panel it has.',
  Gateway: 'The file of a gateway: where it listens, where it keeps its state, which surfaces it trusts.',
  ControlSurface:
    "One surface in the gateway's registry folder: what each of its controls is bound to. A file may hold several, separated by `---`.",
  ReferenceSet:
    'Reference values that the measurements of surfaces must match; see docs/policy.md. A gateway uses a file only with a good signature beside it.',
  Rollout:
    "Which version a fleet of surfaces is to have, in the gateway's folder of updates; see docs/rollout.md.",
};

/** The whole of docs/config.md. */
export function configReference(schemas: Readonly<Record<Kind, SchemaNode>>): string {
  const parts = Object.entries(schemas).map(([kind, schema]) => {
    const rows = fieldRows(schema, '');
    return `## ${kind}

${intros[kind as Kind]}

\`\`\`yaml
${commentedSample(schema, samples[kind as Kind])}\`\`\`

| field | type | default | what it is |
|---|---|---|---|
${rows.join('\n')}
`;
  });
  return `# Configuration

<!-- Made by \`npm run schemas\` from daemon/config/schema.ts; changes here are lost. -->

All files are YAML, UTF-8, at most 1 MiB, with \`apiVersion: surfaced.dev/v1alpha1\` and a \`kind\`. Unknown fields are
errors. A file that is wrong is refused with every fault in it, each with its line, its field and what was
expected there; the exit code is 2. Relative paths are meant from the folder of the file that names them.

For completion in an editor with the YAML language server, begin a file with
\`# yaml-language-server: $schema=<path>/schemas/gateway.schema.json\` (or \`device\`, \`control-surface\`).

${parts.join('\n')}`;
}

/** One row a field, nested fields below their parent. */
export function fieldRows(node: SchemaNode, at: string): string[] {
  const rows: string[] = [];
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const path = at === '' ? name : `${at}.${name}`;
    const isRequired = node.required?.includes(name) ?? false;
    rows.push(row(path, field, isRequired));
    rows.push(...below(field, path));
  }
  return rows;
}

function below(field: SchemaNode, path: string): string[] {
  if (field.items) return below(field.items, `${path}[]`);
  if (field.oneOf) {
    return field.oneOf.flatMap((variant) => {
      return fieldRows(variant, `${path}<${variantName(variant)}>`);
    });
  }
  return fieldRows(field, path);
}

function row(path: string, field: SchemaNode, isRequired: boolean): string {
  const hasValue = field.default !== undefined && field.type !== 'object' && !field.oneOf;
  const fallback = hasValue ? `\`${JSON.stringify(field.default)}\`` : isRequired ? '**required**' : '';
  return `| \`${path}\` | ${typeWords(field)} | ${fallback} | ${cell(field.description ?? '')} |`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
const values = (list: readonly unknown[]): string => list.map((value) => `\`${String(value)}\``).join(', ');

function typeWords(field: SchemaNode): string {
  if (field.const !== undefined) return `\`${String(field.const)}\``;
  if (field.enum) return values(field.enum);
  if (field.oneOf) return `map; one of ${values(field.oneOf.map(variantName))}`;
  if (field.type === 'array') return `list${field.maxItems ? `, at most ${field.maxItems}` : ''}`;
  if (field.type === 'object') return 'map';
  if (field.type === 'boolean') return 'true or false';
  if (field.type === 'integer' || field.type === 'number') {
    const word = field.type === 'integer' ? 'whole number' : 'number';
    return field.maximum === undefined ? word : `${word}, ${field.minimum} to ${field.maximum}`;
  }
  return field.format === 'uri' ? 'URL' : 'text';
}

/** A file that can be used as it is: each field under its description, unused ones commented out. */
function commentedSample(schema: SchemaNode, sample: unknown): string {
  return mapLines(schema, sample as Record<string, unknown>, '')
    .map((line) => `${line}\n`)
    .join('');
}

function mapLines(node: SchemaNode, sample: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const value = sample[name] ?? field.default;
    const comment = `${indent}# ${field.description ?? ''}`;
    if (value === undefined)
      return [comment, `${indent}# ${name}: <${typeWords(field).replaceAll('`', '')}>`];
    return [comment, ...fieldLines(name, field, value, indent)];
  });
}

function fieldLines(name: string, field: SchemaNode, value: unknown, indent: string): string[] {
  const inner = `${indent}  `;
  if (Array.isArray(value) && value.some((entry) => typeof entry === 'object')) {
    const [first, ...others] = value as Record<string, unknown>[];
    // The first entry has all the words; the others show how short it can be.
    const lines = mapLines(variantOf(field.items ?? {}, first!), first!, `${inner}  `);
    return [
      `${indent}${name}:`,
      ...asEntry(lines, inner),
      ...others.flatMap((entry) => asEntry(plainLines(entry, `${inner}  `), inner)),
    ];
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const map = value as Record<string, unknown>;
    return [`${indent}${name}:`, ...mapLines(variantOf(field, map), map, inner)];
  }
  return [`${indent}${name}: ${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`];
}

const plainLines = (value: unknown, indent: string): string[] =>
  stringify(value, { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => `${indent}${line}`);

/** Puts the dash of a list entry before its first line. */
const asEntry = (lines: readonly string[], indent: string): string[] =>
  lines.map((line, index) => (index === 0 ? `${indent}- ${line.trimStart()}` : line));

/** What a variant is called: its title, else its `type`. */
const variantName = (variant: SchemaNode): string => variant.title ?? String(variant.properties?.type?.const);

/** The variant that a value is, by the first field, which tells them apart. */
const variantOf = (node: SchemaNode, value: Readonly<Record<string, unknown>>): SchemaNode =>
  node.oneOf?.find((variant) => {
    const [[name, field] = ['', {} as SchemaNode]] = Object.entries(variant.properties ?? {});
    const type = variant.properties?.type?.const;
    if (type !== undefined) return type === value.type;
    return field.const === value[name] || field.enum?.includes(value[name]);
  }) ?? node;
