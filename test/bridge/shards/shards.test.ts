import fc from 'fast-check';
import t from 'tap';
import { shardOf } from '../../../daemon/bridge/shards/shard-of.ts';
import { durationMs, Machine, surfacesOf, World } from './world.ts';

t.test('a surface stays in its shard, and shards are even', async (t) => {
  t.equal(shardOf('desk', 16), 10, 'the same in every version');
  t.equal(shardOf('desk', 64), 58);
  const sizes = new Array<number>(16).fill(0);
  for (let index = 0; index < 16_000; index++) sizes[shardOf(`surface-${index}`, 16)]! += 1;
  t.ok(Math.min(...sizes) > 850 && Math.max(...sizes) < 1150, sizes.join());
});

/** Counts how many act for each surface; more than one is what must never be. */
function holders(machines: readonly Machine[], surfaces: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const surface of surfaces) {
    const names = machines.filter((machine) => machine.actsFor(surface)).map(({ name }) => name);
    if (names.length > 1) throw new Error(`${names.join(' and ')} act for ${surface}`);
    found.set(surface, names);
  }
  return found;
}

const isServed = (found: ReadonlyMap<string, readonly string[]>): boolean =>
  [...found.values()].every(({ length }) => length === 1);

const spread = (machines: readonly Machine[]): number[] =>
  machines.map(({ shards }) => shards.status().held.length).sort((one, other) => one - other);

t.test('three share, one leaves in seconds, one is killed within the time of its Leases', async (t) => {
  const world = new World(1);
  const surfaces = surfacesOf([16]);
  const machines: Machine[] = [];
  const look = (): void => void holders(machines, surfaces);
  machines.push(new Machine(world, 'a', 16));
  await world.run(2 * durationMs, look);
  t.ok(isServed(holders(machines, surfaces)), 'one alone acts for all');
  machines.push(new Machine(world, 'b', 16), new Machine(world, 'c', 16));
  await world.run(durationMs, look);
  t.same(spread(machines), [4, 6, 6], 'nobody has more than a fair share');
  t.ok(isServed(holders(machines, surfaces)));

  let drained = 0;
  machines[0]?.shards.onChange(async () => {
    drained += 1;
  });
  void machines[0]?.shards.close();
  await world.run(6000, look);
  t.ok(isServed(holders(machines, surfaces)), 'handed over after seconds');
  t.same(spread(machines), [0, 8, 8]);
  t.ok(drained > 0, 'what was under way could end');
  t.notOk(world.leases.has('surfaced-replica-a'), 'and it is not counted any more');

  const killed = machines[1];
  if (killed) killed.isKilled = true;
  await world.run(durationMs + 6000, look);
  t.ok(isServed(holders(machines, surfaces)), 'taken over after the time of the Leases');
});

t.test('one that was frozen does not act when it wakes', async (t) => {
  const world = new World(2);
  const surfaces = surfacesOf([16]);
  const machines = [new Machine(world, 'a', 16), new Machine(world, 'b', 16)];
  const look = (): void => void holders(machines, surfaces);
  await world.run(3 * durationMs, look);
  const [frozen] = machines;
  frozen?.freeze();
  await world.run(2 * durationMs, look);
  t.ok(isServed(holders(machines, surfaces)), 'the other has taken over');
  frozen?.wake();
  t.notOk(
    surfaces.some((surface) => frozen?.actsFor(surface)),
    'it knows before anything else happens',
  );
  await world.run(2 * durationMs, look);
  t.same(spread(machines), [8, 8], 'and gets its share again');
});

t.test('with the API server away nobody acts for longer than they may', async (t) => {
  const world = new World(3);
  const surfaces = surfacesOf([16]);
  const machines = [new Machine(world, 'a', 16), new Machine(world, 'b', 16)];
  const look = (): void => void holders(machines, surfaces);
  await world.run(3 * durationMs, look);
  const changes: number[] = [];
  machines[0]?.shards.onChange(() => void changes.push(machines[0]?.shards.status().held.length ?? -1));
  world.isApiAway = true;
  await world.run(durationMs, look);
  t.ok([...holders(machines, surfaces).values()].every(({ length }) => length === 0));
  t.equal(changes.at(-1), 0, 'and says so');
  t.match(machines[0]?.shards.status().problems, [/no answer/]);
  world.isApiAway = false;
  await world.run(2 * durationMs, look);
  t.ok(isServed(holders(machines, surfaces)));
});

t.test(
  'a clock that is set acts less, never more; a suspended machine is noticed by its wall clock',
  async (t) => {
    const world = new World(4);
    const machine = new Machine(world, 'a', 16);
    await world.run(3 * durationMs, () => {});
    t.equal(machine.shards.status().held.length, 16);
    machine.setMs += 3_600_000;
    t.equal(machine.shards.status().held.length, 0);
    await world.run(durationMs, () => {});
    t.equal(machine.shards.status().held.length, 16);
  },
);

t.test('gateways that divide surfaces differently never act side by side', async (t) => {
  const world = new World(5);
  const surfaces = surfacesOf([16, 32]);
  const machines = [new Machine(world, 'old', 16)];
  const look = (): void => void holders(machines, surfaces);
  await world.run(2 * durationMs, look);
  machines.push(new Machine(world, 'new', 32));
  await world.run(2 * durationMs, look);
  t.equal(machines[0]?.shards.status().held.length, 16, 'the one that was there goes on');
  t.match(machines[1]?.shards.status().problems, [/surfaced-replica-old divides surfaces into 16 shards/]);
  void machines[0]?.shards.close();
  await world.run(3 * durationMs, look);
  t.equal(machines[1]?.shards.status().held.length, 32);
});

t.test('a renewal whose answer comes late counts from when it was sent', async () => {
  const world = new World(6);
  const surfaces = surfacesOf([4]);
  const machines = [new Machine(world, 'a', 4)];
  const look = (): void => void holders(machines, surfaces);
  await world.run(3 * durationMs, look);
  const [slow] = machines;
  if (slow) slow.answerMs = 9000;
  machines.push(new Machine(world, 'b', 4));
  for (let index = 0; index < 400; index++) {
    // Cut while an answer is on its way: nothing is renewed after it.
    if (index === 120 && slow) world.after(0, () => (slow.isCut = true));
    await world.run(500, look);
  }
});

t.test('a Lease that was deleted under a live gateway is nobody else\u2019s before its time', async (t) => {
  const world = new World(7);
  const surfaces = surfacesOf([4]);
  const machines = [new Machine(world, 'a', 4)];
  const look = (): void => void holders(machines, surfaces);
  await world.run(3 * durationMs, look);
  t.ok(isServed(holders(machines, surfaces)));
  const [cut] = machines;
  if (cut) cut.isCut = true;
  for (const name of [...world.leases.keys()]) world.leases.delete(name);
  machines.push(new Machine(world, 'b', 4));
  await world.run(3 * durationMs, look);
  t.equal(machines[1]?.shards.status().held.length, 4);
});

t.test(
  'while a shard is given back nothing is begun for it, and what is under way is waited for',
  async (t) => {
    const world = new World(8);
    const surfaces = surfacesOf([4]);
    const machines = [new Machine(world, 'a', 4), new Machine(world, 'b', 4)];
    const look = (): void => void holders(machines, surfaces);
    await world.run(3 * durationMs, look);
    const leaver = machines[0]?.shards;
    let whileLeaving: boolean[] = [];
    let stillHeld = 0;
    leaver?.onChange(async () => {
      whileLeaving = surfaces.map((surface) => leaver.isMine(surface));
      await new Promise<void>((resolve) => void world.after(3000, resolve));
      stillHeld = [...world.leases.values()].filter(
        ({ holder, name }) => holder === 'a' && /shard/.test(name),
      ).length;
    });
    void leaver?.close();
    await world.run(10_000, look);
    t.same(whileLeaving, [false, false, false, false]);
    t.equal(stillHeld, 2, 'the Leases are given back only after it');
    t.equal(machines[1]?.shards.status().held.length, 4);
  },
);

const step = fc.record({
  what: fc.constantFrom(
    ...([
      'join',
      'leave',
      'kill',
      'freeze',
      'wake',
      'away',
      'back',
      'lossy',
      'slow',
      'calm',
      'set',
      'delete',
    ] as const),
  ),
  which: fc.nat(5),
  thenMs: fc.integer({ min: 0, max: 20_000 }),
});

t.test('whatever happens: never two, and one soon after it is over', async () => {
  const counts = [8, 16];
  const surfaces = surfacesOf(counts);
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(step, { maxLength: 25 }), async (seed, steps) => {
      const world = new World(seed);
      const machines: Machine[] = [];
      const join = (count: number): void => {
        if (machines.filter(({ isKilled }) => !isKilled).length < 4)
          machines.push(new Machine(world, `m${machines.length}`, count));
      };
      join(16);
      join(16);
      const look = (): void => void holders(machines, surfaces);
      for (const { what, which, thenMs } of steps) {
        const one = machines[which % machines.length];
        if (what === 'join') join(counts[which % 2] ?? 16);
        else if (what === 'leave') void one?.shards.close();
        else if (what === 'kill' && one) one.isKilled = true;
        else if (what === 'freeze') one?.freeze();
        else if (what === 'wake') one?.wake();
        else if (what === 'away' || what === 'back') world.isApiAway = what === 'away';
        else if (what === 'lossy') world.lossRate = 0.3;
        else if (what === 'slow') world.delayMs = 12_000;
        else if (what === 'calm') Object.assign(world, { lossRate: 0, delayMs: 20 });
        else if (what === 'set' && one) one.setMs += (which - 2) * 20_000;
        else if (what === 'delete') world.leases.delete(`surfaced-shard-${which}`);
        look();
        await world.run(thenMs, look);
      }
      // Everything is well again: two that are new find what the others have left.
      Object.assign(world, { lossRate: 0, delayMs: 20, isApiAway: false });
      for (const machine of machines) {
        machine.wake();
        look();
        if (machine.count !== 16) machine.isKilled = true;
      }
      for (const machine of machines.slice(0, -1)) machine.isKilled = true;
      const fresh = [new Machine(world, 'x', 16), new Machine(world, 'y', 16)];
      machines.push(...fresh);
      await world.run(5 * durationMs, look);
      if (!isServed(holders(machines, surfacesOf([16])))) throw new Error('a surface is served by nobody');
    }),
    { numRuns: 40 },
  );
});
