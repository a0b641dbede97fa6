import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { sourceState } from '../../../image/card/source-state.ts';
import { missingPrograms } from './host-tools.ts';

const environment = { PATH: process.env.PATH, HOME: '/nonexistent' };

t.test('a checkout', { skip: missingPrograms('git') }, async (t) => {
  const folder = t.testdir({ file: 'one' });
  const git = (...args: string[]): void => {
    execFileSync(
      'git',
      ['-C', folder, '-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost', ...args],
      {
        env: { ...environment, GIT_COMMITTER_DATE: '1790000000 +0200' },
        stdio: 'ignore',
      },
    );
  };
  git('init');
  git('add', 'file');
  git('commit', '-m', 'one');
  const clean = await sourceState(folder, environment);
  t.match(clean, { commit: /^[0-9a-f]{40}$/, isDirty: false, epoch: 1_790_000_000 });
  const given = await sourceState(folder, { ...environment, SOURCE_DATE_EPOCH: '1700000000' });
  t.equal(given.epoch, 1_700_000_000);
  appendFileSync(path.join(folder, 'file'), 'two');
  t.match(await sourceState(folder, environment), { commit: clean.commit, isDirty: true });
});

t.test('no checkout', async (t) => {
  const nowhere = '/nonexistent/folder';
  await t.rejects(sourceState(nowhere, environment), { code: 'E_IMAGE_ORDER', message: /SOURCE_DATE_EPOCH/ });
  t.same(await sourceState(nowhere, { ...environment, SOURCE_DATE_EPOCH: '1700000000' }), {
    commit: null,
    isDirty: false,
    epoch: 1_700_000_000,
  });
  for (const SOURCE_DATE_EPOCH of ['', 'now', '-1', '1.5', '12', '99999999999', '1e9'])
    await t.rejects(sourceState(nowhere, { ...environment, SOURCE_DATE_EPOCH }), {
      code: 'E_IMAGE_ORDER',
      message: /not seconds between/,
    });
});
