/** The stream of an input device as pure functions; Linux include/uapi/linux/input.h and input-event-codes.h. */

/** Types of events. */
export const eventType = { synchronise: 0x00, key: 0x01, relative: 0x02 } as const;
/** SYN_REPORT ends a report, SYN_DROPPED says that the kernel's queue overflowed. */
const synchronise = { report: 0, dropped: 3 } as const;

/** Requests of ioctl(2), worked out from the header with a C compiler. */
export const inputIoctl = {
  /** EVIOCSCLOCKID, int. */
  setClock: 0x400445a0,
  /** EVIOCGRAB: its argument is the value itself, any but null takes the device, null gives it back (evdev.c). */
  grab: 0x40044590,
  /** EVIOCGKEY with room for all keys. */
  getKeys: 0x80604518,
} as const;

/** Bytes of EVIOCGKEY for KEY_CNT (0x300) keys, one bit each. */
export const keyBytes = 96;
/** No device reports as much at once; what goes on longer is no report. */
const eventsMax = 1024;

/** One event, its time still that of the kernel. */
export interface RawEvent {
  readonly timestampNs: bigint;
  readonly type: number;
  readonly code: number;
  readonly value: number;
}

/** What the stream says: the events of one report, or null for a loss. */
export type Report = readonly RawEvent[] | null;

/** Bytes of struct input_event: the two words of its time are longs of the process. */
export function inputEventBytes(arch: string): 24 | 16 {
  return arch === 'arm' || arch === 'ia32' ? 16 : 24;
}

/** Cuts the stream into reports; takes it in pieces of any length. */
export class EventParser {
  readonly #eventBytes: 24 | 16;
  #rest = new Uint8Array();
  #events: RawEvent[] = [];
  /** What comes up to the next SYN_REPORT belongs to a report that has holes (Documentation/input/event-codes.rst). */
  #isDropping = false;

  constructor(eventBytes: 24 | 16) {
    this.#eventBytes = eventBytes;
  }

  /** Takes more of the stream and gives the reports that it completes. */
  push(bytes: Uint8Array): Report[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const end = all.length - (all.length % this.#eventBytes);
    this.#rest = Uint8Array.from(all.subarray(end));
    const reports: Report[] = [];
    for (let at = 0; at < end; at += this.#eventBytes) {
      const report = this.#take(this.#decode(all, at));
      if (report !== undefined) reports.push(report);
    }
    return reports;
  }

  /** The report that an event completes, if it does. */
  #take(event: RawEvent): Report | undefined {
    if (event.type !== eventType.synchronise) {
      if (this.#events.length === eventsMax) this.#isDropping = true;
      if (!this.#isDropping) this.#events.push(event);
      return undefined;
    }
    if (event.code === synchronise.dropped) this.#isDropping = true;
    if (event.code !== synchronise.report) return undefined;
    const report = this.#isDropping ? null : this.#events;
    this.#isDropping = false;
    this.#events = [];
    // An empty report says nothing.
    return report?.length === 0 ? undefined : report;
  }

  #decode(bytes: Buffer, at: number): RawEvent {
    const isLong = this.#eventBytes === 24;
    const seconds = isLong ? bytes.readBigInt64LE(at) : BigInt(bytes.readUInt32LE(at));
    const microseconds = isLong ? bytes.readBigInt64LE(at + 8) : BigInt(bytes.readUInt32LE(at + 4));
    const fields = at + this.#eventBytes - 8;
    return {
      timestampNs: seconds * 1_000_000_000n + microseconds * 1000n,
      type: bytes.readUInt16LE(fields),
      code: bytes.readUInt16LE(fields + 2),
      value: bytes.readInt32LE(fields + 4),
    };
  }
}

/** Codes of the keys that are down, from the bits of EVIOCGKEY. */
export function decodeKeys(bits: Uint8Array): Set<number> {
  const down = new Set<number>();
  for (const [index, byte] of bits.entries()) {
    for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) down.add(8 * index + bit);
  }
  return down;
}
