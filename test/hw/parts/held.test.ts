/** A poll that fails while a key is held: its release may be what is not seen. */
import t from 'tap';
import { mcp23017 } from '../../../daemon/hw/chips/mcp23017.ts';
import { neotrellis } from '../../../daemon/hw/chips/neotrellis.ts';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import { NeoTrellisModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { configOf, PanelBench } from './bench.ts';

async function trellis(rows: readonly unknown[]) {
  const bench = new PanelBench(configOf({ parts: [{ part: 'neotrellis', rows }], roles: { arm: 'arm' } }), [
    neotrellis,
  ]);
  const model = new NeoTrellisModel();
  bench.bus.sim.plug(0x2e, model);
  const started = bench.start();
  await bench.timers.pass(2000);
  await started;
  bench.take();
  return { bench, model };
}

/** The part does not answer one poll: a NeoTrellis is asked every 17 ms, and twice within 8 ms. */
async function glitch(bench: PanelBench, address: number, ms: number): Promise<void> {
  bench.bus.sim.fault(address, 'no-ack');
  await bench.timers.pass(ms);
  bench.bus.sim.fault(address, 'none');
}

const rows = [['arm', 'undo', 'a', 'b'], 'row2', 'row3', 'row4'];

t.test('a release in a poll that fails ends the hold', async (t) => {
  const { bench, model } = await trellis(rows);
  model.pressKey(0);
  await bench.timers.pass(100);
  t.same(bench.take(), [{ type: 'press', control: 'arm' }]);
  model.releaseKey(0);
  await glitch(bench, 0x2e, 30);
  t.same(bench.take(), [{ type: 'reset', controls: ['arm'] }], 'at the first poll that failed');
  t.equal(bench.panel.state.problem, null, 'which is borne');
  await bench.timers.pass(3000);
  t.same(bench.take(), []);
  model.pressKey(0);
  await bench.timers.pass(100);
  t.same(bench.take(), [{ type: 'press', control: 'arm' }], 'and it can be pressed again');
  await bench.stop();
});

t.test(
  'nothing is reset when nothing is held, and other pads of the row keep their next press',
  async (t) => {
    const { bench, model } = await trellis(rows);
    await glitch(bench, 0x2e, 30);
    await bench.timers.pass(200);
    t.same(bench.take(), []);
    model.pressKey(4);
    await bench.timers.pass(100);
    await glitch(bench, 0x2e, 30);
    await bench.timers.pass(200);
    t.same(bench.take(), [
      { type: 'press', control: 'row2', index: 0 },
      { type: 'reset', controls: ['row2'] },
    ]);
    model.pressKey(5);
    await bench.timers.pass(100);
    t.same(bench.take(), [{ type: 'press', control: 'row2', index: 1 }]);
    await bench.stop();
  },
);

t.test('a part that tells levels: what was held must come up before it can be pressed', async (t) => {
  const bench = new PanelBench(
    configOf({ parts: [{ part: 'mcp23017', buttons: [{ pin: 'A0', name: 'arm' }] }], roles: { arm: 'arm' } }),
    [mcp23017],
  );
  const model = new Mcp23017Model(() => 0.5);
  bench.bus.sim.plug(0x20, model);
  const started = bench.start();
  await bench.timers.pass(1000);
  await started;
  bench.take();
  model.press(0);
  await bench.timers.pass(100);
  await glitch(bench, 0x20, 15);
  await bench.timers.pass(2000);
  t.same(bench.take(), [
    { type: 'press', control: 'arm' },
    { type: 'reset', controls: ['arm'] },
  ]);
  model.release(0);
  await bench.timers.pass(100);
  t.same(bench.take(), []);
  model.press(0);
  await bench.timers.pass(100);
  t.same(bench.take(), [{ type: 'press', control: 'arm' }]);
  await bench.stop();
});
