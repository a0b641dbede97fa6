import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { adapterMissing, ensureAdapter } from '../../../hil/rig/adapters/build.mjs';
import { cacheFolder, keyOf } from '../../../hil/rig/cache.mjs';
import { findKernel, lostOptions } from '../../../hil/rig/kernel/build.mjs';
import { rigMissing } from '../../../hil/rig/missing.ts';

t.test('what is built is kept outside the tree', async (t) => {
  t.equal(cacheFolder({ XDG_CACHE_HOME: '/var/tmp/x' }), '/var/tmp/x/surfaced/rig');
  t.match(cacheFolder({}), /\/\.cache\/surfaced\/rig$/);
  t.equal(cacheFolder({ XDG_CACHE_HOME: 'relative' }), cacheFolder({}), 'a relative path is ignored');
  t.equal(cacheFolder({ XDG_CACHE_HOME: '' }), cacheFolder({}));
});

t.test('a key is made of every byte of every input, and of where they end', async (t) => {
  t.match(keyOf(['a', 'b']), /^[0-9a-f]{32}$/);
  t.equal(keyOf(['a', Buffer.from('b')]), keyOf(['a', 'b']));
  const inputs = fc.array(fc.string(), { maxLength: 4 });
  fc.assert(
    fc.property(inputs, inputs, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other);
      return (keyOf(one) === keyOf(other)) === isSame;
    }),
    {
      examples: [
        [
          ['ab', ''],
          ['a', 'b'],
        ],
        [[''], []],
        [['1:a'], ['a']],
      ],
    },
  );
});

t.test('an option that the kernel source has dropped is found', async (t) => {
  const wanted = '# words\nCONFIG_A=y\nCONFIG_B="text"\nCONFIG_C=n\nCONFIG_D=n\n\nCONFIG_E=y\n';
  t.same(lostOptions(wanted, 'CONFIG_A=y\nCONFIG_B="text"\n# CONFIG_C is not set\nCONFIG_E=y\n'), []);
  t.same(lostOptions(wanted, 'CONFIG_A=m\nCONFIG_B="text"\nCONFIG_D=y\nCONFIG_EE=y\n'), [
    'CONFIG_A=y',
    'CONFIG_D=n',
    'CONFIG_E=y',
  ]);
});

t.test('a kernel that is named is used, or is not there', async (t) => {
  t.teardown(() => {
    delete process.env.SURFACED_RIG_KERNEL;
  });
  process.env.SURFACED_RIG_KERNEL = process.execPath;
  t.equal(findKernel(), process.execPath);
  process.env.SURFACED_RIG_KERNEL = '/nowhere/linux';
  t.equal(findKernel(), null);
});

t.test('why the rig cannot run is a sentence with the remedy', async (t) => {
  const able = { platform: 'linux', arch: 'x64', hasProgram: () => true, findKernel: () => '/cache/linux' };
  t.equal(rigMissing(able), null);
  t.match(
    rigMissing({ ...able, platform: 'darwin', arch: 'arm64' }),
    /Linux on x86-64.*darwin on arm64.*virtual machine/,
  );
  t.match(rigMissing({ ...able, arch: 'arm64' }), /linux on arm64/);
  t.match(
    rigMissing({ ...able, hasProgram: (name) => name !== 'dtc' }),
    /needs dtc: sudo apt-get install -y device-tree-compiler$/,
  );
  t.match(rigMissing({ ...able, findKernel: () => null }), /not built: node hil\/rig\/kernel\/build\.mjs/);
});

for (const name of ['cuse-i2c', 'i2c-shim.so', 'quadrature', 'smbus-calls'] as const) {
  t.test(`${name} compiles without a warning, once`, { skip: adapterMissing(name) ?? false }, async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-adapters-'));
    const before = process.env.XDG_CACHE_HOME;
    process.env.XDG_CACHE_HOME = folder;
    t.teardown(() => {
      if (before === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = before;
      rmSync(folder, { recursive: true });
    });
    const adapter = ensureAdapter(name);
    t.ok(adapter.startsWith(`${folder}/surfaced/rig/`));
    const { mtimeMs } = statSync(adapter);
    t.equal(ensureAdapter(name), adapter);
    t.equal(statSync(adapter).mtimeMs, mtimeMs, 'not compiled again');
  });
}
