/** The LED matrices on the I2C bus: each driver on a model of its part, on a bus that counts. */
import type { I2cDriver, PartIo, PartSession } from '../daemon/hw/chips/driver.ts';
import { ht16k33 } from '../daemon/hw/chips/ht16k33.ts';
import { is31fl3731 } from '../daemon/hw/chips/is31fl3731.ts';
import { is31fl3741 } from '../daemon/hw/chips/is31fl3741.ts';
import { neotrellis } from '../daemon/hw/chips/neotrellis.ts';
import { senseHat } from '../daemon/hw/chips/sense-hat.ts';
import type { I2cDevice } from '../daemon/hw/i2c/bus.ts';
import { SimBus } from '../hil/sim/chips/bus.ts';
import { Ht16k33Model } from '../hil/sim/chips/ht16k33.ts';
import { Is31fl3731Model } from '../hil/sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../hil/sim/chips/is31fl3741.ts';
import type { ChipModel } from '../hil/sim/chips/model.ts';
import { NeoTrellisModel } from '../hil/sim/chips/seesaw-parts.ts';
import { SenseHatModel } from '../hil/sim/chips/sense-hat.ts';

/** Clock of the bus that times are given for, bits a second. */
export const clockHz = 400_000;
/** The default of a panel. */
const brightness = 0.6;

/** A way to have a matrix. */
export interface MatrixKind {
  readonly name: string;
  readonly driver: I2cDriver;
  readonly config: object;
  /** A part at this address. */
  readonly model: (address: number) => ChipModel;
}

// A driver of a certain config is one of any, as in the table of the parts.
const anyDriver = (driver: unknown): I2cDriver => driver as I2cDriver;

/** All of them. */
export const matrices: readonly MatrixKind[] = [
  ...(['8x8', '16x8', 'bicolour-8x8'] as const).map((display) => ({
    name: `HT16K33 ${display}`,
    driver: anyDriver(ht16k33),
    config: { display },
    model: () => new Ht16k33Model(display),
  })),
  {
    name: 'IS31FL3731 16x9',
    driver: anyDriver(is31fl3731),
    config: {},
    model: () => new Is31fl3731Model(),
  },
  {
    name: 'IS31FL3741 13x9',
    driver: anyDriver(is31fl3741),
    config: {},
    model: (address) => new Is31fl3741Model(address),
  },
  { name: 'Sense HAT 8x8', driver: anyDriver(senseHat), config: {}, model: () => new SenseHatModel() },
  { name: 'NeoTrellis 4x4', driver: anyDriver(neotrellis), config: {}, model: () => new NeoTrellisModel() },
];

/** What went over the bus for a picture. */
export interface Sent {
  /** Bytes with the address of each transfer. */
  readonly bytes: number;
  readonly busMs: number;
}

/** One matrix, open and dark. */
export class MatrixOnBus {
  readonly width: number;
  readonly height: number;
  readonly #bus: SimBus;
  readonly #session: PartSession;
  readonly #wire: { isCut: boolean };

  private constructor(
    size: { readonly width: number; readonly height: number },
    bus: SimBus,
    session: PartSession,
    wire: { isCut: boolean },
  ) {
    this.width = size.width;
    this.height = size.height;
    this.#bus = bus;
    this.#session = session;
    this.#wire = wire;
  }

  static async open({ name, driver, config, model }: MatrixKind): Promise<MatrixOnBus> {
    const parsed = driver.schema.parse(config);
    const { lights } = driver.declare(parsed);
    const [address] = driver.addresses;
    if (lights === null || address === undefined) throw new Error(`${name} has no lights`);
    // Time that passes by the driver's own pauses alone.
    let now = 0;
    const bus = new SimBus({ now: () => now, clockHz, random: () => 0 });
    bus.plug(address, model(address));
    const wire = { isCut: false };
    const io: PartIo = {
      time: {
        now: () => now,
        pause: async (ms) => {
          now += ms;
        },
      },
      report: () => {},
      fail: (problem) => {
        throw problem;
      },
      openLines: () => Promise.reject(new Error('no lines here')),
      openInput: () => Promise.reject(new Error('no input devices here')),
    };
    const session = await driver.open(parsed, deviceOn(bus, address, wire), io);
    const matrix = new MatrixOnBus(lights, bus, session, wire);
    matrix.#take();
    return matrix;
  }

  /** Shows a picture as the driver does it: what has changed. */
  async show(rgb: Uint8Array): Promise<Sent> {
    await this.#session.show?.({ rgb, controls: new Map(), brightness });
    return this.#take();
  }

  /** Shows it as a driver that keeps nothing in mind: the same one, made to forget what the part shows. */
  async showWhole(rgb: Uint8Array): Promise<Sent> {
    const length = 3 * this.width * this.height;
    this.#wire.isCut = true;
    // One of the two differs from what is shown; the transfer that fails leaves the driver without knowledge.
    const outcomes = await Promise.allSettled([this.show(new Uint8Array(length))]);
    outcomes.push(...(await Promise.allSettled([this.show(new Uint8Array(length).fill(255))])));
    this.#wire.isCut = false;
    if (outcomes.every(({ status }) => status === 'fulfilled')) throw new Error('it has not forgotten');
    return this.show(rgb);
  }

  #take(): Sent {
    if (this.#bus.protocolErrors.length > 0) throw new Error(this.#bus.protocolErrors.join('; '));
    const messages = this.#bus.records.flatMap((record) => record.messages);
    const bytes = messages.reduce(
      (sum, message) => sum + 1 + (message.isRead ? message.length : message.bytes.length),
      0,
    );
    const sent = { bytes, busMs: this.#bus.busTimeMs };
    this.#bus.records = [];
    this.#bus.busTimeMs = 0;
    return sent;
  }
}

/** An address on the bus, as long as the wire is not cut. */
function deviceOn(bus: SimBus, address: number, wire: { readonly isCut: boolean }): I2cDevice {
  const transport = bus.transport();
  const transfer: typeof transport.transfer = async (...transferred) => {
    if (wire.isCut) throw new Error('the wire is cut');
    return transport.transfer(...transferred);
  };
  return {
    bus: 1,
    address,
    write: async (_priority, bytes) => {
      await transfer(address, bytes, 0);
    },
    read: (_priority, length) => transfer(address, [], length),
    readRegister: (_priority, register, length) => transfer(address, [register], length),
  };
}
