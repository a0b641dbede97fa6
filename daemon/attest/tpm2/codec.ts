/** Structures as values: what a structure looks like is said once, and reading, writing and its type follow from it. */
import { Reader, TpmFormatError, Writer } from './wire.ts';

/** Reads and writes one kind of value; `write` gives the bytes that `read` takes. */
export interface Codec<Value> {
  /** @throws TpmFormatError */
  read(reader: Reader): Value;
  /** @throws RangeError when a number or a length does not fit */
  write(writer: Writer, value: Value): void;
  /** True for a TPM2B: as first parameter it can be encrypted (Part 1, section 21.1). */
  readonly isBuffer?: true;
}

/** The type of what a codec reads. */
export type ValueOf<Kind> = Kind extends Codec<infer Value> ? Value : never;

/** UINT8 / BYTE. */
export const u8: Codec<number> = {
  read: (reader) => reader.u8(),
  write: (writer, value) => writer.u8(value),
};

/** UINT16. */
export const u16: Codec<number> = {
  read: (reader) => reader.u16(),
  write: (writer, value) => writer.u16(value),
};

/** UINT32. */
export const u32: Codec<number> = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(value),
};

/** INT32. */
export const i32: Codec<number> = {
  read: (reader) => reader.i32(),
  write: (writer, value) => writer.i32(value),
};

/** UINT64. */
export const u64: Codec<bigint> = {
  read: (reader) => reader.u64(),
  write: (writer, value) => writer.u64(value),
};

/** TPMI_YES_NO: 0 or 1 (Part 2, section 9.2). */
export const yesNo: Codec<boolean> = {
  read(reader) {
    const value = reader.u8();
    if (value > 1) throw new TpmFormatError(`expected 0 or 1, not ${value}`);
    return value === 1;
  },
  write: (writer, value) => writer.u8(value ? 1 : 0),
};

/** A TPM2B: a 16-bit length and so many bytes, at most `mostBytes`. */
export function buffer(what: string, mostBytes: number): Codec<Uint8Array> {
  return {
    isBuffer: true,
    read(reader) {
      const length = reader.u16();
      if (length > mostBytes)
        throw new TpmFormatError(`${what}: ${length} bytes, at most ${mostBytes} are allowed`);
      return reader.bytes(length);
    },
    write(writer, value) {
      if (value.length > mostBytes)
        throw new RangeError(`${what}: ${value.length} bytes, at most ${mostBytes} are allowed`);
      writer.u16(value.length);
      writer.bytes(value);
    },
  };
}

/** A TPM2B around a structure, which fills it exactly. */
export function sized<Value>(what: string, inner: Codec<Value>): Codec<Value> {
  return {
    isBuffer: true,
    read(reader) {
      const part = reader.part(reader.u16());
      const value = inner.read(part);
      part.end(what);
      return value;
    },
    write(writer, value) {
      const bytes = encode(inner, value);
      writer.u16(bytes.length);
      writer.bytes(bytes);
    },
  };
}

/** A TPML: a 32-bit count and so many elements, `most` of them at most. */
export function list<Value>(what: string, element: Codec<Value>, most: number): Codec<readonly Value[]> {
  return {
    read(reader) {
      const count = reader.u32();
      if (count > most) throw new TpmFormatError(`${what}: ${count} elements, at most ${most} are allowed`);
      return Array.from({ length: count }, () => element.read(reader));
    },
    write(writer, values) {
      if (values.length > most)
        throw new RangeError(`${what}: ${values.length} elements, at most ${most} are allowed`);
      writer.u32(values.length);
      for (const value of values) element.write(writer, value);
    },
  };
}

/** The value of a structure whose fields are these. */
export type StructOf<Fields extends Readonly<Record<string, Codec<unknown>>>> = {
  readonly [Name in keyof Fields]: ValueOf<Fields[Name]>;
};

/** A structure: its fields in the order of the specification. */
export function struct<const Fields extends Readonly<Record<string, Codec<unknown>>>>(
  fields: Fields,
): Codec<StructOf<Fields>> {
  const entries = Object.entries(fields);
  return {
    read: (reader) =>
      Object.fromEntries(entries.map(([name, codec]) => [name, codec.read(reader)])) as StructOf<Fields>,
    write(writer, value) {
      for (const [name, codec] of entries) codec.write(writer, value[name]);
    },
  };
}

/** The bytes of a value. */
export function encode<Value>(codec: Codec<Value>, value: Value): Buffer {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.done();
}

/**
 * The value of bytes that hold it and nothing else; `what` names it in the error.
 * @throws TpmFormatError
 */
export function decode<Value>(what: string, codec: Codec<Value>, bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  try {
    const value = codec.read(reader);
    reader.end('the structure');
    return value;
  } catch (problem) {
    if (!(problem instanceof TpmFormatError)) throw problem;
    throw new TpmFormatError(`${what}: ${problem.message}`, { cause: problem });
  }
}
