/**
 * Microchip MCP23017, 16 lines behind I2C with an interrupt output: up to 16 buttons. Registers as in DS20001952C.
 *
 * One read of all that matters, from IOCON to OLAT, is a poll: INTF and INTCAP keep a press that was over before the poll,
 * and the settings around them tell a part that lost its power, or a garbled transfer, from a pressed button.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { type I2cDriver, noNeeds, type PartIo, type PartSession, type RawInput } from './driver.ts';

/** Registers of port A while IOCON.BANK is 0, DS20001952C table 3-1; those of port B follow each. */
const register = {
  iodir: 0x00,
  ipol: 0x02,
  gpinten: 0x04,
  intcon: 0x08,
  iocon: 0x0a,
  gppu: 0x0c,
  gpio: 0x12,
  olat: 0x14,
} as const;
/** IOCON while BANK is 1; GPINTENB while it is 0, where a 0 does no harm before the rest is set. */
const ioconOfBank1 = 0x05;

/**
 * IOCON, DS20001952C 3.5.6: MIRROR (either port drives both interrupt outputs) and ODR (open drain, so that several parts
 * share a line). BANK 0 interleaves the ports; SEQOP 0 lets the pointer run, so that one read takes all.
 */
const iocon = 0x44;
/** Bits of IOCON that nobody sets in this part: BANK (7), HAEN (3, for the SPI version), and the unused 0. */
const ioconNever = 0x89;

/** IOCON, IOCON, GPPU, INTF, INTCAP, GPIO, OLAT: a pair of bytes each but the first two. */
const pollFrom = register.iocon;
const pollLength = 12;
/** IODIR, IPOL, GPINTEN, a pair each, are looked at this often, milliseconds: they would make each poll half as long again. */
const settingsEveryMs = 1000;

const pins = [0, 1].flatMap((port) => [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => `${'AB'[port]}${bit}`));

const schema = z.strictObject({
  buttons: z
    .array(
      z.strictObject({
        pin: z
          .enum(pins)
          .describe(
            'Pin of the part, A0 to B7, as in GPA0 to GPB7. Use A7 and B7 last: the maker calls them outputs only since DS20001952D of 2022, as a change while they are read can garble the transfer.',
          ),
        name: controlName,
        activeLow: z
          .boolean()
          .default(true)
          .describe(
            'The button connects the pin to ground, with the pull-up of the part; otherwise to the supply, with a pull-down of the board.',
          ),
      }),
    )
    .min(1)
    .max(16)
    .refine((buttons) => new Set(buttons.map(({ pin }) => pin)).size === buttons.length, {
      error: 'each pin once',
    })
    .describe('The buttons.'),
});

/** Fields of an MCP23017 in a panel. */
export type Mcp23017Config = Readonly<z.infer<typeof schema>>;

/** What one poll reads; 16-bit words, port A in the low byte. */
interface Reading {
  readonly iocon: readonly [a: number, b: number];
  readonly gppu: number;
  /** Pins whose change made the interrupt. */
  readonly intf: number;
  /** Levels of all pins of a port when it did. */
  readonly intcap: number;
  /** Levels now. */
  readonly gpio: number;
  readonly olat: number;
}

/** The twelve bytes from IOCON on. */
export function decodeReading(bytes: Uint8Array): Reading {
  const word = (at: number) => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return {
    iocon: [bytes[0] ?? 0, bytes[1] ?? 0],
    gppu: word(2),
    intf: word(4),
    intcap: word(6),
    gpio: word(8),
    olat: word(10),
  };
}

/**
 * The levels that the pins went through since the last reading, oldest first: those at the interrupt, of ports that had
 * one, then those of now. A press that is over already is in the first alone.
 */
export function levelsSince(before: number, { intf, intcap, gpio }: Reading): readonly [number, number] {
  const ports = ((intf & 0x00ff) === 0 ? 0 : 0x00ff) | ((intf & 0xff00) === 0 ? 0 : 0xff00);
  return [(before & ~ports) | (intcap & ports), gpio];
}

function writePair(device: I2cDevice, from: number, word: number): Promise<void> {
  return device.write('input', [from, word & 0xff, word >> 8]);
}

async function readPair(device: I2cDevice, from: number): Promise<number> {
  const [a = 0, b = 0] = await device.readRegister('input', from, 2);
  return a | (b << 8);
}

async function open(
  config: Mcp23017Config,
  device: I2cDevice,
  { time, report }: PartIo,
): Promise<PartSession> {
  const buttons = config.buttons.map(({ pin, name, activeLow }) => ({
    name,
    mask: 1 << pins.indexOf(pin),
    activeLow,
  }));
  const maskOf = (chosen: typeof buttons) => chosen.reduce((sum, { mask }) => sum | mask, 0);
  const used = maskOf(buttons);
  // A pin with nothing on it is pulled up too, so that it does not float.
  const gppu = 0xffff & ~maskOf(buttons.filter(({ activeLow }) => !activeLow));
  let isClosed = false;

  // Whoever had the part before may have left any setting; the interrupts come last, when the levels are steady.
  await device.write('input', [ioconOfBank1, 0x00]);
  await device.write('input', [register.iocon, iocon]);
  await writePair(device, register.iodir, 0xffff);
  await writePair(device, register.ipol, 0x0000);
  await writePair(device, register.intcon, 0x0000);
  await writePair(device, register.olat, 0x0000);
  await writePair(device, register.gppu, gppu);
  await writePair(device, register.gpinten, used);
  const settings = [await readPair(device, register.iodir), await readPair(device, register.gpinten)];
  if (settings[0] !== 0xffff || settings[1] !== used) {
    throw new SurfacedError('E_HW_PART', 'what answers does not keep the settings of an MCP23017');
  }

  async function read(): Promise<Reading> {
    const reading = decodeReading(await device.readRegister('input', pollFrom, pollLength));
    const [a, b] = reading.iocon;
    const isSet = a === iocon && b === iocon && reading.gppu === gppu && reading.olat === 0;
    // A part that was without power floats: what it says of its pins is nothing that was pressed.
    if (isSet && (reading.intf & ~used) === 0) return reading;
    throw new SurfacedError('E_HW_PART', 'the MCP23017 lost its settings, or what it answers is garbled');
  }

  let settingsAt = time.now();
  /** Another program that closed the part left it without interrupts: it would be polled rarely for ever. */
  async function checkSettings(): Promise<void> {
    const at = time.now();
    if (at - settingsAt < settingsEveryMs) return;
    const bytes = await device.readRegister('input', register.iodir, 6);
    const wanted = [0xff, 0xff, 0x00, 0x00, used & 0xff, used >> 8];
    if (wanted.some((byte, index) => byte !== bytes[index]))
      throw new SurfacedError('E_HW_PART', 'the MCP23017 is set up otherwise: does another program use it?');
    settingsAt = at;
  }

  // How each button stands is a first reading: what is down now was not pressed for us.
  let levels = (await read()).gpio;
  let isTold = false;
  const switchInput = (name: string, isHigh: boolean, activeLow: boolean, at: number): RawInput => ({
    type: 'switch',
    control: name,
    isDown: isHigh !== activeLow,
    at,
  });
  return {
    poll: async () => {
      await checkSettings();
      const reading = await read();
      const at = time.now();
      const inputs: RawInput[] = isTold
        ? []
        : buttons.map(({ name, mask, activeLow }) => switchInput(name, (levels & mask) !== 0, activeLow, at));
      isTold = true;
      for (const next of levelsSince(levels, reading)) {
        for (const { name, mask, activeLow } of buttons) {
          if (((levels ^ next) & mask) === 0) continue;
          inputs.push(switchInput(name, (next & mask) !== 0, activeLow, at));
        }
        levels = next;
      }
      if (inputs.length > 0 && !isClosed) report(inputs);
    },
    pollMs: 5,
    pollWithInterruptMs: 250,
    show: null,
    close: async () => {
      isClosed = true;
      // No more interrupts on a line that others may share; reading ends one that waits. A part that is gone raises none.
      await writePair(device, register.gpinten, 0x0000)
        .then(() => readPair(device, register.gpio))
        .catch(() => {});
    },
  };
}

/** Driver of the MCP23017. Without its interrupt line it takes 7 % of a bus at 400 kHz, with it next to nothing. */
export const mcp23017 = {
  kind: 'i2c',
  part: 'mcp23017',
  title: 'Microchip MCP23017, 16 lines for buttons',
  schema,
  addresses: [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27],
  selector: 'its pins A0 to A2',
  declare: ({ buttons }) => ({
    controls: buttons.map(({ name }) => ({ name, kind: 'button' })),
    lights: null,
  }),
  needs: () => noNeeds,
  /**
   * It has no number of its own: IOCON is one register at two addresses, three of whose bits are never set. A PCF8574 at
   * the same address takes the register number for levels of its pins; reading alone cannot tell it beforehand.
   */
  probe: async (device, _time) => {
    const [a = 0, b = 0] = await device.readRegister('input', register.iocon, 2);
    return a === b && (a & ioconNever) === 0 ? 'probably an MCP23017: IOCON is there twice' : null;
  },
  open,
} as const satisfies I2cDriver<Mcp23017Config>;
