/**
 * Texas Instruments ADS1115, four-channel 16-bit converter: four faders. Registers and times as in SBAS444E, "ADS111x".
 * One single-shot conversion after the other: in continuous mode nothing tells to which channel a result belongs.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import {
  type I2cDriver,
  noNeeds,
  type PartIo,
  type PartSession,
  type PartTime,
  type RawInput,
} from './driver.ts';

/** SBAS444E, "Address Pointer Register". */
const register = { conversion: 0, config: 1, loThresh: 2, hiThresh: 3 } as const;

/** SBAS444E, "Config Register". `os` reads as 1 while nothing is converted. */
const bits = {
  os: 0x8000,
  /** AINp is this channel, AINn is GND. */
  mux: (channel: number) => (4 + channel) << 12,
  single: 0x0100,
  comparatorOff: 0x0003,
} as const;

/** PGA: full scale in volts. */
const fullScales: readonly (readonly [volts: number, pga: number])[] = [
  [0.512, 0x0800],
  [1.024, 0x0600],
  [2.048, 0x0400],
  [4.096, 0x0200],
  [6.144, 0x0000],
];

/** DR: samples a second. */
const rates: ReadonlyMap<number, number> = new Map([
  [8, 0x0000],
  [16, 0x0020],
  [32, 0x0040],
  [64, 0x0060],
  [128, 0x0080],
  [250, 0x00a0],
  [475, 0x00c0],
  [860, 0x00e0],
]);
const slowestRate = 8;

/** Every rate may be 10 % off (SBAS444E 5.5); waking up takes 0.11 ms (TI E2E 477911; the data sheet says 25 us). */
const rateError = 0.1;
const wakeMs = 0.11;
/** How often a conversion that should be ready is asked again, once a millisecond. */
const extraTries = 5;
/** Between two looks at a conversion that somebody else began. */
const settleStepMs = 10;
/** Transfers and timers, on top of the wait for one conversion. */
const overheadMs = 3;

/** An input that is wired rightly is between ground and the supply; what is this far outside is no fader. */
const overRange = 1.1;
const belowGroundVolts = -0.3;

const schema = z.strictObject({
  channels: z
    .array(
      z.strictObject({
        channel: z.int().min(0).max(3).describe('Input of the part, 0 to 3, as in AIN0 to AIN3.'),
        name: controlName,
        invert: z.boolean().default(false).describe('The fader is at its top at 0 volts.'),
      }),
    )
    .min(1)
    .max(4)
    .refine((channels) => new Set(channels.map(({ channel }) => channel)).size === channels.length, {
      error: 'each channel once',
    })
    .describe('The faders.'),
  supplyVolts: z
    .number()
    .min(0.4)
    .max(5.5)
    .default(3.3)
    .describe('Volts at the upper ends of the faders; never more than the supply of the part.'),
  rate: z
    .literal([...rates.keys()])
    .default(860)
    .describe(
      'Conversions a second; slower ones are quieter. Four faders at 860 are read 50 times a second.',
    ),
});

/** Fields of an ADS1115 in a panel. */
export type Ads1115Config = Readonly<z.infer<typeof schema>>;

/** The smallest full scale that holds a supply, volts. */
export function fullScaleFor(supplyVolts: number): number {
  return fullScales.find(([volts]) => volts >= supplyVolts)?.[0] ?? 6.144;
}

/** Config register that starts one conversion of a channel against ground. */
export function encodeStart(channel: number, fullScaleVolts: number, rate: number): number {
  const pga = fullScales.find(([volts]) => volts === fullScaleVolts)?.[1] ?? 0;
  const dataRate = rates.get(rate) ?? 0;
  return bits.os | bits.mux(channel) | pga | bits.single | dataRate | bits.comparatorOff;
}

/** Volts of a conversion register, which is two's complement: single inputs may read a little below ground. */
export function decodeVolts(word: number, fullScaleVolts: number): number {
  return (((word << 16) >> 16) * fullScaleVolts) / 32_768;
}

/** Milliseconds after which the slowest part has converted. */
function longestMs(rate: number): number {
  return Math.ceil(wakeMs + 1000 / (rate * (1 - rateError)));
}

async function readWord(device: I2cDevice, from: number): Promise<number> {
  const [high = 0, low = 0] = await device.readRegister('input', from, 2);
  return (high << 8) | low;
}

function writeConfig(device: I2cDevice, config: number): Promise<void> {
  return device.write('input', [register.config, config >> 8, config & 0xff]);
}

/** Waits until a conversion that was begun before is over; its result belongs to nobody. */
async function settle(device: I2cDevice, time: PartTime): Promise<void> {
  let config = await readWord(device, register.config);
  if ((config & bits.single) === 0) {
    // Continuous mode, left by another program. Starting is ignored while a conversion is under way (SBAS444E 7.4.2).
    await writeConfig(device, (config & ~bits.os) | bits.single);
    config &= ~bits.os;
  }
  for (let leftMs = longestMs(slowestRate); (config & bits.os) === 0; leftMs -= settleStepMs) {
    if (leftMs < 0) throw new SurfacedError('E_HW_PART', 'the ADS1115 does not end its conversion');
    await time.pause(settleStepMs);
    config = await readWord(device, register.config);
  }
}

/** Says E_HW_PART when a voltage cannot come from a fader on that supply. */
function checkVolts(volts: number, channel: number, supplyVolts: number): void {
  if (volts >= belowGroundVolts && volts <= supplyVolts * overRange) return;
  throw new SurfacedError(
    'E_HW_PART',
    `channel ${channel} of the ADS1115 reads ${volts.toFixed(2)} V, supplyVolts is ${supplyVolts}`,
  );
}

async function open(
  config: Ads1115Config,
  device: I2cDevice,
  { time, report }: PartIo,
): Promise<PartSession> {
  const { channels, supplyVolts, rate } = config;
  const fullScale = fullScaleFor(supplyVolts);
  let isClosed = false;
  /** A conversion may be under way, so that a new one would not start and the old result would be taken for it. */
  let isBusy = true;

  /** Volts at one input. */
  async function convert(channel: number): Promise<number> {
    if (isBusy) await settle(device, time);
    isBusy = true;
    const start = encodeStart(channel, fullScale, rate);
    await writeConfig(device, start);
    await time.pause(longestMs(rate));
    for (let tries = 0; tries <= extraTries; tries++) {
      const now = await readWord(device, register.config);
      if (now === start) {
        const volts = decodeVolts(await readWord(device, register.conversion), fullScale);
        isBusy = false;
        checkVolts(volts, channel, supplyVolts);
        return volts;
      }
      // A power loss or another program: the result is not that of this channel.
      if (now !== (start & ~bits.os)) {
        throw new SurfacedError('E_HW_PART', `the ADS1115 was told ${hex(start)} and is set to ${hex(now)}`);
      }
      await time.pause(1);
    }
    throw new SurfacedError('E_HW_PART', 'a conversion of the ADS1115 does not end');
  }

  async function poll(): Promise<void> {
    const inputs: RawInput[] = [];
    for (const { channel, name, invert } of channels) {
      const level = Math.min(Math.max((await convert(channel)) / supplyVolts, 0), 1);
      inputs.push({ type: 'level', control: name, value: invert ? 1 - level : level, at: time.now() });
      if (isClosed) return;
    }
    report(inputs);
  }

  // One conversion tells whether the part takes its settings; the schema has at least one channel.
  for (const { channel } of channels.slice(0, 1)) await convert(channel);
  const pollMs = channels.length * (longestMs(rate) + overheadMs);
  return {
    poll,
    pollMs,
    pollWithInterruptMs: pollMs,
    show: null,
    close: async () => {
      // It powers down by itself after each conversion.
      isClosed = true;
    },
  };
}

function hex(word: number): string {
  return `0x${word.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** Driver of the ADS1115. At 860 conversions a second a fader takes about 3 ms: four are read 50 times a second. */
export const ads1115 = {
  kind: 'i2c',
  part: 'ads1115',
  title: 'Texas Instruments ADS1115, four-channel 16-bit converter',
  schema,
  addresses: [0x48, 0x49, 0x4a, 0x4b],
  selector: 'its ADDR pin',
  declare: ({ channels }) => ({
    controls: channels.map(({ name }) => ({ name, kind: 'fader' })),
    lights: null,
  }),
  needs: () => noNeeds,
  /**
   * It has no number of its own. Its threshold registers, which nobody sets who does not use its comparator, hold 8000
   * and 7FFF after power-on (SBAS444E, "Lo_thresh and Hi_thresh Registers"), and no other part known at these addresses reads so: an ADS7830 takes the
   * register number as a command and returns a conversion. Its kin (ADS1113 to ADS1115, ADS1013 to ADS1015) read the same.
   */
  probe: async (device, _time) => {
    const lo = await readWord(device, register.loThresh);
    const hi = await readWord(device, register.hiThresh);
    return lo === 0x8000 && hi === 0x7fff ? 'an ADS1115 or one of its kin' : null;
  },
  open,
} as const satisfies I2cDriver<Ads1115Config>;
