import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { imageCacheFolder, keptFolder, keyOf } from '../../../image/toolbox/cache.ts';

t.test('where the cache is', async (t) => {
  t.equal(imageCacheFolder({}), path.join(homedir(), '.cache/surfaced/image'));
  t.equal(imageCacheFolder({ XDG_CACHE_HOME: '/x' }), '/x/surfaced/image');
  t.equal(imageCacheFolder({ XDG_CACHE_HOME: 'x' }), path.join(homedir(), '.cache/surfaced/image'));
  t.equal(imageCacheFolder({ XDG_CACHE_HOME: '/x', SURFACED_CACHE: '/y' }), '/y/image');
});

t.test('a key tells inputs apart', async () => {
  const inputs = fc.array(fc.string(), { maxLength: 4 });
  fc.assert(
    fc.property(inputs, inputs, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other);
      return (keyOf(one) === keyOf(other)) === isSame;
    }),
  );
  t.not(keyOf(['ab', 'c']), keyOf(['a', 'bc']));
});

t.test('kept folders', async (t) => {
  const before = process.env.SURFACED_CACHE;
  process.env.SURFACED_CACHE = t.testdir();
  t.teardown(() => {
    if (before === undefined) delete process.env.SURFACED_CACHE;
    else process.env.SURFACED_CACHE = before;
  });
  const cache = imageCacheFolder(process.env);
  const write = (text: string) => (folder: string) => writeFile(path.join(folder, 'a'), text);

  await t.rejects(
    keptFolder('x', async (folder) => {
      await write('half')(folder);
      throw new Error('cut');
    }),
    /cut/,
  );
  t.same(await readdir(cache), [], 'nothing is left of what failed');

  const folder = await keptFolder('x', write('first'));
  t.equal(folder, path.join(cache, 'x'));
  await keptFolder('x', () => Promise.reject(new Error('made again')));
  t.equal(await readFile(path.join(folder, 'a'), 'utf8'), 'first');

  // Two at once: both begin before either is done.
  let begun = 0;
  let go = () => {};
  const bothBegan = new Promise<void>((resolve) => {
    go = resolve;
  });
  const make = (text: string) =>
    keptFolder('y', async (made) => {
      begun += 1;
      if (begun === 2) go();
      await bothBegan;
      await write(text)(made);
    });
  t.same(await Promise.all([make('one'), make('other')]), [path.join(cache, 'y'), path.join(cache, 'y')]);
  t.match(await readFile(path.join(cache, 'y/a'), 'utf8'), /^(?:one|other)$/);

  for (const name of ['kind-old', 'kind-used', 'other-old']) await keptFolder(name, write(''));
  for (const name of ['kind-old', 'kind-used', 'other-old']) await utimes(path.join(cache, name), 1, 1);
  await keptFolder('kind-used', write(''));
  await keptFolder('kind-new', write(''));
  t.same(
    (await readdir(cache)).filter((name) => name.includes('-')).toSorted(),
    ['kind-new', 'kind-used', 'other-old'],
    'what is of the same kind and was not used for long is gone',
  );

  const [old, young] = ['.unfinished-old', '.unfinished-young'].map((name) => path.join(cache, name));
  for (const name of [old!, young!]) await mkdir(name);
  await utimes(old!, 1, 1);
  await keptFolder('z', write(''));
  t.same(
    (await readdir(cache)).filter((name) => name.startsWith('.')),
    ['.unfinished-young'],
  );
});
