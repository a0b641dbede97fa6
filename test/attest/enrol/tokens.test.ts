import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import {
  isSameProof,
  keyHash,
  newToken,
  readToken,
  tokenProof,
} from '../../../daemon/attest/enrol/token-proof.ts';
import { openTokens, type Tokens } from '../../../daemon/attest/enrol/tokens.ts';
import { testClock } from './rig.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const hour = 3_600_000;
const nonce = Buffer.alloc(32, 7);

const prove = (tokens: Tokens, token: string, keyName: string) => {
  const { id, key } = readToken(token)!;
  const hash = keyHash(Buffer.from(keyName));
  return tokens.prove({ id, nonce, keyHash: hash, proof: tokenProof(key, nonce, hash) });
};

t.test('what a token looks like and what is stored of it', async (t) => {
  const folder = path.join(t.testdir(), 'tokens');
  const tokens = openTokens({ folder, clock: testClock(now) });
  t.same(await tokens.list(), [], 'no folder yet');
  const { token, id, expiresAt } = await tokens.create({ surface: 'desk', ttlMs: hour, uses: 1 });
  t.match(token, /^[a-z0-9]{6}\.[a-z0-9]{32}$/);
  t.equal(expiresAt, now + hour);
  const names = await readdir(folder);
  t.same(names, [`${id}.1.json`]);
  const text = await readFile(path.join(folder, names[0]!), 'utf8');
  t.notMatch(text, token.slice(7), 'not the secret');
  t.equal((await stat(path.join(folder, names[0]!))).mode & 0o777, 0o600);
  t.same(await tokens.list(), [{ id, surface: 'desk', usesLeft: 1, expiresAt }]);
  t.equal(readToken(token.toUpperCase()), null);
  t.equal(readToken(`${token}0`), null);
  t.not(newToken(), newToken());
  t.notOk(isSameProof(Buffer.alloc(3), Buffer.alloc(4)));
});

t.test('spent once, whichever of two users of the folder comes first', async (t) => {
  const options = { folder: t.testdir(), clock: testClock(now) };
  const here = openTokens(options);
  const there = openTokens(options);
  const { token } = await here.create({ surface: 'desk', ttlMs: hour, uses: 3 });
  const attempts = Array.from({ length: 20 }, async (_, index) => {
    const proven = await prove(index % 2 ? here : there, token, `key ${index}`);
    return proven.spend().then(
      () => 'ok',
      (error: { code: string }) => error.code,
    );
  });
  const results = await Promise.all(attempts);
  t.equal(results.filter((result) => result === 'ok').length, 3);
  t.equal(results.filter((result) => result === 'E_TOKEN_SPENT').length, 17);
  t.same(await here.list(), []);
});

t.test('a spent token stays spent through SIGKILL', async (t) => {
  const folder = t.testdir();
  const tokens = openTokens({ folder, clock: testClock(Date.now()) });
  const { token } = await tokens.create({ surface: 'desk', ttlMs: hour, uses: 1 });
  const source = (name: string) => new URL(`../../../daemon/attest/enrol/${name}`, import.meta.url);
  const script = `
    const [{ openTokens }, { readToken, tokenProof, keyHash }] = await Promise.all([
      import('${source('tokens.ts')}'), import('${source('token-proof.ts')}')]);
    const clock = { now: Date.now, monotonic: () => 0 };
    const tokens = openTokens({ folder: process.argv[1], clock });
    const { id, key } = readToken(process.argv[2]);
    const nonce = Buffer.alloc(32), hash = keyHash(Buffer.from('theirs'));
    const proven = await tokens.prove({ id, nonce, keyHash: hash, proof: tokenProof(key, nonce, hash) });
    await proven.spend();
    process.kill(process.pid, 'SIGKILL');`;
  const options = ['--import=tsx', '--input-type=module', '-e', script, folder, token];
  const child = spawn(process.execPath, options, { stdio: 'inherit' });
  const [, signal] = await once(child, 'exit');
  t.equal(signal, 'SIGKILL');
  await t.rejects(
    prove(tokens, token, 'mine').then((proven) => proven.spend()),
    { code: 'E_TOKEN_SPENT' },
  );
  await prove(tokens, token, 'theirs').then((proven) => proven.spend());
});

t.test('old ones are refused with words, later forgotten; damaged files are no tokens', async (t) => {
  const folder = t.testdir({ 'notes.txt': 'kept', 'aaaaaa.1.json': '{', 'bbbbbb.1.json': '{"v":2}' });
  const clock = testClock(now);
  const tokens = openTokens({ folder, clock });
  const { token } = await tokens.create({ surface: 'desk', ttlMs: hour, uses: 1 });
  t.equal((await tokens.list()).length, 1);
  await t.rejects(prove(tokens, `aaaaaa.${'a'.repeat(32)}`, 'key'), { code: 'E_TOKEN_REFUSED' });
  clock.advance(hour);
  t.same(await tokens.list(), []);
  await t.rejects(prove(tokens, token, 'key'), {
    code: 'E_TOKEN_SPENT',
    message: /ran out at 2026-01-01T01/,
  });
  clock.advance(25 * hour);
  await tokens.sweep();
  await t.rejects(prove(tokens, token, 'key'), { code: 'E_TOKEN_REFUSED' });
  t.ok((await readdir(folder)).includes('notes.txt'));
});

t.test('a folder that cannot be used', async (t) => {
  const file = path.join(t.testdir(), 'file');
  await writeFile(file, '');
  const tokens = openTokens({ folder: file, clock: testClock(now) });
  await t.rejects(tokens.list(), { code: 'E_STATE_DIR' });
  await t.rejects(tokens.create({ surface: 'desk', ttlMs: hour, uses: 1 }), { code: 'E_STATE_DIR' });
});
