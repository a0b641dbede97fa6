/** What every LED matrix on the I2C bus does, whichever it is. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { LightsSpec, PartPicture } from '../../../daemon/hw/chips/driver.ts';
import type { I2cDevice, Priority } from '../../../daemon/hw/i2c/bus.ts';
import type { I2cMessage } from '../../../hil/sim/chips/model.ts';
import { brightnesses, Flaky, type LightsModel, type Matrix, matrices, pictures } from './matrices.ts';
import { assertNoProtocolErrors, deviceOn, PartRig, partRig } from './part-rig.ts';

for (const matrix of matrices) {
  const lights = lightsOf(matrix);
  const full = new Uint8Array(3 * lights.width * lights.height).fill(255);
  const dark = new Uint8Array(full.length);
  const picture = pictures(lights.width, lights.height);

  t.test(`${matrix.name}: dark at open and at close, full when full`, async (t) => {
    const { rig, model } = benchOf(t, matrix);
    await rig.open();
    t.same(model.lights(), { width: lights.width, height: lights.height, rgb: dark });
    await rig.show({ rgb: full });
    const { rgb } = model.lights();
    const most = lights.colours === 'red-green' ? [255, 255, 0] : [255, 255, 255];
    t.ok(rgb.every((byte, at) => byte === most[at % 3]));
    await rig.session.close();
    t.same(model.lights().rgb, dark);
    await rig.open();
    t.same(model.lights().rgb, dark, 'nothing of the last picture comes back');
  });

  t.test(`${matrix.name}: pictures one after another are seen as they are`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(picture, brightnesses), { minLength: 1, maxLength: 5 }),
        async (frames) => {
          const { rig, model } = newBench(matrix);
          await rig.open();
          for (const [rgb, brightness] of frames) {
            await rig.show({ rgb, brightness });
            assertSeen(matrix, { rgb, brightness }, model);
          }
          assertNoProtocolErrors(rig.bus);
        },
      ),
      { numRuns: 60 },
    );
  });

  t.test(`${matrix.name}: a frame takes less than 10 ms, whatever changes`, async (t) => {
    let longestMs = 0;
    const timed = async (frames: readonly Pick<PartPicture, 'rgb' | 'brightness'>[]) => {
      const { rig } = newBench(matrix);
      await rig.open();
      for (const frame of frames) {
        rig.bus.busTimeMs = 0;
        await rig.show(frame);
        longestMs = Math.max(longestMs, rig.bus.busTimeMs);
      }
    };
    const spotted = full.map((_, at) => (Math.floor(at / 3) % 4 === 0 ? 255 : 0));
    await timed([
      { rgb: full, brightness: 1 },
      { rgb: dark, brightness: 0.1 },
      { rgb: spotted, brightness: 1 },
      { rgb: full.map((byte, at) => byte - (spotted[at] ?? 0)), brightness: 0.5 },
    ]);
    const frame = fc.record({ rgb: picture, brightness: brightnesses });
    await fc.assert(fc.asyncProperty(fc.array(frame, { maxLength: 4 }), timed), { numRuns: 60 });
    t.ok(longestMs < 10, `${longestMs} ms`);
    t.comment(`${matrix.name}: ${longestMs.toFixed(2)} ms`);
  });

  t.test(`${matrix.name}: the same picture sends nothing, one light little`, async (t) => {
    const { rig } = benchOf(t, matrix);
    await rig.open();
    await rig.show({ rgb: dark, brightness: 0.6 });
    await rig.show({ rgb: full, brightness: 0.6 });
    rig.lines();
    await rig.show({ rgb: full.slice(), brightness: 0.6 });
    t.same(rig.lines(), []);
    const one = full.slice();
    one.fill(0, 0, 3);
    await rig.show({ rgb: one, brightness: 0.6 });
    const sent = rig.bus.records.reduce((sum, { messages }) => sum + lengthOf(messages), 0);
    const least = matrix.name === 'sense-hat whole frames' ? 193 : matrix.name === 'is31fl3731' ? 151 : 32;
    t.ok(sent > 0 && sent <= least, `${sent} bytes`);
  });

  t.test(`${matrix.name}: a loss in the middle of a frame, then the whole picture again`, async () => {
    await fc.assert(
      fc.asyncProperty(
        picture,
        picture,
        fc.nat({ max: 12 }),
        fc.boolean(),
        async (first, second, remaining, losesPower) => {
          const { rig, model } = newBench(matrix);
          await rig.open();
          await rig.show({ rgb: first, brightness: 0.6 });
          model.remaining = remaining;
          const isLost = await rig.show({ rgb: second }).then(
            () => false,
            () => true,
          );
          model.remaining = null;
          if (isLost) {
            // What is not known is sent again, even without opening anew.
            await rig.show({ rgb: first });
            assertSeen(matrix, { rgb: first, brightness: 1 }, model);
          }
          model.remaining = 0;
          await rig.session.close();
          model.remaining = null;
          if (losesPower) model.reset();
          await rig.open();
          await rig.show({ rgb: second, brightness: 0.6 });
          assertSeen(matrix, { rgb: second, brightness: 0.6 }, model);
          assertNoProtocolErrors(rig.bus);
        },
      ),
      { numRuns: 60 },
    );
  });

  t.test(`${matrix.name}: a part that was without power says so, one that is there does not`, async (t) => {
    const { rig, model } = benchOf(t, matrix);
    await rig.open();
    for (const rgb of [full, dark, full]) {
      await rig.show({ rgb });
      await t.resolves(rig.poll());
    }
    if (matrix.driver.part === 'sense-hat') return;
    model.reset();
    await t.rejects(rig.poll(), { code: 'E_HW_PART' });
  });

  t.test(`${matrix.name}: frames wait for inputs`, async (t) => {
    const { rig } = benchOf(t, matrix);
    const priorities: Priority[] = [];
    const device = watched(rig.device, (priority) => priorities.push(priority));
    const session = await matrix.driver.open(rig.config, device, rig.io);
    priorities.length = 0;
    await session.show?.({ rgb: full, controls: new Map(), brightness: 1 });
    await session.close();
    t.ok(priorities.length > 0 && priorities.every((priority) => priority === 'frame'));
  });

  t.test(`${matrix.name}: probing finds it and changes nothing`, async (t) => {
    const { rig, model } = benchOf(t, matrix);
    await rig.open();
    await rig.show({ rgb: full });
    t.type(await matrix.driver.probe(rig.device, rig.time), 'string');
    t.ok(model.lights().rgb.some((byte) => byte > 0));
    const nothing = deviceOn(rig.bus.transport(), 0x03);
    await t.rejects(matrix.driver.probe(nothing, rig.time), { code: 'E_HW_NO_ACK' });
  });
}

function lightsOf({ driver, config }: Matrix): LightsSpec {
  const { lights } = driver.declare(driver.schema.parse(config));
  if (lights === null) throw new Error('a matrix without lights');
  return lights;
}

function newBench(matrix: Matrix): { rig: PartRig<unknown>; model: Flaky } {
  const model = new Flaky(matrix.model());
  return { rig: new PartRig(matrix.driver, matrix.config, model), model };
}

function benchOf(t: Test, matrix: Matrix): { rig: PartRig<unknown>; model: Flaky } {
  const model = new Flaky(matrix.model());
  return { rig: partRig(t, matrix.driver, matrix.config, model), model };
}

function lengthOf(messages: readonly I2cMessage[]): number {
  return messages.reduce((sum, message) => sum + (message.isRead ? 0 : message.bytes.length), 0);
}

function watched(device: I2cDevice, see: (priority: Priority) => void): I2cDevice {
  return {
    ...device,
    write: (priority, bytes) => {
      see(priority);
      return device.write(priority, bytes);
    },
  };
}

/** Light 0..1 of a value 0..255. */
const lightOf = (value: number) => (value / 255) ** 2.2;

/** Throws unless the model shows the picture as well as its steps allow. */
function assertSeen(
  matrix: Matrix,
  { rgb, brightness }: Pick<PartPicture, 'brightness'> & { readonly rgb: Uint8Array },
  model: LightsModel,
): void {
  const { colours } = lightsOf(matrix);
  const seen = model.lights().rgb;
  for (let at = 0; at < rgb.length; at += 3) {
    const wanted = [...rgb.subarray(at, at + 3)];
    const brightest = Math.max(...wanted);
    const shown = [...seen.subarray(at, at + 3)];
    const fault = (what: string) => {
      throw new Error(`light ${at / 3}: ${what}: wanted ${wanted} at ${brightness}, shows ${shown}`);
    };
    const shouldBeOn = brightness > 0 && brightest >= (matrix.steps === 1 ? 32 : 1);
    if (shown.some((byte) => byte > 0) !== shouldBeOn) fault(shouldBeOn ? 'is dark' : 'is on');
    if (matrix.steps === 1) continue;
    const aims = colours === 'mono' ? [brightest, brightest, brightest] : wanted;
    // Half a step of the light, one of the setting for all, and what rounding in the model's eye adds.
    const tolerance = 1.5 / matrix.steps + 0.006;
    aims.forEach((aim, channel) => {
      const expected = lightOf(aim * brightness);
      const found = lightOf(shown[channel] ?? 0);
      if (Math.abs(found - expected) > tolerance) fault(`channel ${channel} is off by ${found - expected}`);
    });
  }
}
