/** The pictures of docs/build-a-surface.md: which part is where, and which wire goes from which pin to which. */
import type { Wire, WireColour, Wiring } from './types.ts';

/** Wires from one pin to several others by the same bends. */
const wires = (
  colour: WireColour,
  from: string,
  ...ends: readonly (readonly [to: string, ...via: number[]])[]
): Wire[] => ends.map(([to, ...via]) => ({ from, to, colour, via }));

/** The four wires of the I2C bus to some parts, each in its lane. */
const bus = (
  lanes: { readonly supply: number; readonly data: number; readonly clock: number; readonly ground: number },
  ...parts: readonly (readonly [part: string, supplyPin: string])[]
): Wire[] => [
  ...wires('red', 'pi.1', ...parts.map(([part, pin]) => [`${part}.${pin}`, lanes.supply] as const)),
  ...wires('blue', 'pi.3', ...parts.map(([part]) => [`${part}.SDA`, lanes.data] as const)),
  ...wires('yellow', 'pi.5', ...parts.map(([part]) => [`${part}.SCL`, lanes.clock] as const)),
  ...wires('black', 'pi.9', ...parts.map(([part]) => [`${part}.GND`, lanes.ground] as const)),
];

const midi: Wiring = {
  name: 'midi',
  title: 'A MIDI controller on USB',
  device: 'docs/examples/launchpad.yaml',
  headerX: 370,
  width: 860,
  height: 600,
  parts: [
    {
      id: 'controller',
      kind: 'controller',
      title: 'MIDI controller',
      note: 'such as a Launchpad',
      x: 40,
      row: 7,
      entry: null,
    },
  ],
  wires: wires('grey', 'pi.usb', ['controller.USB', 310]),
};

const i2c: Wiring = {
  name: 'i2c',
  title: 'Two faders, two encoders and a matrix on I2C',
  device: 'docs/examples/desk-i2c.yaml',
  headerX: 600,
  width: 1090,
  height: 640,
  parts: [
    { id: 'fader1', kind: 'fader', title: 'Fader 1', note: '10 kΩ', x: 24, row: 2, entry: null },
    { id: 'fader2', kind: 'fader', title: 'Fader 2', note: '10 kΩ', x: 24, row: 7, entry: null },
    { id: 'ads', kind: 'ads1115', title: 'ADS1115', note: '0x48', x: 268, row: 3, entry: 0 },
    {
      id: 'encoder1',
      kind: 'seesaw-encoder',
      title: 'Encoder 1',
      note: '0x36',
      x: 268,
      row: 10,
      entry: 1,
    },
    {
      id: 'encoder2',
      kind: 'seesaw-encoder',
      title: 'Encoder 2',
      note: '0x37 (jumper A0)',
      x: 268,
      row: 15,
      entry: 2,
    },
    { id: 'matrix', kind: 'matrix', title: 'Matrix 16x8', note: 'HT16K33, 0x70', x: 268, row: 20, entry: 3 },
    { id: 'arm', kind: 'button', title: 'Arm', note: null, x: 926, row: 5, entry: 4 },
  ],
  wires: [
    ...wires('red', 'pi.1', ['fader1.top', 184], ['fader2.top', 184]),
    ...bus(
      { supply: 492, data: 518, clock: 544, ground: 570 },
      ['ads', 'VDD'],
      ['encoder1', 'VIN'],
      ['encoder2', 'VIN'],
      ['matrix', 'VCC'],
    ),
    ...wires(
      'black',
      'pi.9',
      ['ads.ADDR', 570],
      ['fader1.bottom', 570, 8.5, 204],
      ['fader2.bottom', 570, 8.5, 204],
    ),
    ...wires('green', 'ads.A0', ['fader1.wiper', 224]),
    ...wires('purple', 'ads.A1', ['fader2.wiper', 244]),
    ...wires('orange', 'pi.12', ['arm.1']),
    ...wires('black', 'pi.14', ['arm.2']),
  ],
};

const stemma: Wiring = {
  name: 'stemma',
  title: 'Faders and keys, plugged together',
  device: 'docs/examples/desk-stemma.yaml',
  headerX: 770,
  width: 1200,
  height: 600,
  parts: [
    { id: 'fader1', kind: 'neoslider', title: 'NeoSlider 1', note: '0x30', x: 524, row: 6, entry: 0 },
    {
      id: 'fader2',
      kind: 'neoslider',
      title: 'NeoSlider 2',
      note: '0x31 (jumper A0)',
      x: 274,
      row: 6,
      entry: 1,
    },
    { id: 'trellis', kind: 'neotrellis', title: 'NeoTrellis', note: '0x2E', x: 24, row: 6, entry: 2 },
  ],
  wires: [
    ...bus({ supply: 740, data: 748, clock: 756, ground: 764 }, ['fader1', 'VIN']),
    ...(['fader1 fader2', 'fader2 trellis'] as const).flatMap((pair) => {
      const [from = '', to = ''] = pair.split(' ');
      return [
        ...wires('red', `${from}.VIN2`, [`${to}.VIN`]),
        ...wires('blue', `${from}.SDA2`, [`${to}.SDA`]),
        ...wires('yellow', `${from}.SCL2`, [`${to}.SCL`]),
        ...wires('black', `${from}.GND2`, [`${to}.GND`]),
      ];
    }),
  ],
};

const gpio: Wiring = {
  name: 'gpio',
  title: 'Encoders and buttons on GPIO lines',
  device: 'docs/examples/desk-gpio.yaml',
  headerX: 340,
  width: 830,
  height: 600,
  parts: [
    { id: 'matrix', kind: 'matrix', title: 'Matrix 8x8', note: 'HT16K33, 0x70', x: 30, row: 0, entry: 0 },
    { id: 'encoder1', kind: 'encoder', title: 'Encoder 1', note: null, x: 30, row: 5, entry: 1 },
    { id: 'encoder2', kind: 'encoder', title: 'Encoder 2', note: null, x: 30, row: 14, entry: 2 },
    { id: 'arm', kind: 'button', title: 'Arm', note: null, x: 666, row: 5, entry: 3 },
    { id: 'undo', kind: 'button', title: 'Undo', note: null, x: 666, row: 15, entry: 4 },
    { id: 'lock', kind: 'button', title: 'Lock', note: null, x: 666, row: 18, entry: 5 },
  ],
  wires: [
    ...bus({ supply: 256, data: 256, clock: 256, ground: 284 }, ['matrix', 'VCC']),
    ...wires('red', 'pi.1', ['encoder1.+', 256], ['encoder2.+', 256]),
    ...wires('black', 'pi.9', ['encoder1.GND', 284], ['encoder2.GND', 284]),
    ...wires('green', 'pi.11', ['encoder1.CLK']),
    ...wires('purple', 'pi.13', ['encoder1.DT']),
    ...wires('orange', 'pi.15', ['encoder1.SW']),
    ...wires('green', 'pi.29', ['encoder2.CLK']),
    ...wires('purple', 'pi.31', ['encoder2.DT']),
    ...wires('orange', 'pi.33', ['encoder2.SW']),
    ...wires('green', 'pi.12', ['arm.1']),
    ...wires('black', 'pi.14', ['arm.2']),
    ...wires('purple', 'pi.32', ['undo.1']),
    ...wires('black', 'pi.34', ['undo.2']),
    ...wires('orange', 'pi.38', ['lock.1', 648]),
    ...wires('black', 'pi.34', ['lock.2', 640]),
  ],
};

/** All pictures, the simplest one first. */
export const pictures: readonly Wiring[] = [midi, i2c, stemma, gpio];
