import fc from 'fast-check';
import t from 'tap';
import { Debounce, debounceMs, deferredControls } from '../../../daemon/hw/signal/button.ts';

type Step = readonly [at: number, isDown: boolean | null];

/** What is reported and when, with the timer kept by the driver of the test; null: only time passes. */
function play(debounce: Debounce, steps: readonly Step[]): string[] {
  const found: string[] = [];
  const note = (at: number, changes: readonly string[]) =>
    found.push(...changes.map((change) => `${at} ${change}`));
  const wait = (until: number): void => {
    for (let at = debounce.nextWakeAt(); at !== null && at < until; at = debounce.nextWakeAt())
      note(at, debounce.tick(at));
  };
  for (const [at, isDown] of steps) {
    wait(at);
    note(at, isDown === null ? debounce.tick(at) : debounce.push(isDown, at));
  }
  wait(Number.POSITIVE_INFINITY);
  return found;
}
const up: Step = [-1000, false];

t.test('a press is reported at once, a release when it has rested', async (t) => {
  t.same(play(new Debounce(false), [up, [0, true], [100, false]]), ['0 press', '125 release']);
  t.same(play(new Debounce(true), [up, [0, true], [100, false]]), ['25 press', '125 release']);
});

t.test('bounces make nothing', async (t) => {
  const bouncing: Step[] = [
    up,
    [0, true],
    [1, false],
    [2, true],
    [9, false],
    [14, true],
    [90, false],
    [93, true],
    [95, false],
  ];
  t.same(play(new Debounce(false), bouncing), ['0 press', '120 release']);
  t.same(play(new Debounce(true), bouncing), ['39 press', '120 release']);
});

t.test('the final state is never lost', async (t) => {
  const tapped: Step[] = [up, [0, true], [3, false]];
  t.same(play(new Debounce(false), tapped), ['0 press', '28 release']);
  t.same(play(new Debounce(true), tapped), [], 'a disturbance of three milliseconds confirms nothing');
  t.same(play(new Debounce(false), [up, [0, true], [100, false], [110, true]]), ['0 press'], 'held on');
});

t.test('a contact that opens for a moment while it is held makes no second press', async (t) => {
  const worn: Step[] = [up, [0, true], [400, false], [420, true], [700, false], [705, true], [900, false]];
  t.same(play(new Debounce(false), worn), ['0 press', '925 release']);
});

t.test('the first reading reports nothing', async (t) => {
  for (const isDeferred of [false, true]) {
    const debounce = new Debounce(isDeferred);
    t.same(
      play(debounce, [
        [0, true],
        [500, true],
        [600, false],
      ]),
      [],
      'held from before',
    );
    t.same(
      play(debounce, [
        [1000, true],
        [1100, null],
        [1200, false],
      ]).length,
      2,
      'then it counts',
    );
    debounce.push(true, 2000);
    debounce.reset();
    t.equal(debounce.nextWakeAt(), null);
    t.same(
      play(debounce, [
        [2001, true],
        [2002, false],
        [2003, true],
        [2100, false],
      ]),
      [],
      'lost while held',
    );
  }
});

t.test('what rested in between is reported before the next reading', async (t) => {
  const debounce = new Debounce(false);
  debounce.push(false, 0);
  t.same(debounce.push(true, 10), ['press']);
  t.same(debounce.push(false, 100), []);
  t.same(debounce.push(true, 200), ['release', 'press']);
});

t.test('readings that repeat, and time that runs back', async (t) => {
  const polled = (isDown: boolean, from: number): Step[] =>
    [0, 5, 10, 15, 20].map((ms) => [from + ms, isDown]);
  const steps = [up, ...polled(true, 0), ...polled(false, 100), [200, false] as Step];
  t.same(play(new Debounce(false), steps), ['0 press', '125 release']);
  t.same(play(new Debounce(true), steps), ['25 press', '125 release']);
  const debounce = new Debounce(false);
  debounce.push(false, 0);
  debounce.push(true, 100);
  t.same(debounce.push(false, 50), []);
  t.equal(debounce.nextWakeAt(), 125, 'rests from now on, not from before');
});

t.test('only what confirms is deferred', async (t) => {
  t.same([...deferredControls({ arm: 'a', undo: 'b', lock: 'c' })], ['a']);
  t.same([...deferredControls({ undo: 'b' })], []);
});

t.test('whatever comes in, presses and releases alternate, and the last state wins', async (t) => {
  const step = fc.tuple(fc.oneof(fc.integer({ min: -50, max: 200 }), fc.double()), fc.option(fc.boolean()));
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 60 }), (isDeferred, steps) => {
      const debounce = new Debounce(isDeferred);
      let isDown = false;
      const check = (changes: readonly string[]): void => {
        for (const change of changes) {
          if ((change === 'press') === isDown) throw new Error(`two of ${change}`);
          isDown = !isDown;
        }
      };
      let first: boolean | null = null;
      let last: boolean | null = null;
      let wasUp = false;
      for (const [at, reading] of steps) {
        check(reading === null ? debounce.tick(at) : debounce.push(reading, at));
        if (reading === null) continue;
        first ??= reading;
        last = reading;
        wasUp ||= !reading;
      }
      const end = debounce.nextWakeAt();
      if (end !== null) check(debounce.tick(end));
      if (debounce.nextWakeAt() !== null) throw new Error('never at rest');
      // One that was down from the start counts as up until it has been up long enough.
      if (first === false && isDown !== last) throw new Error(`reports ${isDown}, is ${last}`);
      if (!wasUp && isDown) throw new Error('pressed without having been up');
    }),
    { numRuns: 1000 },
  );
  t.equal(debounceMs, 25);
});
