import fc from 'fast-check';
import t from 'tap';
import type { RawInput } from '../../../daemon/hw/chips/driver.ts';
import { eventBufferMax } from '../../../daemon/hw/gpio/uapi.ts';
import { deferredControls } from '../../../daemon/hw/signal/button.ts';
import { mostPulses, SignalStage } from '../../../daemon/hw/signal/stage.ts';
import type { ControlEvent, ControlSpec } from '../../../daemon/surface/types.ts';

const controls: readonly ControlSpec[] = [
  { name: 'fader', kind: 'fader' },
  { name: 'low', kind: 'fader' },
  { name: 'knob', kind: 'encoder', pulsesPerDetent: 4 },
  { name: 'row', kind: 'pads', steps: 4 },
  { name: 'a', kind: 'button' },
  { name: 'b', kind: 'button' },
  { name: 'arm', kind: 'button' },
];
const stage = (chords = [{ name: 'both', of: ['a', 'b'] }], deferred = deferredControls({ arm: 'arm' })) =>
  new SignalStage({ controls, calibration: new Map([['low', { low: 0.1, high: 0.6 }]]), chords, deferred });

const level = (control: string, value: number, at: number): RawInput => ({
  type: 'level',
  control,
  value,
  at,
});
const turn = (control: string, pulses: number, at = 0): RawInput => ({ type: 'turn', control, pulses, at });
const button = (control: string, isDown: boolean, at: number, index?: number): RawInput =>
  index === undefined
    ? { type: 'switch', control, isDown, at }
    : { type: 'switch', control, index, isDown, at };
const switches = ['a', 'b', 'arm', 'knob'];
/** A stage that knows that all of its switches are up. */
function ready(made = stage()): SignalStage {
  made.push(
    [
      ...switches.map((name) => button(name, false, 0)),
      ...[0, 1, 2, 3].map((pad) => button('row', false, 0, pad)),
    ],
    0,
  );
  return made;
}

t.test('faders report positions, each with its own ends', async (t) => {
  const signal = stage();
  const levels = [10, 20, 30, 40, 50, 60].flatMap((at) => [level('fader', 0.25, at), level('low', 0.6, at)]);
  const events = signal.push(levels, 60);
  t.match(events, [
    { type: 'position', control: 'fader', value: 0.25 },
    { type: 'position', control: 'low', value: 1 },
  ]);
  t.equal(signal.nextWakeAt(), null);
});

t.test('eager buttons, the deferred arm control, pads, the push of an encoder', async (t) => {
  const signal = ready(stage([]));
  t.same(signal.push([button('a', true, 10), button('knob', true, 11), button('arm', true, 12)], 12), [
    { type: 'press', control: 'a' },
    { type: 'press', control: 'knob' },
  ]);
  t.equal(signal.nextWakeAt(), 37);
  t.same(signal.tick(36), []);
  t.same(signal.tick(37), [{ type: 'press', control: 'arm' }]);
  t.same(
    signal.push([button('row', true, 40, 0), button('row', true, 41, 3), button('row', false, 50, 0)], 50),
    [
      { type: 'press', control: 'row', index: 0 },
      { type: 'press', control: 'row', index: 3 },
    ],
  );
  t.same(signal.tick(1000), [{ type: 'release', control: 'row', index: 0 }]);
  t.equal(signal.nextWakeAt(), null);
});

t.test('timers that run out together are told in order, and before the readings after them', async (t) => {
  const signal = ready();
  const early = [button('arm', true, 100), button('a', true, 110), button('row', true, 500, 1)];
  t.same(signal.push(early, 500), [
    { type: 'press', control: 'arm' },
    { type: 'press', control: 'a' },
    { type: 'press', control: 'row', index: 1 },
  ]);
});

t.test('a reading from the future counts as of now, one from the past as well', async (t) => {
  const signal = ready();
  signal.push([button('arm', true, 1e9)], 100);
  t.equal(signal.nextWakeAt(), 125);
  signal.tick(125);
  signal.push([button('arm', false, 3)], 140);
  t.equal(signal.nextWakeAt(), 150);
  t.same(signal.push([], 0), [], 'time does not run back');
});

t.test('a fader that jumps is reset once, silent while it does, and read anew when it rests', async (t) => {
  const signal = stage();
  let at = 0;
  const samples = (...values: readonly number[]) =>
    values.flatMap((value) => {
      at += 10;
      return signal.push([level('fader', value, at), level('low', 0.3, at)], at);
    });
  const steady = (value: number, count: number) => samples(...Array.from({ length: count }, () => value));
  t.match(steady(0.5, 10), [
    { type: 'position', control: 'fader', value: 0.5 },
    { type: 'position', control: 'low' },
  ]);
  const jumps = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 0 : 0.9));
  const told = samples(...jumps);
  t.same(signal.jumping, ['fader']);
  t.same(told.at(-1), { type: 'reset', controls: ['fader'] });
  t.equal(told.filter(({ type }) => type === 'reset').length, 1);
  t.same(samples(...jumps, ...jumps), [], 'the other one is where it was');
  t.same(steady(0.9, 45), [], 'half a second');
  t.match(steady(0.9, 15), [{ type: 'position', control: 'fader', value: 0.9 }]);
  t.same(signal.jumping, []);
  samples(...jumps);
  signal.lost(['fader']);
  t.same(signal.jumping, [], 'a part that is lost says nothing of its faders');
});

t.test('a whole queue of edges counts, more does not', async (t) => {
  const signal = ready();
  t.same(signal.push([turn('knob', eventBufferMax), turn('knob', -eventBufferMax)], 5), [
    { type: 'turn', control: 'knob', pulses: 1024 },
    { type: 'turn', control: 'knob', pulses: -1024 },
  ]);
  t.same(signal.push([turn('knob', eventBufferMax + 1)], 6), []);
  t.equal(signal.ignored, 1);
});

t.test('chords are buttons of the panel', async (t) => {
  const signal = ready();
  t.same(signal.virtualControls, [{ name: 'both', kind: 'button' }]);
  t.same(signal.push([button('a', true, 10)], 10), []);
  t.same(signal.push([button('b', true, 30)], 30), [{ type: 'press', control: 'both' }]);
  t.same(
    [...signal.push([button('a', false, 400)], 400), ...signal.tick(425)],
    [{ type: 'release', control: 'both' }],
  );
  t.same([...signal.push([button('b', false, 450)], 450), ...signal.tick(1000)], []);
  t.throws(() => stage([{ name: 'a', of: ['a', 'fader'] }]), {
    code: 'E_CFG_INVALID',
    message: /a is already taken; .*fader/,
  });
});

t.test('a chord that arms is deferred with its members', async (t) => {
  const signal = ready(stage([{ name: 'both', of: ['a', 'b'] }], deferredControls({ arm: 'both' })));
  t.same(signal.push([button('a', true, 10), button('b', true, 12), button('b', false, 15)], 15), []);
  t.same(signal.tick(200), [{ type: 'press', control: 'a' }], 'b was a disturbance');
  t.same(
    signal.push([button('a', false, 300), button('a', true, 400), button('b', true, 402)], 402).length,
    1,
  );
  t.same(signal.tick(427), [{ type: 'press', control: 'both' }]);
});

t.test('turns pass, and none is lost in a minute at full speed', async (t) => {
  const signal = stage();
  let sum = 0;
  for (let at = 0; at < 60_000; at += 4)
    for (const event of signal.push([turn('knob', 7, at), turn('knob', 1, at + 1)], at + 1))
      if (event.type === 'turn') sum += event.pulses;
  t.equal(sum, 15_000 * 8);
  t.same(signal.push([turn('row', -1)], 60_000), [{ type: 'turn', control: 'row', pulses: -1 }]);
  t.equal(signal.ignored, 0);
});

t.test('what no control can have made is left out and counted', async (t) => {
  const signal = ready();
  const wrong: RawInput[] = [
    turn('knob', 0.5),
    turn('knob', mostPulses + 1),
    turn('knob', Number.NaN),
    turn('a', 1),
    turn('nobody', 1),
    level('a', 0.5, 0),
    level('fader', Number.NaN, 0),
    button('fader', true, 0),
    button('row', true, 0),
    button('row', true, 0, 4),
    button('row', true, 0, -1),
    button('a', true, 0, 0),
  ];
  t.same(signal.push(wrong, 1), []);
  t.equal(signal.ignored, wrong.length);
  t.same(signal.push([turn('knob', 0)], 1), []);
});

t.test('what was lost starts over', async (t) => {
  const signal = ready();
  signal.push(
    [1, 2, 3, 4, 5].map((at) => level('fader', 0.5, at)),
    5,
  );
  signal.push([button('arm', true, 6), button('a', true, 6), button('row', true, 6, 2)], 6);
  t.same(signal.push([{ type: 'unsure', controls: ['fader', 'a', 'nobody', 'row', 'arm', 'a'], at: 7 }], 7), [
    { type: 'reset', controls: ['fader', 'a', 'row', 'arm', 'both'] },
  ]);
  t.equal(signal.nextWakeAt(), null, 'nothing unfinished is left');
  t.same(signal.push([level('fader', 0.5, 8)], 8), [], 'the first reading is a whole one again');
  const held = [
    button('a', true, 9),
    button('row', true, 9, 2),
    button('a', false, 99),
    button('row', false, 99, 2),
  ];
  t.same([...signal.push(held, 99), ...signal.tick(200)], [], 'what is held since before says nothing');
  t.same(signal.push([button('row', true, 300, 2)], 300), [{ type: 'press', control: 'row', index: 2 }]);
  t.same(signal.lost([]), []);
  t.same(signal.lost(['nobody']), []);
  t.same(signal.lost(['knob']), [{ type: 'reset', controls: ['knob'] }]);
});

const names = ['fader', 'low', 'knob', 'row', 'a', 'b', 'arm', 'nobody'];
const at = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.double());
const input: fc.Arbitrary<RawInput> = fc.oneof(
  fc.record({
    type: fc.constant('level' as const),
    control: fc.constantFrom(...names),
    value: fc.oneof(fc.double(), fc.double({ min: 0, max: 1 })),
    at,
  }),
  fc
    .record({
      control: fc.constantFrom(...names),
      index: fc.integer({ min: -2, max: 4 }),
      isDown: fc.boolean(),
      at,
    })
    .map(({ control, index, isDown, at: when }) =>
      button(control, isDown, when, index === -2 ? undefined : index),
    ),
  fc.record({
    type: fc.constant('turn' as const),
    control: fc.constantFrom(...names),
    pulses: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.double()),
    at,
  }),
  fc.record({ type: fc.constant('unsure' as const), controls: fc.subarray(names), at }),
);

t.test(
  'whatever comes in, whenever: positions are 0 to 1, turns whole, presses and releases alternate',
  async (t) => {
    const kinds = new Map<string, string>(
      [...controls, { name: 'both', kind: 'button' }].map(({ name, kind }) => [name, kind]),
    );
    const check = (down: Set<string>, events: readonly ControlEvent[]): void => {
      for (const event of events) {
        if (event.type === 'reset') {
          for (const key of [...down]) if (event.controls?.includes(key.split(' ')[0]!)) down.delete(key);
          continue;
        }
        const kind = 'control' in event ? kinds.get(event.control) : undefined;
        if (event.type === 'position') {
          if (kind !== 'fader' || !(event.value >= 0 && event.value <= 1))
            throw new Error(JSON.stringify(event));
        } else if (event.type === 'turn') {
          if (!Number.isInteger(event.pulses) || event.pulses === 0) throw new Error(JSON.stringify(event));
        } else if (event.type === 'press' || event.type === 'release') {
          const key = `${event.control} ${event.index ?? ''}`;
          if ((kind === 'pads') !== (event.index !== undefined)) throw new Error(JSON.stringify(event));
          if ((event.type === 'press') === down.has(key)) throw new Error(`two of ${event.type} ${key}`);
          if (event.type === 'press') down.add(key);
          else down.delete(key);
        }
      }
    };
    const step = fc.record({ inputs: fc.array(input, { maxLength: 6 }), at, isTick: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const signal = ready();
        const down = new Set<string>();
        for (const { inputs, at: now, isTick } of steps) {
          check(down, signal.push(inputs, now));
          if (isTick) check(down, signal.tick(now));
        }
        for (let wakeAt = signal.nextWakeAt(); wakeAt !== null; wakeAt = signal.nextWakeAt())
          check(down, signal.tick(wakeAt));
        const everything = [...switches, 'row'];
        check(
          down,
          signal.push(
            everything.flatMap((name) => [undefined, 0, 1, 2, 3].map((pad) => button(name, false, 0, pad))),
            0,
          ),
        );
        for (let wakeAt = signal.nextWakeAt(); wakeAt !== null; wakeAt = signal.nextWakeAt())
          check(down, signal.tick(wakeAt));
        if (down.size > 0) throw new Error(`${[...down]} stay down`);
      }),
      { numRuns: 500 },
    );
    t.pass();
  },
);
