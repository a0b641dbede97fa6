import t, { type Test } from 'tap';
import {
  buffer,
  type Codec,
  decode,
  encode,
  i32,
  list,
  sized,
  struct,
  u8,
  u16,
  u32,
  u64,
  yesNo,
} from '../../../daemon/attest/tpm2/codec.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { hex } from './vectors.ts';

const both = <Value>(t: Test, codec: Codec<Value>, value: Value, bytes: string) => {
  t.equal(encode(codec, value).toString('hex'), bytes);
  t.same(decode('it', codec, hex(bytes)), value);
};

t.test('numbers and claims', async (t) => {
  both(t, u8, 7, '07');
  both(t, u16, 0x102, '0102');
  both(t, u32, 0x80000001, '80000001');
  both(t, i32, -1, 'ffffffff');
  both(t, u64, 1n << 63n, '8000000000000000');
  both(t, yesNo, true, '01');
  both(t, yesNo, false, '00');
  t.throws(() => decode('it', yesNo, hex('02')), new TpmFormatError('it: expected 0 or 1, not 2'));
});

t.test('buffers', async (t) => {
  const codec = buffer('TPM2B_TEST', 3);
  both(t, codec, hex('aabbcc'), '0003aabbcc');
  both(t, codec, hex(''), '0000');
  t.equal(codec.isBuffer, true);
  t.throws(() => encode(codec, hex('aabbccdd')), RangeError);
  t.throws(
    () => decode('it', codec, hex('0004aabbccdd')),
    new TpmFormatError('it: TPM2B_TEST: 4 bytes, at most 3 are allowed'),
  );
  t.throws(() => decode('it', codec, hex('0003aabb')), TpmFormatError, 'longer than what is left');
  t.throws(() => decode('it', codec, hex('0001aabb')), TpmFormatError, 'something is left');
});

t.test('structures in buffers', async (t) => {
  const codec = sized('TPM2B_INNER', struct({ first: u8, second: u16 }));
  both(t, codec, { first: 1, second: 2 }, '0003010002');
  t.equal(codec.isBuffer, true);
  t.throws(() => decode('it', codec, hex('00020100')), TpmFormatError, 'the container is too short');
  t.throws(
    () => decode('it', codec, hex('000401000200')),
    new TpmFormatError('it: TPM2B_INNER: 1 bytes too many'),
  );
  t.throws(
    () => decode('it', codec, hex('0002010002')),
    TpmFormatError,
    'the structure must not reach beyond its container',
  );
});

t.test('lists', async (t) => {
  const codec = list('TPML_TEST', u16, 2);
  both(t, codec, [1, 2], '0000000200010002');
  both(t, codec, [], '00000000');
  t.throws(() => encode(codec, [1, 2, 3]), RangeError);
  t.throws(
    () => decode('it', codec, hex('ffffffff')),
    new TpmFormatError('it: TPML_TEST: 4294967295 elements, at most 2 are allowed'),
  );
  t.throws(() => decode('it', codec, hex('000000020001')), TpmFormatError);
});

t.test('structures keep the order in which they were written down', async (t) => {
  const codec = struct({ b: u8, a: u16 });
  both(t, codec, { a: 0x0203, b: 1 }, '010203');
  both(t, struct({}), {}, '');
  t.equal(codec.isBuffer, undefined);
});

t.test('an error names the structure, and other errors pass as they are', async (t) => {
  t.throws(
    () => decode('TPM2_Thing', u32, hex('00')),
    new TpmFormatError('TPM2_Thing: expected 4 bytes at offset 0, 1 are left'),
  );
  const own = new Error('a mistake in a codec');
  const broken: Codec<number> = {
    read: () => {
      throw own;
    },
    write: () => {},
  };
  t.throws(() => decode('it', broken, hex('00')), own);
});
