/** A part of the test's own: one button and four lights behind registers, and drivers for it. */
import { z } from 'zod';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { I2cDriver, PartIo, PartSession } from '../../../daemon/hw/chips/driver.ts';
import { noNeeds } from '../../../daemon/hw/chips/driver.ts';
import type { I2cDevice } from '../../../daemon/hw/i2c/bus.ts';
import { type ChipModel, type I2cMessage, ProtocolError } from '../../../hil/sim/chips/model.ts';

const register = { id: 0, button: 1, on: 2, lights: 3 } as const;
const lightBytes = 12;
const magic = 0x5a;

/** The toy: button in bit 0 of register 1, four lights of three bytes that show only when register 2 is 1. */
export class Toy implements ChipModel {
  readonly part = 'toy';
  isDown = false;
  readonly #registers = new Uint8Array(register.lights + lightBytes);
  #pointer = 0;

  reset(): void {
    this.#registers.fill(0xee);
    this.#registers[register.id] = magic;
    this.#registers[register.on] = 0;
  }

  /** What the lights show; all dark when they are off. */
  get shown(): readonly number[] {
    const isOn = this.#registers[register.on] === 1;
    return isOn ? [...this.#registers.slice(register.lights)] : new Array<number>(lightBytes).fill(0);
  }

  transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const reads: Uint8Array[] = [];
    this.#registers[register.button] = this.isDown ? 1 : 0;
    for (const message of messages) {
      if (message.isRead) {
        reads.push(this.#registers.slice(this.#pointer, this.#pointer + message.length));
        continue;
      }
      const [pointer = 0, ...bytes] = message.bytes;
      if (pointer + bytes.length > this.#registers.length) throw new ProtocolError('toy: beyond the end');
      if (pointer < register.on && bytes.length > 0) throw new ProtocolError('toy: read only');
      this.#pointer = pointer;
      this.#registers.set(bytes, pointer);
    }
    return reads;
  }
}

const schema = z.strictObject({
  name: z.string().describe('Name of the button.'),
  lights: z.boolean().default(true).describe('Whether its lights are used.'),
  rest: z.int().min(1).default(40).describe('Milliseconds between two polls.'),
});
type ToyConfig = z.infer<typeof schema>;

async function isThere(device: I2cDevice): Promise<boolean> {
  return (await device.readRegister('input', register.id, 1))[0] === magic;
}

async function open({ name, rest }: ToyConfig, device: I2cDevice, io: PartIo): Promise<PartSession> {
  if (!(await isThere(device))) throw new SurfacedError('E_HW_PART', 'no toy');
  await device.write('frame', [register.on, 1, ...new Array<number>(lightBytes).fill(0)]);
  let isBusy = false;
  /** A part is asked one thing at a time. */
  const alone = async (work: () => Promise<void>): Promise<void> => {
    if (isBusy) throw new Error('poll and show at the same time');
    isBusy = true;
    await work().finally(() => {
      isBusy = false;
    });
  };
  return {
    poll: () =>
      alone(async () => {
        const [value = 0, on = 0] = await device.readRegister('input', register.button, 2);
        if (on !== 1) throw new SurfacedError('E_HW_PART', 'the toy is off: was it without power?');
        if (value > 1) throw new SurfacedError('E_HW_PART', `the button of the toy reads ${value}`);
        io.report([{ type: 'switch', control: name, isDown: value === 1, at: io.time.now() }]);
      }),
    pollMs: rest,
    pollWithInterruptMs: 500,
    show: ({ rgb, brightness }) =>
      alone(async () => {
        const bytes = Array.from(rgb ?? [], (level) => Math.round(level * brightness));
        await device.write('frame', [register.lights, ...bytes]);
      }),
    close: async () => {
      await device.write('frame', [register.on, 0]).catch(() => {});
    },
  };
}

/** Driver of the toy; its lights are 2 x 2. */
export const toy = {
  kind: 'i2c',
  part: 'toy',
  title: 'A toy',
  schema,
  addresses: [0x10, 0x11, 0x12, 0x13],
  selector: null,
  declare: ({ name, lights }) => ({
    controls: [{ name, kind: 'button' }],
    lights: lights ? { width: 2, height: 2, colours: 'rgb' } : null,
  }),
  needs: () => noNeeds,
  probe: async (device) => ((await isThere(device)) ? 'a toy' : null),
  open,
} satisfies I2cDriver<ToyConfig>;

/** Another part at one of the addresses of the toy; it is nowhere in the tests. */
export const rival = {
  ...toy,
  part: 'rival',
  title: 'Another',
  addresses: [0x11],
} satisfies I2cDriver<ToyConfig>;
