/** Panels of the drivers that there are, on models of their parts. */
import t from 'tap';
import { ads1115 } from '../../../daemon/hw/chips/ads1115.ts';
import type { PartDriver } from '../../../daemon/hw/chips/driver.ts';
import { ht16k33 } from '../../../daemon/hw/chips/ht16k33.ts';
import { mcp23017 } from '../../../daemon/hw/chips/mcp23017.ts';
import { neotrellis } from '../../../daemon/hw/chips/neotrellis.ts';
import { senseHat } from '../../../daemon/hw/chips/sense-hat.ts';
import type { ControlEvent, Frame } from '../../../daemon/surface/types.ts';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import { Ht16k33Model } from '../../../hil/sim/chips/ht16k33.ts';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import type { ShownLights } from '../../../hil/sim/chips/model.ts';
import { NeoTrellisModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';
import { configOf, PanelBench } from './bench.ts';

const drivers: readonly PartDriver[] = [ads1115, mcp23017, neotrellis, ht16k33, senseHat];

const config = {
  brightness: 1,
  parts: [
    {
      part: 'ads1115',
      channels: [
        { channel: 0, name: 'fader1' },
        { channel: 1, name: 'fader2' },
      ],
    },
    { part: 'neotrellis', rotate: 180 },
    { part: 'ht16k33', display: '8x8', at: [4, 0] },
    { part: 'mcp23017', address: 0x20, interrupt: 17, buttons: [{ pin: 'A0', name: 'arm' }] },
  ],
  roles: { arm: 'arm' },
};

/** Places of the lights that are on. */
function lit({ width, rgb }: ShownLights): string[] {
  const places: string[] = [];
  for (let light = 0; light < rgb.length / 3; light++)
    if (rgb.subarray(3 * light, 3 * light + 3).some((level) => level > 0))
      places.push(`${light % width},${Math.floor(light / width)}`);
  return places;
}

/** A frame with some lights white. */
function frameWith(bench: PanelBench, ...places: readonly (readonly [x: number, y: number])[]): Frame {
  const frame = bench.frame(0);
  frame.matrix?.rgb.fill(0);
  for (const [x, y] of places) {
    const at = 3 * (y * (frame.matrix?.width ?? 0) + x);
    frame.matrix?.rgb.fill(255, at, at + 3);
  }
  return frame;
}

function bigPanel() {
  const bench = new PanelBench(configOf(config), drivers);
  const chips = {
    fader: new Ads1115Model(),
    trellis: new NeoTrellisModel(),
    matrix: new Ht16k33Model('8x8'),
    buttons: new Mcp23017Model(() => 0.5),
  };
  const { sim } = bench.bus;
  sim.plug(0x48, chips.fader);
  sim.plug(0x2e, chips.trellis);
  sim.plug(0x70, chips.matrix);
  sim.plug(0x20, chips.buttons);
  chips.buttons.onInterrupt = (isLow) => bench.lines.at(-1)?.set(!isLow);
  return { bench, chips, sim, timers: bench.timers, panel: bench.panel };
}

const controls = ['fader1', 'fader2', 'row1', 'row2', 'row3', 'row4', 'arm'];

t.test('faders, keys, a matrix and buttons at once', async (t) => {
  const { bench, chips, sim, timers, panel } = bigPanel();
  const started = bench.start();
  await timers.pass(2000);
  await started;
  t.same(panel.state, { isOpen: true, problem: null, missing: [] });
  t.same(
    panel.spec.controls.map(({ name }) => name),
    controls,
  );
  t.same(
    bench
      .take()
      .filter(({ type }) => type !== 'reset')
      .map((event) => ('control' in event ? [event.type, event.control] : event)),
    [
      ['position', 'fader1'],
      ['position', 'fader2'],
    ],
    'only faders say where they are',
  );

  chips.fader.setVolts(1, 3.3);
  await timers.pass(1000);
  const moved = bench.take();
  t.same(moved.at(-1), { type: 'position', control: 'fader2', value: 1 });
  t.ok(moved.every((event) => 'control' in event && event.control === 'fader2'));

  chips.trellis.pressKey(0);
  await timers.pass(100);
  t.same(bench.take(), [{ type: 'press', control: 'row4', index: 3 }], 'mounted upside down');
  chips.trellis.releaseKey(0);
  await timers.pass(100);
  bench.take();

  chips.buttons.press(0);
  await timers.pass(40);
  t.same(bench.take(), [{ type: 'press', control: 'arm' }]);
  chips.buttons.release(0);
  await timers.pass(100);
  t.same(bench.take(), [{ type: 'release', control: 'arm' }]);

  panel.show(frameWith(bench, [0, 0], [4, 0], [11, 7]));
  await timers.pass(100);
  t.same(lit(chips.trellis.lights()), ['3,3'], 'mounted upside down');
  t.same(lit(chips.matrix.lights()), ['0,0', '7,7']);

  t.ok((await bench.stop()) < 1000);
  t.same([...lit(chips.trellis.lights()), ...lit(chips.matrix.lights())], []);
  t.same(sim.protocolErrors, []);
});

t.test('a light that does not change costs nothing', async (t) => {
  const { bench, sim, timers, panel } = bigPanel();
  const started = bench.start();
  await timers.pass(2000);
  await started;
  const frame = frameWith(bench, [0, 0], [4, 0]);
  panel.show(frame);
  await timers.pass(500);
  sim.records = [];
  for (let second = 0; second < 5; second++) {
    panel.show(frameWith(bench, [0, 0], [4, 0]));
    await timers.pass(1000);
  }
  const writes = sim.records
    .filter(({ address }) => address === 0x70)
    .flatMap(({ messages }) => messages)
    .filter((message) => !message.isRead && message.bytes.length > 1);
  t.same(writes, [], 'the matrix is only looked at');
  const pixels = sim.records
    .filter(({ address }) => address === 0x2e)
    .flatMap(({ messages }) => messages)
    .filter((message) => !message.isRead && message.bytes[0] === 0x0e);
  t.same(pixels, [], 'no pixel is sent');
  await bench.stop();
});

t.test('each part can go and come while the others go on', async (t) => {
  const { bench, chips, sim, timers, panel } = bigPanel();
  const started = bench.start();
  await timers.pass(2000);
  await started;
  panel.show(frameWith(bench, [0, 0], [4, 0]));
  await timers.pass(100);
  const parts = [
    { address: 0x48, chip: chips.fader, lost: ['fader1', 'fader2'] },
    { address: 0x2e, chip: chips.trellis, lost: ['row1', 'row2', 'row3', 'row4'] },
    { address: 0x70, chip: chips.matrix, lost: [] },
    { address: 0x20, chip: chips.buttons, lost: ['arm'] },
  ];
  for (const { address, chip, lost } of parts) {
    bench.take();
    sim.unplug(address);
    await timers.pass(3000);
    t.match(panel.state, { isOpen: true, missing: lost });
    t.match(panel.state.problem, /does not answer/);
    sim.plug(address, chip);
    await timers.pass(8000);
    t.same(panel.state, { isOpen: true, problem: null, missing: [] });
    t.same(lit(chips.trellis.lights()), ['3,3']);
    t.same(lit(chips.matrix.lights()), ['0,0']);
    const pressed = (event: ControlEvent) => event.type === 'press' || event.type === 'turn';
    t.same(bench.take().filter(pressed), []);
  }
  t.same(sim.protocolErrors, []);
  await bench.stop();
});

t.test('another converter at the address of a fader', async (t) => {
  const { bench, sim, timers, panel } = bigPanel();
  sim.plug(0x48, new Ads7830Model(() => 0.5));
  const started = bench.start();
  await timers.pass(2000);
  await started;
  t.match(
    panel.state.problem,
    /^ads1115 at 0x48 on bus 1 expected.*something else answers; fader1, fader2 are missing/,
  );
  await bench.stop();
});

t.test('a Sense HAT is worked with its joystick', async (t) => {
  const bench = new PanelBench(
    configOf({ preset: 'sense-hat', brightness: 1, parts: [{ part: 'sense-hat' }] }),
    drivers,
  );
  const hat = new SenseHatModel();
  bench.bus.sim.plug(0x46, hat);
  await bench.start();
  await bench.timers.pass(100);
  t.same(bench.take(), [{ type: 'reset', controls: ['joystick', 'left', 'right', 'enter'] }]);
  const press = async (key: 'up' | 'down' | 'left' | 'enter') => {
    hat.key(key, true);
    await bench.timers.pass(100);
    hat.key(key, false);
    await bench.timers.pass(100);
    return bench.take();
  };
  t.same(await press('up'), [{ type: 'turn', control: 'joystick', pulses: 1 }]);
  t.same(await press('down'), [{ type: 'turn', control: 'joystick', pulses: -1 }]);
  t.same(await press('left'), [
    { type: 'press', control: 'left' },
    { type: 'release', control: 'left' },
  ]);
  t.same(await press('enter'), [
    { type: 'press', control: 'enter' },
    { type: 'release', control: 'enter' },
  ]);
  bench.panel.show(frameWith(bench, [7, 0], [3, 5]));
  await bench.timers.pass(100);
  t.same(lit(hat.lights()), ['7,0', '3,5']);
  bench.bus.sim.unplug(0x46);
  await bench.timers.pass(1000);
  t.same(bench.panel.state.missing, ['joystick', 'left', 'right', 'enter']);
  await bench.stop();
  t.same(bench.bus.sim.protocolErrors, []);
});
