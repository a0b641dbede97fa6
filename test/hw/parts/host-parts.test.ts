/** Parts that report by themselves, when they should and when they should not. */
import t from 'tap';
import { z } from 'zod';
import { SurfacedError } from '../../../daemon/errors.ts';
import { type HostDriver, noNeeds, type PartIo, type PartSession } from '../../../daemon/hw/chips/driver.ts';
import { configOf, PanelBench } from './bench.ts';

/** A driver in the hands of the test: what it was opened with, and how opening ends. */
function host() {
  const ios: PartIo[] = [];
  let closed = 0;
  const session: PartSession = {
    poll: null,
    pollMs: 0,
    pollWithInterruptMs: 0,
    show: null,
    close: async () => {
      closed += 1;
    },
  };
  let opening: () => Promise<PartSession> = async () => session;
  const driver = {
    kind: 'host',
    part: 'host',
    title: 'A part of the host',
    schema: z.strictObject({}),
    declare: () => ({ controls: [{ name: 'knob', kind: 'encoder' }], lights: null }),
    needs: () => noNeeds,
    open: (_config, io) => {
      ios.push(io);
      return opening();
    },
  } satisfies HostDriver<object>;
  return {
    driver,
    ios,
    session,
    get closed() {
      return closed;
    },
    openWith: (next: () => Promise<PartSession>) => {
      opening = next;
    },
  };
}

const turn = (pulses: number) => ({ type: 'turn' as const, control: 'knob', pulses, at: 0 });
const benchOf = (driver: HostDriver<object>): PanelBench =>
  new PanelBench(configOf({ parts: [{ part: 'host' }] }), [driver]);

t.test(
  'what is reported while it is opened comes after the reset; what comes after a loss does not',
  async (t) => {
    const part = host();
    const bench = benchOf(part.driver);
    part.openWith(async () => {
      part.ios.at(-1)?.report([turn(1)]);
      return part.session;
    });
    await bench.start();
    t.same(bench.take(), [
      { type: 'reset', controls: ['knob'] },
      { type: 'turn', control: 'knob', pulses: 1 },
    ]);
    const [first] = part.ios;
    first?.fail(new SurfacedError('E_HW_INPUT', 'knob: unplugged'));
    first?.report([turn(2)]);
    await bench.timers.pass(0);
    first?.report([turn(3)]);
    t.same(bench.take(), [
      { type: 'reset', controls: ['knob'] },
      { type: 'missing', controls: ['knob'] },
    ]);
    t.equal(bench.panel.state.problem, 'host: knob: unplugged; knob is missing');
    t.equal(part.closed, 1);
    await bench.timers.pass(300);
    t.equal(part.ios.length, 2, 'opened anew');
    first?.report([turn(4)]);
    first?.fail(new Error('late'));
    t.same(bench.take().slice(-1), [{ type: 'turn', control: 'knob', pulses: 1 }]);
    t.ok(bench.panel.state.isOpen);
    await bench.stop();
  },
);

t.test('the back-off grows to five seconds, and a missing package is not tried again', async (t) => {
  const part = host();
  const bench = benchOf(part.driver);
  part.openWith(() => Promise.reject(new SurfacedError('E_HW_INPUT', 'no such device')));
  await bench.start();
  const waits: number[] = [];
  for (let tries = 0; tries < 8; tries++) {
    const [waitMs = 0] = bench.timers.delays;
    waits.push(waitMs);
    await bench.timers.pass(waitMs);
  }
  t.same(waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  part.openWith(() => Promise.reject(new SurfacedError('E_HW_PACKAGE', 'koffi is missing')));
  await bench.timers.pass(5000);
  t.same(bench.timers.delays, []);
  t.match(bench.panel.state, { isOpen: false, problem: 'host: koffi is missing; knob is missing' });
  await bench.stop();
});

t.test(
  'a part that hangs while it is opened does not hold up the end, and is closed when it comes',
  async (t) => {
    const part = host();
    const bench = benchOf(part.driver);
    let hand: (session: PartSession) => void = () => {};
    part.openWith(
      () =>
        new Promise((resolve) => {
          hand = resolve;
        }),
    );
    void bench.panel.start(new AbortController().signal, (event) => bench.events.push(event));
    await bench.timers.pass(0);
    t.ok((await bench.stop()) <= 1000);
    hand(part.session);
    await bench.timers.pass(0);
    t.equal(part.closed, 1);
    t.same(bench.take(), []);
  },
);

t.test('a defect of a driver is a loss of its part, not of the panel', async (t) => {
  const part = host();
  const bench = benchOf(part.driver);
  let polls = 0;
  part.openWith(async () => ({
    ...part.session,
    pollMs: 20,
    poll: () => {
      polls += 1;
      throw new TypeError('undefined is not a function');
    },
  }));
  await bench.start();
  await bench.timers.pass(100);
  t.equal(polls, 1, 'a defect is no glitch');
  t.match(bench.panel.state, { isOpen: false, problem: /^host: undefined is not a function/ });
  await bench.stop();
});
