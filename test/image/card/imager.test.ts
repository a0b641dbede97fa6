import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import t from 'tap';
import { boardProfiles } from '../../../image/card/boards.ts';
import { imagerManifest, imagerManifestSchema } from '../../../image/card/imager.ts';

const profile = boardProfiles.debian;
const image = { name: 'surfaced-0.1.0-debian.img', bytes: 1_484_783_616, sha256: 'a'.repeat(64) };
const download = { name: 'surfaced-0.1.0-debian.img.xz', bytes: 160_000_000, sha256: 'b'.repeat(64) };
const input = {
  profile,
  version: '0.1.0',
  epoch: 1_790_000_000,
  base: new URL('https://example.org/surfaced/0.1.0'),
  image,
  download,
  icon: 'surfaced.svg',
};

t.test('the manifest of a release', async (t) => {
  const manifest = imagerManifest(input);
  t.same(manifest.os_list, [
    {
      name: 'surfaced 0.1.0',
      description: 'A control surface for Kubernetes, for Raspberry Pi 3, 4 and Zero 2 W',
      icon: 'https://example.org/surfaced/0.1.0/surfaced.svg',
      url: 'https://example.org/surfaced/0.1.0/surfaced-0.1.0-debian.img.xz',
      extract_size: 1_484_783_616,
      extract_sha256: 'a'.repeat(64),
      image_download_size: 160_000_000,
      image_download_sha256: 'b'.repeat(64),
      release_date: '2026-09-21',
      init_format: 'rpi-preseed',
      architecture: 'armv8',
      devices: ['pi3-64bit', 'pi4-64bit'],
    },
  ]);
  t.same(
    manifest.imager.devices.map(({ tags }) => tags),
    [['pi3-64bit'], ['pi4-64bit']],
    'Imager asks for the board first',
  );
});

t.test('files on this machine', async (t) => {
  const base = new URL('file:///home/maker/dist/image/');
  const [entry] = imagerManifest({ ...input, base, download: image }).os_list;
  t.equal(entry?.url, 'file:///home/maker/dist/image/surfaced-0.1.0-debian.img');
});

t.test('what Imager would not take is refused', async (t) => {
  t.throws(() => imagerManifest({ ...input, base: new URL('ftp://example.org/') }));
  t.throws(() => imagerManifest({ ...input, image: { ...image, sha256: 'A'.repeat(64) } }));
  t.throws(() => imagerManifest({ ...input, download: { ...download, bytes: 0 } }));
  const manifest = imagerManifest(input);
  t.throws(() => imagerManifestSchema.parse({ ...manifest, os_list: [] }));
  const [entry] = manifest.os_list;
  t.throws(() =>
    imagerManifestSchema.parse({ ...manifest, os_list: [{ ...entry, init_format: 'systemd' }] }),
  );
});

// raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json: theirs to change, and so not kept here.
const schemaFile = process.env.SURFACED_IMAGER_SCHEMA;
t.test(
  "Imager's own schema takes it",
  { skip: schemaFile === undefined && 'SURFACED_IMAGER_SCHEMA does not name a copy of os-list-schema.json' },
  async (t) => {
    // Ajv is fastify's; the project has no use for it but here.
    const { Ajv } = createRequire(createRequire(import.meta.url).resolve('fastify'))('ajv');
    // No names by `$id`: those of this schema are none that could be resolved.
    const validate = new Ajv({ strict: false, schemaId: '$none' }).compile(
      JSON.parse(readFileSync(schemaFile ?? '', 'utf8')),
    );
    t.ok(validate(imagerManifest(input)), JSON.stringify(validate.errors));
    t.notOk(validate({ os_list: [{ name: 'x' }] }), 'it is a schema');
  },
);
