import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { parseConfig } from '../../daemon/config/load.ts';
import { panelOf, readDevice } from '../../daemon/first-boot/device-file.ts';
import { root } from '../structure/source-files.ts';
import { deviceText, token, withToken, withTpm } from './rig.ts';

const read = (text: string) => readDevice(text, 'surfaced.yaml');

t.test('a token is taken out wherever YAML lets it be', async (t) => {
  const flows = [
    `{ token: ${token} }`,
    `{"token":"${token}"}`,
    `\n  token: '${token}' # mine: ${token}`,
    `\n  token: |-\n    ${token}`,
    `\n  token:\n    ${token}`,
    `{ token: &again ${token} }`,
    `{ ? token : ${token} }`,
  ];
  for (const identity of flows) {
    const got = read(`# ${token}\n${deviceText(identity)}`);
    t.equal(got.token, token, identity);
    t.notOk(got.text.includes(token), 'and is nowhere else');
    const { identity: left } = parseConfig('Device', got.text, 'device.yaml');
    t.same(left, { tokenFile: '/run/surfaced/token' });
    t.equal(read(got.text).text, got.text, 'the second time it is as it was');
  }
});

t.test('without a token it stays as it is', async (t) => {
  t.same(read(withTpm), { text: withTpm, token: null, config: read(withTpm).config });
  t.equal(read(withTpm).config.identity?.tpm !== undefined, true);
});

t.test('what a surface cannot do without, and what lies elsewhere', async (t) => {
  const invalid = (text: string, message: RegExp) =>
    t.throws(() => read(text), { code: 'E_CFG_INVALID', message });
  invalid('', /surfaced\.yaml:1:1 expected one Device document, got an empty file/);
  invalid(withTpm.replace(/^identity.*$/m, ''), /surfaced\.yaml:1:1 identity: .* a surface needs it/);
  invalid(deviceText('{ tokenFile: token.txt }'), /:7:24 identity\.tokenFile: write the token itself/);
  invalid(withTpm.replace("'hw:1,0,1'", "''"), /panel\.port\.path: /);
  invalid(`${withTpm}  roles: { arm: nothing }\n`, /panel\.roles\.arm: the panel has no control nothing/);
  invalid(`${withTpm}---\n${withTpm}`, /got 2/);
});

t.test('the panel of a file that is wrong elsewhere', async (t) => {
  t.match(panelOf(deviceText('7')), { preset: 'launchpad-mini-mk3' });
  t.equal(panelOf(withTpm.replace('mini', 'maxi')), null);
  for (const text of ['', 'panel: [', '- 1', 'a: &a [*a]']) t.equal(panelOf(text), null);
});

t.test('any good file: nothing but the token changes', async () => {
  const extra = fc.record(
    {
      surface: fc.record({ settleMs: fc.integer({ min: 50, max: 2000 }) }),
      log: fc.record({ level: fc.constantFrom('error', 'debug') }),
    },
    { requiredKeys: [] },
  );
  const style = fc.constantFrom<'PLAIN' | 'QUOTE_DOUBLE'>('PLAIN', 'QUOTE_DOUBLE');
  const comment = fc.stringMatching(/^[ -~]{0,60}$/);
  const original = parseConfig('Device', withToken, 'surfaced.yaml');
  fc.assert(
    fc.property(extra, style, comment, fc.boolean(), fc.boolean(), (more, type, words, isFlow, isWindows) => {
      const value = { ...original, ...more };
      const lines = stringify(value, { defaultStringType: type, collectionStyle: isFlow ? 'flow' : 'any' });
      const text = `# ${words}\n${lines}`.replaceAll('\n', isWindows ? '\r\n' : '\n');
      const got = read(text);
      const { identity, ...rest } = parseConfig('Device', got.text, 'device.yaml');
      const { identity: _, ...expected } = parseConfig('Device', text, 'device.yaml');
      return (
        got.token === token &&
        !got.text.includes(token) &&
        identity?.tokenFile === '/run/surfaced/token' &&
        JSON.stringify(rest) === JSON.stringify(expected)
      );
    }),
    { numRuns: 200 },
  );
});

t.test('the example on the card is good once its placeholders are filled in', async (t) => {
  const text = readFileSync(path.join(root, 'image/card/files/surfaced.yaml.example'), 'utf8');
  t.throws(() => read(text), { code: 'E_CFG_INVALID', message: /caPin/ }, 'and not before');
  const filled = text
    .replace('GATEWAY', 'gateway.example')
    .replace('sha256:PIN', `sha256:${'0a'.repeat(32)}`);
  t.match(read(filled).config, { identity: { tpm: {} }, panel: { preset: 'launchpad-mini-mk3' } });
  const variants = [
    filled.replace('  tpm: {}', '').replace('  # token:', '  token:'),
    filled
      .replace(/^ {2}preset: launchpad.*\n {2}port.*$/m, '')
      .replace('# preset: sense-hat', 'preset: sense-hat'),
    filled
      .replace(/^ {2}preset: launchpad.*\n {2}port.*$/m, '')
      .replace(/^ {2}# (preset: parts|parts:| {2}- )/gm, '  $1'),
  ];
  for (const variant of variants) {
    t.not(variant, filled);
    t.doesNotThrow(() => read(variant));
  }
});
