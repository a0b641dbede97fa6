import fc from 'fast-check';
import t from 'tap';
import { z } from 'zod';
import { type HostDriver, noNeeds, type PartDriver } from '../../../daemon/hw/chips/driver.ts';
import { ht16k33 } from '../../../daemon/hw/chips/ht16k33.ts';
import { neotrellis } from '../../../daemon/hw/chips/neotrellis.ts';
import { senseHat } from '../../../daemon/hw/chips/sense-hat.ts';
import { senseHatKernel } from '../../../daemon/hw/chips/sense-hat-kernel.ts';
import { composePanel } from '../../../daemon/hw/parts/compose.ts';
import { composed, configOf } from './bench.ts';
import { toy } from './toys.ts';

/** A button or fader on a GPIO line. */
const wire = {
  kind: 'host',
  part: 'wire',
  title: 'A wire',
  schema: z.strictObject({
    name: z.string().describe('Name of the control.'),
    line: z.int().describe('GPIO line.'),
    control: z.enum(['button', 'fader']).default('button').describe('What it is.'),
  }),
  declare: ({ name, control }) => ({ controls: [{ name, kind: control }], lights: null }),
  needs: ({ line }) => ({ ...noNeeds, lines: [line] }),
  open: () => Promise.reject(new Error('not here')),
} satisfies HostDriver<{ name: string; line: number; control: 'button' | 'fader' }>;

const drivers: readonly PartDriver[] = [toy, wire, ht16k33, neotrellis, senseHat, senseHatKernel];

/** Everything that is wrong with a panel, one line each. */
function faults(panel: object): string[] {
  const { panel: composed, findings } = composePanel(configOf(panel), drivers);
  if ((composed === null) !== findings.length > 0) throw new Error('a panel or findings, not both');
  return findings.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const button = (name: string, line: number) => ({ part: 'wire', name, line });
const box = (name: string, address: number, more: object = {}) => ({
  part: 'toy',
  name,
  address,
  lights: false,
  ...more,
});

t.test('a panel of several parts', async (t) => {
  const { spec, parts, controls } = composed(
    configOf({
      parts: [
        { part: 'toy', name: 'a', at: [3, 1] },
        { part: 'ht16k33', display: '16x8', address: 0x71, at: [5, 1], rotate: 90, interrupt: 4 },
        button('b', 17),
        button('c', 27),
      ],
      chords: [{ name: 'both', of: ['b', 'c'] }],
      roles: { arm: 'both', undo: 'a' },
    }),
    drivers,
  );
  t.same(spec, {
    model: 'parts',
    controls: ['a', 'b', 'c', 'both'].map((name) => ({ name, kind: 'button' })),
    matrix: { width: 10, height: 16 },
    roles: { arm: 'both', undo: 'a' },
  });
  t.same(
    controls.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  t.same(
    parts.map(({ label }) => label),
    ['toy at 0x10 on bus 1', 'ht16k33 at 0x71 on bus 1', 'wire on GPIO 17', 'wire on GPIO 27'],
  );
  t.same(parts[0]?.lights, [0, 1, 10, 11], 'the box around the lights begins where the first light is');
  t.same(parts[1]?.lights?.slice(0, 2), [9, 19], 'turned by 90: its row goes down on the right');
  t.same(
    parts.map(({ interrupt }) => interrupt),
    [null, 4, null, null],
  );
});

t.test('presets', async (t) => {
  const hat = composed(configOf({ preset: 'sense-hat' }), drivers);
  t.same(hat.spec, {
    model: 'sense-hat',
    controls: [
      { name: 'joystick', kind: 'encoder', pulsesPerDetent: 1 },
      { name: 'left', kind: 'button' },
      { name: 'right', kind: 'button' },
      { name: 'enter', kind: 'button' },
    ],
    matrix: { width: 8, height: 8 },
    roles: { arm: 'enter', bankPrevious: 'left', bankNext: 'right' },
  });
  const raw = composed(configOf({ preset: 'sense-hat', parts: [{ part: 'sense-hat' }] }), drivers);
  t.same(raw.spec, hat.spec, 'over I2C it is the same panel');
  const other = composed(
    configOf({ preset: 'sense-hat', parts: [button('enter', 4)], roles: { undo: 'enter' } }),
    drivers,
  );
  t.same(other.spec.roles, { arm: 'enter', undo: 'enter' }, 'roles of what is not there are left out');
  t.equal(other.joystick, null);
  const trellis = composed(configOf({ preset: 'neotrellis' }), drivers);
  t.same(
    trellis.spec.controls.map(({ name, steps }) => [name, steps]),
    ['row1', 'row2', 'row3', 'row4'].map((name) => [name, 4]),
  );
  t.same(faults({ preset: 'parts' }), [
    'preset: the preset parts has no parts of its own: `parts` has to list them',
  ]);
});

t.test('fields of parts', async (t) => {
  t.same(faults({ parts: [{ part: 'toyy' }] }), [
    'parts.0.part: no part is called "toyy"; did you mean "toy"?',
  ]);
  t.match(faults({ parts: [{ part: 'theremin' }] }), [
    /known are toy, wire, ht16k33, neotrellis, sense-hat, sense-hat-kernel$/,
  ]);
  t.same(
    faults({
      parts: [box('a', 0x10), { part: 'toy', name: 5, rest: 0, namee: 'b', adress: 0x11 }],
    }).toSorted(),
    [
      'parts.1.adress: unknown field; did you mean "address"?',
      'parts.1.name: expected string, got 5',
      'parts.1.namee: unknown field; did you mean "name"?',
      'parts.1.rest: expected at least 1, got 0',
    ],
  );
  t.same(faults({ parts: [box('a', 0x48)] }), [
    'parts.0.address: toy cannot be at 0x48, only at 0x10, 0x11, 0x12, 0x13',
  ]);
  t.same(faults({ parts: [{ ...button('a', 4), address: 0x10, interrupt: 5, rotate: 90 }] }), [
    'parts.0.address: wire is not on an I2C bus',
    'parts.0.interrupt: wire is not on an I2C bus',
    'parts.0.rotate: wire has no lights',
  ]);
  t.same(faults({ parts: [box('a', 0x10, { at: [1, 0] })] }), ['parts.0.at: toy has no lights']);
});

t.test('two parts at one address', async (t) => {
  t.same(faults({ parts: [box('a', 0x10), box('b', 0x11), { part: 'toy', name: 'c', lights: false }] }), [
    'parts.2.address: toy and toy (parts.0) are both at 0x10 on bus 1: toy can be set to 0x12, 0x13',
  ]);
  t.same(
    faults({ parts: [box('a', 0x10), { ...box('b', 0x10), bus: 3 }] }),
    [],
    'on another bus it is another',
  );
  const narrow = { ...toy, part: 'neoslider', addresses: [0x30, 0x38], selector: 'its jumper A3' };
  const large = { ...toy, part: 'is31fl3741', addresses: [0x30] };
  const { findings } = composePanel(
    configOf({
      parts: [
        { part: 'neoslider', name: 'a', lights: false },
        { part: 'is31fl3741', name: 'b', lights: false },
      ],
    }),
    [narrow, large],
  );
  t.same(
    findings.map(({ message }) => message),
    [
      'is31fl3741 and neoslider (parts.0) are both at 0x30 on bus 1: neoslider can be set to 0x38 by its jumper A3; is31fl3741 has no other address that is free',
    ],
  );
});

t.test('two users of one line', async (t) => {
  t.same(faults({ parts: [button('a', 17), box('b', 0x10, { interrupt: 17 }), button('c', 2)] }), [
    'parts.1.interrupt: GPIO line 17 is wanted by the interrupt of toy (parts.1) and by wire (parts.0)',
    'parts.2: GPIO line 2 is wanted by wire (parts.2) and by I2C bus 1',
  ]);
  t.same(
    faults({ parts: [box('a', 0x10, { interrupt: 17 }), box('b', 0x11, { interrupt: 17 })] }),
    [],
    'interrupt outputs may share one',
  );
  t.same(faults({ parts: [button('c', 2)] }), [], 'nothing is on the bus');
  t.same(faults({ gpio: { chip: 'gpio-sim' }, parts: [box('b', 0x10), button('c', 2)] }), [], 'another chip');
  for (const chip of ['pinctrl-rp1', 'gpiochip0', '/dev/gpiochip4'])
    t.same(faults({ gpio: { chip }, parts: [box('b', 0x10), button('c', 3)] }).length, 1, chip);
  t.match(faults({ parts: [{ part: 'sense-hat-kernel' }, { part: 'sense-hat-kernel' }] }), [/input device/]);
});

t.test('lights', async (t) => {
  const lit = (name: string, address: number, at: readonly number[]) => ({ part: 'toy', name, address, at });
  t.same(faults({ parts: [lit('a', 0x10, [0, 0]), lit('b', 0x11, [1, 1])] }), [
    'parts.1.at: the lights of toy (2 x 2) lie on those of toy (parts.0, 2 x 2 at 0, 0)',
  ]);
  t.same(faults({ parts: [lit('a', 0x10, [10, 5]), lit('b', 0x11, [72, 5])] }), []);
  t.same(faults({ parts: [lit('a', 0x10, [10, 5]), lit('b', 0x11, [73, 5])] }), [
    'parts.1.at: the matrix would be 65 x 2 lights, at most 64 x 64 are possible',
  ]);
  t.match(faults({ preset: 'neotrellis', parts: [{ part: 'neotrellis', rotate: 270 }] }), []);
  const half = ['a', 'b'].map((row) => [1, 2, 3, 4].map((key) => `${row}${key}`));
  t.same(faults({ parts: [{ part: 'neotrellis', rotate: 270, rows: ['top', 'next', ...half] }] }), [
    'parts.0.rotate: the keys of neotrellis are not as many across as down: it can be turned by 180 only',
  ]);
});

t.test('controls, chords and roles', async (t) => {
  t.same(faults({ parts: [button('a', 4), box('a', 0x10)] }), [
    'parts.1: toy has a control a, and so has wire (parts.0): give one another name',
  ]);
  const parts = [button('a', 4), button('b', 5), { ...button('f', 6), control: 'fader' }];
  t.same(
    faults({
      parts,
      chords: [
        { name: 'a', of: ['a', 'b'] },
        { name: 'x', of: ['a', 'f'] },
        { name: 'y', of: ['a', 'z'] },
        { name: 'y', of: ['b', 'b'] },
        { name: 'w', of: ['b', 'a'] },
      ],
      roles: { arm: 'q', undo: 'f', lock: 'x' },
    }),
    [
      'chords.0.name: a is already taken',
      'chords.1.of.1: f is no button but of kind fader',
      'chords.2.of.1: the panel has no button z',
      'chords.3.name: y is already taken',
      'chords.3.of.1: b is named twice',
      'chords.4.of: another chord has the same buttons',
      'roles.arm: the panel has no control q',
      'roles.undo: f is a fader: it cannot be pressed',
    ],
  );
  t.same(faults({ preset: 'sense-hat', chords: [{ name: 'x', of: ['up', 'enter'] }] }), [
    'chords.0.of.0: the panel has no button up',
  ]);
});

t.test('no config makes it throw, and each panel that it composes can be taken apart again', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const anyPart = fc.oneof(
    fc.record(
      {
        part: fc.constantFrom('toy', 'wire', 'ht16k33', 'neotrellis', 'nonsense'),
        name,
        line: fc.oneof(fc.nat(30), fc.anything()),
        display: fc.constantFrom('8x8', '16x8'),
        address: fc.oneof(fc.integer({ min: 0x10, max: 0x13 }), fc.integer({ min: 0x70, max: 0x77 })),
        at: fc.tuple(fc.nat(80), fc.nat(80)),
        rotate: fc.constantFrom(0, 90, 180, 270),
        interrupt: fc.nat(10),
      },
      { requiredKeys: ['part'] },
    ),
    fc.nat(100).map((line) => button(`x${line}`, line)),
  );
  fc.assert(
    fc.property(fc.array(anyPart, { minLength: 1, maxLength: 5 }), (parts) => {
      const { panel } = composePanel(configOf({ parts }), drivers);
      if (panel === null) return;
      const { matrix } = panel.spec;
      const used = panel.parts.flatMap(({ lights }) => lights ?? []);
      if (new Set(used).size !== used.length) throw new Error('a light is shown twice');
      if (matrix === null ? used.length > 0 : used.some((light) => light >= matrix.width * matrix.height))
        throw new Error('a light outside of the matrix');
    }),
    { numRuns: 150 },
  );
});
