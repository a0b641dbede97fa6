/**
 * Model of the Lumissil IS31FL3741 on the Adafruit 13x9 RGB matrix: lock of the command register, pages and their ends,
 * PWM, scaling, global current, reset. Registers for open and short LEDs are not modelled.
 */
import { seen } from './eye.ts';
import { type ChipModel, type I2cMessage, ProtocolError, type ShownLights } from './model.ts';
import { registerTransfer } from './register-transfer.ts';

const width = 13;
const height = 9;
const firstPageLeds = 180;
const secondPageLeds = 171;
/** Bytes of pages 0 to 4: twice PWM, twice scaling, configuration and current. */
const pageBytes = [firstPageLeds, secondPageLeds, firstPageLeds, secondPageLeds, 2];
const functionPage = 4;
const commandRegister = 0xfd;
const unlockRegister = 0xfe;
const idRegister = 0xfc;
const resetRegister = 0x3f;

/** An IS31FL3741 and its matrix. */
export class Is31fl3741Model implements ChipModel {
  readonly part = 'is31fl3741';
  readonly #address: number;
  #pages: Uint8Array[] = [];
  #isUnlocked = false;
  /** Null: not selected since the reset; the real part is on page 0 then, but no driver should count on it. */
  #page: number | null = null;
  #register = 0;

  /** @param address 7-bit, which the ID register tells */
  constructor(address: number) {
    this.#address = address;
    this.reset();
  }

  reset(): void {
    this.#pages = pageBytes.map((length) => new Uint8Array(length));
    this.#isUnlocked = false;
    this.#page = null;
    this.#register = 0;
  }

  transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const { written, readLength } = registerTransfer(this.part, messages);
    if (written !== null) this.#write(written);
    return readLength === null ? [] : [this.#read(readLength)];
  }

  #write([register, ...data]: Uint8Array): void {
    if (register === undefined) return;
    this.#register = register;
    if (data.length === 0) return;
    if (register === unlockRegister) {
      this.#isUnlocked = only(data) === 0xc5;
      return;
    }
    if (register === commandRegister) {
      this.#select(only(data));
      return;
    }
    if (this.#page === functionPage && register === resetRegister) {
      if (only(data) !== 0xae) throw new ProtocolError('is31fl3741: only 0xae resets');
      this.reset();
      return;
    }
    const page = this.#checked(register, data.length);
    if (this.#page === functionPage && register === 0 && (data[0] ?? 0) > 1)
      throw new ProtocolError('is31fl3741: only the shutdown bit of the configuration is modelled');
    page.set(data, register);
  }

  #select(page: number): void {
    if (!this.#isUnlocked) throw new ProtocolError('is31fl3741: the command register is locked');
    this.#isUnlocked = false;
    if (page >= pageBytes.length) throw new ProtocolError(`is31fl3741: there is no page ${page}`);
    this.#page = page;
  }

  /** The selected page, when these registers are on it. */
  #checked(register: number, length: number): Uint8Array {
    const page = this.#page === null ? undefined : this.#pages[this.#page];
    if (page === undefined) throw new ProtocolError('is31fl3741: no page was selected');
    if (register + length > page.length)
      throw new ProtocolError(
        `is31fl3741: ${length} bytes from register 0x${register.toString(16)} leave page ${this.#page}`,
      );
    return page;
  }

  #read(length: number): Uint8Array {
    if (this.#register === idRegister) return new Uint8Array(length).fill(2 * this.#address);
    // After power-up the part is on page 0 and reads as such, which tells a driver that it was without power.
    const page = this.#page === null ? this.#pages[0] : this.#checked(this.#register, length);
    return Uint8Array.from({ length }, (_, at) => page?.[this.#register + at] ?? 0);
  }

  /** What the matrix shows. */
  lights(): ShownLights {
    const rgb = new Uint8Array(3 * width * height);
    const [pwm0, pwm1, scaling0, scaling1, functions] = this.#pages.map((page) => [...page]);
    const pwm = [...(pwm0 ?? []), ...(pwm1 ?? [])];
    const scaling = [...(scaling0 ?? []), ...(scaling1 ?? [])];
    const [configuration = 0, current = 0] = functions ?? [];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        ledsAt(x, y).forEach((led, channel) => {
          const light = ((pwm[led] ?? 0) / 255) * ((scaling[led] ?? 0) / 255) * (current / 255);
          rgb[3 * (y * width + x) + channel] = configuration === 1 ? seen(light) : 0;
        });
    return { width, height, rgb };
  }
}

function only(data: readonly number[]): number {
  const [value] = data;
  if (value === undefined || data.length > 1)
    throw new ProtocolError(`is31fl3741: one byte expected, got ${data.length}`);
  return value;
}

/** How the board is wired: switch line of each row; columns 0..9 lie in the first block of LEDs, 10..12 in the last. */
const switchOfRow = [8, 5, 4, 3, 2, 1, 0, 7, 6] as const;

function ledsAt(x: number, y: number): readonly number[] {
  const line = switchOfRow[y] ?? 0;
  const base = x <= 9 ? line * 30 + x * 3 : 270 + line * 9 + (x - 10) * 3;
  // Even columns are red, blue, green; odd ones and the last are blue, green, red.
  return x % 2 === 0 && x !== 12 ? [base, base + 2, base + 1] : [base + 2, base + 1, base];
}
