import { SocatDevice } from '../hw/ports/socat.ts';

/** What is said to the display of a Mackie Control: where the text goes, then the text ("Logic Control User's Manual"). */
const displayHeader = [0xf0, 0x00, 0x00, 0x66, 0x14, 0x12];
const rowLength = 56;
/** Ten bits in the upper part of fourteen. */
const faderTop = 0x3ff << 4;
const touchNote = 0x68;

/** The panel's end of its line. */
export interface PanelPort {
  /** Sends bytes to the surface. */
  send(...bytes: number[]): void;
  /** Resolves with what has come since the last call, one byte at least. */
  next(): Promise<readonly number[]>;
  unplug(): Promise<void>;
}

/** A Mackie Control at the far end of a line: its display as a person reads it, and a hand on its first fader. */
export class Mackie {
  readonly #port: PanelPort;
  readonly #characters: string[] = Array.from({ length: 2 * rowLength }, () => ' ');
  /** What its upper row said, the newest last; a text that is written in parts is there in parts. */
  readonly said: string[] = [];
  #message: number[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(port: PanelPort) {
    this.#port = port;
  }

  /** At a pseudo-terminal that is made for it. */
  static async plug(link: string): Promise<Mackie> {
    return Mackie.at(await SocatDevice.plug(link));
  }

  static at(port: PanelPort): Mackie {
    const panel = new Mackie(port);
    void panel.#readOn();
    return panel;
  }

  get top(): string {
    return this.#row(0);
  }

  get bottom(): string {
    return this.#row(1);
  }

  /** Resolves when the display is as wanted. */
  async until(isRight: (panel: Mackie) => boolean): Promise<void> {
    while (!isRight(this))
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
  }

  /** A finger moves the first fader from one place to another, 0 to 1, and lets go. */
  slide(from: number, to: number): void {
    this.#port.send(0x90, touchNote, 0x7f);
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const position = Math.round((from + part * (to - from)) * faderTop);
      this.#port.send(0xe0, position & 0x7f, position >> 7);
    }
    this.#port.send(0x90, touchNote, 0x00);
  }

  async unplug(): Promise<void> {
    await this.#port.unplug();
  }

  #row(number: 0 | 1): string {
    return this.#characters.slice(number * rowLength, (number + 1) * rowLength).join('');
  }

  /** Never ends: it waits for bytes until nobody holds this object any more. */
  async #readOn(): Promise<never> {
    for (;;) for (const byte of await this.#port.next()) this.#take(byte);
  }

  #take(byte: number): void {
    if (byte === 0xf0) this.#message = [];
    this.#message.push(byte);
    if (byte !== 0xf7 || !displayHeader.every((part, at) => this.#message[at] === part)) return;
    const [start = 0, ...text] = this.#message.slice(displayHeader.length, -1);
    for (const [at, code] of text.entries()) this.#characters[start + at] = String.fromCharCode(code);
    this.said.push(this.top);
    const woken = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of woken) wake();
  }
}
