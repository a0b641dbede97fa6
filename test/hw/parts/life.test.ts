/** Whatever is unplugged, spoilt and plugged in again, in any order: no wrong event, and all is well at the end. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import type { BusFault } from '../../../hil/sim/chips/bus.ts';
import { configOf, PanelBench } from './bench.ts';
import { Toy, toy } from './toys.ts';

const names = ['one', 'two', 'three'] as const;
const addressOf = (place: number): number => 0x10 + place;

type Step =
  | { readonly do: 'plug' | 'unplug'; readonly place: number }
  | { readonly do: 'fault'; readonly place: number; readonly fault: BusFault }
  | { readonly do: 'press'; readonly place: number; readonly isDown: boolean }
  | { readonly do: 'bus'; readonly isBroken: boolean }
  | { readonly do: 'show'; readonly first: number }
  | { readonly do: 'pass'; readonly ms: number };

const place = fc.nat(names.length - 1);
const fault = fc.constantFrom<BusFault>('none', 'no-ack', 'garbage', 'half', 'stuck');
const pass = fc.record({
  do: fc.constant('pass' as const),
  ms: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 6000 })),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: pass, weight: 4 },
  fc.record({ do: fc.constantFrom('plug' as const, 'unplug' as const), place }),
  fc.record({ do: fc.constant('fault' as const), place, fault }),
  fc.record({ do: fc.constant('press' as const), place, isDown: fc.boolean() }),
  fc.record({ do: fc.constant('bus' as const), isBroken: fc.boolean() }),
  fc.record({ do: fc.constant('show' as const), first: fc.nat(255) }),
);

/** Three toys in a row, and what a hand and an eye know about them. */
class World {
  readonly bench = new PanelBench(
    configOf({
      brightness: 1,
      parts: names.map((name, index) => ({
        part: 'toy',
        name,
        address: addressOf(index),
        at: [2 * index, 0],
        rest: 100,
      })),
    }),
    [toy],
  );
  readonly toys = names.map(() => new Toy());
  readonly #plugged = new Set<number>();
  /** Buttons that have been up since the last reset of their control; only these can be pressed. */
  readonly #wasUp = new Set<string>();
  /** Parts whose answers are made up: what they say of the button is no proof of anything. */
  readonly #isSpoilt = new Set<string>();
  #lost: readonly string[] = [];
  #first = 0;

  async do(step: Step): Promise<void> {
    const { bench, toys } = this;
    switch (step.do) {
      case 'plug':
        this.#plug(step.place);
        break;
      case 'unplug':
        bench.bus.sim.unplug(addressOf(step.place));
        this.#plugged.delete(step.place);
        break;
      case 'fault':
        if (this.#plugged.has(step.place)) bench.bus.sim.fault(addressOf(step.place), step.fault);
        if (step.fault === 'garbage') this.#isSpoilt.add(names[step.place]!);
        break;
      case 'press':
        toys[step.place]!.isDown = step.isDown;
        break;
      case 'bus':
        bench.bus.isBroken = step.isBroken;
        break;
      case 'show':
        this.#first = step.first;
        bench.panel.show(bench.frame(step.first));
        break;
      case 'pass':
        await this.#pass(step.ms);
    }
  }

  #plug(place: number): void {
    if (this.#plugged.has(place)) return;
    this.bench.bus.sim.plug(addressOf(place), this.toys[place]!);
    this.#plugged.add(place);
  }

  async #pass(ms: number): Promise<void> {
    for (const [index, { isDown }] of this.toys.entries()) if (!isDown) this.#wasUp.add(names[index]!);
    await this.bench.timers.pass(ms);
    for (const event of this.bench.take()) this.#check(event);
  }

  #check(event: ControlEvent): void {
    if (event.type === 'missing') this.#lost = event.controls;
    if (event.type === 'reset')
      for (const name of event.controls ?? names) {
        const isUp = this.toys[names.indexOf(name as (typeof names)[number])]!.isDown === false;
        if (!isUp) this.#wasUp.delete(name);
        if (isUp) this.#isSpoilt.delete(name);
      }
    if (!('control' in event)) return;
    if (this.#lost.includes(event.control))
      throw new Error(`${event.type} of ${event.control}, which is missing`);
    const isProven = this.#wasUp.has(event.control) || this.#isSpoilt.has(event.control);
    if (event.type === 'press' && !isProven)
      throw new Error(`${event.control} was pressed by its first reading`);
  }

  /** What the lights of a toy should show: each light of the panel has its number, from the first. */
  expected(place: number): number[] {
    const columns = 2 * names.length;
    return [0, 1, columns, columns + 1].flatMap((light) => {
      const level = (this.#first + 2 * place + light) % 256;
      return [level, level, level];
    });
  }

  /** All is plugged in and answers: after a while all is as it should be. */
  async mend(): Promise<void> {
    const { bench, toys } = this;
    bench.bus.isBroken = false;
    for (const [index, each] of toys.entries()) {
      this.#plug(index);
      bench.bus.sim.fault(addressOf(index), 'none');
      each.isDown = false;
    }
    bench.panel.show(bench.frame(this.#first));
    await this.#pass(12_000);
  }
}

t.test('three parts in any order of faults', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 25 }),
      fc.subarray([0, 1, 2]),
      async (steps, atStart) => {
        const world = new World();
        const { bench, toys } = world;
        for (const index of atStart) await world.do({ do: 'plug', place: index });
        void bench.start();
        for (const each of steps) await world.do(each);
        await world.mend();
        assert.deepEqual(bench.panel.state, { isOpen: true, problem: null, missing: [] });
        assert.deepEqual(
          toys.map(({ shown }) => shown),
          toys.map((_, index) => world.expected(index)),
        );
        for (const each of toys) each.isDown = true;
        await bench.timers.pass(300);
        const pressed = bench.take().map((event) => [event.type, 'control' in event ? event.control : null]);
        assert.deepEqual(pressed.toSorted(), names.map((name) => ['press', name]).toSorted());
        assert.ok((await bench.stop()) <= 1000, 'stops within a second');
        assert.deepEqual(bench.bus.sim.protocolErrors, []);
        assert.deepEqual(bench.timers.delays, [], 'no timer is left');
      },
    ),
    { numRuns: 50 },
  );
  t.pass('50 sequences');
});
