import { readdir } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { enrollConfig, enrollToken, enrollTpmConfig, parseTtl } from '../../daemon/commands/enroll.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { gateway } from './gateway-folder.ts';

const defaults = { surface: 'desk', ttl: '1h', uses: 1, url: null } as const;

t.test('a token with the pin and a part of a config', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  const text = await enrollToken({ ...defaults, gatewayConfigPath, output: 'text' });
  t.match(text, /^Token for desk, to be used once before \d{4}-/);
  t.match(
    text,
    /url: https:\/\/gateway\.example:8443\n {2}caPin: sha256:[0-9a-f]{64}\nidentity:\n {2}token: [a-z0-9]{6}\./,
  );
  t.notMatch(text, /warning/);
  const json = JSON.parse(await enrollToken({ ...defaults, gatewayConfigPath, uses: 5, output: 'json' }));
  t.match(json, { surface: 'desk', uses: 5, warnings: [] });
  t.ok(text.includes(json.caPin), 'the same CA');
  t.equal((await readdir(path.join(folder, 'state', 'tokens'))).length, 2);
});

t.test('what keeps a token from being of use is said', async (t) => {
  const { gatewayConfigPath } = gateway(t, '');
  const options = { ...defaults, gatewayConfigPath, surface: 'new', url: 'https://127.0.0.1:1' };
  const { warnings } = JSON.parse(await enrollToken({ ...options, output: 'json' }));
  t.match(warnings, [
    /refuses tokens until/,
    /no surface "new"/,
    /leads nowhere from another machine/,
    /not in enrol\.hosts/,
  ]);
});

t.test('a whole Device file', async (t) => {
  const { gatewayConfigPath } = gateway(t);
  const panel = { preset: 'nanokontrol2', port: { type: 'raw-midi', path: '/dev/snd/midiC1D0' } } as const;
  const text = await enrollConfig({ ...defaults, gatewayConfigPath, panel, output: 'text' });
  t.match(text, /^# surfaced\.yaml of desk\. The token is a secret/);
  t.match(parseConfig('Device', text, 'surfaced.yaml'), {
    gateway: { url: 'https://gateway.example:8443' },
    identity: { token: /^[a-z0-9]{6}\./ },
    panel,
  });
});

t.test('a Device file for a surface with a TPM has no secret', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  const panel = { preset: 'nanokontrol2', port: { type: 'raw-midi', path: '/dev/snd/midiC1D0' } } as const;
  const text = await enrollTpmConfig({ gatewayConfigPath, url: null, panel, output: 'text' });
  t.match(text, /^# surfaced\.yaml of a surface with a TPM; it holds no secret\.\napi/);
  t.match(parseConfig('Device', text, 'surfaced.yaml'), {
    gateway: { url: 'https://gateway.example:8443', caPin: /^sha256:/ },
    identity: { tpm: { measuredLog: '/run/surfaced/measure.log' } },
    panel,
  });
  t.same(await readdir(path.join(folder, 'state')), ['ca.pem'], 'no token was made');
  const other = { gatewayConfigPath, panel, output: 'text' } as const;
  t.match(await enrollTpmConfig({ ...other, url: 'https://10.0.0.1' }), /# Warning: .*not in enrol\.hosts/);
  await t.rejects(enrollTpmConfig({ ...other, url: 'http://10.0.0.1' }), { code: 'E_USAGE' });
});

t.test('wrong usage costs no token', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t, 'enrol2: 1\n');
  const options = { ...defaults, gatewayConfigPath, output: 'text' } as const;
  const wrongUrls = ['gateway.example:8443', 'http://gateway.example:8443', 'nonsense'].map((url) => ({
    url,
  }));
  const wrongWords = [{ ttl: '1 hour' }, { ttl: '31d' }, { ttl: '0m' }, { uses: 0 }, { surface: 'De sk' }];
  for (const wrong of [...wrongWords, ...wrongUrls])
    await t.rejects(enrollToken({ ...options, ...wrong }), { code: 'E_USAGE', class: 'usage' });
  await t.rejects(enrollToken(options), { code: 'E_CFG_INVALID', message: /did you mean "enrol"/ });
  t.notOk((await readdir(folder)).includes('state'));
  t.equal(parseTtl('90m'), 5_400_000);
});
