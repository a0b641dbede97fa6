import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { pairingCode } from '../../daemon/attest/evidence/pairing.ts';
import { disk } from '../../daemon/attest/trust/disk.ts';
import { keepTrustFile } from '../../daemon/attest/trust/trust-file.ts';
import { approveSurface, keyWithCode } from '../../daemon/commands/approve.ts';
import { listSurfaces } from '../../daemon/commands/surfaces.ts';
import { loadConfig } from '../../daemon/config/load.ts';
import { silentLog } from '../../daemon/log.ts';
import { gateway, head, surface } from './gateway-folder.ts';

const caPin = `sha256:${'0'.repeat(64)}`;
const ekOf = (name: string): string => createHash('sha256').update(name).digest('hex');

/** The folder of a gateway that has seen these TPMs, and the codes that their panels show. */
async function seen(t: Test, names: readonly string[], more = '') {
  const known = gateway(t, more);
  const stateDir = path.join(known.folder, 'state');
  const quarantine = names.map((name, index) => ({
    ekSha256: ekOf(name),
    salt: randomBytes(16).toString('hex'),
    firstSeenAt: Date.UTC(2026, 0, 1),
    lastSeenAt: Date.UTC(2026, 0, 1, 0, 1),
    address: `192.0.2.${index + 1}`,
    firmware: '1.2.3',
    hasTrustedCertificate: index === 0,
    certificate: index === 0 ? 'by a vendor' : 'the TPM has none',
  }));
  const content = () => ({ writtenAt: 1, caPin, quarantine, surfaces: [] });
  await mkdir(stateDir);
  const file = keepTrustFile({ stateDir, disk, content, log: silentLog });
  file.touch('soon');
  await file.close();
  const codes = quarantine.map(({ salt, ekSha256 }) =>
    pairingCode(Buffer.from(salt, 'hex'), ekSha256, caPin),
  );
  return { ...known, codes, surfaces: path.join(known.folder, 'surfaces') };
}

const options = { level: null, policy: null, isReplacing: false, output: 'text' } as const;
const readSurface = (folder: string, file: string) => loadConfig('ControlSurface', path.join(folder, file));

t.test('what a gateway said last about trust does not outlive the evidence', async (t) => {
  const { folder, gatewayConfigPath } = await seen(t, []);
  const which = { ek: ekOf('one') };
  await approveSurface({ ...options, gatewayConfigPath, name: 'desk', which });
  const listed = async (ageMs: number) => {
    const trusted = {
      surface: 'desk',
      ekSha256: ekOf('one'),
      state: 'trusted',
      level: 1,
      reason: 'its evidence was accepted at level 1',
      attestedAt: Date.now() - ageMs,
      evidence: 'ev-1',
      reference: null,
      hasTrustedCertificate: true,
      firmware: '1.2.3',
    } as const;
    const content = () => ({ writtenAt: 1, caPin, quarantine: [], surfaces: [trusted] });
    const file = keepTrustFile({ stateDir: path.join(folder, 'state'), disk, content, log: silentLog });
    file.touch('soon');
    await file.close();
    return listSurfaces({ gatewayConfigPath, output: 'text' });
  };
  t.match(await listed(500_000), /^desk +trusted +1 /m);
  const late = await listed(700_000);
  t.match(late, /^desk +stale +- /m);
  t.match(late, /^desk: the gateway has seen no evidence since .*, or does not run$/m);
});

t.test('a code becomes a key in the file, whose comments stay', async (t) => {
  const { gatewayConfigPath, surfaces, codes } = await seen(t, ['one', 'two']);
  const file = path.join(surfaces, 'a.yaml');
  await chmod(file, 0o640);
  const approve = { ...options, gatewayConfigPath, name: 'desk', which: { code: codes[1]! } };
  const told = await approveSurface(approve);
  t.match(told, `Surface desk is approved with the TPM ${ekOf('two')} (${file}).`);
  t.match(told, /nothing above level 0/);
  const text = await readFile(file, 'utf8');
  t.match(text, /# the cart/);
  t.equal((await stat(file)).mode & 0o777, 0o640);
  t.same(await readdir(surfaces), ['a.yaml'], 'nothing left beside it');
  const list = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
  t.match(list.surfaces, [
    { name: 'desk', state: 'pending', ekSha256: ekOf('two') },
    { name: 'lab', state: 'unapproved', ekSha256: null },
  ]);

  const more = { ...approve, level: 1, policy: 'pi-baseline', output: 'json' } as const;
  t.match(JSON.parse(await approveSurface(more)), { assertedLevel: 1, policy: 'pi-baseline', files: [file] });
  await approveSurface(approve);
  t.match(
    await readFile(file, 'utf8'),
    /assertedLevel: 1\n(.|\n)*policy: pi-baseline/,
    'what was said stays said',
  );
});

t.test('a surface without a file gets one that the gateway can read', async (t) => {
  const { gatewayConfigPath, surfaces } = await seen(t, []);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(surfaces, 1234, 5678);
  const ek = `SHA256:${ekOf('one')
    .toUpperCase()
    .replace(/..(?=.)/g, '$&:')}`;
  await approveSurface({ ...options, gatewayConfigPath, name: 'new', which: { ek }, level: 2, policy: 'pi' });
  const made = await readSurface(surfaces, 'new.yaml');
  t.same(made.spec, {
    tpm: { ekSha256: ekOf('one'), assertedLevel: 2 },
    policy: 'pi',
    isRevoked: false,
    bindings: [],
  });
  t.match(await stat(path.join(surfaces, 'new.yaml')), {
    mode: 0o100644,
    ...(isRoot ? { uid: 1234, gid: 5678 } : {}),
  });
  await writeFile(path.join(surfaces, 'other.yaml'), surface('third'));
  await t.rejects(
    approveSurface({ ...options, gatewayConfigPath, name: 'other', which: { ek: ekOf('two') } }),
    { code: 'E_REGISTRY', message: /is there already and does not describe "other"/ },
  );
});

t.test('one key is one surface, and one surface one key', async (t) => {
  const { gatewayConfigPath, surfaces } = await seen(t, []);
  const approve = (name: string, ek: string, isReplacing = false) =>
    approveSurface({ ...options, gatewayConfigPath, name, which: { ek }, isReplacing });
  await approve('desk', ekOf('one'));
  const before = await readFile(path.join(surfaces, 'a.yaml'), 'utf8');
  await t.rejects(approve('lab', ekOf('one')), { code: 'E_USAGE', message: /already approved as "desk"/ });
  await t.rejects(approve('lab', ekOf('one'), true), { code: 'E_USAGE' }, 'nor with --replace');
  await t.rejects(approve('desk', ekOf('two')), { code: 'E_USAGE', message: /has another TPM .*--replace/ });
  t.equal(await readFile(path.join(surfaces, 'a.yaml'), 'utf8'), before, 'nothing was changed');
  await approve('desk', ekOf('one'));
  await approve('desk', ekOf('two'), true);
  await approve('lab', ekOf('one'));
  const list = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
  t.match(list.surfaces, [{ ekSha256: ekOf('two') }, { ekSha256: ekOf('one') }]);
});

t.test('codes as people write them', async (t) => {
  const entry = (pairingCode: string, name: string) => ({
    pairingCode,
    ekSha256: ekOf(name),
    firstSeenAt: 0,
    lastSeenAt: 0,
    address: '',
    firmware: '',
    hasTrustedCertificate: false,
    certificate: '',
  });
  const waiting = [entry('4821-9037', 'one'), entry('0000-0001', 'two'), entry('0000-0001', 'three')];
  for (const code of ['4821-9037', '48219037', '4821 9037', ' 4821–9037 ', '4-8-2-1 9037'])
    t.equal(keyWithCode(waiting, code), ekOf('one'), code);
  for (const code of ['', '4821', '4821-903x', '4821-90370'])
    t.throws(() => keyWithCode(waiting, code), { code: 'E_USAGE', message: /expected eight digits/ }, code);
  t.throws(() => keyWithCode(waiting, '1111-1111'), { code: 'E_USAGE', message: /no TPM with the code/ });
  t.throws(() => keyWithCode(waiting, '0000-0001'), { code: 'E_USAGE', message: new RegExp(ekOf('three')) });
});

t.test('what keeps an approval from being of use is said', async (t) => {
  const { gatewayConfigPath, surfaces } = await seen(t, []);
  const approve = (name: string, ek = ekOf('one')) =>
    approveSurface({ ...options, gatewayConfigPath, name, which: { ek } });
  await t.rejects(approve('De sk'), { code: 'E_USAGE' });
  await t.rejects(approve('desk', 'ff'), { code: 'E_USAGE', message: /64 digits/ });
  await t.rejects(
    approveSurface({ ...options, gatewayConfigPath, name: 'desk', which: { code: '1234-5678' } }),
    { code: 'E_USAGE', message: /no TPM with the code 1234-5678/ },
  );
  const kept = surface('kept').replace('spec:', 'spec:\n  isRevoked: true');
  await writeFile(path.join(surfaces, 'kept.yaml'), kept);
  t.match(await approve('kept'), /still revoked: surfaced surfaces revoke kept --undo/);

  await writeFile(path.join(surfaces, 'broken.yaml'), 'kind: nonsense');
  await t.rejects(
    approve('new', ekOf('two')),
    { code: 'E_CFG_INVALID' },
    'it may be in the file that is broken',
  );
  t.notOk((await readdir(surfaces)).includes('new.yaml'));
});

t.test(
  'a name that the file gives in another way is found, and other documents keep their form',
  async (t) => {
    const { gatewayConfigPath, surfaces } = await seen(t, []);
    const document = (metadata: string, spec: string) =>
      `${head}kind: ControlSurface\nmetadata: { name: ${metadata} }\nspec: ${spec}\n`;
    const file = path.join(surfaces, 'odd.yaml');
    const target = '{ apiVersion: apps/v1, kind: Deployment, namespace: &n odd, name: b }';
    const odd = `spec: { bindings: [{ control: fader1, max: 9, target: ${target} }] }\n${head}kind: ControlSurface\nmetadata: { name: *n }\n`;
    await writeFile(file, `${document('first', '{ policy: "quoted" }')}---\n${odd}`);
    await approveSurface({ ...options, gatewayConfigPath, name: 'odd', which: { ek: ekOf('one') } });
    t.same(await readdir(surfaces), ['a.yaml', 'odd.yaml']);
    const list = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
    t.match(list.surfaces.at(-1), { name: 'odd', ekSha256: ekOf('one') });
    t.match(await readFile(file, 'utf8'), /policy: "quoted"/);
  },
);

t.test('looking at a gateway that never ran leaves nothing behind', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  await listSurfaces({ gatewayConfigPath, output: 'text' });
  t.notOk((await readdir(folder)).includes('state'));
});

t.test('TPMs that wait are listed with their codes', async (t) => {
  const { gatewayConfigPath, codes, folder } = await seen(t, ['one', 'two'], '');
  const text = await listSurfaces({ gatewayConfigPath, output: 'text' });
  t.match(text, /^NAME {2}STATE {6} LEVEL/);
  t.match(
    text,
    new RegExp(
      `^${codes[0]}  192\\.0\\.2\\.1  2026-01-01T00:00:00\\.000Z  ${ekOf('one').slice(0, 12)}  trusted$`,
      'm',
    ),
  );
  t.match(text, new RegExp(`^${codes[1]} .* not trusted: the TPM has none$`, 'm'));
  const { quarantine } = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
  t.match(quarantine, [{ pairingCode: codes[0], ekSha256: ekOf('one') }, { pairingCode: codes[1] }]);
  await writeFile(path.join(folder, 'state', 'trust.json'), '{');
  t.match(await listSurfaces({ gatewayConfigPath, output: 'text' }), /problem: .*trust\.json/);
});
