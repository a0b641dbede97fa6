import { spawnSync } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { caseText } from '../../daemon/attest/policy/evidence-file.ts';
import { disk } from '../../daemon/attest/trust/disk.ts';
import { openDossiers } from '../../daemon/attest/trust/dossiers.ts';
import { allFromStart, logEnds } from '../../daemon/attest/trust/log-ends.ts';
import { verify } from '../../daemon/attest/verifier/verify.ts';
import { learnPolicy } from '../../daemon/commands/policy-learn.ts';
import { showPolicies } from '../../daemon/commands/policy-show.ts';
import { makePolicyKey, signPolicies } from '../../daemon/commands/policy-sign.ts';
import { testPolicy } from '../../daemon/commands/policy-test.ts';
import { silentLog } from '../../daemon/log.ts';
import { rejectionOf } from '../attest/policy/sets.ts';
import { caseOf, measuredMachine, rulesOf } from '../attest/verifier/world.ts';

const main = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));
const gateway = `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
stateDir: state
registry: { folder: surfaces }
policy: { references: sets, signers: [key.pub], requiredLevel: 2 }
`;

/** A folder with a gateway, a key pair, and the evidence of a good surface and of one with other logs. */
async function place(t: Test) {
  const other = measuredMachine();
  other.pcrs.extend(12, Buffer.alloc(32, 1));
  const folder = t.testdir({
    'gateway.yaml': gateway,
    surfaces: {},
    sets: {},
    'good.json': caseText(caseOf()),
    'other.json': caseText(caseOf({ pcrs: other.pcrs.values })),
  });
  const at = (name: string) => path.join(folder, name);
  await makePolicyKey({ out: at('key'), output: 'text' });
  const gatewayConfigPath = at('gateway.yaml');
  const learn = (changes: Partial<Parameters<typeof learnPolicy>[0]> = {}) =>
    learnPolicy({
      gatewayConfigPath,
      surface: null,
      evidence: at('good.json'),
      name: 'pi',
      version: null,
      days: 90,
      out: at('sets/pi.yaml'),
      key: at('key'),
      ...changes,
    });
  const judge = (evidence: string, changes: Partial<Parameters<typeof testPolicy>[0]> = {}) =>
    testPolicy({
      files: [at('sets/pi.yaml')],
      evidence: at(evidence),
      gatewayConfigPath,
      assertedLevel: 2,
      requiredLevel: null,
      output: 'text',
      ...changes,
    });
  const show = (changes: Partial<Parameters<typeof showPolicies>[0]> = {}) =>
    showPolicies({ files: [], gatewayConfigPath, output: 'text', ...changes });
  return { at, gatewayConfigPath, learn, judge, show };
}

t.test('learned, signed, shown, tried', async (t) => {
  const { at, learn, judge, show } = await place(t);
  const { text, notes } = await learn();
  t.match(text, /pi\.yaml written\n.*pi-1\.ima written\n.*pi\.yaml: pi version 1 signed/);
  t.match(notes, [/PCR 11/]);
  t.match(
    await show(),
    /^NAME +VERSION +VALID +SIGNER +FILE\npi +1 +until \S+Z +[0-9a-f]{16} +\S+pi\.yaml\n$/,
  );
  t.match(JSON.parse(await show({ output: 'json' })), {
    sets: [{ name: 'pi', version: 1, isValid: true }],
    problems: [],
    isSignatureChecked: true,
  });
  t.match(await show({ files: [at('sets/pi.yaml')], gatewayConfigPath: null }), /not checked/);

  const good = await judge('good.json');
  t.equal(good.isTrusted, true);
  t.match(good.text, /^reference +passed +pi, version 1, covers files, firmware, ima$/m);
  t.match(good.text, /Trusted, level 2\. /);
  t.equal((await judge('good.json', { assertedLevel: 1 })).isTrusted, false, 'the gateway wants level 2');
  t.equal((await judge('good.json', { assertedLevel: 1, requiredLevel: 1 })).isTrusted, true);
  const bad = await judge('other.json');
  t.equal(bad.isTrusted, false);
  t.match(bad.text, /^reference +failed +.*version 1: PCR 12 has the value .* no log says/m);
  t.match(bad.text, /Not trusted\.\n$/);
  t.match(JSON.parse((await judge('other.json', { output: 'json' })).text), { v: 1, isTrusted: false });

  const next = await learn({ out: at('sets/next.yaml'), evidence: at('good.json') });
  t.match(next.text, /pi version 2 signed/, 'one more than the gateway has');
  t.match(JSON.parse(await show({ output: 'json' })), { sets: [{ version: 2 }, { version: 1 }] });
  const both = await judge('good.json', { files: [at('sets/pi.yaml'), at('sets/next.yaml')] });
  t.match(both.text, /pi, version 2/);
});

t.test('what a signature is not for is shown, and not tried with', async (t) => {
  const { at, learn, judge, show } = await place(t);
  await learn();
  const file = at('sets/pi.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('version: 1', 'version: 5'));
  t.match(await show(), /\n\nproblem: .*pi\.yaml: the signature of [0-9a-f]{64} is not for this content/);
  t.match(await show({ files: [file] }), /problem: .*is not for this content/);
  t.match(await rejectionOf(judge('good.json'), 'E_POLICY_SET'), /is not for this content/);
  t.equal(
    (await judge('good.json', { gatewayConfigPath: null })).isTrusted,
    true,
    'without a gateway nobody asks',
  );
  t.match(await signPolicies({ files: [file], key: at('key'), output: 'text' }), /pi version 5 signed/);
  t.match(await show(), /pi +5 +until/);
  await rm(at('sets/pi-1.ima'));
  t.match(
    await rejectionOf(signPolicies({ files: [file], key: at('key'), output: 'text' }), 'E_POLICY_SET'),
    /spec\.ima\.list/,
    'nobody signs what no gateway would use',
  );
});

t.test('keys: private to their owner, never written over', async (t) => {
  const { at } = await place(t);
  t.equal((await stat(at('key'))).mode & 0o777, 0o600);
  t.match(
    await rejectionOf(makePolicyKey({ out: at('key'), output: 'text' }), 'E_USAGE'),
    /key: is there already/,
  );
  const made = JSON.parse(await makePolicyKey({ out: at('two'), output: 'json' })) as { signer: string };
  t.match(made.signer, /^[0-9a-f]{64}$/);
  t.match(await readFile(at('two.pub'), 'utf8'), /^-----BEGIN PUBLIC KEY/);
});

t.test('what is missing or too much is told, and nothing half is left', async (t) => {
  const { at, learn, judge, show } = await place(t);
  const usage = (work: Promise<unknown>) =>
    rejectionOf(work, 'E_USAGE', 'E_POLICY_SET', 'E_SURFACE_UNKNOWN', 'E_CFG_READ');
  t.match(await usage(learn({ out: null })), /--key needs --out/);
  t.match(await usage(learn({ out: null, key: null })), /list of IMA is a second file/);
  t.match(await usage(learn({ name: 'No' })), /name: expected a name/);
  t.match(await usage(learn({ evidence: null })), /name a file with --evidence, or a surface/);
  t.match(await usage(learn({ evidence: null, surface: 'desk' })), /there is no surface "desk"/);
  t.match(await usage(learn({ key: at('key.pub') })), /not a private key/);
  await writeFile(at('sets/pi-1.ima'), 'mine');
  t.match(await usage(learn()), /pi-1\.ima: is there already/);
  await t.rejects(stat(at('sets/pi.yaml')), { code: 'ENOENT' });
  await rm(at('sets/pi-1.ima'));
  await learn();
  t.match(await usage(learn({ version: 1 })), /pi\.yaml: is there already/);
  await learn({ name: 'other', out: at('sets/other.yaml') });
  t.match(
    await usage(judge('good.json', { files: [at('sets/pi.yaml'), at('sets/other.yaml')] })),
    /versions of one policy, got pi, other/,
  );
  t.match(await usage(judge('key.pub')), /key\.pub: not JSON/);
  t.match(await usage(show({ gatewayConfigPath: null })), /name files, or a Gateway file/);
});

t.test('learned from what the gateway keeps of a surface', async (t) => {
  const { at, learn, judge } = await place(t);
  const subject = caseOf();
  const verdict = verify(subject, rulesOf());
  const ekSha256 = verdict.ekSha256 ?? '';
  const desk = `apiVersion: surfaced.dev/v1alpha1\nkind: ControlSurface\nmetadata: { name: desk }\nspec: { tpm: { ekSha256: "${ekSha256}" } }\n`;
  await writeFile(at('surfaces/desk.yaml'), desk);
  const fromDesk = () => learn({ evidence: null, surface: 'desk' });
  t.match(await rejectionOf(fromDesk(), 'E_USAGE'), /there is no evidence of "desk" yet/);
  await openDossiers({ stateDir: at('state'), disk, log: silentLog }).write({
    ekSha256,
    surface: 'desk',
    firmware: '1.0.0',
    receivedAt: 1,
    evidence: 'e1',
    case: subject,
    ends: logEnds(subject.logs, allFromStart),
    verdict,
    accepted: null,
  });
  t.match((await fromDesk()).text, /pi version 1 signed/);
  t.equal((await judge('good.json')).isTrusted, true);
});

t.test('the exit code says whether evidence is trusted', async (t) => {
  const { at, learn } = await place(t);
  await learn();
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import=tsx', main, 'policy', ...args],
      {
        encoding: 'utf8',
      },
    );
    return { status, stdout, stderr };
  };
  const { status, stdout } = run(
    'test',
    at('sets/pi.yaml'),
    '--evidence',
    at('other.json'),
    '--asserted-level',
    '2',
  );
  t.equal(status, 1);
  t.match(stdout, /Not trusted/);
  const learned = run(
    'learn',
    '--evidence',
    at('good.json'),
    '--name',
    'x',
    '--set-version',
    '7',
    '--out',
    at('x.yaml'),
  );
  t.match(learned, { status: 0, stdout: /x-7\.ima written/, stderr: /surfaced: PCR 11/ });
});
