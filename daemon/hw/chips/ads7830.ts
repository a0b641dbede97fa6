/** Texas Instruments ADS7830, eight-channel 8-bit converter: eight faders. Commands as in SBAS302, "ADS7830". */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { type I2cDriver, noNeeds, type PartIo, type PartSession } from './driver.ts';

/** Command byte: SD, C2 to C0, PD1, PD0 (SBAS302, "Command Byte"); the lowest two bits are not used. */
const bits = { singleEnded: 0x80, referenceOn: 0x08, converterOn: 0x04 } as const;

/** Differential, inputs 0 and 1, powered down afterwards: commands that are also register numbers of an ADS1115. */
const harmlessCommands = [0x00, 0x01, 0x02, 0x03] as const;
/** Counts by which conversions of one input that follow each other may differ while somebody moves a fader. */
const probeSpread = 2;
/** The same while faders are read: a hand may move one so far in the 6 ms that a busy bus can put between the two. */
const readSpread = 16;

/** The internal reference needs about 1.2 ms with 1 uF at its pin (ADS7828, SBAS181C, "Internal VREF vs Turn-On Time"). */
const referenceMs = 10;

const schema = z.strictObject({
  channels: z
    .array(
      z.strictObject({
        channel: z.int().min(0).max(7).describe('Input of the part, 0 to 7, as in CH0 to CH7.'),
        name: controlName,
        invert: z.boolean().default(false).describe('The fader is at its top at 0 volts.'),
      }),
    )
    .min(1)
    .max(8)
    .refine((channels) => new Set(channels.map(({ channel }) => channel)).size === channels.length, {
      error: 'each channel once',
    })
    .describe('The faders. 256 counts: at least 4 counts a replica, so no more than 60 replicas.'),
  internalReference: z
    .boolean()
    .default(false)
    .describe(
      'Full scale is the 2.5 V of the part; otherwise the voltage at its REF pin, which must be that of the faders.',
    ),
});

/** Fields of an ADS7830 in a panel. */
export type Ads7830Config = Readonly<z.infer<typeof schema>>;

/** Command that converts one channel against ground: even channels are 0 to 3 of C2 to C0, odd ones 4 to 7. */
export function encodeCommand(channel: number, isReferenceOn: boolean): number {
  const select = ((channel & 1) << 2) | (channel >> 1);
  const reference = isReferenceOn ? bits.referenceOn : 0;
  return bits.singleEnded | (select << 4) | reference | bits.converterOn;
}

async function convert(device: I2cDevice, command: number): Promise<number> {
  const [count = 0] = await device.readRegister('input', command, 1);
  return count;
}

/**
 * One input. It has nothing to be known by, and a part or a line that answers anything would be a fader that runs to and
 * fro: a change counts when it is read twice.
 * @param last what it was converted to before; null: nothing is known
 * @throws SurfacedError E_HW_PART when the two are not alike
 */
async function convertSurely(device: I2cDevice, command: number, last: number | null): Promise<number> {
  const first = await convert(device, command);
  if (last !== null && Math.abs(first - last) <= readSpread) return first;
  const second = await convert(device, command);
  if (Math.abs(first - second) <= readSpread) return second;
  throw new SurfacedError(
    'E_HW_PART',
    `the ADS7830 converts one input to ${first} and then to ${second} of 255`,
  );
}

async function open(
  config: Ads7830Config,
  device: I2cDevice,
  { time, report }: PartIo,
): Promise<PartSession> {
  const faders = config.channels.map(({ channel, name, invert }) => ({
    name,
    invert,
    command: encodeCommand(channel, config.internalReference),
  }));
  /** The last conversion of each fader. */
  const counts = new Map<string, number>();
  let isClosed = false;

  // The first command switches the reference on; its own result is of no use.
  for (const { command } of faders.slice(0, 1)) await convert(device, command);
  if (config.internalReference) await time.pause(referenceMs);
  return {
    poll: async () => {
      const inputs = [];
      for (const { command, name, invert } of faders) {
        const count = await convertSurely(device, command, counts.get(name) ?? null);
        counts.set(name, count);
        const level = count / 255;
        inputs.push({
          type: 'level',
          control: name,
          value: invert ? 1 - level : level,
          at: time.now(),
        } as const);
      }
      if (!isClosed) report(inputs);
    },
    pollMs: 10,
    pollWithInterruptMs: 10,
    show: null,
    close: async () => {
      isClosed = true;
    },
  };
}

/** Driver of the ADS7830. Eight faders are read 100 times a second, which takes 8 % of a bus at 400 kHz. */
export const ads7830 = {
  kind: 'i2c',
  part: 'ads7830',
  title: 'Texas Instruments ADS7830, eight-channel 8-bit converter',
  schema,
  addresses: [0x48, 0x49, 0x4a, 0x4b],
  selector: 'its pins A0 and A1',
  declare: ({ channels }) => ({
    controls: channels.map(({ name }) => ({ name, kind: 'fader' })),
    lights: null,
  }),
  needs: () => noNeeds,
  /**
   * It has no registers and no number of its own: whatever it is told to convert it answers with a conversion. Four
   * commands that ask for the same input are answered with about the same byte. Parts with registers at these addresses
   * take the commands for register numbers and answer with registers that differ (an ADS1115: 85, 80 and 7F after
   * power-on); one whose registers happen to be alike cannot be told apart.
   */
  probe: async (device, _time) => {
    const counts = [];
    for (const command of harmlessCommands) counts.push(await convert(device, command));
    const isAlike = Math.max(...counts) - Math.min(...counts) <= probeSpread;
    return isAlike ? 'probably an ADS7830: it answers every command with one conversion' : null;
  },
  open,
} as const satisfies I2cDriver<Ads7830Config>;
