/** The wiring pictures: up to date, right as circuits, readable, and the same as the Device files that go with them. */
import fc from 'fast-check';
import t from 'tap';
import { parseConfig } from '../../daemon/config/load.ts';
import { faultsOf } from '../../scripts/wiring/check.ts';
import { deviceFaults } from '../../scripts/wiring/device.ts';
import { headerPins } from '../../scripts/wiring/header.ts';
import { pictures } from '../../scripts/wiring/pictures.ts';
import { lightMilliamps, powerOf, supplyLimitMilliamps } from '../../scripts/wiring/power.ts';
import type { Wire, Wiring } from '../../scripts/wiring/types.ts';
import { generate } from '../../scripts/wiring.ts';
import { textOf } from '../structure/source-files.ts';

const panelOf = ({ device }: Wiring) => parseConfig('Device', textOf(device), device).panel;
const picture = (name: string): Wiring => {
  const found = pictures.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no picture ${name}`);
  return found;
};
/** All that is wrong with a wiring, as a circuit, as a picture, or beside its file. */
const wrongs = (wiring: Wiring): string[] => {
  const faults = faultsOf(wiring);
  return faults.length > 0 ? faults : deviceFaults(wiring, panelOf(wiring));
};
const withWire = (wiring: Wiring, ...wires: readonly Wire[]): Wiring => ({
  ...wiring,
  wires: [...wiring.wires, ...wires],
});
const black = { colour: 'black', via: [] } as const;

t.test('pictures and tables are up to date', async (t) => {
  for (const [file, content] of generate())
    t.equal(
      textOf(file) === content,
      true,
      `${file}: if this fails, run \`node --import=tsx scripts/wiring.ts\` and commit the result`,
    );
});

for (const wiring of pictures) {
  t.test(`${wiring.name}: right as a circuit and as a picture`, async (t) => {
    t.same(faultsOf(wiring), []);
    t.same(deviceFaults(wiring, panelOf(wiring)), [], `the same as ${wiring.device}`);
    const { supply, usb } = powerOf(wiring, panelOf(wiring));
    t.ok(supply <= supplyLimitMilliamps, `${supply} mA from the 3.3 V pins`);
    t.ok(usb <= 500, `${usb} mA from USB, what a socket of USB 2 has to give`);
  });

  t.test(`${wiring.name}: the guide shows it, and words for those who do not see it are in it`, async (t) => {
    const guide = textOf('docs/build-a-surface.md');
    t.ok(guide.includes(`(images/wiring-${wiring.name}.svg)`), 'picture');
    t.ok(guide.includes(wiring.device.replace('docs/', '')), 'Device file');
    t.match(
      textOf(`docs/images/wiring-${wiring.name}.svg`),
      /<title id="title">.+<\/title>\n<desc id="desc">Wires: /,
    );
  });
}

t.test('wires on another pin of the header are noticed, whichever wire and pin it is', async () => {
  const moved = fc
    .constantFrom(...pictures)
    .chain((wiring) => {
      const at = wiring.wires.flatMap(({ from }, index) => (/^pi\.\d/.test(from) ? [index] : []));
      return fc.tuple(
        fc.constant(wiring),
        fc.constantFrom(...(at.length > 0 ? at : [-1])),
        fc.integer({ min: 0, max: 41 }),
      );
    })
    .filter(([{ wires }, index, number]) => {
      const from = wires[index]?.from;
      const kind = headerPins.find((pin) => `pi.${pin.number}` === from)?.kind;
      // Any other free pin of ground or 3.3 V would do as well.
      const isAlike = kind !== 'signal' && headerPins[number - 1]?.kind === kind;
      return from !== undefined && from !== `pi.${number}` && !isAlike;
    });
  fc.assert(
    fc.property(moved, ([wiring, index, number]) => {
      const wires = wiring.wires.map((wire, at) => (at === index ? { ...wire, from: `pi.${number}` } : wire));
      return wrongs({ ...wiring, wires }).length > 0;
    }),
  );
});

t.test('each wire is needed: without one, something leads nowhere', async (t) => {
  for (const wiring of pictures) {
    for (const [index, { to }] of wiring.wires.entries()) {
      const less = { ...wiring, wires: wiring.wires.filter((_, at) => at !== index) };
      t.not(wrongs(less).length, 0, `${wiring.name}: the wire to ${to}`);
    }
  }
});

t.test('faults of a circuit are named', async (t) => {
  const gpio = picture('gpio');
  const rest = { via: [], colour: 'red' } as const;
  const cases: readonly (readonly [Wire, RegExp])[] = [
    [{ from: 'pi.2', to: 'matrix.VCC', ...rest }, /parts take 3\.3 V, not 5 V/],
    [{ from: 'pi.17', to: 'matrix.VCC', ...rest }, /pi\.17 is below the TPM board/],
    [{ from: 'pi.1', to: 'matrix.GND', ...rest }, /joined, and not for the same/],
    [{ from: 'pi.41', to: 'matrix.GND', ...rest }, /there is no pin pi\.41/],
    [{ from: 'pi.39', to: 'matrix.INT', ...rest }, /there is no pin matrix\.INT/],
    [{ from: 'pi.27', to: 'lock.1', ...rest }, /identification of HATs/],
    [{ from: 'pi.40', to: 'lock.1', ...rest }, /more than two ends of a line/],
    [{ from: 'pi.39', to: 'matrix.GND', ...rest }, /wires of several colours/],
  ];
  for (const [wire, expected] of cases) t.match(faultsOf(withWire(gpio, wire)).join('\n'), expected);
});

t.test('faults of a picture are named', async (t) => {
  const gpio = picture('gpio');
  const move = (id: string, by: Partial<Wiring['parts'][number]>): string =>
    faultsOf({ ...gpio, parts: gpio.parts.map((part) => (part.id === id ? { ...part, ...by } : part)) }).join(
      '\n',
    );
  t.match(move('encoder1', { row: 3 }), /matrix covers encoder1/);
  t.match(move('encoder1', { x: 150 }), /encoder1 covers the header|the header covers encoder1/);
  t.match(
    move('matrix', { title: 'Matrix with a name that has no room' }),
    /"Matrix with a name.*" covers "VCC"/,
  );
  t.match(move('matrix', { x: -20 }), /matrix leaves the picture/);
  t.match(move('lock', { id: 'undo' }), /there is no pin lock\.1/);
  const beside = { from: 'pi.7', to: 'undo.1', colour: 'blue', via: [288] } as const;
  t.match(faultsOf(withWire(gpio, beside)).join('\n'), /touch or run too close/);
  t.match(faultsOf(withWire(gpio, beside)).join('\n'), /runs through the header/);
  const through = { from: 'pi.39', to: 'matrix.GND', ...black, via: [100, 2, 20] };
  t.match(faultsOf(withWire(gpio, through)).join('\n'), /runs through encoder2/);
  t.match(faultsOf(withWire(gpio, through)).join('\n'), /runs through "/);
});

t.test('a file that says something else than its picture is noticed', async (t) => {
  const says = (name: string, from: string, to: string): string => {
    const wiring = picture(name);
    const text = textOf(wiring.device);
    t.ok(text.includes(from), from);
    return deviceFaults(wiring, parseConfig('Device', text.replace(from, to), wiring.device).panel).join(
      '\n',
    );
  };
  t.match(says('i2c', 'address: 0x37', 'address: 0x38'), /0x38 is not in the picture/);
  t.match(says('i2c', 'channel: 1', 'channel: 2'), /fader2 is not on A2/);
  t.match(says('i2c', 'name: encoder1', 'name: encoder3'), /drawn as encoder1, not encoder3/);
  t.match(says('i2c', 'line: 18', 'line: 23'), /arm\.1 is not on GPIO 23/);
  t.match(says('i2c', 'display: 16x8', 'display: 8x8'), /another display/);
  t.match(says('gpio', 'push: 13', 'push: 26'), /encoder2\.SW is not on GPIO 26/);
  t.match(says('gpio', 'part: ht16k33', 'part: neotrellis'), /neotrellis, and matrix is drawn/);
  t.match(
    says('stemma', 'name: fader1', 'interrupt: 4\n      name: fader1'),
    /interrupt output is not drawn/,
  );
  const midi = picture('midi');
  t.match(deviceFaults(midi, panelOf(picture('gpio'))).join('\n'), /parts\.0 is drawn 0 times/);
  t.match(deviceFaults(picture('gpio'), panelOf(midi)).join('\n'), /not drawn as one/);
});

t.test('what lights take follows the laws by which their drivers dim them', async (t) => {
  const pixels = { fullMilliamps: 60, law: 'pixels' } as const;
  t.equal(lightMilliamps(pixels, 1), 60);
  t.ok(
    Math.abs(lightMilliamps(pixels, 0.5) - 13.06) < 0.01,
    'half as bright to the eye is a fifth of the light',
  );
  const matrix = { fullMilliamps: 200, law: 'ht16k33' } as const;
  t.equal(lightMilliamps(matrix, 1), 200);
  t.equal(lightMilliamps(matrix, 0.05), 12.5, 'one step of sixteen is the least');
  const bright = powerOf(picture('stemma'), { brightness: 0.6 }).supply;
  t.ok(bright > supplyLimitMilliamps, `the usual 0.6 would be too much for 24 NeoPixels: ${bright} mA`);
});
