/** What the sniffer records of transfers: the two lines of a bus, change by change. */

/** One message on the bus. */
export interface Sent {
  readonly address: number;
  readonly isRead: boolean;
  readonly bytes: readonly number[];
  /** Of the address; the bytes of a write are acknowledged, the last one of a read is not. */
  readonly isAcknowledged: boolean;
}

const scl = 2;

/** Records as firmware/main.py makes them, filled up to a whole word; `repeats`: extra records of the same levels. */
export function recordsOf(transfers: readonly (readonly Sent[])[], repeats: number): Uint8Array {
  const states: number[] = [];
  const put = (state: number) => {
    for (let index = 0; index <= repeats; index++) states.push(state);
  };
  const bit = (sda: number) => {
    for (const state of [sda, scl | sda, sda]) put(state);
  };
  const byte = (value: number, isAcknowledged: boolean) => {
    for (let shift = 7; shift >= 0; shift--) bit((value >> shift) & 1);
    bit(isAcknowledged ? 0 : 1);
  };
  put(scl | 1);
  for (const messages of transfers) {
    for (const { address, isRead, bytes, isAcknowledged } of messages) {
      // A repeated START: both lines go up first, SDA while SCL is low.
      for (const state of [1, scl | 1, scl, 0]) put(state);
      byte((address << 1) | Number(isRead), isAcknowledged);
      if (isAcknowledged)
        for (const [at, value] of bytes.entries()) byte(value, !isRead || at < bytes.length - 1);
    }
    for (const state of [0, scl, scl | 1]) put(state);
  }
  while (states.length % 16 !== 0) states.push(scl | 1);
  const words = Uint32Array.from({ length: states.length / 16 }, (_, word) =>
    states.slice(16 * word, 16 * word + 16).reduce((sum, state) => ((sum << 2) | state) >>> 0, 0),
  );
  return new Uint8Array(words.buffer);
}
