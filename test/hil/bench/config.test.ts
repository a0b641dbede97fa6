/** Files of benches: what is wrong with one is told with file and field. */
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { loadDevice } from '../../../daemon/commands/load-device.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { loadBench, parseBench } from '../../../hil/bench/config.ts';
import { root } from '../../structure/source-files.ts';

const good = {
  apiVersion: 'surfaced.dev/v1alpha1',
  kind: 'Bench',
  port: { path: '/dev/ttyACM0' },
  device: { config: 'panel.yaml', command: ['ssh', 'panel', 'surfaced {arguments}'] },
};

/** What is told about a file with these fields. */
function faultsOf(fields: object): string[] {
  try {
    parseBench(stringify({ ...good, ...fields }), 'bench.yaml');
    return [];
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_CFG_INVALID') return error.message.split('\n');
    throw error;
  }
}

t.test('the example is a good one', async (t) => {
  const config = await loadBench(path.join(root, 'hil/bench/example.yaml'));
  t.same(config.encoders.cart, { a: 2, b: 3, push: 4, edgesPerDetent: 4, invert: false, bounces: 3 });
  t.equal(config.port.type, 'serial');
  t.equal((await loadDevice(config.device.config)).panel.preset, 'parts', 'so is its panel');
});

t.test('paths are meant from the folder of the file', async (t) => {
  t.equal(parseBench(stringify(good), '/etc/desk/bench.yaml').device.config, '/etc/desk/panel.yaml');
});

t.test('everything that is wrong is told', async (t) => {
  const cases: [fields: object, ...faults: string[]][] = [
    [{}],
    [{ kind: 'Device' }, 'bench.yaml: kind: expected "Bench", got "Device"'],
    [{ port: {} }, 'bench.yaml: port.path: expected string, got nothing'],
    [
      { device: { config: 'x', command: [] }, faders: { web: { line: 29, low: 2 } } },
      'bench.yaml: device.command: no word of it has {arguments}',
      'bench.yaml: faders.web.line: expected at most 28, got 29',
      'bench.yaml: faders.web.low: expected at most 1, got 2',
    ],
    [
      { device: { config: 'x', command: ['ssh', 'panel', 'surfaced monitor'] } },
      'bench.yaml: device.command: no word of it has {arguments}',
    ],
    [
      { buttons: { arm: { line: 24 } } },
      'bench.yaml: buttons.arm.line: GP23 to GP25 are not on the edge of a Pico',
    ],
    [
      { buttons: { arm: { lime: 2, line: 2 } } },
      'bench.yaml: buttons.arm.lime: unknown field; did you mean "line"?',
    ],
    [
      { encoders: { cart: { a: 3, b: 2 } } },
      'bench.yaml: encoders.cart.b: expected GP4, the line after A, got GP2',
    ],
    [
      { encoders: { cart: { a: 2, b: 3, push: 3 } }, sniffer: { sda: 1 } },
      'bench.yaml: encoders.cart.push: GP3 is at encoders.cart.b already',
      'bench.yaml: sniffer.sda: GP2 is at encoders.cart.a already',
    ],
    [
      { faders: { a: { line: 2 }, b: { line: 18 } } },
      'bench.yaml: faders.b.line: GP18 has the same output as a',
    ],
    [{ power: { 'ads1115@48': 'on' } }, 'bench.yaml: power.ads1115@48: expected number, got "on"'],
    [
      { encoders: Object.fromEntries([0, 2, 4, 6, 8].map((a) => [`e${a}`, { a, b: a + 1 }])) },
      'bench.yaml: encoders: expected at most 4 encoders',
    ],
  ];
  for (const [fields, ...faults] of cases) t.same(faultsOf(fields), faults, JSON.stringify(fields));
});

t.test('what is no YAML, and what is no file', async (t) => {
  const invalid = (text: string) => t.throws(() => parseBench(text, 'b.yaml'), { code: 'E_CFG_INVALID' });
  invalid('');
  invalid('a: [1');
  invalid('---\n---\n');
  invalid('['.repeat(10_000));
  invalid('a: &a [1]\nb: [*a, *a]');
  invalid('42');
  t.throws(() => parseBench('a: 1\nb: : 2', 'b.yaml'), { message: /^b\.yaml:2:\d+ / });
  await t.rejects(loadBench('/nowhere/bench.yaml'), { code: 'E_CFG_READ' });
});

t.test('any text is a bench or told to be none', async () => {
  const texts = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => stringify(value)),
    fc.jsonValue().map((value) => stringify({ ...good, encoders: value, faders: value })),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parseBench(text, 'b.yaml');
      } catch (error) {
        if (!(error instanceof SurfacedError)) throw error;
      }
    }),
  );
});
