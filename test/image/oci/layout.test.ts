/** The container image's JSON: hashes that fit, user and labels, and the same bytes for the same parts. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  annotationsOf,
  type Blob,
  blobOf,
  containerUser,
  type Descriptor,
  entryOf,
  type ImageFacts,
  imageOf,
  indexOf,
  type Layer,
  mediaTypes,
} from '../../../image/oci/layout.ts';

const facts: ImageFacts = { version: '1.2.3', commit: 'c0ffee', epoch: 1_700_000_000 };
const layer = (text: string): Layer => ({
  descriptor: blobOf(mediaTypes.layer, Buffer.from(text)).descriptor,
  diffId: `sha256:${createHash('sha256').update(`tar ${text}`).digest('hex')}`,
  comment: text,
});
const image = (changed: Partial<Parameters<typeof imageOf>[0]> = {}) =>
  imageOf({
    facts,
    architecture: 'amd64',
    layers: [layer('base'), layer('program')],
    sbom: '{}',
    ...changed,
  });

const isTrue = ({ descriptor: { digest, size }, bytes }: Blob): boolean =>
  size === bytes.byteLength && digest === `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const read = (blobs: readonly Blob[], { digest }: Descriptor): Record<string, never> =>
  JSON.parse(
    Buffer.from(blobs.find(({ descriptor }) => descriptor.digest === digest)?.bytes ?? []).toString(),
  ) as Record<string, never>;

t.test('a descriptor is the hash and the size of its bytes', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => isTrue(blobOf(mediaTypes.config, bytes))),
  );
});

t.test('what a manifest names is there, and what Kubernetes asks of the config', async (t) => {
  const { manifest, sbom, blobs } = image();
  t.ok(blobs.every(isTrue), 'every blob has its own hash');
  const read1 = read(blobs, manifest) as unknown as { config: Descriptor; layers: Descriptor[] };
  t.same(
    read1.layers.map(({ digest }) => digest),
    ['base', 'program'].map((text) => layer(text).descriptor.digest),
    'layers in their order',
  );
  const config = read(blobs, read1.config) as unknown as {
    architecture: string;
    rootfs: { diff_ids: string[] };
    config: { User: string; Entrypoint: string[]; Labels: object };
  };
  t.equal(config.architecture, 'amd64');
  t.equal(config.config.User, `${containerUser}:${containerUser}`, 'a number: runAsNonRoot can be checked');
  t.same(config.config.Entrypoint, ['/usr/bin/surfaced']);
  t.same(config.config.Labels, annotationsOf(facts));
  t.same(
    config.rootfs.diff_ids,
    ['base', 'program'].map((text) => layer(text).diffId),
    'of the tars, not of what they are packed into',
  );
  t.same(manifest.platform, { architecture: 'amd64', os: 'linux' });

  const attached = read(blobs, sbom) as unknown as {
    subject: Descriptor;
    artifactType: string;
    layers: Descriptor[];
  };
  t.equal(attached.subject.digest, manifest.digest, 'the SBOM refers to this image');
  t.equal(attached.artifactType, 'application/vnd.cyclonedx+json');
  t.ok(blobs.some(({ descriptor }) => descriptor.digest === attached.layers[0]?.digest));
});

t.test('the same parts are the same image, any other part is another one', async (t) => {
  const digest = image().manifest.digest;
  t.equal(image().manifest.digest, digest);
  const others: Partial<Parameters<typeof imageOf>[0]>[] = [
    { architecture: 'arm64' },
    { facts: { ...facts, version: '1.2.4' } },
    { facts: { ...facts, commit: null } },
    { facts: { ...facts, epoch: facts.epoch + 1 } },
    { layers: [layer('program'), layer('base')] },
  ];
  for (const changed of others) t.not(image(changed).manifest.digest, digest, JSON.stringify(changed));
  t.equal(image({ sbom: '{"a":1}' }).manifest.digest, digest, 'its SBOM is beside it, not in it');
});

t.test('the index has both architectures, the layout names it', async (t) => {
  const manifests = (['amd64', 'arm64'] as const).map((architecture) => image({ architecture }).manifest);
  const index = indexOf(facts, manifests);
  t.ok(isTrue(index));
  const listed = JSON.parse(Buffer.from(index.bytes).toString()) as { manifests: Descriptor[] };
  t.same(
    listed.manifests.map(({ platform }) => platform?.architecture),
    ['amd64', 'arm64'],
  );
  const entry = JSON.parse(entryOf(index.descriptor, '1.2.3', [image().sbom])) as { manifests: Descriptor[] };
  t.same(entry.manifests[0]?.annotations, { 'org.opencontainers.image.ref.name': '1.2.3' });
  t.equal(entry.manifests[1]?.annotations, undefined, 'only the image has the name');
});
