import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { runMeasure } from '../../daemon/commands/measure.ts';
import { runApprove, runInfo, runOpen, runSeal } from '../../daemon/commands/secret.ts';
import { SoftwareTpm, withoutSwtpm } from '../../hil/software-tpm.ts';

const main = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));
const never = new AbortController().signal;

const withChip = (name: string, work: (t: Test, chip: SoftwareTpm) => Promise<void>) =>
  t.test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
    try {
      await work(t, chip);
    } finally {
      await chip.end();
    }
  });

interface Report {
  readonly records: readonly { readonly path: string }[];
  readonly values: Readonly<Record<string, object>>;
  readonly log: string | null;
}
const measured = async (files: readonly string[], flags: object): Promise<Report> =>
  JSON.parse(await runMeasure(files, { pcr: 14, output: 'json', ...flags }, never)) as Report;

withChip('measure', async (t, chip) => {
  const folder = t.testdir({ a: 'a', b: { c: 'c' } });
  const log = path.join(folder, 'run/measure.log');
  const config = path.join(folder, 'device.yaml');
  const panel = { preset: 'launchpad-mini-mk3', port: { type: 'pty', path: '/dev/pts/1' } };
  const device = (identity: object) =>
    writeFileSync(
      config,
      JSON.stringify({ apiVersion: 'surfaced.dev/v1alpha1', kind: 'Device', identity, panel }),
    );
  device({ tpm: { swtpm: chip.path, measuredLog: log } });
  const names = [path.join(folder, 'a'), path.join(folder, 'b')];
  const plan = await measured(names, { config, dryRun: true });
  t.equal(plan.log, null);
  t.notOk(existsSync(log));
  const done = await measured(names, { config });
  t.match(done, { log }, 'TPM and log are those of the config');
  t.same(done.records, plan.records);
  t.match(done.records, [{ path: config }, { path: names[0] }, { path: `${names[1]}/` }]);
  t.same(done.values.sha256, plan.values.sha256, 'as it was foretold');
  const again = await runMeasure(names, { pcr: 14, output: 'text', swtpm: chip.path, log }, never);
  t.match(again, /^known {2}[0-9a-f]{64} {2}\S+\/a\nknown .*\nPCR 14 is sha1:.*\nPCR 14 is sha256:.*\n/);
  t.match(
    await runMeasure(names, { pcr: 14, output: 'text', dryRun: true }, never),
    /14 would be, after a re/,
  );
  await t.rejects(measured([], {}), { code: 'E_USAGE' });
  await t.rejects(measured(names, { pcr: 16, dryRun: true }), { code: 'E_MEASURE', message: /PCR 16/ });
  await t.rejects(measured(names, { swtpm: path.join(folder, 'none'), log }), { code: 'E_TPM_OPEN' });
  device({ token: `abc123.${'s'.repeat(32)}` });
  const flagged = await measured([], { config, swtpm: chip.path, log });
  t.equal(flagged.records.length, 1, 'a config without a TPM is measured, too');
  const unit = { pcr: 14, output: 'text', atStart: true } as const;
  t.match(await runMeasure([], { ...unit, config }, never), /^measure: nothing is measured/);
  // A TPM whose driver is loaded later: a folder, which cannot be opened as one, stands for its device file.
  device({ tpm: { device: path.join(folder, 'late'), measuredLog: log } });
  const measuring = t.rejects(runMeasure([], { ...unit, config }, never), { code: 'E_TPM_OPEN' });
  const calledOff = runMeasure([], { ...unit, config }, AbortSignal.abort());
  await t.rejects(calledOff, { name: 'AbortError' });
  mkdirSync(path.join(folder, 'late'));
  await measuring;
});

withChip('secret', async (t, chip) => {
  const folder = t.testdir({ v2: 'version 2', in: 'päss\n', values: '{}' });
  const at = (name: string) => path.join(folder, name);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' });
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at('update.pem'));
  openssl('pkey', '-in', at('update.pem'), '-pubout', '-out', at('update.pub'));
  const tpm = { swtpm: chip.path };
  const sealing = { pcrs: [14], updateKey: at('update.pub'), in: at('in'), ...tpm };
  const opened = async () => Buffer.from(await runOpen(at('s'), tpm, never)).toString();

  t.match(
    await runSeal(at('s'), sealing, never),
    /: 6 bytes, sealed to PCR 14\nwarning: nothing was measured into PCR 14: any software/,
  );
  t.equal(statSync(at('s')).mode & 0o777, 0o600);
  t.notMatch(readFileSync(at('s'), 'utf8'), 'päss');
  t.equal(await opened(), 'päss\n');
  await t.rejects(runSeal(at('s'), sealing, never), { code: 'E_SECRET', message: /is there already/ });
  t.match(
    await runInfo(at('s'), { ...tpm, output: 'text' }),
    /^sealed .*\nupdates .*\nnow {7}the PCRs are as/,
  );

  const foretold = await runMeasure([at('v2')], { pcr: 14, output: 'json', dryRun: true }, never);
  writeFileSync(at('values.json'), foretold);
  const log = at('measure.log');
  await measured([at('v2')], { ...tpm, log });
  await t.rejects(opened(), { code: 'E_SECRET', message: /sealed: PCR 14, now [0-9a-f]{64}$/ });
  t.match(JSON.parse(await runInfo(at('s'), { ...tpm, output: 'json' })), {
    pcrs: [14],
    approvals: [],
    differing: [14],
    values: { sha256: { 14: /^[0-9a-f]{64}$/ } },
  });
  const key = at('update.pem');
  await t.rejects(runApprove(at('s'), { key }), { code: 'E_USAGE', message: /--from current or/ });
  t.match(
    await runApprove(at('s'), { key, pcrValues: at('values.json') }),
    /opens also with PCR 14 [0-9a-f]{64}\n$/,
  );
  t.equal(await opened(), 'päss\n', 'approved without a TPM');

  await measured([at('in')], { ...tpm, log });
  await t.rejects(opened(), { code: 'E_SECRET' });
  await runApprove(at('s'), { key, from: 'current', ...tpm });
  t.equal(await opened(), 'päss\n');
  t.match(
    await runInfo(at('s'), { swtpm: at('none'), output: 'text' }),
    /approved .*\napproved .*\nupdates .*\nnow {7}not known/,
  );
  await t.rejects(runApprove(at('s'), { key, pcrValues: at('values') }), {
    code: 'E_USAGE',
    message: /values/,
  });
  const plain = { pcrs: [8, 14], in: at('in'), ...tpm };
  t.match(await runSeal(at('plain'), plain, never), /into PCR 8: any .*\nwarning: no update key/);
  await t.rejects(runSeal(at('x'), { ...plain, in: at('none') }, never), {
    code: 'E_USAGE',
    message: /ENOENT/,
  });
});

async function surfaced(words: readonly string[], input: string) {
  const child = spawn(process.execPath, ['--import=tsx', main, ...words], { stdio: 'pipe' });
  child.stdin.end(input);
  const [out, noise, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { out, noise, code };
}

withChip('the commands themselves', async (t, chip) => {
  const folder = t.testdir({ a: 'a' });
  const file = path.join(folder, 's');
  const tpm = ['--swtpm', chip.path];
  const seal = surfaced(['secret', 'seal', file, '--pcrs', '14,8', ...tpm], 'from stdin');
  t.match(await seal, { code: 0, noise: '', out: /: 10 bytes, sealed to PCR 8, 14\n/ });
  t.match(await surfaced(['secret', 'open', file, ...tpm], ''), { code: 0, noise: '', out: 'from stdin' });
  // Half a secret is none.
  const full = openSync('/dev/full', 'w');
  const stdio = ['ignore', full, 'pipe'] as const;
  const words = ['--import=tsx', main, 'secret', 'open', file, ...tpm];
  const cut = spawn(process.execPath, words, { stdio: [...stdio] });
  const [noise, [code]] = await Promise.all([
    text(cut.stderr!),
    once(cut, 'exit') as Promise<[number | null]>,
  ]);
  closeSync(full);
  t.equal(code, 1);
  t.match(noise, /stdout: the secret cannot be written \(ENOSPC\)\n {2}E_SECRET: /);
  const absent = surfaced(['measure', ...tpm, path.join(folder, 'absent')], '');
  t.match(await absent, { code: 2, out: '', noise: /absent: cannot be read \(ENOENT\)\n {2}E_MEASURE: / });
  const other = surfaced(['secret', 'seal', file, '--pcrs', '16'], '');
  t.match(await other, { code: 2, noise: /from 0 to 15/ });
});
