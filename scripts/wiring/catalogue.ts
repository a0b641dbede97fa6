/**
 * The parts that the pictures use. Names of pins as they are printed on the boards, or as most of their makers print them.
 * Currents are assumptions on the safe side, taken from data sheets and makers' pages; nothing was measured.
 */
import type { PartKind, PartPin, PinKind } from './types.ts';

const pinKinds: Readonly<Record<string, PinKind>> = {
  VDD: 'supply',
  VIN: 'supply',
  VCC: 'supply',
  '+': 'supply',
  top: 'supply',
  SDA: 'data',
  SCL: 'clock',
  GND: 'ground',
  // Tied to ground it chooses address 0x48.
  ADDR: 'ground',
  bottom: 'ground',
  USB: 'usb',
};

/** Pins below each other on one edge; null leaves a row free. */
const edge = (side: PartPin['side'], ...names: readonly string[]): PartPin[] =>
  names.map((name, row) => ({ name, side, row, kind: pinKinds[name.replace(/2$/, '')] ?? 'signal' }));

/** A NeoPixel with its three colours at full takes up to 60 mA at 5 V; it takes less at 3.3 V. */
const pixels = (count: number) => ({ fullMilliamps: 60 * count, law: 'pixels' }) as const;

/** One column of the HT16K33 is lit at a time, and its common output sinks 200 mA. */
const matrixLights = { fullMilliamps: 200, law: 'ht16k33' } as const;

const chain = [...edge('right', 'VIN', 'SDA', 'SCL', 'GND'), ...edge('left', 'VIN2', 'SDA2', 'SCL2', 'GND2')];

/** Kinds of parts by name. */
export const catalogue = {
  controller: {
    pins: edge('right', 'USB'),
    width: 210,
    height: 180,
    glyph: 'pads',
    idleMilliamps: 500,
    lights: null,
    isChained: false,
  },
  fader: {
    pins: edge('right', 'top', 'wiper', 'bottom'),
    width: 146,
    height: null,
    glyph: 'fader',
    // 10 kOhm between 3.3 V and ground.
    idleMilliamps: 0.33,
    lights: null,
    isChained: false,
  },
  ads1115: {
    pins: [...edge('right', 'VDD', 'SDA', 'SCL', 'GND', 'ADDR'), ...edge('left', 'A0', 'A1', 'A2', 'A3')],
    width: 200,
    height: null,
    glyph: 'board',
    idleMilliamps: 1,
    lights: null,
    isChained: false,
  },
  'seesaw-encoder': {
    pins: edge('right', 'VIN', 'SDA', 'SCL', 'GND'),
    width: 200,
    height: null,
    glyph: 'knob',
    idleMilliamps: 15,
    lights: pixels(1),
    isChained: false,
  },
  matrix: {
    pins: edge('right', 'VCC', 'SDA', 'SCL', 'GND'),
    width: 200,
    height: null,
    glyph: 'matrix',
    idleMilliamps: 5,
    lights: matrixLights,
    isChained: false,
  },
  neoslider: {
    pins: chain,
    width: 200,
    height: null,
    glyph: 'fader',
    idleMilliamps: 15,
    lights: pixels(4),
    isChained: true,
  },
  neotrellis: {
    pins: edge('right', 'VIN', 'SDA', 'SCL', 'GND'),
    width: 200,
    height: 200,
    glyph: 'pads',
    idleMilliamps: 30,
    lights: pixels(16),
    isChained: false,
  },
  encoder: {
    pins: edge('right', 'CLK', 'DT', 'SW', '+', 'GND'),
    width: 200,
    height: null,
    glyph: 'knob',
    // Its two or three resistors of 10 kOhm while their contacts are closed.
    idleMilliamps: 1,
    lights: null,
    isChained: false,
  },
  button: {
    pins: [
      { name: '1', kind: 'signal', side: 'left', row: 0 },
      { name: '2', kind: 'ground', side: 'left', row: 1 },
    ],
    width: 140,
    height: null,
    glyph: 'button',
    // Through the resistor of the Pi, some 50 kOhm.
    idleMilliamps: 0.1,
    lights: null,
    isChained: false,
  },
} as const satisfies Readonly<Record<string, PartKind>>;

/** The kind of a part. */
export const kindOf = ({ kind }: { readonly kind: keyof typeof catalogue }): PartKind => catalogue[kind];
