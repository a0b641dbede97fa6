import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { raspberryEnvironment } from '../../../image/boot/boot-script.ts';
import { builtInEnvironment, decodeEnvironment, encodeEnvironment } from '../../../image/boot/environment.ts';

const names = fc.stringMatching(/^[a-z_0-9]{1,12}$/);
const values = fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => !value.includes('\0'));
const environments = fc.uniqueArray(fc.tuple(names, values), { maxLength: 8, selector: ([name]) => name });

t.test('what is written is read again', async () => {
  fc.assert(
    fc.property(environments, fc.integer({ min: 0, max: 64 }), (pairs, more) => {
      const variables = new Map(pairs);
      const block = encodeEnvironment(variables, 1024 + more);
      const read = decodeEnvironment(block);
      return block.length === 1024 + more && JSON.stringify([...(read ?? [])]) === JSON.stringify(pairs);
    }),
  );
});

t.test('the form is that of U-Boot', async (t) => {
  const block = encodeEnvironment(
    new Map([
      ['good', 'a'],
      ['left', '3'],
    ]),
    24,
  );
  t.equal(block.subarray(4).toString('latin1'), 'good=a\0left=3\0\0\0\0\0\0\0');
  t.equal(block.readUInt32LE(), crc32(block.subarray(4)));
});

t.test('any other block is none, or is read to its end', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const data = Buffer.from(bytes);
      decodeEnvironment(data);
      const block = Buffer.concat([Buffer.alloc(4), data, Buffer.alloc(1)]);
      block.writeUInt32LE(crc32(block.subarray(4)));
      return decodeEnvironment(block) !== null;
    }),
  );
  fc.assert(
    fc.property(environments, fc.nat(4095), fc.integer({ min: 1, max: 255 }), (pairs, at, change) => {
      const block = encodeEnvironment(new Map(pairs), 512);
      block[at % 512] = (block[at % 512] ?? 0) ^ change;
      return decodeEnvironment(block) === null;
    }),
  );
});

t.test('what does not fit is refused', async (t) => {
  t.throws(() => encodeEnvironment(new Map([['name', 'x'.repeat(60)]]), 64), RangeError);
  t.throws(() => encodeEnvironment(new Map([['na=me', 'x']]), 64), /na=me/);
  t.throws(() => encodeEnvironment(new Map([['name', 'x\0y']]), 64), RangeError);
});

const program = Buffer.from(
  '\0code\0bootcmd=bootflow scan\0bootdelay=2\0preboot=usb start\0boot_targets=mmc usb\0\0more=1\0',
);

t.test('the environment that is built in', async (t) => {
  t.same(
    [...builtInEnvironment(program)],
    [
      ['bootcmd', 'bootflow scan'],
      ['bootdelay', '2'],
      ['preboot', 'usb start'],
      ['boot_targets', 'mmc usb'],
    ],
  );
  t.throws(() => builtInEnvironment(Buffer.from('nothing')), /no built-in environment/);
});

t.test('uboot.env of the Raspberry Pi has all that was built in, and nothing waits', async (t) => {
  const block = raspberryEnvironment(program);
  t.equal(block.length, 0x4000);
  t.same(Object.fromEntries(decodeEnvironment(block) ?? []), {
    bootcmd: 'bootflow scan',
    bootdelay: '-2',
    boot_targets: 'mmc',
  });
});
