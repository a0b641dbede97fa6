import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { enrollToken } from '../../daemon/commands/enroll.ts';
import { listSurfaces, revokeSurface, showSurface } from '../../daemon/commands/surfaces.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { gateway, surface } from './gateway-folder.ts';

const token = { surface: 'desk', ttl: '1h', uses: 1, url: null } as const;

t.test('surfaces are listed and shown', async (t) => {
  const { gatewayConfigPath } = gateway(t);
  await enrollToken({ ...token, gatewayConfigPath, output: 'text' });
  t.equal(
    await listSurfaces({ gatewayConfigPath, output: 'text' }),
    `NAME  STATE   LEVEL  EK  LAST ATTESTED  BINDINGS  OPEN TOKENS
desk  active  -      -   -              1         1
lab   active  -      -   -              1         0
`,
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
