import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { writeStateFile } from '../../daemon/attest/state-files.ts';

t.test('a file is there as a whole, for its owner only, and nothing beside it', async (t) => {
  const folder = t.testdir();
  const file = path.join(folder, 'state');
  t.equal(await writeStateFile(file, 'one', { isExclusive: true }), true);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(await writeStateFile(file, 'two', { isExclusive: true }), false, 'somebody was first');
  t.equal(readFileSync(file, 'utf8'), 'one');
  t.equal(await writeStateFile(file, 'three', { isExclusive: false }), true);
  t.equal(readFileSync(file, 'utf8'), 'three');
  t.same(readdirSync(folder), ['state']);
});

t.test('what fails leaves nothing behind, however often it is tried', async (t) => {
  const folder = t.testdir();
  // A folder cannot be replaced by a file: the last step fails, as it does on a disk that is full or failing.
  const file = path.join(folder, 'state');
  mkdirSync(file);
  for (const _ of [1, 2, 3])
    await t.rejects(writeStateFile(file, 'text', { isExclusive: false }), { code: 'E_STATE_DIR' });
  t.same(readdirSync(folder), ['state']);
});
