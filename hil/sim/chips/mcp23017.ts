/** Model of the Microchip MCP23017 at register level, after DS20001952C. */
import { type ChipModel, type I2cMessage, ProtocolError } from './model.ts';

/** Registers in the order of their addresses: times two plus the port while BANK is 0, plus 16 a port while it is 1. */
const names = [
  'iodir',
  'ipol',
  'gpinten',
  'defval',
  'intcon',
  'iocon',
  'gppu',
  'intf',
  'intcap',
  'gpio',
  'olat',
] as const;
type Name = (typeof names)[number];
type Port = Record<Exclude<Name, 'iocon' | 'gpio'>, number>;

const ioconBits = { bank: 0x80, mirror: 0x40, byteMode: 0x20, openDrain: 0x04, activeHigh: 0x02 } as const;
/** Bit 0 of IOCON reads as 0. */
const ioconMask = 0xfe;

function freshPort(): Port {
  return { iodir: 0xff, ipol: 0, gpinten: 0, defval: 0, intcon: 0, gppu: 0, intf: 0, intcap: 0, olat: 0 };
}

/** What a pin is connected to by the world: a level, or nothing. */
export type Drive = 'low' | 'high' | null;

/** The part with its 16 pins; pins are numbered A0 to A7, B0 to B7 from 0 to 15. */
export class Mcp23017Model implements ChipModel {
  readonly part = 'mcp23017';
  /** Is told when the level of INTA, with its pull-up, changed: the wire to a GPIO line. */
  onInterrupt: ((isLow: boolean) => void) | null = null;
  readonly #random: () => number;
  readonly #drives = new Array<Drive>(16).fill(null);
  #ports: [Port, Port] = [freshPort(), freshPort()];
  /** Levels that changes are told from, by port (DS20001952C 3.6.5). */
  #seen: [number, number] = [0, 0];
  #iocon = 0;
  #pointer = 0;
  #wasLow = false;

  /** @param random 0..1, for pins that float */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Connects a pin to a level, or to nothing. */
  drive(pin: number, drive: Drive): void {
    if (this.#drives[pin] === undefined) throw new RangeError(`no pin ${pin}`);
    this.#drives[pin] = drive;
    this.#watch();
  }

  /** Presses a button between a pin and ground. */
  press(pin: number): void {
    this.drive(pin, 'low');
  }

  /** Lets go of it. */
  release(pin: number): void {
    this.drive(pin, null);
  }

  /** The level of INTA, which has a pull-up. */
  get interruptIsLow(): boolean {
    const [a, b] = this.#ports;
    const isActive = a.intf !== 0 || ((this.#iocon & ioconBits.mirror) !== 0 && b.intf !== 0);
    const isActiveHigh =
      (this.#iocon & ioconBits.openDrain) === 0 && (this.#iocon & ioconBits.activeHigh) !== 0;
    return isActive !== isActiveHigh;
  }

  reset(): void {
    this.#ports = [freshPort(), freshPort()];
    this.#iocon = 0;
    this.#pointer = 0;
    this.#watch();
  }

  transfer(messages: readonly I2cMessage[], _at: number): readonly Uint8Array[] {
    const reads: Uint8Array[] = [];
    for (const message of messages) {
      if (message.isRead) {
        reads.push(Uint8Array.from({ length: message.length }, () => this.#readOne()));
        continue;
      }
      const [pointer, ...values] = message.bytes;
      if (pointer === undefined) continue;
      this.#pointer = pointer;
      for (const value of values) this.#writeOne(value);
    }
    return reads;
  }

  get #isBank1(): boolean {
    return (this.#iocon & ioconBits.bank) !== 0;
  }

  /** What the pointer is at. */
  #at(): { readonly name: Name; readonly side: 0 | 1; readonly port: Port } {
    const index = this.#isBank1 ? this.#pointer & 0x0f : this.#pointer >> 1;
    const side = (this.#isBank1 ? this.#pointer >> 4 : this.#pointer & 1) === 0 ? 0 : 1;
    const name = names[index];
    if (name === undefined || (this.#isBank1 && this.#pointer > 0x1a)) {
      throw new ProtocolError(`mcp23017: no register 0x${this.#pointer.toString(16)}`);
    }
    return { name, side, port: this.#ports[side] };
  }

  /** Byte mode toggles within a pair, or stays while BANK is 1; else on to the next register, from the last to 0. */
  #step(): void {
    const last = this.#isBank1 ? 0x1a : 0x15;
    if ((this.#iocon & ioconBits.byteMode) !== 0) this.#pointer ^= this.#isBank1 ? 0 : 1;
    else if (this.#isBank1 && this.#pointer === 0x0a) this.#pointer = 0x10;
    else this.#pointer = this.#pointer >= last ? 0 : this.#pointer + 1;
  }

  #readOne(): number {
    const { name, side, port } = this.#at();
    this.#step();
    if (name === 'iocon') return this.#iocon;
    if (name !== 'gpio' && name !== 'intcap') return port[name];
    const value = name === 'gpio' ? this.#gpioOf(side) : port.intcap;
    // Cleared once the last bit is out (3.6.4).
    port.intf = 0;
    this.#seen[side] = this.#steadyLevels(side);
    this.#watch();
    return value;
  }

  #writeOne(value: number): void {
    const { name, side, port } = this.#at();
    if (name === 'intf' || name === 'intcap') throw new ProtocolError(`mcp23017: ${name} is read-only`);
    this.#step();
    if (name === 'iocon') this.#iocon = value & ioconMask;
    else if (name === 'gpio') port.olat = value;
    else port[name] = value;
    if (name === 'gpinten') this.#seen[side] = this.#steadyLevels(side);
    this.#watch();
  }

  /** A level by pin: null where nothing decides it. */
  #levelOf(side: 0 | 1, bit: number): boolean | null {
    const port = this.#ports[side];
    const mask = 1 << bit;
    if ((port.iodir & mask) === 0) return (port.olat & mask) !== 0;
    const drive = this.#drives[side * 8 + bit] ?? null;
    if (drive !== null) return drive === 'high';
    return (port.gppu & mask) !== 0 ? true : null;
  }

  #gather(side: 0 | 1, isHigh: (level: boolean | null, mask: number) => boolean): number {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) {
      if (isHigh(this.#levelOf(side, bit), 1 << bit)) byte |= 1 << bit;
    }
    return byte;
  }

  /** What GPIO reads: pins that float as chance has it. */
  #gpioOf(side: 0 | 1): number {
    return this.#gather(side, (level) => level ?? this.#random() < 0.5) ^ this.#ports[side].ipol;
  }

  /** Levels for telling changes; a pin that floats does not change. */
  #steadyLevels(side: 0 | 1): number {
    return this.#gather(side, (level, mask) => level ?? ((this.#seen[side] ?? 0) & mask) !== 0);
  }

  /** Latches the first change of a port until it is cleared, and moves the interrupt output. */
  #watch(): void {
    for (const side of [0, 1] as const) {
      const port = this.#ports[side];
      if (port.intf !== 0) continue;
      const levels = this.#steadyLevels(side);
      const compared = (port.defval & port.intcon) | ((this.#seen[side] ?? 0) & ~port.intcon);
      port.intf = (levels ^ compared) & port.gpinten & port.iodir;
      if (port.intf !== 0) port.intcap = levels ^ port.ipol;
    }
    const isLow = this.interruptIsLow;
    if (isLow !== this.#wasLow) this.onInterrupt?.(isLow);
    this.#wasLow = isLow;
  }
}
