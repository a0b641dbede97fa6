import t from 'tap';
import { type Kind, parseConfig } from '../../daemon/config/load.ts';
import { kinds } from '../../daemon/config/schema.ts';
import { errorTable } from '../../daemon/errors.ts';
import type { SchemaNode } from '../../scripts/config-reference.ts';
import { generate } from '../../scripts/schemas.ts';
import { sourceFiles, textOf } from './source-files.ts';

t.test('schemas and generated pages are up to date', async (t) => {
  for (const [file, content] of generate())
    t.equal(
      textOf(file) === content,
      true,
      `${file}: if this fails, run \`npm run schemas\` and commit the result`,
    );
});

t.test('every field of a config is described', async (t) => {
  const undescribed = (node: SchemaNode, path: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
      const at = `${path}.${name}`;
      const items = [field, ...(field.oneOf ?? []), ...(field.items ? [field.items] : [])];
      const inner = items.flatMap((item) => [item, ...(item.oneOf ?? [])]);
      return [
        ...(field.description ? [] : [at]),
        ...[...new Set(inner)].flatMap((item) => undescribed(item, at)),
      ];
    });
  for (const [file, content] of generate()) {
    if (file.startsWith('schemas/')) t.same(undescribed(JSON.parse(content) as SchemaNode, file), []);
  }
});

t.test('the samples in docs/config.md are good configs', async (t) => {
  const samples = [...textOf('docs/config.md').matchAll(/^## (\w+)$[\s\S]*?```yaml\n([\s\S]*?)```/gm)];
  t.same(samples.map(([, kind]) => kind).toSorted(), Object.keys(kinds).toSorted());
  for (const [, kind = '', text = ''] of samples) {
    t.doesNotThrow(() => parseConfig(kind as Kind, text, 'docs/config.md'), kind);
  }
});

t.test('every error code is documented and raised somewhere', async (t) => {
  const documented = textOf('docs/errors.md');
  const sources = sourceFiles('daemon', 'hil', 'image').filter((file) => file !== 'daemon/errors.ts');
  const code = sources.map(textOf).join('\n');
  for (const [name, entry] of Object.entries(errorTable)) {
    t.ok(documented.includes(`### ${name}\n`), `${name} is in docs/errors.md`);
    // Not `match`: it would print all the code when it fails.
    t.ok(code.includes(`'${name}'`), `${name} is raised`);
    t.notMatch(entry.title, /\.$/, `${name}: title without a full stop`);
    t.match(entry.remedy, /\.$/, `${name}: remedy with one`);
  }
});
