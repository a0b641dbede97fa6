/**
 * The frames between an I2C adapter and the chip server, all little-endian:
 * request: u32 length of the rest | u16 bus | u16 address | u8 message count |
 *   per message u8 flags (bit 0: read) | u16 length | the bytes, when it is a write;
 * reply: u32 length of the rest | i32 result, 0 or a negative errno | the bytes of all read messages in order.
 */
import type { BusResult } from './bus.ts';
import type { I2cMessage } from './model.ts';

/** Longest rest of a frame, and most bytes that one request may read. */
export const longestFrame = 65_536;

const lengthBytes = 4;
const headBytes = 5;
const messageHeadBytes = 3;
const readFlag = 1;

/** One transfer that an adapter asks for. */
export interface Request {
  readonly bus: number;
  readonly address: number;
  readonly messages: readonly I2cMessage[];
}

/** A frame that no adapter sends; what follows it cannot be told either. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Puts the requests of one connection together from what arrives. */
export class RequestParser {
  #pending: Buffer = Buffer.alloc(0);

  /** The requests that are complete with these bytes. @throws FrameError */
  push(bytes: Uint8Array): Request[] {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    const requests: Request[] = [];
    while (this.#pending.length >= lengthBytes) {
      const length = this.#pending.readUInt32LE(0);
      if (length > longestFrame) throw new FrameError(`frame of ${length} bytes, at most ${longestFrame}`);
      if (this.#pending.length < lengthBytes + length) break;
      requests.push(decodeRequest(this.#pending.subarray(lengthBytes, lengthBytes + length)));
      this.#pending = this.#pending.subarray(lengthBytes + length);
    }
    return requests;
  }
}

/** A request without its length. @throws FrameError */
export function decodeRequest(rest: Buffer): Request {
  if (rest.length < headBytes) throw new FrameError(`request of ${rest.length} bytes`);
  const messages: I2cMessage[] = [];
  let offset = headBytes;
  let readLength = 0;
  for (let left = rest.readUInt8(4); left > 0; left--) {
    if (rest.length < offset + messageHeadBytes)
      throw new FrameError('request ends in the head of a message');
    const flags = rest.readUInt8(offset);
    const length = rest.readUInt16LE(offset + 1);
    offset += messageHeadBytes;
    if ((flags & ~readFlag) !== 0) throw new FrameError(`message with flags 0x${flags.toString(16)}`);
    if (flags === readFlag) {
      messages.push({ isRead: true, length });
      readLength += length;
      continue;
    }
    if (rest.length < offset + length) throw new FrameError('request ends in the bytes of a message');
    messages.push({ isRead: false, bytes: Uint8Array.from(rest.subarray(offset, offset + length)) });
    offset += length;
  }
  if (messages.length === 0) throw new FrameError('request without a message');
  if (offset !== rest.length) throw new FrameError(`${rest.length - offset} bytes after the last message`);
  if (readLength > longestFrame) throw new FrameError(`${readLength} bytes to read, at most ${longestFrame}`);
  return { bus: rest.readUInt16LE(0), address: rest.readUInt16LE(2), messages };
}

/** The reply to a request. */
export function encodeReply(result: BusResult): Buffer {
  const bytes = 'bytes' in result ? result.bytes : new Uint8Array();
  const frame = Buffer.alloc(lengthBytes + 4 + bytes.length);
  frame.writeUInt32LE(4 + bytes.length, 0);
  frame.writeInt32LE('bytes' in result ? 0 : result.errno, lengthBytes);
  frame.set(bytes, lengthBytes + 4);
  return frame;
}
