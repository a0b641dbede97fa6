import fc from 'fast-check';
import t from 'tap';
import * as uapi from '../../../daemon/hw/gpio/uapi.ts';

/** The words that are not 0, as a C program with <linux/gpio.h> printed them: offset and little-endian value. */
function wordsOf(bytes: Uint8Array): Record<number, number> {
  const view = new DataView(bytes.buffer);
  const words: Record<number, number> = {};
  for (let at = 0; at < bytes.length; at += 4) {
    if (view.getUint32(at, true) !== 0) words[at] = view.getUint32(at, true);
  }
  return words;
}

const fields = {
  lines: [17, 27, 22],
  bias: 'pull-up',
  isActiveLow: true,
  debounceUs: 5000,
  consumer: 'surfaced:encoder1',
} as const;

t.test('struct gpio_v2_line_request', async (t) => {
  const bytes = uapi.encodeLineRequest(fields);
  t.equal(bytes.length, 592);
  t.same(wordsOf(bytes), {
    0: 17,
    4: 27,
    8: 22,
    256: 0x66727573,
    260: 0x64656361,
    264: 0x636e653a,
    268: 0x7265646f,
    272: 0x31,
    288: 0x136,
    296: 1,
    320: 3,
    328: 5000,
    336: 7,
    560: 3,
    564: 1024,
  });
  const plain = { ...fields, isActiveLow: false, debounceUs: null };
  t.match(wordsOf(uapi.encodeLineRequest({ ...plain, bias: 'none' })), { 288: 0x434 });
  t.match(wordsOf(uapi.encodeLineRequest({ ...plain, bias: 'pull-down' })), { 288: 0x234 });
  t.equal(wordsOf(uapi.encodeLineRequest({ ...plain, bias: 'none' }))[296], undefined);
  const view = new DataView(bytes.buffer);
  view.setInt32(588, 42, true);
  t.equal(uapi.decodeLineDescriptor(bytes), 42);
});

t.test('all 64 lines, and a consumer that is too long', async (t) => {
  const lines = Array.from({ length: 64 }, (_, index) => index);
  const bytes = uapi.encodeLineRequest({ ...fields, lines, consumer: `${'x'.repeat(30)}é` });
  t.match(wordsOf(bytes), { 336: 0xffffffff, 340: 0xffffffff, 560: 64 });
  t.equal(
    Buffer.from(bytes.subarray(256, 288)).toString(),
    `${'x'.repeat(30)}\0\0`,
    'ends with 0, cut between letters',
  );
  t.same(Buffer.from(uapi.encodeValues(64)).toString('hex'), `${'00'.repeat(8)}${'ff'.repeat(8)}`);
});

t.test('struct gpiochip_info', async (t) => {
  t.equal(uapi.chipInfoRoom().length, 68);
  const hex =
    '6770696f6368697030000000000000000000000000000000000000000000000070696e6374726c2d62636d3237313100000000000000000000000000000000003a000000';
  t.same(uapi.decodeChipInfo(Buffer.from(hex, 'hex')), {
    name: 'gpiochip0',
    label: 'pinctrl-bcm2711',
    lineCount: 58,
  });
});

t.test('struct gpio_v2_line_info', async (t) => {
  const bytes = uapi.encodeLineInfo(17);
  t.equal(bytes.length, 256);
  t.same(wordsOf(bytes), { 64: 17 });
  t.equal(uapi.decodeConsumer(bytes), null, 'nobody has it');
  bytes[72] = 1;
  t.equal(uapi.decodeConsumer(bytes), '');
  bytes.set(Buffer.from('sysfs'), 32);
  t.equal(uapi.decodeConsumer(bytes), 'sysfs');
});

t.test('struct gpio_v2_line_values', async (t) => {
  const bytes = uapi.encodeValues(3);
  t.same(wordsOf(bytes), { 8: 7 });
  bytes[0] = 5;
  t.same(uapi.decodeValues(bytes, 3), [true, false, true]);
});

t.test('struct gpio_v2_line_event', async (t) => {
  const hex = `79df0d8648700000020000001b000000feffffff07000000${'00'.repeat(24)}`;
  t.same(uapi.decodeEvents(Buffer.from(hex, 'hex')), [
    { timestampNs: 123_456_789_012_345n, isHigh: false, line: 27, sequence: 0xfffffffe },
  ]);
});

t.test('numbers of ioctl', async (t) => {
  // _IOC(direction, 0xB4, number, size) of include/uapi/asm-generic/ioctl.h.
  const ioc = (direction: number, number: number, size: number) =>
    direction * 2 ** 30 + size * 2 ** 16 + 0xb4 * 2 ** 8 + number;
  t.same(uapi.gpioIoctl, {
    chipInfo: ioc(2, 1, 68),
    lineInfo: ioc(3, 5, 256),
    getLines: ioc(3, 7, 592),
    getValues: ioc(3, 14, 16),
  });
});

t.test('any bytes decode to something of the right shape', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const events = uapi.decodeEvents(bytes);
      return (
        events.length === Math.floor(bytes.length / 48) &&
        events.every(({ line, sequence }) => line >= 0 && sequence >= 0 && sequence < 2 ** 32)
      );
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (bytes) => {
      const { name, label } = uapi.decodeChipInfo(bytes);
      return (
        name.length <= 32 &&
        label.length <= 32 &&
        !label.includes('\0') &&
        (uapi.decodeConsumer(bytes)?.length ?? 0) <= 32
      );
    }),
  );
});

t.test('levels come back in the order of the request', async () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 64 }), (levels) => {
      const bytes = uapi.encodeValues(levels.length);
      const bits = levels.reduce((sum, isHigh, index) => (isHigh ? sum | (1n << BigInt(index)) : sum), 0n);
      new DataView(bytes.buffer).setBigUint64(0, bits, true);
      const decoded = uapi.decodeValues(bytes, levels.length);
      return decoded.every((isHigh, index) => isHigh === levels[index]);
    }),
  );
});
