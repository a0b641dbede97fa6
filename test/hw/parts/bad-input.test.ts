/**
 * Every part with inputs on the I2C bus, answering garbage: once, for a while, or with half of its transfers missing. No
 * press, no turn, no position that stays and is wrong; a fault by name; and all is well when the answers are.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { partDrivers } from '../../../daemon/hw/chips/table.ts';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import type { ChipModel, I2cMessage } from '../../../hil/sim/chips/model.ts';
import {
  NeoSliderModel,
  NeoTrellisModel,
  SeesawEncoderModel,
  SeesawQuadEncoderModel,
} from '../../../hil/sim/chips/seesaw-parts.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';
import { configOf, PanelBench } from './bench.ts';

/** Where all faders are. */
const place = 0.4;
/** As far as a steady fader may be told from its place: steps of 8 bits, and what is no news. */
const tolerance = 0.02;
/** A position that is no news for so long is one that a surface acts on at the latest (`longestMoveMs`). */
const actedOnMs = 500;

const fader = { channels: [{ channel: 0, name: 'fader1' }] };
const faderAt = <T extends { setVolts(channel: number, volts: number): void }>(chip: T, volts: number): T => {
  chip.setVolts(0, place * volts);
  return chip;
};

/** All parts whose inputs are read over the bus: their config, and the part as nobody touches it. */
const cases: Readonly<Record<string, { readonly config: object; readonly make: () => ChipModel }>> = {
  ads1115: { config: fader, make: () => faderAt(new Ads1115Model(), 3.3) },
  ads7830: { config: fader, make: () => faderAt(new Ads7830Model(() => 0.5), 3.3) },
  neoslider: {
    config: { name: 'fader1' },
    make: () => {
      const chip = new NeoSliderModel();
      chip.move(place);
      return chip;
    },
  },
  'seesaw-encoder': { config: {}, make: () => new SeesawEncoderModel() },
  'seesaw-quad-encoder': { config: {}, make: () => new SeesawQuadEncoderModel() },
  mcp23017: {
    config: { buttons: ['A0', 'A1', 'B6'].map((pin, index) => ({ pin, name: `button${index}` })) },
    make: () => new Mcp23017Model(() => 0.5),
  },
  neotrellis: { config: {}, make: () => new NeoTrellisModel() },
  'sense-hat': { config: {}, make: () => new SenseHatModel() },
};

type Spoil = (bytes: Uint8Array) => Uint8Array;

/** A part whose answers are spoilt on their way. */
class Spoilt implements ChipModel {
  readonly part: string;
  readonly #chip: ChipModel;
  /** How many answers are spoilt from now on. */
  left = 0;
  spoil: Spoil = (bytes) => bytes;

  constructor(chip: ChipModel) {
    this.#chip = chip;
    this.part = chip.part;
  }

  reset(): void {
    this.#chip.reset();
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] | null {
    const reads = this.#chip.transfer(messages, at);
    if (this.left === 0 || reads === null || reads.length === 0) return reads;
    this.left -= 1;
    return reads.map((bytes) => this.spoil(Uint8Array.from(bytes)));
  }
}

interface Told {
  readonly event: ControlEvent;
  readonly at: number;
}

/** A panel of one part, open and at rest. */
class World {
  readonly bench: PanelBench;
  readonly chip: Spoilt;
  readonly told: Told[] = [];

  constructor(part: string) {
    const { config, make } = cases[part]!;
    this.bench = new PanelBench(configOf({ parts: [{ part, ...config }] }), partDrivers);
    this.chip = new Spoilt(make());
    const driver = partDrivers.find((one) => one.part === part);
    if (driver?.kind !== 'i2c') throw new Error(`${part} is not on the bus`);
    this.bench.bus.sim.plug(driver.addresses[0]!, this.chip);
  }

  async start(): Promise<void> {
    const started = this.bench.start();
    await this.pass(2000);
    await started;
    assert.deepEqual(this.bench.panel.state, { isOpen: true, problem: null, missing: [] });
    this.check();
  }

  async pass(ms: number): Promise<void> {
    const { bench, told } = this;
    for (let left = ms; left > 0; left -= 20) {
      await bench.timers.pass(Math.min(left, 20));
      told.push(...bench.take().map((event) => ({ event, at: bench.timers.monotonic() })));
    }
  }

  /** Throws when something was told that nobody did, and would have been acted on. */
  check(): void {
    const { told } = this;
    const now = this.bench.timers.monotonic();
    for (const [index, { event, at }] of told.entries()) {
      assert.ok(!['press', 'release', 'turn', 'touch'].includes(event.type), `${JSON.stringify(event)}`);
      if (event.type !== 'position' || Math.abs(event.value - place) <= tolerance) continue;
      // Every event after a position is another one of the fader, or takes it back.
      const next = told[index + 1]?.at ?? now;
      assert.ok(next - at < actedOnMs, `${event.value} stood for ${next - at} ms`);
    }
  }

  /** Answers are right again. */
  async mend(): Promise<void> {
    this.chip.left = 0;
    // The longest back-off, and a reset of a seesaw part.
    await this.pass(6000);
    this.check();
    assert.deepEqual(this.bench.panel.state, { isOpen: true, problem: null, missing: [] });
    assert.deepEqual(this.bench.bus.sim.protocolErrors, []);
    await this.bench.stop();
  }
}

const anyBytes = fc.array(fc.nat(255), { minLength: 12, maxLength: 12 });
const garbageOf =
  (next: () => number): Spoil =>
  (bytes) =>
    bytes.map(next);

t.test('every part on the bus with controls is here', async (t) => {
  const withControls = partDrivers.filter(
    (driver) => driver.kind === 'i2c' && !/ht16k33|is31fl/.test(driver.part),
  );
  t.same(Object.keys(cases).toSorted(), withControls.map(({ part }) => part).toSorted());
});

for (const part of Object.keys(cases)) {
  t.test(`${part}: an answer that is garbage now and then does nothing`, async () => {
    const burst = fc.record({ bytes: anyBytes, waitMs: fc.integer({ min: 1, max: 400 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(burst, { minLength: 1, maxLength: 4 }), async (bursts) => {
        const world = new World(part);
        await world.start();
        for (const { bytes, waitMs } of bursts) {
          await world.pass(waitMs);
          let at = 0;
          world.chip.spoil = garbageOf(() => bytes[at++ % bytes.length]!);
          world.chip.left = 1;
          // The median of five samples is sure again after five that are right.
          await world.pass(200);
          assert.equal(world.chip.left, 0);
        }
        await world.mend();
      }),
      { numRuns: 5 },
    );
  });

  t.test(`${part}: garbage that goes on is a fault by name, and acts on nothing`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(255)), async (stream) => {
        const world = new World(part);
        await world.start();
        world.chip.spoil = garbageOf(() => stream.next().value!);
        world.chip.left = Number.POSITIVE_INFINITY;
        await world.pass(2000);
        assert.match(world.bench.panel.state.problem ?? 'none', new RegExp(`${part}|fader1`));
        await world.mend();
      }),
      { numRuns: 4 },
    );
  });

  t.test(`${part}: half of each answer is FF, or all, or 0`, async () => {
    const half: Spoil = (bytes) => bytes.map((byte, index) => (index < bytes.length / 2 ? byte : 0xff));
    const ends: readonly Spoil[] = [(bytes) => bytes.fill(0xff), (bytes) => bytes.fill(0)];
    // One byte without anything else: FF is a fader at its top. docs/build.md says so.
    const kinds = part === 'ads7830' ? [half] : [half, ...ends];
    for (const spoil of kinds) {
      const world = new World(part);
      await world.start();
      world.chip.spoil = spoil;
      world.chip.left = Number.POSITIVE_INFINITY;
      await world.pass(2000);
      await world.mend();
    }
  });
}

t.test(
  'a wiper that jumps: the fader is named, reports nothing that stays, and is read anew when it rests',
  async (t) => {
    const world = new World('ads1115');
    const wiper = new Ads1115Model();
    world.bench.bus.sim.plug(0x48, wiper);
    wiper.setVolts(0, place * 3.3);
    await world.start();
    world.told.length = 0;
    for (let jump = 0; jump < 100; jump++) {
      wiper.setVolts(0, jump % 2 === 0 ? 0 : place * 3.3);
      await world.pass(20);
    }
    world.check();
    t.same(world.bench.panel.state, {
      isOpen: true,
      problem: 'fader1 jumps: bad contact of its wiper or its wires, or garbled answers',
      missing: ['fader1'],
    });
    t.same(
      world.told.map(({ event }) => event).filter(({ type }) => type !== 'position'),
      [
        { type: 'reset', controls: ['fader1'] },
        { type: 'missing', controls: ['fader1'] },
      ],
    );
    wiper.setVolts(0, place * 3.3);
    await world.pass(1000);
    t.match(
      world.told.slice(-2).map(({ event }) => event),
      [
        { type: 'missing', controls: [] },
        { type: 'position', control: 'fader1' },
      ],
    );
    t.same(world.bench.panel.state, { isOpen: true, problem: null, missing: [] });
    await world.bench.stop();
  },
);
