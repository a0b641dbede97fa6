import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { signerSha256 } from '../../daemon/attest/audit/head.ts';
import { runAuditShow } from '../../daemon/commands/audit-show.ts';
import { runAuditVerify } from '../../daemon/commands/audit-verify.ts';
import {
  certificate,
  command,
  PretendTpm,
  placeIn,
  refused,
  started,
  trust,
  write,
} from '../attest/audit/rig.ts';

const options = (place: string) => ({ path: place, startHash: null, publishedHash: null, signer: null });

async function exampleLog(folder: string) {
  const place = await placeIn(folder);
  const tpm = new PretendTpm();
  const bad = tpm.verdict('e2');
  await write(place, [
    started,
    tpm.verdict('e1'),
    { ...bad, verdict: refused(bad.verdict, 'reference') },
    certificate(17),
    trust,
    command,
  ]);
  return { place, file: path.join(place.folder, '000001.jsonl') };
}

t.test('verify for people and for programs', async (t) => {
  const { place, file } = await exampleLog(t.testdir());
  const { text, isSound } = await runAuditVerify(options(place.folder), 'text');
  t.ok(isSound);
  t.match(text, /^records +7: 1 to 7, 2026-01-01T00:00:00\.000Z to /m);
  t.match(text, /^quotes +2 hold, 0 were refused and do not, 0 verdicts had none$/m);
  t.match(text, new RegExp(`^signer +ed25519 ${signerSha256(place.signer.known!)}$`, 'm'));
  t.match(text, /^not yet signed +0 records$/m);
  t.match(text, /^note 000001\.jsonl, line 1, record 1: from here on/m);
  t.match(text, /The log is sound\.\n$/);
  const json = JSON.parse((await runAuditVerify(options(place.folder), 'json')).text);
  t.match(json, { isSound: true, records: 7, unsigned: 0, head: { seq: 7 }, kinds: { verdict: 2 } });

  const log = await readFile(file, 'utf8');
  await writeFile(file, log.replace('"serial":"17"', '"serial":"18"'));
  const broken = await runAuditVerify(options(place.folder), 'text');
  t.notOk(broken.isSound);
  t.match(broken.text, /^FAULT 000001\.jsonl, line 6, record 6: it does not chain/m);
  t.match(broken.text, /NOT sound\.\n$/);
  await writeFile(file, log.replace('"kind":"trust"', '"kind":"\\u001b[2J"'));
  const { text: safe } = await runAuditVerify(options(place.folder), 'text');
  t.notOk(safe.includes('\u001b'), 'safe on a terminal');
});

t.test('show: what happened, and nothing that a terminal would obey', async (t) => {
  const { place } = await exampleLog(t.testdir());
  const all = { path: place.folder, kind: null, surface: null, last: 100 };
  const text = await runAuditShow(all, 'text');
  for (const line of [
    /^1 .* segment +- +file 1 begins$/m,
    /^3 .* verdict +desk +trusted, level 1 \(enrol, evidence e1\)$/m,
    /^4 .* verdict +desk +not trusted \(enrol, evidence e2\): reference: reference is good$/m,
    /^5 .* certificate +desk +token, evidence token-abc123, serial 17$/m,
    /^6 .* trust +- +pending to quarantined: a TPM that nobody knows \\u2014 "yet"\\u000a$/m,
    /^7 .* command +desk +Deployment shop\/cart, 2 to 3: converged, Converged: three/m,
  ])
    t.match(text, line);
  const serials = async (change: Partial<typeof all>) =>
    JSON.parse(await runAuditShow({ ...all, ...change }, 'json')).map(({ seq }: { seq: number }) => seq);
  t.same(await serials({}), [1, 2, 3, 4, 5, 6, 7]);
  t.same(await serials({ last: 2 }), [6, 7]);
  t.same(await serials({ kind: 'verdict' as never }), [3, 4]);
  t.same(await serials({ surface: 'desk' as never }), [3, 4, 5, 7]);
  await writeFile(path.join(place.folder, '000001.jsonl'), '{}\n');
  await t.rejects(runAuditShow(all, 'text'), {
    code: 'E_AUDIT_BROKEN',
    message: /000001\.jsonl, line 1: seq/,
  });
});

t.test('the command line: exit codes', async (t) => {
  const { place, file } = await exampleLog(t.testdir());
  const main = new URL('../../daemon/main.ts', import.meta.url).pathname;
  const run = async (...args: string[]) => {
    const words = ['--import=tsx', main, 'audit', ...args];
    return promisify(execFile)(process.execPath, words).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (failure: { code: number; stdout: string; stderr: string }) => failure,
    );
  };
  const sound = await run('verify', place.folder, '-o', 'json');
  t.equal(sound.code, 0);
  const { head } = JSON.parse(sound.stdout);
  await writeFile(file, (await readFile(file, 'utf8')).replace('"serial":"17"', '"serial":"18"'));
  const [broken, none, wrong, shown] = await Promise.all([
    run('verify', place.folder, '--head', head.hash, '--signer', head.signer),
    run('verify', path.join(place.folder, 'nothing')),
    run('verify', place.folder, '--head', 'abc'),
    run('show', place.folder, '--kind', 'command'),
  ]);
  t.match(broken, { code: 1, stdout: /NOT sound/ });
  t.match(none, { code: 2, stderr: /E_USAGE/ });
  t.match(wrong, { code: 2, stderr: /64 hex digits/ });
  t.match(shown, { code: 0, stdout: /Deployment shop\/cart/ });
});
