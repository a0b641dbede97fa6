import t from 'tap';
import { changesAt, newLevels, setLevels } from '../../daemon/surface/animation.ts';
import { cell, setCells } from '../../daemon/surface/cells.ts';
import { palette } from '../../daemon/surface/palette.ts';
import { PodPlaces } from '../../daemon/surface/pod-places.ts';
import type { Binding, PodLight, SlotView } from '../../daemon/surface/types.ts';
import { bare, binding, desk, grid, pods, Rig, travel, view } from './rig.ts';

const letters = new Map<number, string>(
  Object.entries({
    empty: '.',
    ready: 'R',
    running: 'r',
    pending: 'p',
    crashed: 'c',
    terminating: 't',
    hollow: 'o',
    hollowBlocked: 'b',
    ghostMore: '+',
    ghostLess: '-',
    overflow: '*',
    missing: 'm',
    deniedEven: 'd',
    deniedOdd: 'D',
    waiting: 'w',
    off: 'o',
  }).map(([name, letter]) => [cell[name as keyof typeof cell], letter]),
);

/** The lights of a target as letters. */
function cells(
  shown: SlotView | null,
  wanted: number | null = null,
  size = 8,
  binding: Pick<Binding, 'verb'> = {},
): string {
  const places = new PodPlaces();
  if (shown !== null) places.update(shown.kind, shown.pods, size);
  const codes = new Uint8Array(size);
  setCells(codes, { view: shown, places, desired: shown?.desired ?? null, wanted, binding });
  return [...codes].map((code) => letters.get(code)).join('');
}

const mixed: [string, PodLight][] = [
  ['a', 'ready'],
  ['b', 'running'],
  ['c', 'pending'],
  ['d', 'crashed'],
  ['e', 'terminating'],
];

t.test('every state of a Pod, and what is not created yet', async (t) => {
  t.equal(cells(view(6, { pods: mixed, observed: 4 })), 'Rrpctoo.');
  t.equal(
    cells(view(6, { pods: mixed, condition: { state: 'blocked', reason: '', message: '' } })),
    'Rrpct...',
  );
  const quota = { state: 'blocked', reason: 'QuotaExceeded', message: '' } as const;
  t.equal(cells(view(4, { pods: pods(2), observed: 2, condition: quota })), 'RRbb....');
  t.equal(cells(view(0)), '........');
  t.equal(cells(view(null, { pods: pods(2), observed: 2 })), 'RR......');
});

t.test('what the operator is setting differs from what is', async (t) => {
  t.equal(cells(view(2), 5), 'RR+++...');
  t.equal(cells(view(5), 2), 'RR---...');
  t.equal(cells(view(3, { pods: pods(1), observed: 1 }), 5), 'Roo++...');
  t.equal(cells(view(3), 3), 'RRR.....');
  t.equal(cells(view(5, { pods: [...pods(4), ['t', 'terminating']], observed: 4 }), 3), 'RRR-t-..');
});

t.test('more than fits is marked on the last light', async (t) => {
  t.equal(cells(view(12)), 'RRRRRRR*');
  t.equal(cells(view(8)), 'RRRRRRRR');
  t.equal(cells(view(8, { pods: pods(3), observed: 3 }), 12), 'RRRoooo*');
  t.equal(cells(view(12), 10), 'RRRRRRR*', 'those without a light go first');
  t.equal(cells(view(12), 6), 'RRRRRR-*');
  t.equal(cells(view(300, { pods: pods(90), observed: 300 })), 'RRRRRRR*');
});

t.test('no target, no right, no news', async (t) => {
  t.equal(cells(view(3, { condition: { state: 'missing', reason: '', message: '' } })), 'm.m.m.m.');
  t.equal(cells(view(3, { condition: { state: 'denied', reason: '', message: '' } })), 'dDdDdDdD');
  t.equal(cells(null), 'w.......');
});

t.test('every kind of light has a course of brightness of its own', async (t) => {
  const levels = newLevels();
  const courses = new Map<string, string>();
  for (const [name, code] of Object.entries(cell)) {
    const course: string[] = [];
    for (let at = 0; at < 6000; at += 50) {
      setLevels(levels, at);
      const level = levels[code] ?? -1;
      if (!(level >= 0 && level <= 1)) t.fail(`${name}: ${level}`);
      course.push(level.toFixed(2));
    }
    t.equal(new Set(course).size > 1, changesAt(code, 0) !== null, `${name} moves or not, as told`);
    t.equal(courses.get(course.join()), undefined, `${name} is unlike all others`);
    courses.set(course.join(), name);
  }
});

t.test('rows are shared evenly, left to right and down, and hues are those of the bindings', async (t) => {
  const bindings = [0, 1, 2].map((slot) =>
    binding({
      slot,
      control: ['fader', 'motor', 'encoder'][slot] ?? '',
      colour: (['blue', 'orange', 'sky'] as const)[slot] ?? 'white',
      max: 40,
    }),
  );
  const rig = new Rig(desk, bindings);
  rig.slot(10, {}, 0);
  rig.slot(1, {}, 1);
  rig.slot(1, {}, 2);
  t.same(rig.light(7, 0), palette.blue);
  t.same(rig.light(1, 1), palette.blue, 'the tenth is in the second row');
  t.same(rig.light(2, 1), [0, 0, 0]);
  t.same(rig.light(0, 2), palette.orange);
  t.same(rig.light(0, 4), palette.sky);
  t.same(rig.light(0, 6), [0, 0, 0], 'rows that are left over stay dark');
  t.equal(rig.frame.isAnimated, false);
});

t.test('more targets than rows: the surplus is not shown, but is in the strips', async (t) => {
  const rig = new Rig(
    desk,
    Array.from({ length: 10 }, (_, slot) => binding({ slot, control: 'fader' })),
  );
  for (let slot = 0; slot < 10; slot++) rig.slot(1, {}, slot);
  t.equal(rig.frame.strips.length, 10);
  t.equal(rig.frame.matrix?.rgb.length, 192);
  t.same(rig.light(0, 7), palette.green);
});

t.test('pads that are the lights show a target on the row that sets it', async (t) => {
  const rig = new Rig(grid, [
    binding({ slot: 0, control: 'row4', takeover: 'jump' }),
    binding({ slot: 1, control: 'row2', takeover: 'jump', colour: 'blue' }),
  ]);
  rig.slot(1, {}, 0);
  rig.slot(2, {}, 1);
  t.same(rig.light(0, 0), [0, 0, 0]);
  t.same(rig.light(1, 1), palette.blue);
  t.same(rig.light(0, 2), [0, 0, 0]);
  t.same(rig.light(0, 3), palette.green);
});

t.test('a Pod keeps its light over new views and new bindings', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(2, {
    pods: [
      ['a', 'ready'],
      ['b', 'terminating'],
    ],
  });
  rig.slot(2, {
    pods: [
      ['b', 'terminating'],
      ['c', 'ready'],
    ],
    observed: 1,
  });
  const dim = rig.light(1);
  rig.apply({ type: 'bindings', bindings: [binding({ max: 5 })] });
  t.same(rig.light(0), palette.green);
  t.same(rig.light(1), dim);
  t.ok((dim[1] ?? 0) < palette.green[1] / 2);
});

t.test('stale is dim, still and amber in a corner; offline shows no Pod at all', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(4, {
    pods: [
      ['a', 'ready'],
      ['b', 'crashed'],
      ['c', 'pending'],
      ['d', 'running'],
    ],
  });
  rig.link('stale');
  const picture = (): number[] => [...(rig.frame.matrix?.rgb ?? [])];
  const before = picture();
  rig.wait(330);
  const after = picture();
  t.same(after.slice(0, 12), before.slice(0, 12), 'Pods do not move');
  t.ok(Math.max(...before.slice(0, 12)) <= 158 * 0.25);
  rig.at = 2000;
  const corner = rig.light(7);
  t.ok((corner[0] ?? 0) > 60 && corner[2] === 0, `amber: ${corner}`);
  rig.link('offline');
  for (const at of [2100, 3300, 4500]) {
    rig.at = at;
    const lights = Array.from({ length: 64 }, (_, index) => rig.light(index));
    t.ok(
      lights.every(([red, green, blue]) => red === green && green === blue),
      'no hue of a service',
    );
  }
  t.equal(rig.frame.isAnimated, true);
});

t.test('locked is dimmer and winks; an unreachable API server dims its rows', async (t) => {
  const rig = new Rig(desk, [binding()], { isLockedAtStart: true });
  rig.slot(1);
  t.ok((rig.light(0)[1] ?? 0) < 80);
  const corners = new Set<string>();
  for (let at = 3000; at < 6000; at += 50) {
    rig.at = at;
    corners.add(rig.light(7, 7).join());
  }
  t.equal(corners.size, 2);
  const other = new Rig(desk, [binding()]);
  other.slot(1, { condition: { state: 'unreachable', reason: '', message: '' } });
  t.ok((other.light(0)[1] ?? 0) < 60);
});

t.test('a row that waits to be armed blinks and counts down; holding fills it', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative', min: 0, zero: 'arm' })]);
  rig.at = 1_000_000;
  rig.slot(2);
  rig.turn(-40);
  rig.wait(150);
  const lit = (): number => {
    const rgb = rig.frame.matrix?.rgb ?? new Uint8Array();
    let count = 0;
    for (let at = 0; at < rgb.length; at += 3) if (rgb[at] === 102 && rgb[at + 1] === 102) count++;
    return count;
  };
  const seen: number[] = [];
  for (let moment = 0; moment < 10; moment++) {
    seen.push(lit());
    rig.at += 250;
  }
  t.equal(seen.filter((count) => count === 0).length, 5, `every other moment: ${seen}`);
  t.ok((seen.at(-1) ?? 64) < Math.max(...seen), `fewer as time goes: ${seen}`);
  rig.press('arm');
  rig.wait(500);
  const rgb = rig.frame.matrix?.rgb ?? new Uint8Array();
  t.equal(rgb.filter((part) => part === 230).length, 32 * 3, 'half of the hold, half of the lights');
});

t.test('a frame that nothing changes is the same object; lights alone do not remake the words', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(1);
  const first = rig.frame;
  rig.at += 1000;
  t.equal(rig.frame, first);
  rig.slot(2, {
    pods: [
      ['a', 'ready'],
      ['b', 'pending'],
    ],
  });
  const moving = rig.frame;
  t.equal(moving.isAnimated, true);
  rig.at += 40;
  t.not(rig.frame, moving);
  t.equal(rig.frame.strips, moving.strips);
  t.equal(rig.frame.controls, moving.controls);
  t.not(rig.frame.matrix?.rgb.join(), moving.matrix?.rgb.join());
});

t.test('a panel without a matrix has none', async (t) => {
  const rig = new Rig(bare, [binding()]);
  t.equal(rig.frame.matrix, null);
  t.equal(rig.frame.isAnimated, false);
  rig.slot(3);
  rig.position(travel(3));
  t.match(rig.strip(), { desired: 3, kind: 'Deployment' });
});

t.test('a switch is bright or dim, and what it shows of Pods is what there is', async (t) => {
  const lamp = (desired: number, wanted: number | null): string =>
    cells(view(desired, { pods: [] }), wanted, 4, { verb: 'pause' });
  t.equal(lamp(1, null), cells(view(4), null, 4), 'bright as ready Pods are');
  t.equal(lamp(0, null), 'oooo');
  t.equal(lamp(0, 1), '++++');
  t.equal(lamp(1, 0), '----');
  const left = view(1, { pods: pods(2), observed: 2 });
  t.equal(cells(left, null, 4, { verb: 'drain' }), cells(view(2), null, 4), 'Pods that are left');
  t.equal(
    cells(view(0, { pods: pods(3), observed: 3 }), 1, 4, { verb: 'restart' }),
    cells(view(3), null, 4),
    'no ghosts',
  );
  t.equal(cells(view(9, { pods: pods(3) }), null, 4, { verb: 'ceiling' }), cells(view(3), null, 4));
});
