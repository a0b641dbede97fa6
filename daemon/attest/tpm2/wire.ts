/** Bounded reading and writing of what goes over a TPM's wire: big-endian, nothing aligned (TPM 2.0 Part 1, section 27.1). */

/** Bytes are not what the TPM 2.0 Library Specification says they should be. */
export class TpmFormatError extends Error {
  override readonly name = 'TpmFormatError';
}

/** Reads a buffer from its start; every read past the end throws TpmFormatError. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  /** A copy of the next bytes: what was read stays as it was when the buffer is used again. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return Buffer.from(this.#bytes.subarray(start, start + length));
  }

  /** A reader of the next bytes alone. */
  part(length: number): Reader {
    const start = this.#take(length);
    return new Reader(this.#bytes.subarray(start, start + length));
  }

  /** @throws TpmFormatError when something is left, which no structure of the specification allows */
  end(what: string): void {
    if (this.left > 0) throw new TpmFormatError(`${what}: ${this.left} bytes too many`);
  }

  #take(length: number): number {
    if (length > this.left)
      throw new TpmFormatError(`expected ${length} bytes at offset ${this.#at}, ${this.left} are left`);
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

/** Collects bytes; numbers out of range throw RangeError, they are mistakes of the caller. */
export class Writer {
  readonly #parts: Buffer[] = [];

  u8(value: number): void {
    const part = Buffer.alloc(1);
    part.writeUInt8(value);
    this.#parts.push(part);
  }

  u16(value: number): void {
    const part = Buffer.alloc(2);
    part.writeUInt16BE(value);
    this.#parts.push(part);
  }

  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    this.#parts.push(part);
  }

  i32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    this.#parts.push(part);
  }

  u64(value: bigint): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(value);
    this.#parts.push(part);
  }

  bytes(value: Uint8Array): void {
    this.#parts.push(Buffer.from(value));
  }

  /** All that was written. */
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
