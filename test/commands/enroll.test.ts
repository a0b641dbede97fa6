import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { enrollConfig, enrollToken, parseTtl } from '../../daemon/commands/enroll.ts';
import { listSurfaces, revokeSurface, showSurface } from '../../daemon/commands/surfaces.ts';
import { parseConfig } from '../../daemon/config/load.ts';

const head = 'apiVersion: surfaced.dev/v1alpha1\n';
const surface = (name: string) => `${head}kind: ControlSurface
metadata: { name: ${name} }
spec:
  # the cart
  bindings:
    - { control: fader1, max: 9, target: { apiVersion: apps/v1, kind: Deployment, namespace: a, name: b } }
`;

function gateway(t: Test, more = 'policy: { identity: token }\n') {
  const folder = t.testdir({
    'gateway.yaml': `${head}kind: Gateway\nstateDir: state\nregistry: { folder: surfaces }\nenrol: { hosts: [localhost, gateway.example] }\n${more}`,
    surfaces: { 'a.yaml': `${surface('desk')}---\n${surface('lab')}` },
  });
  return { folder, gatewayConfigPath: path.join(folder, 'gateway.yaml') };
}
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

t.test('surfaces are listed and shown', async (t) => {
  const { gatewayConfigPath } = gateway(t);
  await enrollToken({ ...defaults, gatewayConfigPath, output: 'text' });
  t.equal(
    await listSurfaces({ gatewayConfigPath, output: 'text' }),
    'NAME  STATE   BINDINGS  OPEN TOKENS\ndesk  active  1         1\nlab   active  1         0\n',
  );
  const list = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
  t.match(list, {
    surfaces: [{ name: 'desk', isRevoked: false, openTokens: 1 }, { name: 'lab' }],
    problems: [],
  });
  const shown = await showSurface({ gatewayConfigPath, name: 'desk', output: 'text' });
  t.match(shown, /^# open token [a-z0-9]{6}: 1 uses until /);
  t.equal(parseConfig('ControlSurface', shown, 'shown').spec.bindings[0]?.min, 1);
  await t.rejects(showSurface({ gatewayConfigPath, name: 'nobody', output: 'json' }), {
    code: 'E_SURFACE_UNKNOWN',
  });
});

t.test('revoking changes one field of the right document, and can be taken back', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  const file = path.join(folder, 'surfaces', 'a.yaml');
  await chmod(file, 0o640);
  const options = { gatewayConfigPath, name: 'lab', output: 'text' } as const;
  t.match(await revokeSurface({ ...options, isRevoked: true }), /lab is revoked/);
  const list = JSON.parse(await listSurfaces({ gatewayConfigPath, output: 'json' }));
  t.match(list.surfaces, [{ isRevoked: false }, { isRevoked: true }]);
  t.same(list.problems, []);
  t.match(await readFile(file, 'utf8'), /# the cart/, 'comments stay');
  t.equal((await stat(file)).mode & 0o777, 0o640);
  t.same(await readdir(path.join(folder, 'surfaces')), ['a.yaml'], 'nothing left beside it');
  await revokeSurface({ ...options, isRevoked: false });
  t.notMatch(await listSurfaces({ gatewayConfigPath, output: 'text' }), /revoked/);
  await t.rejects(revokeSurface({ ...options, name: 'nobody', isRevoked: true }), {
    code: 'E_SURFACE_UNKNOWN',
  });
  await writeFile(path.join(folder, 'surfaces', 'b.yaml'), 'kind: nonsense');
  t.match(await revokeSurface({ ...options, isRevoked: true }), /a\.yaml/, 'a broken file does not matter');
  await t.rejects(
    revokeSurface({ ...options, name: 'nobody', isRevoked: true }),
    { code: 'E_CFG_INVALID' },
    'unless the surface may be in it',
  );
});

t.test('a surface is revoked whatever else lies in the folder', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  await mkdir(path.join(folder, 'surfaces', '0.yaml'));
  await writeFile(path.join(folder, 'surfaces', '1.yaml'), Buffer.from([0xff, 0xfe]));
  const options = { gatewayConfigPath, name: 'lab', isRevoked: true, output: 'text' } as const;
  t.match(await revokeSurface(options), /lab is revoked/);
});

t.test('a revocation that the gateway would not see is an error', async (t) => {
  const { gatewayConfigPath, folder } = gateway(t);
  const file = path.join(folder, 'surfaces', 'a.yaml');
  const options = { gatewayConfigPath, name: 'desk', isRevoked: true, output: 'text' } as const;
  const binding =
    '    - { control: fader1, max: 9, target: { apiVersion: apps/v1, kind: Deployment, namespace: a, name: b } }\n';
  const text = `${surface('desk')}${binding}`;
  await writeFile(file, text);
  await t.rejects(revokeSurface(options), { code: 'E_CFG_INVALID', message: /already bound/ });
  t.equal(await readFile(file, 'utf8'), text, 'the file stays as it was');
});

t.test(
  'the gateway can still read a file that somebody else has changed',
  { skip: process.getuid?.() !== 0 && 'only root can give files away' },
  async (t) => {
    const { gatewayConfigPath, folder } = gateway(t);
    const file = path.join(folder, 'surfaces', 'a.yaml');
    await chmod(file, 0o600);
    await chown(file, 1234, 5678);
    await revokeSurface({ gatewayConfigPath, name: 'lab', isRevoked: true, output: 'text' });
    t.match(await stat(file), { uid: 1234, gid: 5678, mode: 0o100600 });
  },
);
