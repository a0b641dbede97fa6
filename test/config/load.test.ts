import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type Kind, loadConfig, parseConfig, parseConfigs } from '../../daemon/config/load.ts';
import { SurfacedError } from '../../daemon/errors.ts';

const file = '/etc/surfaced/file.yaml';

/** The lines of the error that a text gives. */
function faults(kind: Kind, text: string): string[] {
  try {
    parseConfig(kind, text, file);
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_CFG_INVALID') return error.message.split('\n');
    throw error;
  }
  return [];
}

const device = `apiVersion: surfaced.dev/v1alpha1
kind: Device
gateway:
  url: https://gateway.example:8443
  caPin: sha256:${'ab'.repeat(32)}
identity: { tokenFile: token }
panel: { preset: nanokontrol2, port: { type: raw-midi, path: /dev/snd/midiC1D0 } }
`;

t.test('defaults are filled in, paths meant from the folder of the file, the whole frozen', async (t) => {
  const config = parseConfig('Device', device, file);
  t.equal(config.identity?.tokenFile, '/etc/surfaced/token');
  t.match(config.panel, { port: { path: '/dev/snd/midiC1D0' } }, 'absolute paths stay');
  const named = parseConfig('Device', device.replace('/dev/snd/midiC1D0', '"hw:1,0,1"'), file);
  t.match(named.panel, { port: { path: 'hw:1,0,1' } }, 'a name of ALSA is no path');
  t.equal(config.panel.brightness, 0.6);
  t.equal(config.surface.settleMs, 150);
  t.throws(() => Object.assign(config.panel, { brightness: 1 }), TypeError);
  const gateway = parseConfig(
    'Gateway',
    `{apiVersion: surfaced.dev/v1alpha1, kind: Gateway, stateDir: ../state, registry: {folder: r},
      cluster: {kubeconfig: k}, policy: {references: ../sets, signers: [a.pub, /b.pub]}}`,
    file,
  );
  t.equal(gateway.stateDir, '/etc/state');
  t.equal(gateway.registry.folder, '/etc/surfaced/r');
  t.equal(gateway.cluster.kubeconfig, '/etc/surfaced/k');
  t.equal(gateway.policy.references, '/etc/sets');
  t.same(gateway.policy.signers, ['/etc/surfaced/a.pub', '/b.pub']);
  t.equal(gateway.policy.identity, 'tpm', 'tokens are off unless turned on');
});

t.test(
  'everything wrong is reported at once, each with line, column, field and what was expected',
  async (t) => {
    t.same(
      faults(
        'ControlSurface',
        `apiVersion: surfaced.dev/v1
kind: ControlSurface
metadata: { name: desk }
spec:
  bindings:
    - control: fader1
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart }
      mim: 1
      max: ten
    - control: Fader 2
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop }
      max: 200000
      colour: red
      takeOver: jump
    - control: fader3
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: web }
      min: 5
      max: 2
  isRevoked: maybe
nonsense: true
`,
      ),
      [
        `${file}:1:13 apiVersion: expected "surfaced.dev/v1alpha1", got "surfaced.dev/v1"`,
        `${file}:8:7 spec.bindings.0.mim: unknown field; did you mean "min"?`,
        `${file}:9:12 spec.bindings.0.max: expected number, got "ten"`,
        `${file}:10:16 spec.bindings.1.control: expected lower-case letters, digits and dashes, at most 32, got "Fader 2"`,
        `${file}:11:15 spec.bindings.1.target.name: expected string, got nothing`,
        `${file}:12:12 spec.bindings.1.max: expected at most 100000, got 200000`,
        `${file}:13:15 spec.bindings.1.colour: expected one of "blue", "orange", "green", "yellow", "sky", "vermilion", "purple", "white", got "red"`,
        `${file}:14:7 spec.bindings.1.takeOver: unknown field; did you mean "takeover"?`,
        `${file}:17:12 spec.bindings.2.min: must not be above max`,
        `${file}:19:14 spec.isRevoked: expected true or false, got "maybe"`,
        `${file}:20:1 nonsense: unknown field; known here: apiVersion, kind, metadata, spec`,
      ],
    );
  },
);

t.test('where the TPM is', async (t) => {
  const withTpm = (tpm: string) => device.replace('{ tokenFile: token }', `{ tpm: ${tpm} }`);
  for (const tpm of ['{}', '{ device: /dev/tpmrm0 }', '{ swtpm: "127.0.0.1:2321", imaLog: /ima }'])
    t.match(parseConfig('Device', withTpm(tpm), file).identity?.tpm, { measuredLog: /measure\.log$/ }, tpm);
  t.same(faults('Device', withTpm('{ device: /dev/tpmrm0, mssim: "127.0.0.1:2321" }')), [
    `${file}:6:18 identity.tpm: give one of device, swtpm and mssim`,
  ]);
});

t.test('a gateway listens on ports that exist, and makes nobody part of the system', async (t) => {
  const gateway = (more: string) =>
    faults(
      'Gateway',
      `{apiVersion: surfaced.dev/v1alpha1, kind: Gateway, stateDir: s, registry: {folder: r}, ${more}}`,
    );
  t.same(gateway('broker: {listen: "[::1]:65535"}, cluster: {userPrefix: "a:", group: "b:c"}'), []);
  t.match(gateway('broker: {listen: "0.0.0.0:65536"}'), [/broker\.listen: .*0 to 65535/]);
  t.match(gateway('health: {listen: "0.0.0.0:99999"}'), [/health\.listen: .*0 to 65535/]);
  t.match(gateway('cluster: {group: "system:masters"}'), [/cluster\.group: expected .*system:/]);
  t.match(gateway('cluster: {userPrefix: "system:"}'), [/cluster\.userPrefix: expected .*system:/]);
  t.match(gateway('cluster: {userPrefix: ""}'), [/cluster\.userPrefix: expected/]);
  t.match(gateway('cluster: {group: "a\\nb"}'), [/cluster\.group: expected/]);
});

t.test('a token is not shown, wherever it was put by mistake', async (t) => {
  const token = `abc123.${'s3cret'.repeat(5)}xy`;
  for (const wrong of [
    device.replace('{ tokenFile: token }', token),
    device.replace('{ tokenFile: token }', `{ token: [${token}] }`),
    device.replace('nanokontrol2', token),
    `${device}${token}: 1\n`,
    `${device}log: { level: ${token} }\n  ${token}\n`,
  ]) {
    const found = faults('Device', wrong).join('\n');
    t.not(found, '');
    t.notMatch(found, 's3cret', wrong);
  }
});

t.test('variants, lists and secrets', async (t) => {
  t.same(
    faults(
      'Device',
      device
        .replace('tokenFile: token', 'token: my-secret')
        .replace('type: raw-midi', 'type: usb')
        .replace('https:', 'http:'),
    ),
    [
      `${file}:4:8 gateway.url: expected a URL that begins with https://, got "http://gateway.example:8443"`,
      `${file}:6:20 identity.token: expected a token as \`surfaced enroll token\` prints it, got something else`,
      `${file}:7:46 panel.port.type: expected one of "raw-midi", "serial", "pty", got "usb"`,
    ],
  );
  t.same(faults('Device', device.replace('raw-midi, path', 'serial, baudrate: 9600, path')), [
    `${file}:7:54 panel.port.baudrate: unknown field; did you mean "baudRate"?`,
  ]);
  t.same(faults('Device', device.replace('{ tokenFile: token }', '[]')), [
    `${file}:6:11 identity: expected a map, got a list`,
  ]);
});

t.test('another kind, nothing, too many documents', async (t) => {
  t.same(faults('Gateway', device), [`${file}:2:7 kind: expected "Gateway", got "Device"`]);
  t.same(faults('Device', '# only a comment\n'), [
    `${file}:1:1 expected one Device document, got an empty file`,
  ]);
  t.same(faults('Device', `${device}---\n${device}`), [`${file}:1:1 expected one Device document, got 2`]);
  t.equal(parseConfigs('Device', `${device}---\n---\n${device}`, file, null).length, 2);
  t.same(
    faults('Device', `${device}---\nkind: Device\nx`)[0],
    `${file}:10:1 Implicit map keys need to be followed by map values`,
  );
});

t.test('YAML that is wrong by itself', async (t) => {
  t.same(faults('Device', `${device}kind: Device\n`), [`${file}:8:1 kind: is given twice`]);
  t.match(faults('Device', 'kind: [Device\n'), [/^\/etc\/surfaced\/file\.yaml:\d+:\d+ /]);
  t.same(faults('Device', 'kind: !device Device'), [`${file}:1:7 Unresolved tag: !device`]);
  t.same(faults('Device', 'kind: *nothing'), [
    `${file}: Unresolved alias (the anchor must be set before the alias): nothing`,
  ]);
});

t.test('hostile texts end quickly', async (t) => {
  const bomb = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${i ? `*a${i - 1},`.repeat(9) : 'x'}]`);
  t.match(faults('Device', bomb.join('\n')), [/alias/]);
  for (const deep of ['[', '- ', '? ', 'a: ', '{a: ', '[{'])
    t.same(faults('Device', deep.repeat(100_000)), [`${file}: nested deeper than 64 levels`], deep);
  t.same(faults('Device', ' '.repeat(1024 * 1024 + 1)), [`${file}: larger than 1048576 bytes`]);
  const many = faults('Device', Array.from({ length: 50_000 }, (_, i) => `k${i}: 1`).join('\n'));
  t.equal(many.length, 51);
  t.equal(many.at(-1)?.startsWith('... and '), true);
  t.equal(({} as { polluted?: boolean }).polluted, undefined);
  t.match(faults('Device', '__proto__: { polluted: true }').at(-1), /__proto__: unknown field/);
});

t.test('files', async (t) => {
  const folder = t.testdir({ 'device.yaml': device });
  const config = await loadConfig('Device', path.join(folder, 'device.yaml'));
  t.equal(config.identity?.tokenFile, path.join(folder, 'token'));
  await t.rejects(loadConfig('Device', path.join(folder, 'missing.yaml')), {
    code: 'E_CFG_READ',
    message: /ENOENT/,
  });
  await mkdir(path.join(folder, 'folder.yaml'));
  await t.rejects(loadConfig('Device', path.join(folder, 'folder.yaml')), {
    code: 'E_CFG_READ',
    message: /EISDIR/,
  });
  await writeFile(path.join(folder, 'latin.yaml'), Buffer.from([0x6b, 0x3a, 0x20, 0xe4]));
  await t.rejects(loadConfig('Device', path.join(folder, 'latin.yaml')), {
    code: 'E_CFG_INVALID',
    message: /not UTF-8/,
  });
  await writeFile(path.join(folder, 'big.yaml'), Buffer.alloc(1024 * 1024 + 1, ' '));
  await t.rejects(loadConfig('Device', path.join(folder, 'big.yaml')), {
    message: /larger than 1048576 bytes/,
  });
});

t.test('whatever the text, the answer is a config or a SurfacedError', async (t) => {
  const kind = fc.constantFrom<Kind>('Device', 'Gateway', 'ControlSurface');
  const piece = fc.constantFrom(
    ...[
      'apiVersion: surfaced.dev/v1alpha1\n',
      'kind: Gateway\n',
      'kind: ControlSurface\n',
      'spec:\n',
      '  bindings:\n',
    ],
    ...[
      '    - ',
      'control: fader1\n',
      'target: {',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '!!map ',
      '!!binary ',
      '? ',
      ': ',
      '- ',
    ],
    ...[
      '"',
      "'",
      '|\n',
      '>-\n',
      '---\n',
      '...\n',
      '%YAML 1.1\n',
      '\t',
      '\u0000',
      '#',
      '<<: ',
      '__proto__: ',
      '~',
      '1e999',
    ],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
    fc.json(),
  );
  fc.assert(
    fc.property(kind, text, (kind, text) => {
      try {
        parseConfig(kind, text, file);
      } catch (error) {
        return error instanceof SurfacedError && error.message.startsWith(file);
      }
      return true;
    }),
    { numRuns: 600 },
  );
  t.pass('no other error');
});
