import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { readRoots } from '../../daemon/attest/roots.ts';

const state = new URL('tpm2/live/state/', import.meta.url);
const [root, issuer] = await Promise.all(
  ['swtpm-localca-rootca-cert.pem', 'issuercert.pem'].map((name) => readFile(new URL(name, state), 'utf8')),
);

t.test('PEM, bundles and DER, each certificate once', async (t) => {
  const folder = t.testdir({
    'a.pem': `Some words.\n${root}\nMore words.\n${issuer}`,
    'b.crt': issuer!.replaceAll('\n', '\r\n'),
    'c.der': new X509Certificate(root!).raw,
    '.hidden': 'nonsense',
  });
  const { certificates, problems } = await readRoots(folder);
  t.same(problems, []);
  const expected = [root, issuer].map((pem) =>
    new X509Certificate(pem!).fingerprint256.replaceAll(':', '').toLowerCase(),
  );
  t.same(certificates.map(({ sha256 }) => sha256).toSorted(), expected.toSorted());
});

t.test('what cannot be read is told by name, and takes nothing else along', async (t) => {
  const broken = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  const folder = t.testdir({ 'a.pem': `${broken}${root}`, 'b.pem': 'nonsense', c: {}, 'd.pem': '' });
  const { certificates, problems } = await readRoots(folder);
  t.equal(certificates.length, 1);
  t.same(
    problems.map(({ source }) => path.basename(source)),
    ['a.pem', 'b.pem', 'c', 'd.pem'],
  );
  const none = await readRoots(path.join(folder, 'none'));
  t.match(none, { certificates: [], problems: [{ message: /ENOENT/ }] });
  t.same(await readRoots(null), { certificates: [], problems: [] });
});

const fixtures = process.env.SURFACED_FIXTURES;
t.test(
  'the roots of vendors',
  { skip: fixtures === undefined && 'SURFACED_FIXTURES is not set' },
  async (t) => {
    const folder = path.join(fixtures ?? '', 'attest', 'third-party', 'ek-roots');
    const { certificates, problems } = await readRoots(folder);
    t.comment(`${certificates.length} of ${(await readdir(folder)).length} files`);
    for (const { source, message } of problems) t.comment(`${path.basename(source)}: ${message}`);
    t.ok(certificates.length > 10);
  },
);
