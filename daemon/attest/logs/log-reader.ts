/** Reads the little-endian fields and the lines of logs within bounds; every failure names the byte and the field. */
import type { SurfacedError } from '../../errors.ts';
import { logError } from './log.ts';

const newline = 0x0a;

/** A cursor over the bytes of a log. Gives views, never copies. */
export class LogReader {
  /** Next byte to be read, from the start of `bytes`. */
  at = 0;
  readonly #log: string;
  readonly #bytes: Buffer;
  readonly #base: number;

  /** `base`: where `bytes` begins in the whole log, for messages. */
  constructor(log: string, bytes: Buffer, base: number) {
    this.#log = log;
    this.#bytes = bytes;
    this.#base = base;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.at;
  }

  /** A failure at the next byte, or so many bytes before it. */
  error(field: string, what: string, before = 0): SurfacedError {
    return logError(this.#log, this.#base + this.at - before, field, what);
  }

  /** A reader of nothing but the last `length` bytes that were read. */
  back(length: number): LogReader {
    const start = this.at - length;
    return new LogReader(this.#log, this.#bytes.subarray(start, this.at), this.#base + start);
  }

  /** The bytes up to the next LF, which is passed over; with it at most `mostBytes`. */
  line(mostBytes: number, field: string): Buffer {
    const window = this.#bytes.subarray(this.at, this.at + mostBytes);
    const length = window.indexOf(newline);
    if (length < 0) throw this.error(field, `no end within ${window.length} bytes`);
    this.at += length + 1;
    return window.subarray(0, length);
  }

  u8(field: string): number {
    this.#need(1, field);
    const value = this.#bytes.readUInt8(this.at);
    this.at += 1;
    return value;
  }

  u16(field: string): number {
    this.#need(2, field);
    const value = this.#bytes.readUInt16LE(this.at);
    this.at += 2;
    return value;
  }

  u32(field: string): number {
    this.#need(4, field);
    const value = this.#bytes.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  /** The next `length` bytes. */
  take(length: number, field: string): Buffer {
    this.#need(length, field);
    const value = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** A 32-bit length of at most `mostBytes`, and so many bytes. */
  sized(mostBytes: number, field: string): Buffer {
    const length = this.u32(`size of ${field}`);
    if (length > mostBytes) throw this.error(field, `${length} bytes, at most ${mostBytes}`);
    return this.take(length, field);
  }

  /** Nothing may follow. */
  done(field: string): void {
    if (this.left > 0) throw this.error(field, `${this.left} bytes too many`);
  }

  #need(length: number, field: string): void {
    if (length > this.left) throw this.error(field, `${length} bytes, ${this.left} are left`);
  }
}
