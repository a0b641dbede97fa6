import t from 'tap';
import { importsOf, sourceFiles, textOf } from './source-files.ts';

/** Tests are lists of cases, the error table has an entry for each error: both may be longer. */
const longestFile = (file: string) => (file.startsWith('test/') || file === 'daemon/errors.ts' ? 700 : 450);

t.test('files stay short and imports carry their extension', async (t) => {
  for (const file of sourceFiles('daemon', 'hil', 'image', 'scripts', 'test', 'bench')) {
    const text = textOf(file);
    const lines = text.split('\n').length - 1;
    t.ok(lines <= longestFile(file), `${file} has ${lines} lines, at most ${longestFile(file)}`);
    // The sample in the test of imports itself is text, not code.
    if (file === 'test/structure/imports.test.ts') continue;
    const bare = importsOf(file, text).filter(
      ({ specifier }) => specifier.startsWith('.') && !/\.(?:ts|tsx|mjs|json|css)$/.test(specifier),
    );
    t.same(bare, [], `${file}: relative imports have an extension`);
  }
});

t.test('nothing is left for later, no check is switched off without a reason', async (t) => {
  for (const file of sourceFiles('daemon', 'hil', 'image', 'scripts', 'test', 'bench')) {
    if (file === 'test/structure/files.test.ts') continue;
    const text = textOf(file);
    t.notMatch(text, /\b(?:TODO|FIXME|XXX)\b/, file);
    t.notMatch(text, /@ts-(?:ignore|nocheck)|\bas any\b/, file);
    t.notMatch(text, /biome-ignore [a-zA-Z/]+(?:: *$|[^:]*$)/m, `${file}: biome-ignore has a reason`);
  }
});
