/** The transfers that most parts take: a write, a read, or the number of a register and a read from there. */
import { type I2cMessage, kindsOf, ProtocolError } from './model.ts';

/** What a transfer of that kind does. */
export interface RegisterTransfer {
  /** Null: it is a read alone, from where the part is. One byte when a read follows. */
  readonly written: Uint8Array | null;
  /** Null: it is a write alone. */
  readonly readLength: number | null;
}

/** The same for the messages of a transfer; a {@link ProtocolError} when it is anything else. */
export function registerTransfer(part: string, messages: readonly I2cMessage[]): RegisterTransfer {
  const [first, second, third] = messages;
  if (first !== undefined && third === undefined) {
    if (first.isRead && second === undefined) return { written: null, readLength: first.length };
    if (!first.isRead && second === undefined) return { written: first.bytes, readLength: null };
    if (!first.isRead && first.bytes.length === 1 && second?.isRead)
      return { written: first.bytes, readLength: second.length };
  }
  throw new ProtocolError(`${part}: no such transfer: ${kindsOf(messages)}`);
}
