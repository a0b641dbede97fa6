import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { createReferences } from '../../../daemon/attest/policy/match.ts';
import { parseReferenceSet, reference } from '../../../daemon/attest/policy/reference-set.ts';
import { kernelArguments, referenceSetFor, versionNumber } from '../../../image/update/references.ts';

const root = mkdtempSync(path.join(tmpdir(), 'sd-r-'));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
};
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const rootHash = 'ab'.repeat(32);

write('boot/cmdline', 'console=tty1 panic=10\n');
write('usr/lib/surfaced/bin/node', 'node');
write('usr/lib/surfaced/package.json', '{}');
write('usr/lib/surfaced/dist/daemon/main.js', 'main');
write('usr/lib/surfaced/dist/daemon/chunk.js', 'chunk');
write('usr/lib/surfaced/node_modules/koffi/index.js', 'koffi');
write('usr/lib/systemd/system/surfaced-device.service', 'unit');
write('usr/lib/systemd/system/surfaced-device.service.d/update.conf', 'drop-in');
write('usr/lib/systemd/system/ssh.service', 'not ours');
mkdirSync(path.join(root, 'etc/systemd/system'), { recursive: true });
symlinkSync(
  '/usr/lib/systemd/system/surfaced-device.service',
  path.join(root, 'etc/systemd/system/surfaced-alias.service'),
);

t.test('what a surface will measure, by the paths that it will have', async (t) => {
  const text = await referenceSetFor({ root, rootHash, version: '1.2.3' });
  const { metadata, spec } = parseReferenceSet(Buffer.from(text), 'references');
  t.match(metadata, { name: 'surfaced-image', version: 1_002_003 });
  t.equal(spec.mayHaveOtherFiles, true, 'the Device file is another one on every surface');
  t.same(
    spec.files.map(({ path: name, sha256: [first] }) => [name, first]),
    [
      ['/run/surfaced/boot/root-hash', sha256(`${rootHash}\n`)],
      ['/run/surfaced/boot/cmdline', sha256('console=tty1 panic=10 surfaced.slot=a rauc.slot=a\n')],
      ['/usr/lib/surfaced/bin/node', sha256('node')],
      [
        '/usr/lib/surfaced/dist/',
        sha256(`${sha256('chunk')}  daemon/chunk.js\n${sha256('main')}  daemon/main.js\n`),
      ],
      ['/usr/lib/surfaced/package.json', sha256('{}')],
      ['/usr/lib/surfaced/node_modules/', sha256(`${sha256('koffi')}  koffi/index.js\n`)],
      ['/etc/systemd/system/surfaced-alias.service', sha256('unit')],
      ['/usr/lib/systemd/system/surfaced-device.service', sha256('unit')],
      ['/usr/lib/systemd/system/surfaced-device.service.d/', sha256(`${sha256('drop-in')}  update.conf\n`)],
    ],
  );
  t.ok(spec.files.every(({ isRequired }) => isRequired));
  t.ok(Buffer.byteLength(text) < 8192, `${Buffer.byteLength(text)} bytes`);
});

t.test('policy takes a surface that measures so in either slot, and no other', async (t) => {
  const text = await referenceSetFor({ root, rootHash, version: '1.2.3' });
  const set = parseReferenceSet(Buffer.from(text), 'references');
  const parts = { file: 'references', bytes: Buffer.from(text), signer: null, contents: null };
  const known = reference(set, parts);
  const slots = known.files.get('/run/surfaced/boot/cmdline')?.sha256 ?? new Set();
  for (const slot of ['a', 'b'] as const)
    t.ok(slots.has(sha256(kernelArguments('console=tty1 panic=10\n', slot))), slot);
  t.notOk(slots.has(sha256('console=tty1 panic=10 surfaced.slot=a rauc.slot=a init=/bin/sh\n')));
  t.equal(createReferences('surfaced-image', [known]).name, 'surfaced-image');
});

t.test('versions as numbers', async (t) => {
  t.equal(versionNumber('0.1.0'), 1000);
  t.equal(versionNumber('999.999.999'), 999_999_999);
  t.equal(versionNumber('1.2.3-rc.1'), 1_002_003);
  for (const wrong of ['0.0.0', '1.1000.0', '1.2', '1000.0.0'])
    t.throws(() => versionNumber(wrong), { code: 'E_IMAGE_ORDER' });
});

t.test('a tree without the program', async (t) => {
  const empty = mkdtempSync(path.join(tmpdir(), 'sd-r-'));
  t.teardown(() => rmSync(empty, { recursive: true, force: true }));
  mkdirSync(path.join(empty, 'boot'));
  writeFileSync(path.join(empty, 'boot/cmdline'), 'x\n');
  await t.rejects(referenceSetFor({ root: empty, rootHash, version: '1.0.0' }), { code: 'E_MEASURE' });
});
