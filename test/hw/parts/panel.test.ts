import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import { configOf, PanelBench } from './bench.ts';
import { rival, Toy, toy } from './toys.ts';

/** Two toys beside each other, at 0x10 and 0x11. */
const pair = {
  brightness: 1,
  parts: [
    { part: 'toy', name: 'left' },
    { part: 'toy', name: 'right', address: 0x11, at: [2, 0] },
  ],
};

function bench(panel: object = pair) {
  const bench = new PanelBench(configOf(panel), [toy, rival]);
  const [left, right] = [new Toy(), new Toy()];
  bench.bus.sim.plug(0x10, left);
  bench.bus.sim.plug(0x11, right);
  return { bench, left, right, sim: bench.bus.sim, timers: bench.timers, panel: bench.panel };
}

const resetOf = (...controls: string[]): ControlEvent => ({ type: 'reset', controls });
const missing = (...controls: string[]): ControlEvent => ({ type: 'missing', controls });

/** What the four lights of a toy are when they show these levels. */
const lights = (...levels: number[]): number[] => levels.flatMap((level) => [level, level, level]);

t.test('parts are opened, read and lit', async (t) => {
  const { bench: b, left, right, timers, panel, sim } = bench();
  await b.start();
  t.same(b.take(), [resetOf('left'), resetOf('right')]);
  t.same(panel.state, { isOpen: true, problem: null, missing: [] });
  left.isDown = true;
  await timers.pass(100);
  left.isDown = false;
  await timers.pass(100);
  t.same(b.take(), [
    { type: 'press', control: 'left' },
    { type: 'release', control: 'left' },
  ]);
  panel.show(b.frame(1));
  await timers.pass(0);
  t.same(left.shown, lights(1, 2, 5, 6), 'columns 0 and 1');
  t.same(right.shown, lights(3, 4, 7, 8), 'columns 2 and 3');
  await b.stop();
  t.same([left.shown, right.shown], [lights(0, 0, 0, 0), lights(0, 0, 0, 0)]);
  t.same(sim.protocolErrors, []);
});

t.test(
  'its bus is held from the start to the end, and one that another process has is left alone',
  async (t) => {
    const { bench: b } = bench();
    await b.start();
    t.equal(b.held, 1);
    await b.stop();
    t.equal(b.held, 0);
    const { bench: second } = bench();
    second.holdProblem = new SurfacedError('E_HW_IN_USE', 'I2C bus 1 is used by the surfaced process 7');
    await t.rejects(
      second.panel.start(new AbortController().signal, () => {}),
      { code: 'E_HW_IN_USE' },
    );
    await second.timers.pass(1000);
    t.same(second.take(), [], 'nothing was asked');
    await second.stop();
  },
);

t.test('a part that is turned shows its lights turned', async (t) => {
  const {
    bench: b,
    left,
    panel,
    timers,
  } = bench({
    brightness: 1,
    parts: [{ part: 'toy', name: 'left', rotate: 90 }],
  });
  await b.start();
  panel.show(b.frame(1));
  await timers.pass(0);
  t.same(left.shown, lights(2, 4, 1, 3), 'its own top left is at the top right of the panel');
  await b.stop();
});

t.test('a part that is missing at start is named, tried again and used when it is there', async (t) => {
  const { bench: b, right, sim, timers, panel } = bench();
  sim.unplug(0x11);
  panel.show(b.frame(1));
  await b.start();
  t.same(b.take(), [missing('right'), resetOf('left')]);
  t.same(panel.state, {
    isOpen: true,
    problem: 'toy at 0x11 on bus 1 does not answer; right is missing, its lights are dark',
    missing: ['right'],
  });
  await timers.pass(20_000);
  t.same(b.take(), [], 'told once');
  sim.plug(0x11, right);
  right.isDown = true;
  await timers.pass(5000);
  t.same(b.take(), [resetOf('right'), missing()], 'a button that is held while it is found is no press');
  t.same(right.shown, lights(3, 4, 7, 8), 'the picture that came meanwhile');
  t.same(panel.state, { isOpen: true, problem: null, missing: [] });
  right.isDown = false;
  await timers.pass(100);
  right.isDown = true;
  await timers.pass(100);
  t.match(b.take(), [{ type: 'press', control: 'right' }]);
  await b.stop();
});

t.test('looking for a part that is away costs one transfer a try', async (t) => {
  const { bench: b, timers, sim } = bench({ parts: [{ part: 'toy', name: 'left' }] });
  sim.unplug(0x10);
  await b.start();
  sim.busTimeMs = 0;
  await timers.pass(60_000);
  t.ok(sim.busTimeMs < 20 * 0.1, `${sim.busTimeMs} ms of bus time in a minute`);
  await b.stop();
});

t.test('a glitch is borne, a loss is told within 200 ms', async (t) => {
  const { bench: b, sim, timers, left, panel } = bench();
  await b.start();
  panel.show(b.frame(1));
  await timers.pass(100);
  b.take();
  sim.fault(0x10, 'no-ack');
  await timers.pass(70);
  sim.fault(0x10, 'none');
  await timers.pass(1000);
  t.same(b.take(), [], 'two polls failed');
  sim.fault(0x10, 'no-ack');
  await timers.pass(200);
  t.same(b.take(), [resetOf('left'), missing('left')]);
  t.match(panel.state, { isOpen: true, missing: ['left'] });
  panel.show(b.frame(101));
  left.reset();
  sim.fault(0x10, 'none');
  await timers.pass(1000);
  t.same(b.take(), [resetOf('left'), missing()]);
  t.same(left.shown, lights(101, 102, 105, 106), 'all of the newest picture');
  await b.stop();
});

t.test('a picture that did not go out is sent again', async (t) => {
  const {
    bench: b,
    sim,
    timers,
    left,
    panel,
  } = bench({
    brightness: 1,
    parts: [{ part: 'toy', name: 'left', rest: 10_000 }],
  });
  await b.start();
  b.take();
  sim.fault(0x10, 'no-ack');
  panel.show(b.frame(1));
  await timers.pass(40);
  sim.fault(0x10, 'none');
  await timers.pass(40);
  t.same(left.shown, lights(1, 2, 3, 4));
  sim.fault(0x10, 'no-ack');
  panel.show(b.frame(5));
  await timers.pass(120);
  t.same(b.take(), [resetOf('left'), missing('left')], 'three times in a row');
  await b.stop();
});

t.test('garbage makes the part lost, and nothing else', async (t) => {
  const { bench: b, sim, timers, right } = bench();
  await b.start();
  await timers.pass(100);
  b.take();
  sim.fault(0x10, 'garbage');
  await timers.pass(5000);
  t.match(b.panel.state.problem, /^toy at 0x10 on bus 1.*left is missing/);
  right.isDown = true;
  await timers.pass(100);
  t.ok(b.take().some((event) => event.type === 'press' && event.control === 'right'));
  await b.stop();
});

t.test('what else answers is not taken for the part, and is named', async (t) => {
  const { bench: b, sim, panel } = bench();
  sim.plug(0x11, {
    part: 'other',
    reset: () => {},
    transfer: (messages) =>
      messages.flatMap((message) => (message.isRead ? [new Uint8Array(message.length).fill(7)] : [])),
  });
  await b.start();
  t.equal(
    panel.state.problem,
    'toy at 0x11 on bus 1 expected, where rival can be: something else answers; right is missing, its lights are dark',
  );
  await b.stop();
});

t.test('a bus that is away takes its parts with it, and brings them back', async (t) => {
  const { bench: b, timers, left, right, panel } = bench();
  b.bus.isBroken = true;
  await b.start();
  t.same(b.take(), [missing('left'), missing('left', 'right')]);
  t.match(panel.state, {
    isOpen: false,
    problem: /no such file.*[^.]: toy at 0x10 on bus 1, toy at 0x11 on bus 1; left, right are missing/,
  });
  b.bus.isBroken = false;
  panel.show(b.frame(1));
  await timers.pass(3000);
  t.same(b.take(), [resetOf('left'), missing('right'), resetOf('right'), missing()]);
  t.same([left.shown, right.shown], [lights(1, 2, 5, 6), lights(3, 4, 7, 8)]);
  b.bus.isBroken = true;
  left.isDown = true;
  await timers.pass(300);
  t.same(
    b.take().filter(({ type }) => type === 'reset'),
    [resetOf('left'), resetOf('right')],
  );
  t.notOk(panel.state.isOpen);
  left.reset();
  b.bus.isBroken = false;
  await timers.pass(3000);
  t.same(
    b.take().filter(({ type }) => type !== 'missing'),
    [resetOf('left'), resetOf('right')],
    'the button that went down meanwhile is no press',
  );
  t.same([left.shown, right.shown], [lights(1, 2, 5, 6), lights(3, 4, 7, 8)]);
  t.same(panel.state, { isOpen: true, problem: null, missing: [] });
  await b.stop();
});

t.test('a part that holds the bus lets the others work between its tries', async (t) => {
  const { bench: b, sim, timers, panel, right } = bench();
  await b.start();
  sim.fault(0x10, 'stuck');
  await timers.pass(30_000);
  b.take();
  let openMs = 0;
  for (let ms = 0; ms < 20_000; ms += 100) {
    await timers.pass(100);
    if (panel.state.missing?.includes('right') === false) openMs += 100;
  }
  t.ok(openMs > 15_000, `the other part is open for ${openMs} of 20000 ms`);
  sim.fault(0x10, 'none');
  await timers.pass(10_000);
  t.same(panel.state, { isOpen: true, problem: null, missing: [] });
  right.isDown = true;
  b.take();
  await timers.pass(100);
  t.match(b.take(), [{ type: 'press', control: 'right' }]);
  await b.stop();
});

t.test('a part without inputs is lit again when it was away', async (t) => {
  const lamp = {
    ...toy,
    open: async (...args: Parameters<typeof toy.open>) => ({ ...(await toy.open(...args)), poll: null }),
  };
  const b = new PanelBench(configOf({ brightness: 1, parts: [{ part: 'toy', name: 'left' }] }), [lamp]);
  const chip = new Toy();
  b.bus.sim.plug(0x10, chip);
  await b.start();
  b.panel.show(b.frame(1));
  await b.timers.pass(100);
  b.transfers();
  await b.timers.pass(10_000);
  t.equal(b.transfers(), 10, 'looked for once a second');
  b.bus.sim.unplug(0x10);
  await b.timers.pass(1500);
  t.match(b.panel.state, { isOpen: false, missing: ['left'] });
  b.bus.sim.plug(0x10, chip);
  await b.timers.pass(1500);
  t.same(chip.shown, lights(1, 2, 3, 4));
  await b.stop();
});

t.test('frames: the newest wins, at most 30 a second, nothing when nothing changes', async (t) => {
  const {
    bench: b,
    sim,
    timers,
    panel,
    left,
  } = bench({
    brightness: 1,
    parts: [{ part: 'toy', name: 'left', rest: 100_000 }],
  });
  await b.start();
  panel.show(b.frame(1));
  await timers.pass(0);
  b.transfers();
  for (let frame = 2; frame <= 1001; frame++) {
    panel.show(b.frame(frame));
    await timers.pass(1);
  }
  const sent = b.transfers();
  t.ok(sent >= 28 && sent <= 31, `${sent} transfers for 1000 frames in a second`);
  await timers.pass(40);
  t.same(left.shown, lights(1001 % 256, 1002 % 256, 1003 % 256, 1004 % 256));
  b.transfers();
  for (let frame = 0; frame < 10; frame++) {
    panel.show(b.frame(1001));
    await timers.pass(100);
  }
  t.equal(b.transfers(), 0, 'the same picture again');
  t.same(sim.protocolErrors, []);
  await b.stop();
});

t.test('only the part whose lights changed is told', async (t) => {
  const {
    bench: b,
    timers,
    panel,
    sim,
  } = bench({
    ...pair,
    parts: pair.parts.map((part) => ({ ...part, rest: 100_000 })),
  });
  await b.start();
  const frame = b.frame(1);
  panel.show(frame);
  await timers.pass(100);
  b.transfers();
  const changed = b.frame(1);
  changed.matrix?.rgb.fill(200, 6, 9);
  panel.show(changed);
  await timers.pass(100);
  t.same(
    sim.records.map(({ address }) => address),
    [0x11],
  );
  await b.stop();
});

t.test('an interrupt line makes a poll at once and polling rare', async (t) => {
  const {
    bench: b,
    timers,
    left,
  } = bench({
    parts: [{ part: 'toy', name: 'left', interrupt: 17 }],
  });
  await b.start();
  const [line] = b.lines;
  t.match(line?.request, { chip: null, lines: [17], bias: 'pull-up', isActiveLow: false });
  await timers.pass(40);
  b.transfers();
  await timers.pass(10_000);
  const idle = b.transfers();
  t.ok(idle <= 21, `${idle} polls in 10 s`);
  b.take();
  left.isDown = true;
  line?.set(false);
  await timers.pass(1);
  t.same(b.take(), [{ type: 'press', control: 'left' }]);
  await timers.pass(200);
  t.ok(b.transfers() >= 5, 'a line that stays low is polled as if there were none');
  line?.set(true);
  await timers.pass(100);
  line?.handlers.onLost(new SurfacedError('E_HW_GPIO', 'chip gone'));
  b.transfers();
  await timers.pass(990);
  t.ok(b.transfers() >= 20, 'polled as without it');
  t.ok(line?.isClosed, 'a line that is lost gives back its descriptor');
  await timers.pass(100);
  t.equal(b.lines.length, 2, 'opened anew while the part is open');
  b.transfers();
  await timers.pass(10_000);
  t.ok(b.transfers() <= 21, 'and of use');
  await b.stop();
  t.ok(b.lines[1]?.isClosed);
});

t.test('two parts on one interrupt line: opened once, an edge asks both', async (t) => {
  const shared = { parts: pair.parts.map((part) => ({ ...part, interrupt: 17 })) };
  const { bench: b, timers, left, right, sim } = bench(shared);
  await b.start();
  t.equal(b.lines.length, 1);
  const [line] = b.lines;
  await timers.pass(40);
  b.take();
  b.transfers();
  await timers.pass(10_000);
  t.ok(b.transfers() <= 42, 'rarely asked while the line is high');
  right.isDown = true;
  line?.set(false);
  left.isDown = true;
  await timers.pass(1);
  t.same(
    b.take().toSorted((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other))),
    [
      { type: 'press', control: 'left' },
      { type: 'press', control: 'right' },
    ],
  );
  line?.set(true);
  sim.unplug(0x10);
  await timers.pass(2000);
  t.notOk(line?.isClosed, 'the other part still has it');
  right.isDown = false;
  line?.set(false);
  await timers.pass(30);
  t.match(b.take().at(-1), { type: 'release', control: 'right' });
  await b.stop();
  t.ok(line?.isClosed);
});

t.test('a fluttering interrupt line does not fill the bus', async (t) => {
  const { bench: b, timers } = bench({ parts: [{ part: 'toy', name: 'left', interrupt: 17 }] });
  await b.start();
  b.transfers();
  for (let edge = 0; edge < 1000; edge++) {
    b.lines[0]?.set(edge % 2 === 0);
    await timers.pass(0.1);
  }
  const polls = b.transfers();
  t.ok(polls <= 101, `${polls} polls in 100 ms`);
  await b.stop();
  t.ok(b.lines[0]?.isClosed);
});

t.test('what happened on the buses is counted', async (t) => {
  const { bench: b, timers, sim } = bench({ parts: [{ part: 'toy', name: 'left' }] });
  await b.start();
  await timers.pass(100);
  sim.unplug(0x10);
  await timers.pass(100);
  const [bus] = b.panel.counters().buses;
  t.match(bus, { bus: 1, openings: 1, losses: 0, refused: 0, parts: [{ address: '0x10' }] });
  t.ok((bus?.parts[0]?.transfers ?? 0) > 1 && (bus?.parts[0]?.noAcks ?? 0) > 1);
  t.equal(b.panel.counters().ignored, 0);
  await b.stop();
});

t.test('a part whose interrupt line is busy is polled', async (t) => {
  const { bench: b, timers } = bench({ parts: [{ part: 'toy', name: 'left', interrupt: 17 }] });
  b.linesProblem = new SurfacedError('E_HW_GPIO', 'line 17 is busy');
  await b.start();
  t.same(b.panel.state, { isOpen: true, problem: null, missing: [] });
  b.transfers();
  await timers.pass(900);
  t.ok(b.transfers() >= 20);
  b.linesProblem = null;
  await timers.pass(200);
  b.transfers();
  await timers.pass(10_000);
  t.ok(b.transfers() <= 21, 'until the line is free');
  await b.stop();
  t.ok(b.lines[0]?.isClosed);
});

t.test('night dims, and ends', async (t) => {
  const {
    bench: b,
    timers,
    panel,
    left,
  } = bench({
    brightness: 0.5,
    night: { from: '22:00', to: '06:30', brightness: 0.1 },
    parts: [{ part: 'toy', name: 'left' }],
  });
  b.now = new Date(2026, 0, 5, 21, 59, 50).getTime();
  await b.start();
  panel.show(b.frame(100));
  await timers.pass(100);
  t.equal(left.shown[0], 50);
  b.now = new Date(2026, 0, 5, 22, 0, 10).getTime();
  await timers.pass(30_000);
  t.equal(left.shown[0], 10, 'without a new frame');
  b.now = new Date(1999, 0, 5, 23).getTime();
  await timers.pass(30_000);
  t.equal(left.shown[0], 50, 'a clock that is not set');
  await b.stop();
});

t.test('the end waits for a bus that takes its time, and is dark before', async (t) => {
  const { bench: b, left, panel, timers } = bench();
  await b.start();
  panel.show(b.frame(1));
  await timers.pass(100);
  b.bus.closeMs = 190;
  t.equal(await b.stop(), 190);
  t.ok(b.bus.isClosed);
  t.same(left.shown, lights(0, 0, 0, 0));
});

t.test('stops in every state, dark, within a second, twice', async (t) => {
  const { bench: opened, left } = bench();
  await opened.start();
  opened.panel.show(opened.frame(1));
  await opened.timers.pass(100);
  t.equal(await opened.stop(), 0);
  await opened.stop();
  t.same(left.shown, lights(0, 0, 0, 0));
  opened.take();
  left.isDown = true;
  opened.panel.show(opened.frame(50));
  await opened.timers.pass(10_000);
  t.same(opened.take(), [], 'nothing is reported after');
  t.same(left.shown, lights(0, 0, 0, 0), 'nor shown');
  t.same(opened.timers.delays, [], 'no timer is left');

  const { bench: unstarted } = bench();
  await unstarted.stop();
  await unstarted.start();
  t.equal(unstarted.transfers(), 0, 'stopped before it was started');

  const { bench: starting, sim } = bench();
  sim.fault(0x10, 'stuck');
  const started = starting.start();
  await starting.timers.pass(10);
  t.ok((await starting.stop()) <= 1000, 'while starting, with a part that hangs');
  await started;
  await starting.timers.pass(10_000);
  t.same(starting.timers.delays, []);

  const { bench: waiting } = bench();
  waiting.bus.isBroken = true;
  await waiting.start();
  t.ok((await waiting.stop()) <= 1000, 'while the bus is away');
  t.same(waiting.timers.delays, []);

  const { bench: stuck } = bench();
  await stuck.start();
  stuck.bus.isBroken = true;
  stuck.panel.show(stuck.frame(1));
  await stuck.timers.pass(50);
  t.ok((await stuck.stop()) <= 1000, 'while a transfer hangs');

  const { bench: aborted, right } = bench();
  await aborted.start();
  aborted.panel.show(aborted.frame(1));
  await aborted.timers.pass(50);
  aborted.abort();
  await aborted.timers.pass(10);
  t.same(right.shown, lights(0, 0, 0, 0), 'by the signal');
});
