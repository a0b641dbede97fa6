/**
 * The contract of a chip model: the chip as the bus sees it, at register level. It checks what the real part would check
 * (page unlocks, waiting times, register bounds, kinds of transfer); what the real part would not take is a
 * {@link ProtocolError} and fails the test. What hands and eyes do with the part (turn, press, look) are methods of its own.
 */

/** One message of a transfer; messages after the first begin with a repeated START. */
export type I2cMessage =
  | { readonly isRead: false; readonly bytes: Uint8Array }
  | { readonly isRead: true; readonly length: number };

/** The driver did something that the real part would not take. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** A chip behind one address. */
export interface ChipModel {
  /** As the part is called in a config. */
  readonly part: string;
  /**
   * One transfer from START to STOP.
   * @param at milliseconds, for waiting times
   * @returns the bytes of each read message in order; null: it does not acknowledge (busy)
   * @throws ProtocolError
   */
  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] | null;
  /** Power off and on: registers as after power-on reset. */
  reset(): void;
}

/** What the lights of a model show. */
export interface ShownLights {
  readonly width: number;
  readonly height: number;
  /** Row-major from the top left, three bytes a light, 0..255, brightness included. */
  readonly rgb: Uint8Array;
}

/** The bytes of a transfer that is one write; a {@link ProtocolError} when it is anything else. */
export function onlyWrite(part: string, messages: readonly I2cMessage[]): Uint8Array {
  const [first] = messages;
  if (messages.length === 1 && first !== undefined && !first.isRead) return first.bytes;
  throw new ProtocolError(`${part}: one write expected, got ${kindsOf(messages)}`);
}

/** A transfer in short words, e.g. `write 1, read 2`. */
export function kindsOf(messages: readonly I2cMessage[]): string {
  return messages
    .map((message) => (message.isRead ? `read ${message.length}` : `write ${message.bytes.length}`))
    .join(', ');
}
