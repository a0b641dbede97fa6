import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../daemon/errors.ts';
import { readPreseed } from '../../daemon/first-boot/preseed.ts';
import { readKeys } from '../../daemon/first-boot/ssh-keys.ts';
import { networkOf, networkText, readNetwork } from '../../daemon/first-boot/wifi.ts';
import { password, preseedText, publicKey } from './rig.ts';

const read = (text: string) => readPreseed(text, 'rpi-preseed.toml');
const texts = (text: string) => read(text).notes.map((note) => `${note.kind} ${note.text}`);

t.test('what Raspberry Pi Imager writes', async (t) => {
  const { preseed, notes } = read(preseedText);
  t.match(preseed, {
    hostname: 'desk',
    timezone: 'Europe/Berlin',
    ssh: { isEnabled: true, keys: [publicKey] },
    network: { fileName: '=436166c3a9.psk', country: 'DE', isKeyOnly: false },
  });
  t.match(notes, [{ kind: 'warning', text: /^rpi-preseed\.toml:21 locale\.keymap: is not used/ }]);
  t.same(read('').preseed, { hostname: null, network: null, ssh: null, timezone: null });
});

t.test('each section stands for itself, and each fault names its line', async (t) => {
  const wrong: readonly (readonly [toml: string, text: RegExp])[] = [
    ['[system]\nhostname = "a_b"', /^refused rpi-preseed\.toml:2 system\.hostname: expected letters/],
    ['[system]\nhostname = 7', /^refused rpi-preseed\.toml:2 system\.hostname: expected text in quotes/],
    ['system = 3', /^refused rpi-preseed\.toml:1 system: expected a section/],
    ['[wlan]\npassword = "x"', /^refused rpi-preseed\.toml:1 wlan: expected ssid/],
    ['[wlan]\nssid = ""', /^refused rpi-preseed\.toml:2 wlan\.ssid: expected 1 to 32 bytes/],
    ['[wlan]\nssid_hex = "zz"', /^refused rpi-preseed\.toml:2 wlan\.ssid_hex: expected pairs/],
    ['[wlan]\nssid = "a"\npassword = "short"', /^refused .*:3 wlan\.password: expected 8 to 63/],
    ['[wlan]\nssid = "a"\npassword = "p\u00e4ssw\u00f6rter"', /wlan\.password: expected 8 to 63/],
    [
      '[wlan]\nssid = "a"\npassword = "12345678"\npassword_encrypted = true',
      /wlan\.password: expected 64 hex/,
    ],
    [
      '[wlan]\nssid = "a"\npassword = "12345678"\nkey_mgmt = "none"',
      /key_mgmt says that the network is open/,
    ],
    ['[wlan]\nssid = "a"\nkey_mgmt = "sae"', /wlan\.password: is missing/],
    ['[wlan]\nssid = "a"\ncountry = "Germany"', /wlan\.country: expected two letters/],
    ['[wlan]\nssid = "a"\nhidden = "yes"', /wlan\.hidden: expected true or false, without quotes/],
    ['[ssh]\nenabled = true', /^refused rpi-preseed\.toml:1 ssh: SSH stays as it was/],
    ['[ssh]\nenabled = true\nauthorized_keys = ["ssh-ed25519 AAAA"]', /ssh\.authorized_keys: key 1 was cut/],
    ['[ssh]\nauthorized_keys = "x"', /ssh\.authorized_keys: expected a list/],
    ['[ssh]\npassword_authentication = true', /^warning .*is refused: SSH takes keys only/],
    ['[user]\nname = "pi"', /^warning rpi-preseed\.toml:1 user: is not used: .*`maker`/],
    ['[locale]\ntimezone = "Mars/Base"', /^refused .*:2 locale\.timezone: expected a time zone/],
    ['[locale]\ntimezone = "../../etc/passwd"', /locale\.timezone: expected a time zone/],
    ['[connect]\nenabled = true\ntoken = "x"', /^warning .* connect: is not used/],
    ['[interfaces]\nspi = true', /^warning .* interfaces: is not used/],
    ['[sytem]\nhostname = "a"', /^warning rpi-preseed\.toml:1 sytem: unknown, and passed over/],
    ['[wlan]\nssid = "a"\npasword = "x"', /^warning rpi-preseed\.toml:3 wlan\.pasword: unknown/],
    ['config_version = "2.0"', /config_version: is not 1\.0/],
  ];
  for (const [toml, text] of wrong) {
    t.ok(
      texts(toml).some((one) => text.test(one)),
      `${toml.replaceAll('\n', ' / ')}: ${text}`,
    );
    const { preseed } = read(`${toml}${toml.includes('[') || toml.includes('=') ? '\n' : ''}`);
    if (/^\^refused/.test(text.source))
      t.same(Object.values(preseed).filter(Boolean), [], 'nothing of it counts');
  }
  const { preseed } = read('[system]\nhostname = "desk"\n[wlan]\nssid = 3\n[locale]\ntimezone = "UTC"\n');
  t.match(preseed, { hostname: 'desk', network: null, timezone: 'UTC' });
});

t.test('no TOML at all: where, and nothing of the line', async (t) => {
  for (const toml of [`[wlan]\npassword = ${password}\n`, `[wlan]\npassword = "${password}\n`, password]) {
    t.throws(() => read(toml), { code: 'E_PRESEED', message: /^rpi-preseed\.toml:\d+:\d+ is not TOML/ });
    try {
      read(toml);
    } catch (problem) {
      const { message, cause } = problem as Error;
      t.notOk(`${message}${String(cause)}`.includes('horse'));
    }
  }
  t.throws(() => read(`a = ${'['.repeat(5000)}`), { code: 'E_PRESEED' });
});

t.test('networks as iwd wants them', async (t) => {
  const pmk = '0123456789ABCDEF'.repeat(4);
  const network = (fields: object) =>
    networkOf({
      ...{ ssid: 'desk', ssidHex: null, password: null, isKey: null, isHidden: false, country: null },
      keyManagement: null,
      ...fields,
    });
  const psk = (fileText: string, isKeyOnly = false) => ({
    network: { fileName: 'desk.psk', fileText, country: null, isKeyOnly },
  });
  t.same(network({ password: pmk }), psk(`[Security]\nPreSharedKey=${pmk.toLowerCase()}\n`, true));
  t.same(
    network({ password: pmk, isKey: true }),
    psk(`[Security]\nPreSharedKey=${pmk.toLowerCase()}\n`, true),
  );
  t.same(network({ password: ' a\\b=#7 ' }), psk('[Security]\nPassphrase=\\sa\\\\b=#7\\s\n'));
  t.match(network({ password: pmk, isKey: false }), { network: null, field: 'password' });
  t.match(network({}), { network: { fileName: 'desk.open', fileText: '\n' } });
  t.match(network({ keyManagement: 'owe', isHidden: true }), {
    network: { fileName: 'desk.open', fileText: '[Settings]\nHidden=true\n' },
  });
  t.match(network({ ssidHex: 'ff00' }), { network: { fileName: '=ff00.open' } }, 'hex goes before the name');
  t.match(network({ ssid: '../x' }), { network: { fileName: '=2e2e2f78.open' } });
  t.match(network({ ssid: 'x'.repeat(33) }), { network: null });
});

t.test('what is kept of a network is looked at before it is used', async (t) => {
  const made = networkOf({
    ...{ ssid: 'desk', ssidHex: null, password, isKey: false, isHidden: false, country: 'DE' },
    keyManagement: null,
  });
  if (made.network === null) throw new Error('there is a network');
  t.match(readNetwork(networkText(made.network)), { fileName: 'desk.psk', country: 'DE' });
  for (const bad of ['', '{}', '{"fileName":"../x.psk","fileText":"","country":null}', `${password}`])
    t.throws(() => readNetwork(bad), { code: 'E_SECRET', message: /was changed$/ });
});

t.test('public keys, and what is none', async (t) => {
  const { keys, problems } = readKeys([
    publicKey,
    ` ${publicKey} `,
    `command="x" ${publicKey}`,
    `${publicKey}\nssh-rsa AAAA`,
    publicKey.replace('ssh-ed25519', 'ssh-rsa'),
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    '',
  ]);
  t.same(keys, [publicKey]);
  t.same(problems, [
    'key 3 does not begin with a type such as ssh-ed25519',
    'key 4 is not one line of text',
    'key 5 was cut or changed',
    'key 6 is a private key: give the public one, which ends in .pub',
    'key 7 does not begin with a type such as ssh-ed25519',
  ]);
});

const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.double({ noNaN: true }),
  fc.array(fc.string(), { maxLength: 3 }),
);
const inToml = (one: unknown): string => JSON.stringify(one) ?? '""';
const names = {
  section: [
    'system',
    'user',
    'ssh',
    'wlan',
    'locale',
    'connect',
    'interfaces',
    'other',
    '__proto__',
    'constructor',
  ],
  key: [
    'hostname',
    'name',
    'password',
    'enabled',
    'authorized_keys',
    'ssid',
    'ssid_hex',
    'hidden',
    'country',
    'key_mgmt',
    'timezone',
    'token',
    'toString',
  ],
};

t.test('whatever is in the file: notes, or one error that is ours', async () => {
  const notThrown = (text: string): void => {
    try {
      for (const { text: line } of read(text).notes)
        if (/[\n\r]/.test(line)) throw new Error('more than a line');
    } catch (problem) {
      if (!(problem instanceof SurfacedError) || problem.code !== 'E_PRESEED') throw problem;
    }
  };
  fc.assert(fc.property(fc.string({ maxLength: 400 }), notThrown), { numRuns: 2000 });
  const line = fc.oneof(
    fc.constantFrom(...names.section).map((name) => `[${name}]`),
    fc.tuple(fc.constantFrom(...names.key), value).map(([name, one]) => `${name} = ${inToml(one)}`),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => notThrown(lines.join('\n'))),
    { numRuns: 3000 },
  );
});

t.test('no note has a password, whatever is wrong with it', async () => {
  const secret = fc.stringMatching(/^[ -~]{6,70}$/).map((text) => `s3cr3t ${text}`);
  const wrongs = [
    '',
    'hidden = 3\n',
    'country = "Germany"\n',
    'ssid = 7\n',
    'key_mgmt = "none"\n',
    'x = [\n',
  ];
  fc.assert(
    fc.property(secret, fc.constantFrom(...wrongs), fc.boolean(), (word, wrong, isQuoted) => {
      const written = isQuoted ? inToml(word) : word;
      const text = `[wlan]\nssid = "desk"\npassword = ${written}\n${wrong}[user]\npassword = ${written}\n`;
      let told: string;
      try {
        told = JSON.stringify(read(text).notes);
      } catch (problem) {
        told = String(problem);
      }
      return !told.includes('s3cr3t');
    }),
    { numRuns: 2000 },
  );
});
