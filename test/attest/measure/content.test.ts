import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { contentLimits, contentOf } from '../../../daemon/attest/measure/content.ts';
import { ownFiles } from '../../../daemon/attest/measure/self.ts';

const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex');
const never = new AbortController().signal;
const hexOf = async (name: string) => (await contentOf(name, never)).sha256.toString('hex');

/** What docs/measure.md tells people to run. */
const coreutils = (folder: string): string =>
  execFileSync(
    'bash',
    [
      '-c',
      String.raw`{ find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0r sha256sum
find . -type l -printf 'link\t%P\t%l\n' | LC_ALL=C sort; } | sha256sum`,
    ],
    { cwd: folder, encoding: 'utf8' },
  ).slice(0, 64);

t.test('a file, by the name that it was given', async (t) => {
  const folder = t.testdir({ file: 'one', empty: '', link: t.fixture('symlink', 'file') });
  t.same(await contentOf(path.join(folder, 'file'), never), {
    path: path.join(folder, 'file'),
    sha256: createHash('sha256').update('one').digest(),
  });
  t.equal(await hexOf(path.join(folder, 'empty')), sha256(''));
  const linked = await contentOf(path.join(folder, 'link'), never);
  t.equal(linked.path, path.join(folder, 'link'), 'a link is followed, and its name stays');
  t.equal(linked.sha256.toString('hex'), sha256('one'));
  const here = path.relative('.', path.join(folder, 'x/../file'));
  t.equal((await contentOf(here, never)).path, path.join(folder, 'file'), 'absolute and normal');
  writeFileSync(path.join(folder, 'large'), Buffer.alloc(3_000_001, 7));
  t.equal(await hexOf(path.join(folder, 'large')), sha256(Buffer.alloc(3_000_001, 7)), 'in several pieces');
});

t.test('a folder, as sha256sum lists it', async (t) => {
  const folder = t.testdir({
    b: 'two',
    a: { z: 'three', 'with space': '', deep: { er: 'four' } },
    'a.b': 'five',
    link: t.fixture('symlink', 'a/z'),
    dangling: t.fixture('symlink', '/no/such/file'),
    'ä\u{1f600}': 'six',
    none: {},
  });
  const { path: name, sha256: digest } = await contentOf(folder, never);
  t.equal(name, `${folder}/`);
  t.equal(digest.toString('hex'), coreutils(folder));
  t.equal(
    sha256(
      `${[
        `${sha256('three')}  a/z\n`,
        `${sha256('')}  a/with space\n`,
        `${sha256('four')}  a/deep/er\n`,
        `${sha256('five')}  a.b\n`,
        `${sha256('two')}  b\n`,
        `${sha256('six')}  ä\u{1f600}\n`,
      ]
        .sort((one, other) => Buffer.compare(Buffer.from(one.slice(66)), Buffer.from(other.slice(66))))
        .join('')}link\tdangling\t/no/such/file\nlink\tlink\ta/z\n`,
    ),
    digest.toString('hex'),
  );
  const before = await hexOf(folder);
  const changes: (() => void)[] = [
    () => writeFileSync(path.join(folder, 'a/deep/er'), 'five'),
    () => writeFileSync(path.join(folder, 'none/new'), ''),
    () => symlinkSync('a/z', path.join(folder, 'another')),
  ];
  const seen = new Set([before]);
  for (const change of changes) {
    change();
    seen.add(await hexOf(folder));
  }
  t.equal(seen.size, 4, 'every change changes it');
});

t.test('any names come out as sha256sum writes them', async (t) => {
  const character = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 });
  const name = character.filter(
    (text) =>
      !/[/\\\ufffd\p{Cc}\p{Cs}]/u.test(text) && text !== '.' && text !== '..' && text === text.normalize(),
  );
  let count = 0;
  const base = t.testdir({});
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.tuple(name, name), { maxLength: 6 }), async (files) => {
      const folder = path.join(base, String(count++));
      mkdirSync(folder);
      for (const [inside, file] of files) {
        mkdirSync(path.join(folder, `d${inside}`), { recursive: true });
        writeFileSync(path.join(folder, `d${inside}`, file), file);
      }
      return (await hexOf(folder)) === coreutils(folder);
    }),
    { numRuns: 25 },
  );
});

t.test('what cannot be measured is named', async (t) => {
  const folder = t.testdir({ good: '', bad: { 'line\nbreak': '' }, slash: { 'a\\b': '' } });
  const fails = (name: string, message: RegExp) =>
    t.rejects(contentOf(path.join(folder, name), never), { code: 'E_MEASURE', message });
  await fails('absent', /absent: cannot be read \(ENOENT\)/);
  await fails('bad', /bad: the name "line\\u000abreak" has a character/);
  await fails('slash', /slash: the name "a\\\\b" has a character/);
  execFileSync('mkfifo', [path.join(folder, 'pipe')]);
  await fails('pipe', /pipe: neither file nor folder/);
  await fails('', /pipe: neither file nor folder/);
  await t.rejects(contentOf('/dev/null', never), { message: '/dev/null: neither file nor folder' });
  // The name of a socket has 107 bytes at most, and is cut without a word: not below the project's own folder.
  const short = mkdtempSync(path.join(tmpdir(), 'socket-'));
  t.teardown(() => rmSync(short, { recursive: true }));
  const socket = createServer().listen(path.join(short, 's'));
  await new Promise((resolve) => socket.once('listening', resolve));
  await t.rejects(contentOf(path.join(short, 's'), never), {
    code: 'E_MEASURE',
    message: /s: cannot be read \(ENXIO\)/,
  });
  socket.close();
  const sparse = path.join(folder, 'sparse');
  writeFileSync(sparse, '');
  truncateSync(sparse, contentLimits.mostBytes + 1);
  const calling = new AbortController();
  const reading = contentOf(sparse, calling.signal);
  calling.abort(new Error('called off'));
  await t.rejects(reading, { message: 'called off' }, 'a large file can be called off');
});

t.test('this program', async (t) => {
  const units = t.testdir({
    'surfaced-device.service': '',
    'surfaced-device.service.d': { 'a.conf': '' },
    'other.service': '',
    'service.d': {},
    'surfaced.txt': '',
  });
  const root = path.resolve(import.meta.dirname, '../../..');
  t.same(await ownFiles(['/no/such/folder', units]), [
    process.execPath,
    path.join(root, 'daemon'),
    path.join(root, 'package.json'),
    path.join(root, 'node_modules'),
    path.join(units, 'service.d'),
    path.join(units, 'surfaced-device.service'),
    path.join(units, 'surfaced-device.service.d'),
  ]);
  await t.rejects(ownFiles([path.join(units, 'other.service')]), { code: 'E_MEASURE', message: /ENOTDIR/ });
});
