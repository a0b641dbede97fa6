import { spawnSync } from 'node:child_process';
import t from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { definitionHashes } from '../../daemon/bridge/registry/cluster/definition-hashes.ts';
import { bindingRules, keyedBy, withRules } from '../../daemon/config/rules.ts';
import { definitionFiles } from '../../scripts/crd/definitions.ts';
import { type StructuralNode, structuralOf } from '../../scripts/crd/structural.ts';
import { root } from '../structure/source-files.ts';

const files = definitionFiles();
const definitions = [...files]
  .filter(([name]) => /deploy\/crd\/\w+s\.yaml$/.test(name))
  .map(([name, text]) => ({ name, text, object: parse(text) }));
const withoutKubectl: string | false =
  spawnSync('kubectl', ['kustomize', '--help']).status === 0
    ? false
    : 'kubectl is not installed (npm test installs kubernetes-client)';

/** What kubernetes.io, "Specifying a structural schema", asks for and this project can get wrong. */
function faults(node: StructuralNode, at: string): string[] {
  const found: string[] = [];
  const fields = node as Record<string, unknown>;
  if (node.type === undefined) found.push(`${at}: no type`);
  for (const field of ['$ref', 'oneOf', 'anyOf', 'allOf', 'not', 'const', 'patternProperties', 'definitions'])
    if (fields[field] !== undefined) found.push(`${at}: ${field}`);
  if (node.properties && node.additionalProperties !== undefined) found.push(`${at}: both kinds of fields`);
  // RE2, which the API server uses, has no way to look around.
  if (/\(\?[=!<]/.test(node.pattern ?? '')) found.push(`${at}: ${node.pattern}`);
  if (node.description === undefined && at !== '' && !at.endsWith('[]') && at !== '.metadata')
    found.push(`${at}: not described`);
  for (const key of node.items?.properties ? (node['x-kubernetes-list-map-keys'] ?? []) : []) {
    const isGiven =
      node.items?.required?.includes(key) || node.items?.properties?.[key]?.default !== undefined;
    if (!isGiven) found.push(`${at}: key ${key} is neither required nor has a default`);
  }
  for (const { rule, fieldPath } of node['x-kubernetes-validations'] ?? []) {
    if (!rule.includes('self.')) found.push(`${at}: rule ${rule}`);
    const field = fieldPath?.slice(1).split('.')[0] ?? '';
    if (fieldPath !== undefined && !node.properties?.[field]) found.push(`${at}: no field ${fieldPath}`);
  }
  for (const name of node.required ?? [])
    if (!node.properties?.[name]) found.push(`${at}: required ${name} is not there`);
  const inner = Object.entries(node.properties ?? {}).flatMap(([name, next]) =>
    faults(next, `${at}.${name}`),
  );
  return [...found, ...inner, ...(node.items ? faults(node.items, `${at}[]`) : [])];
}

t.test('the definitions are what Kubernetes takes', async (t) => {
  t.same(
    definitions.map(({ object }) => object.metadata.name),
    ['controlsurfaces.surfaced.dev', 'surfacerequests.surfaced.dev'],
  );
  for (const { name, text, object } of definitions) {
    const [version, ...others] = object.spec.versions;
    t.same(others, []);
    t.same(faults(version.schema.openAPIV3Schema, ''), [], name);
    t.same(version.subresources, { status: {} });
    // kubectl apply keeps the whole object in an annotation: 256 KiB for all of them together.
    t.ok(text.length < 64 << 10, `${name} has ${text.length} bytes`);
    t.equal(object.metadata.name, `${object.spec.names.plural}.${object.spec.group}`);
    t.equal(object.metadata.annotations['surfaced.dev/schema'], definitionHashes[object.metadata.name]);
    for (const { jsonPath } of version.additionalPrinterColumns)
      t.match(jsonPath, /^(\.\w+(\[\?\(@\.type=="\w+"\)\])?)+$/, jsonPath);
    t.notOk(/&\w+|\*\w+\s/.test(text.replaceAll(/"[^"]*"/g, '')), 'no anchors');
  }
  const [surfaces, requests] = definitions.map(({ object }) => object.spec.names);
  t.match(surfaces, { shortNames: ['cs'], categories: ['surfaced'], singular: 'controlsurface' });
  t.match(requests, { shortNames: ['sreq'], categories: ['surfaced'] });
  const { bindings } =
    definitions[0]?.object.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties ?? {};
  t.match(bindings, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['bank', 'control'],
    items: {
      'x-kubernetes-validations': bindingRules.map(({ cel, message, path }) => ({
        rule: cel,
        message,
        fieldPath: `.${path.join('.')}`,
      })),
    },
  });
});

t.test('kustomize takes the folder', { skip: withoutKubectl }, async (t) => {
  const made = spawnSync('kubectl', ['kustomize', `${root}/deploy/crd`], { encoding: 'utf8' });
  t.equal(made.status, 0, made.stderr);
  t.equal(made.stdout.match(/^kind: CustomResourceDefinition$/gm)?.length, 2);
});

t.test('variants become one object whose rules say what each has', async (t) => {
  const variants = z.discriminatedUnion('verb', [
    z.strictObject({
      verb: z.literal('scale').describe('v'),
      max: z.int().describe('m'),
      step: z.int().default(1),
    }),
    z.strictObject({
      verb: z.enum(['pause', 'resume']).describe('v'),
      max: z.int().describe('m').optional(),
    }),
  ]);
  t.match(structuralOf(variants), {
    type: 'object',
    required: ['verb'],
    properties: { verb: { enum: ['scale', 'pause', 'resume'] }, step: { type: 'integer' } },
    'x-kubernetes-validations': [
      { rule: "!has(self.step) || self.verb in ['scale']", fieldPath: '.step' },
      { rule: "!(self.verb in ['scale']) || has(self.max)", fieldPath: '.max' },
    ],
  });
  t.equal(structuralOf(variants).properties?.step?.default, undefined);
  const bad = z.union([z.strictObject({ a: z.string() }), z.strictObject({ b: z.string() })]);
  t.throws(() => structuralOf(bad), /nothing tells the variants apart/);
  t.throws(() => structuralOf(z.union([z.string(), z.int()])), /variants that differ/);
  t.throws(() => structuralOf(z.record(z.string().regex(/^a/), z.int())), /cannot hold "propertyNames"/);
});

t.test('rules and keys outlive what is made of a schema', async (t) => {
  const rule = { message: 'm', path: ['a'], cel: 'self.a > 0', holds: () => true };
  const inner = withRules(z.strictObject({ a: z.int() }), [rule]);
  const outer = z.strictObject({
    list: keyedBy(z.array(inner.describe('x')), ['a'])
      .default([])
      .describe('y'),
    one: inner.optional().describe('z'),
  });
  t.match(structuralOf(outer).properties, {
    list: {
      'x-kubernetes-list-map-keys': ['a'],
      items: { 'x-kubernetes-validations': [{ rule: 'self.a > 0', message: 'm', fieldPath: '.a' }] },
    },
    one: { 'x-kubernetes-validations': [{ rule: 'self.a > 0' }] },
  });
});
