import fc from 'fast-check';
import t from 'tap';
import { answerMs, awayMs, installMs, mostAsks, restartMs } from '../../../daemon/bridge/rollout/progress.ts';
import { offerOf, type Plan, rolloutOf, surfaceOf, World } from './world.ts';

const version = '1.1.0';

async function begin(names: readonly string[], spec: object = {}): Promise<World> {
  const world = new World(names);
  world.folder.offered = [offerOf(version)];
  world.folder.wanted = [rolloutOf('spring', { version, ...spec })];
  await world.start();
  return world;
}

t.test('one after the other, in the order that the rollout names, each by its own steps', async (t) => {
  const world = await begin(['a', 'b', 'c'], { surfaces: ['c', 'a', 'b'] });
  for (const device of world.devices.values()) device.comes();
  await world.settle();
  t.same(world.asks, ['c'], 'one at a time');
  t.same(world.phases(), { c: 'installing', a: 'waiting', b: 'waiting' });
  world.device('c').step('good');
  await world.settle();
  t.equal(world.phases().c, 'restarting');
  world.device('c').step('good');
  await world.settle();
  t.match(world.detail('c'), 'on trial', 'a version on trial has not arrived');
  t.same(world.asks, ['c']);
  world.device('c').step('good');
  await world.settle();
  t.equal(world.phases().c, 'done');
  t.same(world.asks, ['c', 'a'], 'the next one is asked at once');
  for (const name of ['a', 'b'])
    for (let count = 0; count < 3; count++) {
      world.device(name).step('good');
      await world.settle();
    }
  t.same(world.phases(), { c: 'done', a: 'done', b: 'done' });
  t.same(
    world.events.map(({ surface, outcome, from }) => `${surface} ${outcome} ${from}`),
    ['c asked 1.0.0', 'c done 1.0.0', 'a asked 1.0.0', 'a done 1.0.0', 'b asked 1.0.0', 'b done 1.0.0'],
  );
  t.equal(world.fleet?.health().detail, 'spring to 1.1.0: ended: 3 done');
});

t.test('every way to fail stops a rollout that stops at the first', async (t) => {
  const plans: readonly (readonly [Plan, RegExp])[] = [
    ['install-fails', /E_UPDATE_DATA/],
    ['falls-back', /fell back/],
    ['falls-back-silently', /came back with 1\.0\.0/],
    ['vanishes', /did not come back within 15 minutes/],
  ];
  for (const [plan, why] of plans) {
    const world = await begin(['a', 'b']);
    for (const device of world.devices.values()) device.comes();
    await world.settle();
    world.device('a').step(plan);
    world.device('a').step(plan);
    await world.advance(awayMs + 10_000);
    t.same(world.phases(), { a: 'failed', b: 'waiting' }, plan);
    t.match(world.detail('a'), why);
    await world.advance(3 * restartMs);
    t.same(world.asks, ['a'], 'nobody else is asked');
    t.match(world.fleet?.health(), { ok: true, detail: /stopped by failures: 1 waiting, 1 failed/ });
    t.match(world.events.at(-1), { surface: 'a', outcome: 'failed', detail: why });
    world.folder.wanted = [rolloutOf('spring', { version, stopAfterFailures: 2 })];
    world.folder.changed();
    await world.settle();
    t.same(
      world.asks,
      ['a', 'b'],
      'until somebody allows one failure more; the failed one is not asked again',
    );
  }
});

t.test('a surface that is offline keeps nobody back, and is asked when it comes', async (t) => {
  const world = await begin(['a', 'b'], { surfaces: ['a', 'b'] });
  world.device('b').comes();
  await world.settle();
  t.same(world.asks, ['b']);
  for (let count = 0; count < 3; count++) world.device('b').step('good');
  await world.advance(24 * 3_600_000);
  t.same(world.phases(), { a: 'waiting', b: 'done' });
  world.device('a').comes();
  await world.settle();
  t.same(world.asks, ['b', 'a']);
});

t.test('nobody is asked whom policy would lock out, or for whom there is no bundle', async (t) => {
  const world = await begin(['a', 'b']);
  world.obstacleOf = ({ metadata }) => (metadata.name === 'a' ? 'its policy "p" does not take it' : null);
  for (const device of world.devices.values()) device.comes();
  await world.settle();
  t.same(world.asks, ['b']);
  t.equal(world.detail('a'), 'its policy "p" does not take it');
  for (let count = 0; count < 3; count++) world.device('b').step('good');
  world.obstacleOf = () => null;
  world.folder.offered = [];
  await world.advance(10_000);
  t.match(world.detail('a'), /no good bundle of 1\.1\.0/);
  world.folder.offered = [offerOf(version)];
  world.folder.changed();
  await world.settle();
  t.same(world.asks, ['b', 'a'], 'as soon as nothing speaks against it');
});

t.test('what cannot be kept or recorded is not asked', async (t) => {
  for (const fault of ['write', 'record'] as const) {
    const world = await begin(['a', 'b'], { atOnce: 2 });
    world.fault = fault;
    for (const device of world.devices.values()) device.comes();
    await world.advance(60_000);
    t.same(world.asks, [], fault);
    t.equal(world.onTheirWay(), 0);
    t.match(world.fleet?.health().detail, fault === 'write' ? /ENOSPC/ : /the disk is full/);
    world.fault = null;
    await world.advance(10_000);
    t.same(world.asks.toSorted(), ['a', 'b'], 'asked once when it can be');
    t.notMatch(world.fleet?.health().detail, /ENOSPC|full/);
  }
});

t.test('an ask that does not arrive is repeated, and given up in the end', async (t) => {
  const world = await begin(['a', 'b']);
  world.fault = 'ask';
  for (const device of world.devices.values()) device.comes();
  await world.advance(mostAsks * (answerMs + 10_000) + 60_000);
  t.same(world.phases(), { a: 'failed', b: 'waiting' });
  t.match(world.detail('a'), /asked 3 times/);
});

t.test('who cannot be updated is skipped, and counts for nothing', async (t) => {
  const world = await begin(['older', 'package', 'newer', 'odd', 'good']);
  const told = { older: '0.1.0', package: '1.0.0', newer: '2.0.0', odd: 'dev', good: '1.0.0' };
  for (const [name, firmware] of Object.entries(told)) world.fleet?.born(name, firmware);
  world.fleet?.told('package', { state: 'unsupported', version: null, detail: 'not the image' });
  for (const name of ['newer', 'odd', 'good'])
    world.fleet?.told(name, { state: 'idle', version: null, detail: '' });
  await world.advance(answerMs + 10_000);
  t.match(world.phases(), { older: 'skipped', package: 'skipped', newer: 'skipped', odd: 'skipped' });
  t.match(world.detail('older'), /says nothing of updates/);
  t.match(world.detail('newer'), /newer/);
  t.same([...new Set(world.asks)], ['good']);
  world.fleet?.born('older', '1.0.0');
  world.fleet?.told('older', { state: 'idle', version: null, detail: '' });
  await world.settle();
  t.equal(world.phases().older, 'waiting', 'until it can be');
});

t.test('a done surface that falls back later has failed', async (t) => {
  const world = await begin(['a', 'b']);
  world.device('a').comes();
  await world.settle();
  for (let count = 0; count < 3; count++) world.device('a').step('good');
  await world.settle();
  t.equal(world.phases().a, 'done');
  world.device('a').firmware = '1.0.0';
  world.device('a').powerCut();
  await world.settle();
  t.equal(world.phases().a, 'failed');
  world.device('b').comes();
  await world.advance(60_000);
  t.same(world.asks, ['a'], 'so nobody else is asked');
});

t.test('of several rollouts the newest version counts, and a surface is on its way in one', async (t) => {
  const world = await begin(['a', 'b'], { surfaces: ['a', 'b'] });
  world.folder.offered.push(offerOf('1.2.0'));
  world.device('a').comes();
  await world.settle();
  world.folder.wanted.push(rolloutOf('summer', { version: '1.2.0', surfaces: ['a', 'b'] }));
  world.folder.changed();
  world.device('b').comes();
  await world.settle();
  t.same(world.phases('spring'), { a: 'installing', b: 'skipped' });
  t.same(world.phases('summer'), { a: 'waiting', b: 'installing' }, 'a is busy with the other one');
  for (const name of ['a', 'b'])
    for (let count = 0; count < 3; count++) {
      world.device(name).step('good');
      await world.settle();
    }
  t.same(world.phases('spring'), { a: 'done', b: 'skipped' });
  t.same(world.asks, ['a', 'b', 'a'], 'and then it is asked for the newer one');
});

t.test(
  'paused, revoked, removed: nobody else is asked; a rollout that is taken away is forgotten',
  async (t) => {
    const world = await begin(['a', 'b', 'c'], { isPaused: true });
    for (const device of world.devices.values()) device.comes();
    await world.advance(60_000);
    t.same(world.asks, []);
    t.match(world.fleet?.health().detail, /paused: 3 waiting/);
    world.registry.set([surfaceOf('a', { isRevoked: true }), surfaceOf('b')]);
    world.folder.wanted = [rolloutOf('spring', { version })];
    world.folder.changed();
    await world.settle();
    t.same(world.phases(), { b: 'installing' });
    world.folder.wanted = [];
    world.folder.changed();
    await world.settle();
    t.same(JSON.parse(world.kept ?? ''), { v: 1, rollouts: [] });
  },
);

t.test('what was kept and cannot be read keeps everything as it is, and says what to do', async (t) => {
  for (const text of ['{', '{"v":2}', '{"v":1,"rollouts":[{"name":"x"}]}']) {
    const world = new World(['a']);
    world.folder.offered = [offerOf(version)];
    world.folder.wanted = [rolloutOf('spring', { version })];
    world.kept = text;
    await world.start();
    world.device('a').comes();
    await world.advance(60_000);
    t.same(world.asks, []);
    t.equal(world.kept, text, 'nothing is written over it');
    t.match(world.fleet?.health().detail, /rollouts\.json: .*removed to begin/);
  }
});

t.test('a gateway that dies between keeping and asking asks once, after its restart', async (t) => {
  const world = await begin(['a', 'b'], { surfaces: ['a', 'b'] });
  world.dying = 'after';
  world.device('a').comes();
  await world.settle();
  await world.restart();
  await world.advance(2 * answerMs);
  t.same(world.asks, ['a'], 'it was not told before');
});

t.test('a gateway that dies once it has asked still counts whom it asked', async (t) => {
  const world = await begin(['a', 'b']);
  world.dying = 'asking';
  world.device('a').comes();
  await world.settle();
  t.equal(world.device('a').state, 'installing');
  world.device('a').goes();
  await world.restart();
  world.device('b').comes();
  await world.advance(60_000);
  t.same(world.asks, ['a'], 'though it is away when the gateway comes back');
});

// ---------------------------------------------------------------- whatever happens

const plan = fc.constantFrom<Plan>('good', 'install-fails', 'falls-back', 'falls-back-silently', 'vanishes');
const names = ['a', 'b', 'c', 'd', 'e'];
const who = fc.constantFrom(...names);
type Action = (world: World) => void | Promise<void>;
const described = <Value>(of: string, arbitrary: fc.Arbitrary<Value>, act: (value: Value) => Action) =>
  arbitrary.map((value): { readonly text: string; readonly act: Action } => ({
    text: `${of} ${JSON.stringify(value)}`,
    act: act(value),
  }));
const action = fc.oneof(
  { weight: 4, arbitrary: described('comes', who, (name) => (world) => world.device(name).comes()) },
  { weight: 2, arbitrary: described('goes', who, (name) => (world) => world.device(name).goes()) },
  { weight: 1, arbitrary: described('power cut', who, (name) => (world) => world.device(name).powerCut()) },
  {
    weight: 6,
    arbitrary: described(
      'step',
      fc.tuple(who, plan),
      ([name, how]) =>
        (world) =>
          world.device(name).step(how),
    ),
  },
  {
    weight: 2,
    arbitrary: described(
      'later',
      fc.constantFrom(1000, 70_000, awayMs + 60_000),
      (ms) => (world) => world.advance(ms),
    ),
  },
  { weight: 3, arbitrary: described('restart', fc.constant(null), () => (world) => world.restart()) },
  {
    weight: 2,
    arbitrary: described('dies', fc.constantFrom('before', 'after', 'asking'), (when) => (world) => {
      world.dying = when;
    }),
  },
  {
    weight: 1,
    arbitrary: described('fault', fc.constantFrom('write', 'record', 'ask', null), (fault) => (world) => {
      world.fault = fault;
    }),
  },
);

t.test(
  'never too many at once, none after it stopped, nobody asked twice without cause, and it ends',
  async () => {
    const seen = { ended: 0, stopped: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 5, maxLength: 80 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        async (actions, atOnce, stopAfterFailures) => {
          const world = new World(names);
          world.slowness = 60;
          world.folder.offered = [offerOf(version)];
          world.folder.wanted = [rolloutOf('spring', { version, atOnce, stopAfterFailures })];
          await world.start();
          /** Asked, and not known to be over; as somebody who reads the gateway's file sees it. */
          const failed = (): number =>
            new Set(world.events.filter(({ outcome }) => outcome === 'failed').map(({ surface }) => surface))
              .size;
          world.onAsk = (surface) => {
            if (world.onTheirWay() > atOnce) throw new Error(`${world.onTheirWay()} on their way`);
            if (failed() >= stopAfterFailures)
              throw new Error(`${surface} is asked after ${failed()} failures`);
            const device = world.device(surface);
            if (device.asks > device.losses) throw new Error(`${surface} is asked again without cause`);
          };
          for (const { act } of actions) {
            await act(world);
            await world.settle();
            if (world.fleet === null) await world.restart();
          }
          world.fault = null;
          await world.restart();
          for (const device of world.devices.values()) device.comes();
          // Everybody goes on as they should, for longer than the gateway waits for anything.
          for (let passedMs = 0; passedMs < installMs + names.length * restartMs; passedMs += 300_000) {
            for (const device of world.devices.values()) device.step('good');
            await world.advance(300_000);
          }
          const words = world.fleet?.health().detail ?? '';
          if (world.onTheirWay() > 0) throw new Error(`does not end: ${words}`);
          const left = Object.entries(world.phases()).filter(([, phase]) => phase === 'waiting');
          const isStopped = /stopped/.test(words);
          const unreached = left.filter(([name]) => !world.device(name).isGone);
          if (unreached.length > 0 && !isStopped) throw new Error(`${unreached.join()} not asked: ${words}`);
          seen[isStopped ? 'stopped' : 'ended']++;
        },
      ),
      { numRuns: 150 },
    );
    t.ok(seen.ended > 3 && seen.stopped > 3, `both ends were seen: ${JSON.stringify(seen)}`);
  },
);
