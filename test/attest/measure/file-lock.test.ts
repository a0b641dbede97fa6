import { open } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { lockFile } from '../../../daemon/attest/measure/file-lock.ts';

t.test('one holds it, until it is closed', async (t) => {
  const name = path.join(t.testdir({ file: '' }), 'file');
  const one = await open(name);
  const other = await open(name);
  await lockFile(one, 0);
  await lockFile(one, 0);
  await t.rejects(lockFile(other, 0), { message: /another process has it locked/ });
  const waiting = lockFile(other, 60);
  await one.close();
  await waiting;
  await other.close();
});

t.test('without flock it fails', async (t) => {
  const file = await open(path.join(t.testdir({ file: '' }), 'file'));
  const { PATH } = process.env;
  process.env.PATH = t.testdirName;
  try {
    await t.rejects(lockFile(file, 0), { code: 'ENOENT' });
  } finally {
    process.env.PATH = PATH;
    await file.close();
  }
});
