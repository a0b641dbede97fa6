/** The protocol that all seesaw parts share: one command at a time, pauses that overlap between parts, garbage. */
import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { I2cDriver, PartTime, RawInput } from '../../../daemon/hw/chips/driver.ts';
import { neoslider } from '../../../daemon/hw/chips/neoslider.ts';
import { neotrellis } from '../../../daemon/hw/chips/neotrellis.ts';
import { queuedPauseMs, Seesaw, seesawModule } from '../../../daemon/hw/chips/seesaw.ts';
import { mostPulses, seesawEncoder, startPosition } from '../../../daemon/hw/chips/seesaw-encoder.ts';
import { SeesawPixels } from '../../../daemon/hw/chips/seesaw-pixels.ts';
import { seesawQuadEncoder } from '../../../daemon/hw/chips/seesaw-quad-encoder.ts';
import type { I2cDevice } from '../../../daemon/hw/i2c/bus.ts';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import type { SeesawModel } from '../../../hil/sim/chips/seesaw.ts';
import {
  NeoSliderModel,
  NeoTrellisModel,
  SeesawEncoderModel,
  SeesawQuadEncoderModel,
} from '../../../hil/sim/chips/seesaw-parts.ts';
import { assertNoProtocolErrors, deviceOn, ioOf, lineOf, ManualTime, partRig } from './part-rig.ts';

const parts: readonly (readonly [I2cDriver<never>, () => SeesawModel])[] = [
  [seesawEncoder, () => new SeesawEncoderModel()],
  [seesawQuadEncoder, () => new SeesawQuadEncoderModel()],
  [neoslider, () => new NeoSliderModel()],
  [neotrellis, () => new NeoTrellisModel()],
] as never;

/** Time in which pauses that begin together end together. */
class SharedTime implements PartTime {
  #nowMs = 0;
  readonly #pauses: { readonly end: number; readonly resolve: () => void }[] = [];
  #isCut = false;

  now(): number {
    return this.#nowMs;
  }

  pause(ms: number): Promise<void> {
    if (this.#isCut) return Promise.resolve();
    return new Promise((resolve) => this.#pauses.push({ end: this.#nowMs + ms, resolve }));
  }

  /** Ends all pauses at once, and those to come, as for a part that is closed. */
  cut(): void {
    this.#isCut = true;
    for (const { resolve } of this.#pauses.splice(0)) resolve();
  }

  /** Lets time pass until the work is done. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    // Whoever waits is told below.
    done.catch(() => undefined);
    for (;;) {
      await new Promise(setImmediate);
      if (isDone) return done;
      this.#pauses.sort((one, other) => one.end - other.end);
      const next = this.#pauses.shift();
      if (next === undefined) throw new Error('it waits for nothing');
      this.#nowMs = Math.max(this.#nowMs, next.end);
      next.resolve();
    }
  }
}

function sharedBus(time: PartTime): SimBus {
  return new SimBus({ now: () => time.now(), clockHz: 400_000, random: () => 0.5 });
}

t.test('four parts on one bus that are polled at once take one pause, not four', async (t) => {
  for (const [driver, model] of parts) {
    const time = new SharedTime();
    const bus = sharedBus(time);
    const transport = bus.transport();
    const reports: RawInput[] = [];
    const config = driver.schema.parse({});
    const sessions = await time.until(
      Promise.all(
        driver.addresses.slice(0, 4).map((address) => {
          bus.plug(address, model());
          return driver.open(config, deviceOn(transport, address), ioOf(time, reports, []));
        }),
      ),
    );
    const took = async (polled: typeof sessions): Promise<number> => {
      const start = time.now();
      await time.until(Promise.all(polled.map((session) => session.poll?.())));
      return time.now() - start;
    };
    // A first reading is read twice; the second poll tells how pushes stand.
    for (let n = 0; n < 2; n++) await took(sessions);
    const one = await took(sessions.slice(0, 1));
    const four = await took(sessions);
    t.equal(four, one, `${driver.part}: ${one} ms`);
    t.ok(one <= 20, driver.part);
    assertNoProtocolErrors(bus);
  }
});

t.test('what is written waits for the answer that is waited for', async (t) => {
  const time = new SharedTime();
  const bus = sharedBus(time);
  bus.plug(0x36, new SeesawEncoderModel());
  const seesaw = new Seesaw({ device: deviceOn(bus.transport(), 0x36), time, readPauseMs: queuedPauseMs });
  const pixels = new SeesawPixels(seesaw, { pin: 6, count: 1 });
  const [answer] = await time.until(
    Promise.all([seesaw.read('input', seesawModule.status, 0x01, 1), pixels.start()]),
  );
  t.same([...(answer ?? [])], [0x55]);
  t.same(bus.records.map(lineOf).slice(0, 3), ['w 00 01', 'r 55', 'w 0e 01 06']);
  assertNoProtocolErrors(bus);
});

t.test('closed in the middle of a pause: nothing is read too early, and the part is dark', async (t) => {
  const time = new SharedTime();
  const bus = sharedBus(time);
  const model = new SeesawEncoderModel();
  bus.plug(0x36, model);
  const reports: RawInput[] = [];
  const device = deviceOn(bus.transport(), 0x36);
  const config = seesawEncoder.schema.parse({});
  const session = await time.until(seesawEncoder.open(config, device, ioOf(time, reports, [])));
  const light = { position: null, ring: null, light: [255, 255, 255], hint: null } as const;
  const picture = { rgb: null, controls: new Map([['encoder1', light]]), brightness: 1 };
  await time.until(Promise.resolve(session.show?.(picture)));
  t.same([...model.lights().rgb], [255, 255, 255]);
  const poll = Promise.resolve(session.poll?.());
  await new Promise(setImmediate);
  time.cut();
  await t.rejects(poll, { code: 'E_HW_PART' });
  await session.close();
  await session.close();
  t.same([...model.lights().rgb], [0, 0, 0]);
  t.same(reports, []);
  assertNoProtocolErrors(bus);
});

t.test('busy once is borne, gone is not, and close never rejects', async (t) => {
  for (const [driver, make] of parts) {
    const model = make();
    const rig = partRig(t, driver, {}, model);
    await rig.open();
    await rig.poll();
    model.refuse(1);
    await rig.poll();
    rig.bus.unplug(driver.addresses[0] ?? 0);
    await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' }, driver.part);
    await rig.session.close();
    await t.rejects(rig.open(), { code: 'E_HW_NO_ACK' }, driver.part);
  }
});

t.test('a probe changes nothing and tells the parts apart', async (t) => {
  for (const [driver] of parts)
    for (const [other, make] of parts) {
      const time = new ManualTime();
      const bus = sharedBus(time);
      bus.plug(0x36, make());
      const device = deviceOn(bus.transport(), 0x36);
      const found = await driver.probe(device, time);
      t.equal(found !== null, driver === other, `${driver.part} looks at ${other.part}: ${found}`);
      const written = bus.records.map(lineOf).filter((line) => line.startsWith('w'));
      t.ok(written.length > 0 && written.every((line) => /^w 00 0[123]$/.test(line)));
      assertNoProtocolErrors(bus);
    }
});

t.test('any colours arrive, in writes that the part takes, and nothing twice', async (t) => {
  const colour = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255));
  const frame = fc.array(fc.oneof(fc.constant([0, 0, 0] as const), colour), { minLength: 16, maxLength: 16 });
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 4 }), async (frames) => {
      const time = new ManualTime();
      const bus = sharedBus(time);
      const [shown, fresh] = [new NeoTrellisModel(), new NeoTrellisModel()];
      bus.plug(0x2e, shown);
      bus.plug(0x2f, fresh);
      const transport = bus.transport();
      const pixelsAt = async (address: number) => {
        const device = deviceOn(transport, address);
        const pixels = new SeesawPixels(new Seesaw({ device, time, readPauseMs: 8 }), { pin: 3, count: 16 });
        await pixels.start();
        return pixels;
      };
      const pixels = await pixelsAt(0x2e);
      for (const colours of frames) await pixels.show(colours, 1);
      bus.records.length = 0;
      await pixels.show(frames.at(-1) ?? [], 1);
      if (bus.records.length > 0) throw new Error('sent although nothing changed');
      await (await pixelsAt(0x2f)).show(frames.at(-1) ?? [], 1);
      t.same(shown.lights(), fresh.lights());
      assertNoProtocolErrors(bus);
    }),
    { numRuns: 60 },
  );
});

t.test('a full change of 16 pixels: three writes and a show, under 2 ms of bus time', async (t) => {
  const rig = partRig(t, neotrellis, {}, new NeoTrellisModel());
  await rig.open();
  rig.lines();
  rig.bus.busTimeMs = 0;
  await rig.show({ rgb: new Uint8Array(48).fill(255) });
  t.same(
    rig.lines().map((line) => line.split(' ').length - 1),
    [26, 26, 8, 2],
  );
  t.ok(rig.bus.busTimeMs < 2, `${rig.bus.busTimeMs} ms`);
  await rig.show({ rgb: new Uint8Array(48).fill(255) });
  t.same(rig.lines(), []);
});

t.test(
  'whatever a part answers: no crash, nothing that it cannot have said, a fault when it goes on',
  async () => {
    const near = fc.integer({ min: -40, max: 40 }).map((step) => [...word(startPosition + step)]);
    const answer = fc.oneof(fc.array(fc.nat(255), { minLength: 1, maxLength: 6 }), near, fc.constant([0xff]));
    for (const [driver, make] of parts) {
      const config = driver.schema.parse({});
      const { controls } = driver.declare(config);
      await fc.assert(
        fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 60 }), async (answers) => {
          const time = new ManualTime();
          const bus = sharedBus(time);
          bus.plug(0x36, make());
          const real = deviceOn(bus.transport(), 0x36);
          let isGarbage = false;
          const device: I2cDevice = {
            ...real,
            read: async (priority, length) => {
              if (!isGarbage) return real.read(priority, length);
              const bytes = answers.shift() ?? [0xff];
              return Uint8Array.from({ length }, (_, index) => bytes[index % bytes.length] ?? 0);
            },
          };
          const reports: RawInput[] = [];
          const session = await driver.open(config, device, ioOf(time, reports, []));
          isGarbage = true;
          let since = time.now();
          while (answers.length > 0) {
            const start = time.now();
            await session.poll?.().catch((error: unknown) => {
              if (!(error instanceof SurfacedError)) throw error;
              answers.shift();
            });
            for (const input of reports.splice(0)) check(input, time.now() - since);
            since = start;
          }
        }),
        { numRuns: 80 },
      );

      function check(input: RawInput, elapsedMs: number): void {
        const names = input.type === 'unsure' ? input.controls : [input.control];
        for (const name of names)
          if (!controls.some((control) => control.name === name)) throw new Error(`no control ${name}`);
        const isPossible =
          input.type === 'unsure' ||
          (input.type === 'level' && input.value >= 0 && input.value <= 1) ||
          (input.type === 'switch' && (input.index ?? 0) >= 0 && (input.index ?? 0) < 4) ||
          (input.type === 'turn' && input.pulses !== 0 && Math.abs(input.pulses) <= mostPulses(elapsedMs));
        if (!isPossible) throw new Error(`${JSON.stringify(input)} after ${elapsedMs} ms`);
      }
    }
  },
);

t.test('a part that answers nothing but garbage is given up, and has said nothing', async (t) => {
  for (const [driver, make] of parts) {
    const rig = partRig(t, driver, {}, make());
    await rig.open();
    for (let n = 0; n < 3; n++) await rig.poll();
    rig.bus.fault(driver.addresses[0] ?? 0, 'garbage');
    let failures = 0;
    const said: RawInput[] = [];
    for (let n = 0; n < 30; n++) {
      await rig.session.poll?.().catch(() => failures++);
      said.push(...rig.reports.splice(0));
      rig.time.pass(5);
    }
    t.ok(failures > 20, `${driver.part}: ${failures} of 30 polls failed`);
    const acted = said.filter((input) => input.type === 'turn' || (input.type === 'switch' && input.isDown));
    t.same(acted, [], driver.part);
  }
});

function word(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer).reverse();
}
