/**
 * Transfers of an I2C bus out of the changes of its two lines, as the sniffer of the controller records them: NXP UM10204
 * "I2C-bus specification", section 3.1: SDA changes while SCL is high at START and STOP alone, a bit is what SDA is when
 * SCL rises, every ninth bit is the acknowledge. Pure.
 */

/** From an address to the next START or STOP. */
export interface TraceMessage {
  readonly address: number;
  readonly isRead: boolean;
  /** Acknowledged bytes, of a read also its last one, which the master does not acknowledge. */
  readonly bytes: readonly number[];
}

/** From START to STOP; messages that nobody acknowledged are left out. */
export type TraceTransfer = readonly TraceMessage[];

/** No part of a panel takes more bytes in a transfer; what is longer is no transfer. */
const mostBytes = 4096;

/** Levels of both lines in two bits, SCL above SDA. */
const rest = 0b11;

/** Puts transfers together from the records of the sniffer. */
export class I2cTrace {
  #levels = rest;
  /** Bytes that are not a whole record yet. */
  #left: number[] = [];
  /** Null: no START was seen. */
  #messages: TraceMessage[] | null = null;
  /** Bytes of the message so far, the address first, with their acknowledge as the lowest of nine bits. */
  #bytes: number[] = [];
  #bits = 0;
  #bitCount = 0;
  #byteCount = 0;

  /** Takes records, little-endian words of sixteen changes, the first one on top; gives the transfers that end in them. */
  push(records: Uint8Array): TraceTransfer[] {
    const transfers: TraceTransfer[] = [];
    const bytes = [...this.#left, ...records];
    const whole = bytes.length - (bytes.length % 4);
    for (let at = 0; at < whole; at += 4)
      for (let index = 3; index >= 0; index--)
        for (let shift = 6; shift >= 0; shift -= 2) {
          const ended = this.#change(((bytes[at + index] ?? 0) >> shift) & 0b11);
          if (ended !== null) transfers.push(ended);
        }
    this.#left = bytes.slice(whole);
    return transfers;
  }

  /** Records were lost: what comes next counts from a START on. */
  reset(): void {
    this.#left = [];
    this.#levels = rest;
    this.#messages = null;
  }

  #change(levels: number): TraceTransfer | null {
    const before = this.#levels;
    this.#levels = levels;
    const [wasScl, isScl, wasSda, isSda] = [before >> 1, levels >> 1, before & 1, levels & 1];
    if (wasScl === 1 && isScl === 1 && wasSda === 1 && isSda === 0) this.#start();
    else if (wasScl === 1 && isScl === 1 && wasSda === 0 && isSda === 1) return this.#stop();
    else if (wasScl === 0 && isScl === 1) this.#bit(isSda);
    return null;
  }

  #start(): void {
    if (this.#messages === null) {
      this.#messages = [];
      this.#bytes = [];
      this.#byteCount = 0;
    }
    this.#endMessage();
  }

  #stop(): TraceTransfer | null {
    this.#endMessage();
    const messages = this.#messages;
    this.#messages = null;
    return messages !== null && messages.length > 0 ? messages : null;
  }

  /** What is left of a byte is the clock of the START or STOP itself. */
  #endMessage(): void {
    const [head, ...rest] = this.#bytes;
    this.#bytes = [];
    this.#bits = 0;
    this.#bitCount = 0;
    if (head === undefined || (head & 1) === 1) return;
    const isRead = ((head >> 1) & 1) === 1;
    const bytes = rest.filter((nine) => isRead || (nine & 1) === 0).map((nine) => nine >> 1);
    this.#messages?.push({ address: head >> 2, isRead, bytes });
  }

  #bit(bit: number): void {
    if (this.#messages === null) return;
    this.#bits = (this.#bits << 1) | bit;
    this.#bitCount += 1;
    if (this.#bitCount < 9) return;
    this.#bytes.push(this.#bits);
    this.#bits = 0;
    this.#bitCount = 0;
    this.#byteCount += 1;
    if (this.#byteCount > mostBytes) {
      this.#messages = null;
    }
  }
}
