/** A bench for one driver and the model of its part: bus, time and readings in the hands of the test. */
import type { Test } from 'tap';
import type {
  I2cDriver,
  PartIo,
  PartPicture,
  PartSession,
  RawInput,
} from '../../../daemon/hw/chips/driver.ts';
import type { I2cDevice, I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import { type BusRecord, SimBus } from '../../../hil/sim/chips/bus.ts';
import type { ChipModel } from '../../../hil/sim/chips/model.ts';

/** Not 0, so that no driver takes the start for "never". */
const startMs = 10_000;

/** Time that passes by `pause` and `pass` alone. */
export class ManualTime {
  #nowMs = startMs;
  /** Every pause so far, milliseconds. */
  readonly pauses: number[] = [];

  now(): number {
    return this.#nowMs;
  }

  async pause(ms: number): Promise<void> {
    this.pauses.push(ms);
    this.pass(ms);
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }
}

/** A driver at the first of its addresses on a simulated bus of 400 kHz, and what it reports. */
export class PartRig<Config> {
  readonly time = new ManualTime();
  readonly bus = new SimBus({ now: () => this.time.now(), clockHz: 400_000, random: numbers(1) });
  readonly device: I2cDevice;
  readonly config: Config;
  /** What was reported since the last `poll`. */
  readonly reports: RawInput[] = [];
  /** What the driver said of losses by itself. */
  readonly failures: Error[] = [];
  readonly io: PartIo;
  readonly #driver: I2cDriver<Config>;
  #session: PartSession | null = null;

  /** @param config as in the file; the driver's schema fills in the defaults */
  constructor(driver: I2cDriver<Config>, config: unknown, chip: ChipModel) {
    const [address = 0] = driver.addresses;
    this.#driver = driver;
    this.config = driver.schema.parse(config);
    this.bus.plug(address, chip);
    this.device = deviceOn(this.bus.transport(), address);
    this.io = ioOf(this.time, this.reports, this.failures);
  }

  /** What is open now. */
  get session(): PartSession {
    if (this.#session === null) throw new Error('the part is not open');
    return this.#session;
  }

  /** Opens the part, again if it was. */
  async open(): Promise<void> {
    this.#session = await this.#driver.open(this.config, this.device, this.io);
  }

  /** One poll; gives what was reported since the last one. */
  async poll(): Promise<RawInput[]> {
    await this.session.poll?.();
    return this.reports.splice(0);
  }

  /** Shows a picture; what is left out is dark, at full brightness. */
  async show(picture: Partial<PartPicture>): Promise<void> {
    await this.session.show?.({ rgb: null, controls: new Map(), brightness: 1, ...picture });
  }

  /** What went over the bus since the last call, one line a transfer: see {@link lineOf}. */
  lines(): string[] {
    return this.bus.records.splice(0).map(lineOf);
  }
}

/** A rig whose test fails when the driver did what the real part would not take. */
export function partRig<Config>(
  t: Test,
  driver: I2cDriver<Config>,
  config: unknown,
  chip: ChipModel,
): PartRig<Config> {
  const rig = new PartRig(driver, config, chip);
  t.teardown(() => assertNoProtocolErrors(rig.bus));
  return rig;
}

/** Throws when a model was asked what the real part would not take. */
export function assertNoProtocolErrors(bus: SimBus): void {
  if (bus.protocolErrors.length === 0) return;
  const problem = `not as the part wants it: ${bus.protocolErrors.join('; ')}`;
  // tap fails a test whose teardown throws, but does not say why.
  process.stderr.write(`${problem}\n`);
  throw new Error(problem);
}

/** An address on a transport, without a scheduler in between. */
export function deviceOn(transport: I2cTransport, address: number): I2cDevice {
  return {
    bus: 1,
    address,
    write: async (_priority, bytes) => {
      await transport.transfer(address, bytes, 0);
    },
    read: (_priority, length) => transport.transfer(address, [], length),
    readRegister: (_priority, register, length) => transport.transfer(address, [register], length),
  };
}

/** What a part on the bus is opened with; it has no lines and no input devices. */
export function ioOf(time: PartIo['time'], reports: RawInput[], failures: Error[]): PartIo {
  return {
    time,
    report: (inputs) => reports.push(...inputs),
    fail: (problem) => failures.push(problem),
    openLines: () => Promise.reject(new Error('no lines on this bench')),
    openInput: () => Promise.reject(new Error('no input devices on this bench')),
  };
}

/** A transfer as transcripts write it: `w 01 c3 e3`, `r 12 34`, `w 00 r 12 34`; `no-ack` when it was not taken. */
export function lineOf({ messages, result }: BusRecord): string {
  if (!('bytes' in result)) return [...messages.map((message) => partOf(message)), 'no-ack'].join(' ');
  let offset = 0;
  return messages
    .map((message) => {
      if (!message.isRead) return partOf(message);
      offset += message.length;
      return `r ${hexOf(result.bytes.subarray(offset - message.length, offset))}`;
    })
    .join(' ');
}

function partOf(message: BusRecord['messages'][number]): string {
  return message.isRead ? 'r' : `w ${hexOf(message.bytes)}`.trim();
}

/** Bytes in hex with blanks between. */
export function hexOf(bytes: Iterable<number>): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Numbers 0..1 that look random and are the same in every run (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
