import fc from 'fast-check';
import t from 'tap';
import { Reader, TpmFormatError, Writer } from '../../../daemon/attest/tpm2/wire.ts';

t.test('numbers are big-endian', async (t) => {
  const writer = new Writer();
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0xf4050607);
  writer.i32(-2);
  writer.u64(0x08090a0b0c0d0e0fn);
  writer.bytes(Buffer.of(0xaa));
  const bytes = writer.done();
  t.equal(bytes.toString('hex'), '010203f4050607fffffffe08090a0b0c0d0e0faa');
  const reader = new Reader(bytes);
  t.equal(reader.u8(), 0x01);
  t.equal(reader.u16(), 0x0203);
  t.equal(reader.u32(), 0xf4050607);
  t.equal(reader.i32(), -2);
  t.equal(reader.u64(), 0x08090a0b0c0d0e0fn);
  t.equal(reader.left, 1);
  t.throws(() => reader.end('it'), new TpmFormatError('it: 1 bytes too many'));
  t.same(reader.bytes(1), Buffer.of(0xaa));
  reader.end('it');
});

t.test('nothing is read past the end, though the memory goes on', async (t) => {
  const memory = Buffer.alloc(32, 0xee);
  const reads: Readonly<Record<string, (reader: Reader) => unknown>> = {
    u8: (reader) => reader.u8(),
    u16: (reader) => reader.u16(),
    u32: (reader) => reader.u32(),
    i32: (reader) => reader.i32(),
    u64: (reader) => reader.u64(),
    bytes: (reader) => reader.bytes(9),
    part: (reader) => reader.part(9),
  };
  const sizes = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, bytes: 9, part: 9 };
  for (const [name, size] of Object.entries(sizes)) {
    const reader = new Reader(memory.subarray(4, 4 + size - 1));
    t.throws(() => reads[name]!(reader), TpmFormatError, name);
    t.equal(reader.left, size - 1, 'a refused read takes nothing');
    reads[name]!(new Reader(memory.subarray(4, 4 + size)));
  }
});

t.test('a part ends where it ends', async (t) => {
  const reader = new Reader(Buffer.from('0102030405', 'hex'));
  const part = reader.part(2);
  t.equal(part.u8(), 1);
  t.throws(() => part.u16(), TpmFormatError);
  t.equal(reader.u8(), 3, 'the whole goes on behind it');
});

t.test('what was read is a copy', async (t) => {
  const memory = Buffer.from('0102', 'hex');
  const read = new Reader(memory).bytes(2);
  memory.fill(0);
  t.same(read, Buffer.of(1, 2));
});

t.test('what was written is a copy', async (t) => {
  const memory = Buffer.from('0102', 'hex');
  const writer = new Writer();
  writer.bytes(memory);
  memory.fill(0);
  t.same(writer.done(), Buffer.of(1, 2));
});

t.test('numbers that do not fit are mistakes of the caller', async (t) => {
  t.throws(() => new Writer().u8(256), RangeError);
  t.throws(() => new Writer().u16(-1), RangeError);
  t.throws(() => new Writer().u32(2 ** 32), RangeError);
  t.throws(() => new Writer().i32(2 ** 31), RangeError);
  t.throws(() => new Writer().u64(1n << 64n), RangeError);
});

t.test('any bytes are read in pieces of any size, and no further', async () => {
  const view = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(view, fc.array(fc.nat(20), { maxLength: 10 }), (bytes, sizes) => {
      const reader = new Reader(bytes);
      let at = 0;
      for (const size of sizes) {
        if (size > bytes.length - at) {
          try {
            reader.bytes(size);
            return false;
          } catch (problem) {
            if (!(problem instanceof TpmFormatError)) throw problem;
          }
        } else {
          if (!reader.bytes(size).equals(bytes.subarray(at, at + size))) return false;
          at += size;
        }
        if (reader.left !== bytes.length - at) return false;
      }
      return true;
    }),
  );
});
