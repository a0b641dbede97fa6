import t from 'tap';
import { Tpm } from '../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../daemon/attest/tpm2/transports/swtpm.ts';
import { secretsIn } from '../../daemon/first-boot/secrets.ts';
import { SoftwareTpm, withoutSwtpm } from '../../hil/software-tpm.ts';
import { MemoryDisk } from './memory-disk.ts';
import { boot, password, places, preseedText, start, token, withToken } from './rig.ts';

const signal = new AbortController().signal;

t.test('with a TPM, the card alone tells no secret', { skip: withoutSwtpm }, async (t) => {
  const chip = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  t.teardown(async () => {
    await tpm.close();
    await chip.end();
  });
  const disk = new MemoryDisk();
  disk.put(boot('surfaced.yaml'), withToken);
  disk.put(boot('rpi-preseed.toml'), preseedText);
  await start(disk, { tpm });
  t.equal(disk.text(places.token), `${token}\n`);
  disk.restart();
  for (const [name, text] of Object.entries(disk.all()))
    for (const secret of [token, password]) t.notOk(text.includes(secret), `${name} tells no secret`);
  const sealed = disk.text(`${places.secrets}/wifi.sealed`);
  const { status } = await start(disk, { tpm });
  t.same(status.notes, []);
  t.match(disk.text('/var/lib/iwd/=436166c3a9.psk'), /Passphrase=correct\\shorse/);
  t.equal(disk.text(`${places.secrets}/wifi.sealed`), sealed, 'not sealed anew at each start');

  disk.restart();
  const without = await start(disk, { tpm: null });
  t.match(without.status, { problem: { code: 'E6', detail: /TPM that has sealed it is not there/ } });
  t.match(without.status.notes, [{ text: /^Wi-Fi: wifi\.sealed: the TPM/ }, { text: /^one-time token: / }]);

  // A card that comes from a board without a TPM.
  const plain = new MemoryDisk();
  plain.put(boot('surfaced.yaml'), withToken);
  await start(plain);
  t.equal(plain.text(`${places.secrets}/token`), token);
  plain.restart();
  await start(plain, { tpm });
  t.equal(plain.text(`${places.secrets}/token`), null, 'is sealed as soon as there is one');
  t.equal(plain.text(places.token), `${token}\n`);
});

t.test('a TPM that fails costs the seal, not the network', async (t) => {
  const tpm = new Tpm({ transport: swtpm({ path: '/nonexistent/swtpm' }) });
  const disk = new MemoryDisk();
  disk.put(boot('rpi-preseed.toml'), preseedText);
  const { status } = await start(disk, { tpm });
  t.match(disk.text('/var/lib/iwd/=436166c3a9.psk'), /Passphrase/);
  t.match(status.preseed?.notes.at(-1)?.text, /Wi-Fi password is kept on the data partition without a seal/);
  await tpm.close();
});

t.test('keeping, and forgetting', async (t) => {
  const disk = new MemoryDisk();
  const secrets = secretsIn({ disk, folder: '/data/secrets', tpm: null, now: () => 0, signal });
  t.equal(await secrets.open('token'), null);
  await secrets.keep('token', 'one');
  await secrets.keep('token', 'two');
  t.equal(await secrets.open('token'), 'two');
  await secrets.forget('token');
  t.equal(await secrets.open('token'), null);
  disk.put('/data/secrets/wifi.sealed', '{}');
  await t.rejects(secrets.open('wifi'), { code: 'E_SECRET', message: /not there/ });
});
