import { SocatDevice } from '../hw/ports/socat.ts';

/** Header of everything that is said to a Launchpad Mini MK3 (programmer's reference, "SysEx messages"). */
const header = [0xf0, 0x00, 0x20, 0x29, 0x02, 0x0d];

/** A Launchpad Mini MK3 at the far end of a pseudo-terminal, read as the real one would read its bytes. */
export class Launchpad {
  readonly #port: SocatDevice;
  /** Colour of each light by its note, as `r,g,b` of 0..127. */
  readonly lights = new Map<number, string>();
  isInProgrammerMode = false;
  #buffer: number[] = [];
  #seen = 0;

  private constructor(port: SocatDevice) {
    this.#port = port;
  }

  static async plug(link: string): Promise<Launchpad> {
    return new Launchpad(await SocatDevice.plug(link));
  }

  press(note: number): void {
    this.#port.send(0x90, note, 0x7f);
  }

  release(note: number): void {
    this.#port.send(0x90, note, 0x00);
  }

  /** Reads bytes until the lights are as wanted. */
  async until(isRight: () => boolean): Promise<void> {
    for (;;) {
      if (isRight()) return;
      const bytes = await this.#port.received(this.#seen + 1);
      this.#seen = bytes.length;
      this.#read(bytes);
    }
  }

  async unplug(): Promise<void> {
    await this.#port.unplug();
  }

  #read(bytes: readonly number[]): void {
    this.#buffer = [...bytes];
    for (let start = this.#buffer.indexOf(0xf0); start >= 0; start = this.#buffer.indexOf(0xf0, start + 1)) {
      const end = this.#buffer.indexOf(0xf7, start);
      if (end < 0) return;
      const message = this.#buffer.slice(start, end);
      if (header.every((byte, index) => message[index] === byte)) this.#obey(message.slice(header.length));
    }
  }

  #obey([command, ...data]: readonly number[]): void {
    if (command === 0x0e) this.isInProgrammerMode = data[0] === 1;
    if (command !== 0x03) return;
    for (let at = 0; at + 4 < data.length + 1; ) {
      const kind = data[at];
      if (kind === 3) {
        this.lights.set(data[at + 1] ?? -1, data.slice(at + 2, at + 5).join(','));
        at += 5;
      } else at += kind === 1 ? 4 : 3;
    }
  }
}
