import fc from 'fast-check';
import t from 'tap';
import {
  type ButtonEvent,
  type ChordSpec,
  Chords,
  chordFaults,
  chordWindowMs,
} from '../../../daemon/hw/signal/chords.ts';

/** `12 +a`: a goes down at 12; `12 -a`: it comes up. */
function play(chords: Chords, script: string): string {
  const found: string[] = [];
  const note = (at: number, events: readonly ButtonEvent[]) =>
    found.push(...events.map(({ type, control }) => `${at} ${type === 'press' ? '+' : '-'}${control}`));
  const wait = (until: number): void => {
    for (let at = chords.nextWakeAt(); at !== null && at < until; at = chords.nextWakeAt())
      note(at, chords.tick(at));
  };
  for (const [, at, sign, control] of script.matchAll(/(\d+) ([+-])(\w+)/g)) {
    wait(Number(at));
    note(
      Number(at),
      chords.push({ type: sign === '+' ? 'press' : 'release', control: control! }, Number(at)),
    );
  }
  wait(Number.POSITIVE_INFINITY);
  return found.join(', ');
}
const chord = (...names: string[]): ChordSpec[] =>
  names.map((name) => ({ name: name.toUpperCase(), of: [...name] }));

t.test('buttons that are pressed together are one', async (t) => {
  const is = (script: string, expected: string) =>
    t.equal(play(new Chords(chord('ab')), script), expected, script);
  is('0 +a, 59 +b, 300 -b, 310 -a', '59 +AB, 300 -AB');
  is('0 +b, 0 +a, 300 -a, 310 -b', '0 +AB, 300 -AB');
  is('0 +a, 60 +b, 100 -a, 200 -b', '60 +a, 60 +b, 100 -a, 200 -b');
  is('0 +a, 300 -a', '60 +a, 300 -a');
  is('0 +a, 20 -a', '20 +a, 20 -a');
  is('0 +a, 20 -a, 30 +b, 100 -b', '20 +a, 20 -a, 90 +b, 100 -b');
  is('0 +x, 5 -x', '0 +x, 5 -x');
  is('0 +a, 100 +b, 200 -b, 300 -a', '60 +a, 100 +b, 200 -b, 300 -a');
});

t.test('members do not act by themselves until all of them are up', async (t) => {
  const chords = new Chords(chord('ab'));
  t.equal(play(chords, '0 +a, 10 +b, 100 -a, 150 +a, 200 -a, 250 -b'), '10 +AB, 100 -AB');
  t.equal(play(chords, '300 +b, 400 -b'), '360 +b, 400 -b', 'then they do');
});

t.test('the longest chord wins', async (t) => {
  const is = (chords: ChordSpec[], script: string, expected: string) =>
    t.equal(play(new Chords(chords), script), expected, script);
  const both = chord('ab', 'abc');
  is(both, '0 +a, 10 +b, 20 +c, 200 -c, 210 -a, 220 -b', '20 +ABC, 200 -ABC');
  is(both, '0 +a, 10 +b, 200 -a, 210 -b', '60 +AB, 200 -AB');
  is(both, '0 +a, 10 +b, 40 -a, 50 -b', '40 +AB, 40 -AB');
  is(both, '0 +a, 10 +b, 70 +c, 200 -c, 300 -b, 300 -a', '60 +AB, 70 +c, 200 -c, 300 -AB');
  is(both, '0 +c, 100 +a, 110 +b, 200 -a, 200 -b, 200 -c', '60 +c, 110 +AB, 200 -AB, 200 -c');
  is(chord('ab', 'abc', 'abcd'), '0 +a, 10 +b, 20 +c, 200 -a', '60 +ABC, 200 -ABC');
  const overlapping = chord('ab', 'bcd');
  is(overlapping, '0 +a, 10 +b, 20 +c, 30 +d, 200 -a', '30 +BCD, 30 +a, 200 -a');
  is(overlapping, '0 +a, 10 +b, 20 +c, 200 -a', '60 +AB, 60 +c, 200 -AB');
  is(chord('ab', 'bc'), '0 +a, 10 +b, 20 +c, 200 -b', '10 +AB, 20 +c, 200 -AB');
});

t.test('time does not run back', async (t) => {
  const chords = new Chords(chord('ab'));
  chords.push({ type: 'release', control: 'b' }, 100);
  chords.push({ type: 'press', control: 'a' }, 20);
  t.equal(chords.nextWakeAt(), 160);
});

t.test('lost buttons', async (t) => {
  const chords = new Chords(chord('ab', 'cd'));
  play(chords, '0 +a, 10 +b');
  t.same(chords.forget(['a', 'x']), ['AB']);
  t.equal(
    play(chords, '100 -b, 200 +b, 210 +a, 300 -a'),
    '210 +AB, 300 -AB',
    'the one that is left comes up silently',
  );
  const waiting = new Chords(chord('ab'));
  waiting.push({ type: 'press', control: 'a' }, 0);
  waiting.forget(['a']);
  t.equal(waiting.nextWakeAt(), null);
  t.same(waiting.forget([]), []);
});

t.test('chords that cannot be', async (t) => {
  const controls = [
    { name: 'a', kind: 'button' },
    { name: 'e', kind: 'encoder' },
    { name: 'f', kind: 'fader' },
  ] as const;
  t.same(chordFaults([{ name: 'x', of: ['a', 'e'] }], controls), []);
  t.same(
    chordFaults(
      [
        { name: 'a', of: ['a', 'e'] },
        { name: 'y', of: ['e', 'a'] },
        { name: 'y', of: ['a', 'a'] },
        { name: 'z', of: ['f', 'nobody'] },
      ],
      controls,
    ),
    [
      'panel.chords[0].name: a is already taken',
      'panel.chords[1].of: another chord has the same buttons',
      'panel.chords[2].name: y is already taken',
      'panel.chords[2].of: expected two or more different buttons',
      'panel.chords[3].of: the panel has no button f',
      'panel.chords[3].of: the panel has no button nobody',
    ],
  );
});

t.test(
  'whatever is pressed, each button alternates, none is late, and a chord replaces its members',
  async (t) => {
    const button = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.record({
      control: button,
      waitMs: fc.integer({ min: -20, max: 80 }),
      isTick: fc.boolean(),
    });
    const sets = fc.constantFrom(
      chord('ab'),
      chord('ab', 'abc'),
      chord('ab', 'bc', 'cd'),
      chord('ab', 'bcd', 'abcd'),
    );
    fc.assert(
      fc.property(sets, fc.array(step, { maxLength: 60 }), (specs, steps) => {
        const chords = new Chords(specs);
        const down = new Set<string>();
        const reported = new Set<string>();
        const pressedAt = new Map<string, number>();
        let now = 0;
        const take = (at: number, events: readonly ButtonEvent[]): void => {
          for (const { type, control } of events) {
            if ((type === 'press') === reported.has(control)) throw new Error(`two of ${type} ${control}`);
            if (type === 'release') reported.delete(control);
            else reported.add(control);
            const since = pressedAt.get(control);
            if (type === 'press' && since !== undefined && at > since + chordWindowMs)
              throw new Error(`${control} late`);
          }
          for (const { name, of } of specs)
            if (reported.has(name) && of.some((member) => reported.has(member)))
              throw new Error(`${name} and a member`);
        };
        const wait = (until: number): void => {
          for (let at = chords.nextWakeAt(); at !== null && at <= until; at = chords.nextWakeAt())
            take(at, chords.tick(at));
        };
        for (const { control, waitMs, isTick } of steps) {
          const at = now + waitMs;
          now = Math.max(now, at);
          wait(now);
          if (isTick) take(now, chords.tick(at));
          if (down.delete(control)) {
            take(now, chords.push({ type: 'release', control }, at));
            continue;
          }
          down.add(control);
          pressedAt.set(control, now);
          take(now, chords.push({ type: 'press', control }, at));
        }
        wait(Number.POSITIVE_INFINITY);
        for (const control of down) take(now, chords.push({ type: 'release', control }, now));
        wait(Number.POSITIVE_INFINITY);
        if (reported.size > 0) throw new Error(`${[...reported]} still down`);
      }),
      { numRuns: 1000 },
    );
    t.pass();
  },
);
