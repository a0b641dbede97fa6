/** What of Debian goes into the container image, from a tree that stands for the unpacked packages. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { containerSelection } from '../../../image/oci/packages.ts';
import { layBase } from '../../../image/oci/root.ts';

t.test('libraries, certificates and users; no shell, nothing of this host, no mode that helps', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'surfaced-oci-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const [tree, folder] = [path.join(dir, 'tree'), path.join(dir, 'made')];
  mkdirSync(folder);
  const files: Readonly<Record<string, number>> = {
    'usr/lib/x86_64-linux-gnu/libc.so.6': 0o755,
    'usr/lib/os-release': 0o644,
    'usr/share/ca-certificates/mozilla/b.crt': 0o644,
    'usr/share/ca-certificates/mozilla/a.crt': 0o644,
    'usr/share/gcc/python/x.py': 0o644,
    'usr/bin/helper': 0o4755,
    'etc/debian_version': 0o640,
    'etc/resolv.conf': 0o644,
    'etc/hostname': 0o644,
    'etc/apt/sources.list': 0o644,
    'var/lib/apt/lists/lock': 0o640,
  };
  for (const [name, mode] of Object.entries(files)) {
    mkdirSync(path.join(tree, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(tree, name), `${path.basename(name)}\n`);
    chmodSync(path.join(tree, name), mode);
  }
  symlinkSync('usr/lib', path.join(tree, 'lib'));
  symlinkSync('../usr/lib/os-release', path.join(tree, 'etc/os-release'));
  const packages = [
    { name: 'libc6', version: '2.41-12', architecture: 'amd64', source: 'glibc', licence: null },
  ];
  await layBase({ tree, packages, folder });

  const made = readdirSync(folder, { recursive: true, withFileTypes: true });
  const names = made
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  t.same(names.toSorted(), [
    'etc/debian_version',
    'etc/group',
    'etc/nsswitch.conf',
    'etc/os-release',
    'etc/passwd',
    'etc/ssl/certs/ca-certificates.crt',
    'lib',
    'usr/bin/helper',
    'usr/lib/os-release',
    'usr/lib/x86_64-linux-gnu/libc.so.6',
    'var/lib/dpkg/status.d/libc6',
    'var/run',
  ]);
  const text = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
  t.equal(text('etc/ssl/certs/ca-certificates.crt'), 'a.crt\nb.crt\n', 'always in the same order');
  t.match(text('etc/passwd'), /^surfaced:x:65532:65532:/m);
  t.match(text('var/lib/dpkg/status.d/libc6'), /^Package: libc6\n[\s\S]*^Version: 2\.41-12$/m);
  const mode = (name: string): number => lstatSync(path.join(folder, name)).mode & 0o7777;
  t.equal(mode('usr/bin/helper'), 0o755, 'no set-user-ID');
  t.equal(mode('etc/debian_version'), 0o644);
  t.equal(mode('tmp'), 0o1777);
  t.equal(lstatSync(path.join(folder, 'lib')).isSymbolicLink(), true);
});

t.test('the same packages for both architectures, from the main part of the archive alone', async (t) => {
  const [one, other] = [containerSelection('amd64'), containerSelection('arm64')];
  t.same({ ...one, architecture: null }, { ...other, architecture: null });
  t.same(one.components, ['main']);
});
