/** The CustomResourceDefinitions (apiextensions.k8s.io/v1), made from the zod schemas into deploy/crd. */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import type { z } from 'zod';
import {
  kubeGroup,
  surfaceRequestSchema,
  surfaceStatusSchema,
} from '../../daemon/config/custom-resources.ts';
import { controlSurfaceSchema } from '../../daemon/config/schema.ts';
import { type StructuralNode, structuralOf } from './structural.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: 1;
}

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly about: string;
  readonly schema: z.ZodType;
  readonly status: z.ZodType | null;
  readonly columns: readonly Column[];
}

const condition = (type: string, description: string): Column => ({
  name: type,
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
  description,
});
const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'How long it is there.',
};

const definitions: readonly Definition[] = [
  {
    kind: 'ControlSurface',
    plural: 'controlsurfaces',
    shortNames: ['cs'],
    about: 'A control surface: which TPM it is, and what each of its controls is bound to.',
    schema: controlSurfaceSchema,
    status: surfaceStatusSchema,
    columns: [
      condition('Approved', 'Whether it may act, if it proves itself.'),
      condition('Attested', 'Whether its last evidence holds.'),
      {
        name: 'Level',
        type: 'integer',
        jsonPath: '.status.level',
        description: 'What its evidence supports, 0 to 3.',
      },
      condition('Connected', 'Whether it is there.'),
      condition('Resolved', 'Whether the targets of its bindings are found.'),
      { ...condition('Valid', 'Whether the gateway can use the object as it is.'), priority: 1 },
      {
        name: 'Firmware',
        type: 'string',
        jsonPath: '.status.firmware',
        description: 'Version of its program, by its own word.',
        priority: 1,
      },
      {
        name: 'Last seen',
        type: 'date',
        jsonPath: '.status.lastSeen',
        description: 'When the gateway heard of it last.',
        priority: 1,
      },
      age,
    ],
  },
  {
    kind: 'SurfaceRequest',
    plural: 'surfacerequests',
    shortNames: ['sreq'],
    about:
      'A TPM that asks to be let in and that no surface is approved for. Made and removed by the gateway; decided by people.',
    schema: surfaceRequestSchema,
    status: null,
    columns: [
      {
        name: 'Code',
        type: 'string',
        jsonPath: '.status.pairingCode',
        description: 'To be compared with the panel.',
      },
      {
        name: 'Certificate',
        type: 'boolean',
        jsonPath: '.status.hasTrustedCertificate',
        description: 'Whether its certificate leads to a root of yours.',
      },
      {
        name: 'Address',
        type: 'string',
        jsonPath: '.status.address',
        description: 'Address that it knocked from last.',
      },
      { name: 'Decision', type: 'string', jsonPath: '.spec.decision', description: 'What is decided.' },
      {
        name: 'Surface',
        type: 'string',
        jsonPath: '.spec.surface',
        description: 'The surface that it is to be.',
      },
      {
        ...condition('Refused', 'Whether the decision cannot be carried out.'),
        jsonPath: '.status.conditions[?(@.type=="Refused")].reason',
      },
      {
        name: 'EK',
        type: 'string',
        jsonPath: '.status.ekSha256',
        description: 'SHA-256 of its endorsement key.',
        priority: 1,
      },
      age,
    ],
  },
];

/** Version of the only API version. */
const version = 'v1alpha1';

/** Annotation by which a gateway sees whether a definition is that of its own version. */
const schemaAnnotation = 'surfaced.dev/schema';

function rootOf({ schema, status, about }: Definition): StructuralNode {
  const { properties = {}, required = [] } = structuralOf(schema);
  const { apiVersion: _, kind: __, metadata, ...rest } = properties;
  return {
    type: 'object',
    description: about,
    properties: {
      apiVersion: { type: 'string', description: 'Version of this kind.' },
      kind: { type: 'string', description: 'Kind of this object.' },
      ...(metadata && { metadata: { type: 'object', properties: metadata.properties ?? {} } }),
      ...rest,
      ...(status && { status: { ...structuralOf(status), description: 'What the gateway says of it.' } }),
    },
    required: required.filter((field) => field !== 'apiVersion' && field !== 'kind' && field !== 'metadata'),
  };
}

/** What a gateway needs to know of a definition. */
interface Written {
  readonly name: string;
  /** First 16 hex digits of SHA-256 over names, columns and schema. */
  readonly hash: string;
  readonly object: Readonly<Record<string, unknown>>;
}

function write(definition: Definition): Written {
  const { kind, plural, shortNames, columns } = definition;
  const name = `${plural}.${kubeGroup}`;
  const spec = {
    group: kubeGroup,
    names: {
      kind,
      listKind: `${kind}List`,
      plural,
      singular: kind.toLowerCase(),
      shortNames,
      categories: ['surfaced'],
    },
    scope: 'Namespaced',
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: columns,
        schema: { openAPIV3Schema: rootOf(definition) },
      },
    ],
  };
  const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16);
  const object = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name,
      annotations: { [schemaAnnotation]: hash },
      labels: { 'app.kubernetes.io/name': 'surfaced', 'app.kubernetes.io/part-of': 'surfaced' },
    },
    spec,
  };
  return { name, hash, object };
}

/** The generated files: path from the root of the project -> content. */
export function definitionFiles(): Map<string, string> {
  const files = new Map<string, string>();
  const written = definitions.map(write);
  for (const [index, { object }] of written.entries())
    files.set(
      `deploy/crd/${definitions[index]?.plural}.yaml`,
      `# Made by \`npm run schemas\` from daemon/config/; changes here are lost.\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`,
    );
  files.set(
    'deploy/crd/kustomization.yaml',
    `# Made by \`npm run schemas\`; changes here are lost.\n${stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: definitions.map(({ plural }) => `${plural}.yaml`),
    })}`,
  );
  files.set(
    'daemon/bridge/registry/cluster/definition-hashes.ts',
    `/** Made by \`npm run schemas\`: what deploy/crd is of this version; changes here are lost. */

/** Annotation of a CustomResourceDefinition that holds its hash. */
export const schemaAnnotation = '${schemaAnnotation}';

/** Hash of each definition, by its name. */
export const definitionHashes: Readonly<Record<string, string>> = {
${written.map(({ name, hash }) => `  '${name}': '${hash}',`).join('\n')}
};
`,
  );
  return files;
}
