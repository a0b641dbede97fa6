/**
 * A size limit for MQTT packets in front of a parser that has none: aedes and mqtt.js both buffer whatever
 * length a peer announces. It reads fixed headers only and never holds a byte of a packet.
 */

/** Watches one byte stream; feed it every chunk before the parser sees it. */
export class FrameGuard {
  /** Packets that have begun so far. */
  packets = 0;
  readonly #maxBytes: () => number;
  /** Bytes of the current packet's body that are still to come. */
  #bodyLeft = 0;
  #remainingLength = 0;
  /** Bytes of the Remaining Length field read so far; null while the type byte is awaited. */
  #lengthBytes: number | null = null;

  /** @param maxBytes largest Remaining Length that is accepted now; asked for each packet */
  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Looks at the next bytes. Returns what is wrong, or null; after a problem the stream must be closed.
   * Remaining Length has 1 to 4 bytes of 7 bits, lowest first (MQTT 3.1.1, section 2.2.3).
   */
  check(chunk: Uint8Array): string | null {
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, chunk.length - at);
        this.#bodyLeft -= skipped;
        at += skipped;
        continue;
      }
      const byte = chunk[at] ?? 0;
      at += 1;
      if (this.#lengthBytes === null) {
        this.#lengthBytes = 0;
        this.#remainingLength = 0;
        this.packets += 1;
        continue;
      }
      this.#remainingLength += (byte & 0x7f) * 128 ** this.#lengthBytes;
      this.#lengthBytes += 1;
      const maxBytes = this.#maxBytes();
      if (this.#remainingLength > maxBytes) {
        return `MQTT packet of ${this.#remainingLength} bytes or more, at most ${maxBytes} are allowed`;
      }
      if ((byte & 0x80) === 0) {
        this.#bodyLeft = this.#remainingLength;
        this.#lengthBytes = null;
      } else if (this.#lengthBytes === 4) {
        return 'MQTT packet with a malformed length';
      }
    }
    return null;
  }
}
