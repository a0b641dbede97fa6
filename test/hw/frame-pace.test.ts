import t from 'tap';
import { FramePace, frameIntervalMs } from '../../daemon/hw/frame-pace.ts';
import { ManualTimers } from './i2c/bench.ts';

/** A pace whose frames look otherwise at times that the test gives. */
function paced(changes: readonly (number | null)[]) {
  const timers = new ManualTimers();
  const drawn: number[] = [];
  const left = [...changes];
  const pace = new FramePace({
    draw: (at) => {
      drawn.push(at);
      return left.shift() ?? null;
    },
    timers,
  });
  return { timers, pace, drawn };
}

t.test('one frame when nothing moves; changes in a burst share one', async (t) => {
  const { timers, pace, drawn } = paced([]);
  pace.ask(0);
  await timers.pass(1000);
  t.same(drawn, [0]);
  for (let n = 0; n < 5; n++) pace.ask(timers.monotonic());
  await timers.pass(10);
  pace.ask(timers.monotonic());
  await timers.pass(1000);
  t.same(drawn, [0, 1000, 1000 + frameIntervalMs]);
  t.same(timers.delays, [], 'and no timer runs');
});

t.test('what moves all the time is drawn 25 times a second, what flashes when it changes', async (t) => {
  const moving = paced([0, 40, 80, 120]);
  moving.pace.ask(0);
  await moving.timers.pass(500);
  t.same(moving.drawn, [0, 40, 80, 120, 160]);
  const flashing = paced([225, 3000, 3225]);
  flashing.pace.ask(0);
  await flashing.timers.pass(5000);
  t.same(flashing.drawn, [0, 225, 3000, 3225]);
});

t.test('a change does not wait for the next flash', async (t) => {
  const { timers, pace, drawn } = paced([3000, 3000]);
  pace.ask(0);
  await timers.pass(1000);
  pace.ask(1000);
  await timers.pass(2500);
  t.same(drawn, [0, 1000, 3000]);
});

t.test('a timer that runs early draws what is due; nothing is drawn after the stop', async (t) => {
  const timers = new ManualTimers();
  const drawn: number[] = [];
  const early = {
    monotonic: () => timers.monotonic(),
    after: (ms: number, run: () => void) => timers.after(ms - 0.5, run),
  };
  const pace = new FramePace({ draw: (at) => drawn.push(at) + 499, timers: early });
  pace.ask(100);
  await timers.pass(100);
  t.same(drawn, [100]);
  pace.stop();
  pace.stop();
  pace.ask(200);
  await timers.pass(1000);
  t.same(drawn, [100]);
});
