import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { installUpdate } from '../../daemon/update/install.ts';
import { raucError, slotStatus } from '../../daemon/update/rauc.ts';
import { publish, readStanding, stateOf } from '../../daemon/update/standing.ts';
import { imageSha256, info, order, signal, silent, stateIn, surface } from './surface.ts';

t.test('an installation, and what is told of it', async (t) => {
  const host = surface(t);
  const told: string[] = [];
  const version = await installUpdate(
    host,
    order({ requestId: 'r1' }),
    (percent, text) => told.push(`${percent} ${text}`),
    signal,
  );
  t.equal(version, '1.3.0');
  t.same(told, ['20 Checking bundle done.', '60 Copying image to rootfs.1', '100 Installing done.']);
  t.match(stateIn(host), { state: 'installed', version: '1.3.0', progress: null, code: null, id: 'r1' });
  t.same(readdirSync(host.sandbox.at('run/surfaced-update')), [], 'nothing is left for another installation');
  t.ok(existsSync(host.sandbox.at('data/shared/update/before.json')));
  t.match(await readStanding(host, signal), {
    outcome: 'waits',
    pending: 'waits',
    last: { version: '1.3.0', slot: 'b' },
  });
});

t.test('what becomes of an update', async (t) => {
  const host = surface(t);
  await installUpdate(host, order(), silent, signal);
  const { sandbox } = host;
  const outcome = async () => stateOf(await readStanding(host, signal));
  sandbox.boot({ running: 'a', good: 'a', trial: 'b', left: 0 });
  t.match(await outcome(), { state: 'failed', version: '1.3.0', detail: /left again: it did not come up/ });
  const failure = { version: '1.3.0', rootHash: 'ab'.repeat(32), reason: 'panel: gone' };
  writeFileSync(sandbox.at('data/shared/update/last-failure.json'), JSON.stringify(failure));
  t.match(await outcome(), { state: 'failed', detail: 'left again: panel: gone' });
  writeFileSync(
    sandbox.at('data/shared/update/last-failure.json'),
    JSON.stringify({ ...failure, version: '1.2.9' }),
  );
  t.match(await outcome(), { detail: /did not come up/ }, 'the failure of another one');
  sandbox.runs('1.3.0', 'ab'.repeat(32));
  sandbox.boot({ running: 'b', good: 'a', trial: 'b', left: 2 });
  t.match(await outcome(), { state: 'trial', version: '1.3.0' });
  sandbox.boot({ running: 'b', good: 'b', trial: '', left: 0 });
  t.match(await outcome(), { state: 'idle', version: null });
  writeFileSync(sandbox.at('data/shared/update/last-update.json'), '{"version":');
  t.match(await outcome(), { state: 'idle' }, 'a note that a cut has left broken');
  writeFileSync(sandbox.at('run/surfaced/boot/version'), '');
  await t.rejects(readStanding(host, signal), {
    code: 'E_UPDATE_SYSTEM',
    message: /boot\/version is missing/,
  });
});

t.test('a downgrade is refused, and root may allow it', async (t) => {
  const host = surface(t, '1.1.0');
  await t.rejects(installUpdate(host, order(), silent, signal), { code: 'E_UPDATE_DOWNGRADE' });
  t.match(stateIn(host), { state: 'failed', version: '1.1.0', code: 'E_UPDATE_DOWNGRADE' });
  t.equal(await installUpdate(host, order({ mayBeOlder: true }), silent, signal), '1.1.0');
  await t.rejects(installUpdate(host, order({ mayBeOlder: true }), silent, signal), {
    code: 'E_UPDATE_PENDING',
  });
});

t.test('another bundle than the one asked for is not even begun', async (t) => {
  const host = surface(t);
  const wanted = order({ manifestSha256: '00'.repeat(32) });
  await t.rejects(installUpdate(host, wanted, silent, signal), { code: 'E_UPDATE_BUNDLE' });
  t.notOk(host.ran.some((line) => line.startsWith('rauc install')));
  host.answers.set('rauc info', () => ({ stdout: info('1.3.0').replace(imageSha256, '00'.repeat(32)) }));
  await t.rejects(
    installUpdate(host, order(), silent, signal),
    { code: 'E_UPDATE_BUNDLE' },
    'became another one in between',
  );
});

t.test('the CA of a server is given to rauc as a file, and taken away', async (t) => {
  const host = surface(t);
  const caPem = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n';
  let seen = '';
  host.answers.set('rauc info', () => {
    seen = readFileSync(/--tls-ca=(\S+)/.exec(host.ran.at(-1) ?? '')?.[1] ?? '', 'utf8');
    return { stdout: info('1.3.0') };
  });
  await installUpdate(
    host,
    order({ place: 'https://gateway:8443/v1/updates/1.3.0.raucb', caPem }),
    silent,
    signal,
  );
  t.equal(seen, caPem);
  t.same(readdirSync(host.sandbox.at('run/surfaced-update')), []);
});

t.test('what fails before the bundle is known is told of the version that was asked for', async (t) => {
  const host = surface(t);
  host.answers.set('rauc info', () => ({ code: 1, text: "Couldn't resolve host name\n" }));
  await t.rejects(installUpdate(host, order({ version: '1.3.0', requestId: 'r2' }), silent, signal), {
    code: 'E_UPDATE_SOURCE',
  });
  t.match(stateIn(host), { state: 'failed', version: '1.3.0', code: 'E_UPDATE_SOURCE', id: 'r2' });
  host.answers.set('rauc info', () => ({ stdout: info('1.4.0') }));
  await t.rejects(installUpdate(host, order({ version: '1.3.0' }), silent, signal), {
    code: 'E_UPDATE_BUNDLE',
    message: /not the bundle that was asked for/,
  });
});

t.test(
  'while a trial lasts nothing is begun, no failure is told, and its judge keeps its measure',
  async (t) => {
    const boots = [
      ['trial', { running: 'b', good: 'a', trial: 'b', left: 2 }],
      ['installed', { running: 'a', good: 'a', trial: 'b', left: 3 }],
    ] as const;
    for (const [state, boot] of boots) {
      const host = surface(t, '1.4.0');
      const { sandbox } = host;
      const rootHash = 'ab'.repeat(32);
      const last = { version: '1.3.0', rootHash, slot: 'b', from: '1.2.0' };
      writeFileSync(sandbox.at('data/shared/update/last-update.json'), JSON.stringify(last));
      writeFileSync(sandbox.at('data/shared/update/before.json'), '[]\n');
      if (boot.running === 'b') sandbox.runs('1.3.0', rootHash);
      sandbox.boot(boot);
      // It would be forgiven, had it been there before the update.
      host.answers.set('systemctl list-units', () => ({ stdout: 'iwd.service loaded failed failed\n' }));
      await t.rejects(installUpdate(host, order({ version: '1.4.0', requestId: 'r3' }), silent, signal), {
        code: 'E_UPDATE_PENDING',
      });
      t.match(stateIn(host), { state, version: '1.3.0', id: 'r3' });
      t.equal(sandbox.read('data/shared/update/before.json'), '[]\n');
      t.same(host.ran, [], 'nothing was fetched');
    }
  },
);

t.test('another installation is not told to have failed by one that came too late', async (t) => {
  const host = surface(t);
  const other = {
    state: 'installing',
    version: '1.3.0',
    detail: 'Copying',
    progress: 40,
    code: null,
  } as const;
  await publish(host, { ...other, id: null });
  host.answers.set('rauc install', () => ({ code: 1, text: 'Already processing a different method\n' }));
  await t.rejects(installUpdate(host, order({ version: '1.4.0', requestId: 'r4' }), silent, signal), {
    code: 'E_UPDATE_BUNDLE',
  });
  t.match(stateIn(host), { state: 'failed', version: '1.4.0', id: 'r4' });
  await publish(host, { ...other, id: null });
  await t.rejects(installUpdate(host, order({ requestId: 'r5' }), silent, signal), {
    code: 'E_UPDATE_PENDING',
  });
  t.match(stateIn(host), { ...other, id: 'r5' });
});

t.test('files that cannot be written', async (t) => {
  const host = surface(t);
  const folder = host.sandbox.at('run/surfaced/update');
  const install = host.answers.get('rauc install');
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', onUnhandled);
  t.teardown(() => process.off('unhandledRejection', onUnhandled));
  host.answers.set('rauc install', (onLine) => {
    onLine?.(' 20% Checking bundle done.');
    rmSync(folder, { recursive: true });
    onLine?.(' 60% Copying image to rootfs.1');
    return install?.(null) ?? {};
  });
  const run = host.run;
  host.run = async (...call) => {
    const ran = await run(...call);
    // An installation takes minutes: what is told meanwhile has failed long before it ends.
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    return ran;
  };
  await t.rejects(installUpdate(host, order(), silent, signal), {
    code: 'E_UPDATE_SYSTEM',
    message: /surfaced\/update/,
  });
  t.same(unhandled, [], 'nothing ends the process in the middle of an installation');
  t.match(await readStanding(host, signal), { outcome: 'waits' }, 'it was installed all the same');

  const full = surface(t);
  full.answers.set('rauc info', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      path: '/data/x',
    });
  });
  await t.rejects(installUpdate(full, order(), silent, signal), {
    code: 'E_UPDATE_SPACE',
    message: '/data/x: ENOSPC: no space left on device, write',
  });
  t.match(stateIn(full), { state: 'failed', code: 'E_UPDATE_SPACE' });
});

t.test("RAUC's words", async (t) => {
  const cases = [
    [
      'signature verification failed: Verify error: self-signed certificate in certificate chain',
      'E_UPDATE_SIGNER',
    ],
    ['signature verification failed: Verify error: unsuitable certificate purpose', 'E_UPDATE_SIGNER'],
    [
      "LastError: Compatible mismatch: Expected 'surfaced-pi-arm64' but bundle manifest has 'x'",
      'E_UPDATE_COMPATIBLE',
    ],
    ["Version mismatch: Expected at least '0.1.0' but bundle manifest has '0.0.9'", 'E_UPDATE_DOWNGRADE'],
    ['bundle payload is corrupted', 'E_UPDATE_DATA'],
    [
      'Installation error: Failed updating slot rootfs.1: Failed to copy data: Error reading: Input/output error',
      'E_UPDATE_DATA',
    ],
    ['Slot (10 bytes) is too small for image (20 bytes).', 'E_UPDATE_SPACE'],
    ['No space left on device', 'E_UPDATE_SPACE'],
    ['Failed to contact rauc service: timeout', 'E_UPDATE_SYSTEM'],
    ['Already processing a different method', 'E_UPDATE_PENDING'],
    ['SSL peer certificate or SSH remote key was not OK', 'E_UPDATE_SOURCE'],
    ["Couldn't resolve host name", 'E_UPDATE_SOURCE'],
    ['server not responding', 'E_UPDATE_SOURCE'],
    ['Signature size (18446744073709551615) exceeds bundle size', 'E_UPDATE_BUNDLE'],
    ["Bundle format 'plain' not allowed", 'E_UPDATE_BUNDLE'],
    ['something that nobody has met', 'E_UPDATE_SYSTEM'],
  ] as const;
  for (const [said, code] of cases) {
    const error = raucError(`  0% Installing\n100% Installing failed.\n${said}\nInstalling \`x\` failed\n`, {
      place: 'x',
    });
    t.equal(error.code, code, said);
    t.match(error.message, said.replace('LastError: ', ''));
  }
});

t.test('slots as RAUC has kept them', async (t) => {
  const host = surface(t);
  const slot = (bootname: string, kept: object) => ({
    [`rootfs.${bootname}`]: { bootname, slot_status: kept },
  });
  const installed = {
    bundle: { version: '1.3.0' },
    status: 'ok',
    installed: { timestamp: '2027-06-01T00:00:00Z' },
  };
  const slots = [slot('b', installed), slot('a', { bundle: { compatible: null } })];
  host.answers.set('rauc status', () => ({ stdout: JSON.stringify({ slots }) }));
  t.same(await slotStatus(host, signal), [
    { name: 'a', version: null, installedAt: null, isWhole: true },
    { name: 'b', version: '1.3.0', installedAt: '2027-06-01T00:00:00Z', isWhole: true },
  ]);
  host.answers.set('rauc status', () => ({ code: 1, text: 'no service' }));
  await t.rejects(slotStatus(host, signal), { code: 'E_UPDATE_SYSTEM', message: /no service/ });
});
