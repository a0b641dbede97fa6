/**
 * What is on the card, as one CycloneDX 1.6 document (ECMA-424): packages of Debian, packages of npm, Node and surfaced
 * itself. The same contents give the same bytes: the serial number is a hash of them, the time that of the commit.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { debianPurl, genericPurl, npmPurl } from './purl.ts';

/** A package of Debian, as the root file system has it. */
export interface DebianComponent {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Its source package, or the same name. */
  readonly source: string;
  /** What its copyright file says in short; null: not known. */
  readonly licence: string | null;
}

/** A package of npm, as the package surfaced has it. */
export interface NpmComponent {
  readonly name: string;
  readonly version: string;
  readonly licence: string | null;
}

const nonEmpty = z.string().min(1);
const component = z.strictObject({
  'bom-ref': nonEmpty,
  type: z.enum(['application', 'library', 'operating-system', 'firmware', 'platform']),
  name: nonEmpty,
  version: nonEmpty,
  purl: z.string().regex(/^pkg:[a-z]+\/[^\s?#]+@[^\s?#]+(?:\?[^\s#]+)?$/),
  licenses: z.tuple([z.strictObject({ license: z.strictObject({ name: nonEmpty }) })]).optional(),
  properties: z.array(z.strictObject({ name: nonEmpty, value: z.string() })).optional(),
});

/** The fields of CycloneDX 1.6 that are used, as its JSON schema has them. */
export const sbomSchema = z
  .strictObject({
    $schema: z.literal('http://cyclonedx.org/schema/bom-1.6.schema.json'),
    bomFormat: z.literal('CycloneDX'),
    specVersion: z.literal('1.6'),
    serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
    version: z.literal(1),
    metadata: z.strictObject({ timestamp: z.iso.datetime(), component }),
    components: z.array(component),
    dependencies: z.array(z.strictObject({ ref: nonEmpty, dependsOn: z.array(nonEmpty) })),
  })
  .refine(
    ({ components, metadata }) => {
      const references = [metadata.component, ...components].map((entry) => entry['bom-ref']);
      return new Set(references).size === references.length;
    },
    { message: 'two components have the same bom-ref' },
  );
/** An SBOM of {@link sbomSchema}. */
export type Sbom = z.infer<typeof sbomSchema>;
type Component = Sbom['components'][number];

const distribution = 'debian-13';
/** Packages that are firmware, which is what the firmware partition has of them. */
const firmwareNames = /^(?:raspi-firmware|u-boot-|firmware-)/;

// A name, not an identifier: what copyright files say is not always one of the SPDX list.
const licencesOf = (licence: string | null): Pick<Component, 'licenses'> =>
  licence === null || licence === '' ? {} : { licenses: [{ license: { name: licence } }] };

function debianComponent(entry: DebianComponent): Component {
  const purl = debianPurl(entry, distribution);
  return {
    'bom-ref': purl,
    type: firmwareNames.test(entry.name) ? 'firmware' : 'library',
    name: entry.name,
    version: entry.version,
    purl,
    ...licencesOf(entry.licence),
    properties: [{ name: 'surfaced:debian:source', value: entry.source }],
  };
}

function npmComponent(entry: NpmComponent): Component {
  const purl = npmPurl(entry);
  // Node comes from a package of npm too, and is no library.
  const isNode = entry.name.startsWith('node-linux-');
  return {
    'bom-ref': purl,
    type: isNode ? 'platform' : 'library',
    name: entry.name,
    version: entry.version,
    purl,
    ...licencesOf(entry.licence),
  };
}

/** A UUID of version 8 (RFC 9562, 5.8: free use) out of a hash. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [0, 8, 12, 16, 20].map((at, index, all) => hex.slice(at, all[index + 1] ?? 32)).join('-');
}

/**
 * The SBOM of an image. Packages may come in any order and more than once. `epoch` is in seconds.
 * @throws ZodError when a package has no name or no version
 */
export function sbomOf({
  version,
  epoch,
  debian,
  npm,
}: {
  readonly version: string;
  readonly epoch: number;
  readonly debian: readonly DebianComponent[];
  readonly npm: readonly NpmComponent[];
}): Sbom {
  const purl = genericPurl({ name: 'surfaced-image', version });
  const image: Component = {
    'bom-ref': purl,
    type: 'operating-system',
    name: 'surfaced-image',
    version,
    purl,
    ...licencesOf('Apache-2.0'),
  };
  const own = genericPurl({ name: 'surfaced', version });
  const program: Component = { ...image, 'bom-ref': own, type: 'application', name: 'surfaced', purl: own };
  const all = [program, ...debian.map(debianComponent), ...npm.map(npmComponent)];
  const byReference = new Map(all.map((entry) => [entry['bom-ref'], entry]));
  const references = [...byReference.keys()].toSorted();
  const components = references.flatMap((reference) => byReference.get(reference) ?? []);
  const timestamp = new Date(epoch * 1_000).toISOString();
  const content = JSON.stringify([timestamp, image, components]);
  return sbomSchema.parse({
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(content)}`,
    version: 1,
    metadata: { timestamp, component: image },
    components,
    dependencies: [{ ref: purl, dependsOn: references }],
  });
}
