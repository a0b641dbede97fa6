/** What docs/bind.md says of verbs is what there is: a row each, and examples that the gateway takes. */
import t from 'tap';
import { parse } from 'yaml';
import { verbNames, verbShapes } from '../../../../daemon/config/verbs.ts';
import { textOf } from '../../../structure/source-files.ts';
import { surfaceOf } from '../bed.ts';

const guide = textOf('docs/bind.md');

t.test('a row for each verb, with the kinds that it takes', async (t) => {
  const [, section = ''] = guide.split('\n## Verbs\n');
  for (const verb of verbNames) {
    const row = section.split('\n').find((line) => line.startsWith(`| \`${verb}\` |`)) ?? '';
    const isSame = verb === 'ceiling';
    for (const [, kind] of isSame ? [] : (verbShapes[verb].targets ?? []))
      t.match(row, new RegExp(`\\b${kind}\\b`), `${verb} takes a ${kind}`);
    t.not(row, '', verb);
  }
});

t.test('the examples are right', async (t) => {
  const block = guide.split('```yaml\n').find((part) => part.includes('verb: floor')) ?? '';
  const bindings = parse(block.split('```')[0] ?? '');
  t.same(
    bindings.map(({ verb }: { verb: string }) => verb),
    verbNames.filter((verb) => verb !== 'scale'),
  );
  for (const binding of bindings) {
    const target = { namespace: '', ...binding.target };
    t.ok(surfaceOf('desk', [{ max: undefined, ...binding, target }]), binding.verb);
  }
});
