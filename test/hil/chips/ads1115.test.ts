import t from 'tap';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { ProtocolError } from '../../../hil/sim/chips/model.ts';

/** A model whose transfers are as short as a test wants them. */
function bench() {
  const chip = new Ads1115Model();
  chip.reset();
  const read = (register: number, at: number) => {
    const [bytes] = chip.transfer(
      [
        { isRead: false, bytes: Uint8Array.of(register) },
        { isRead: true, length: 2 },
      ],
      at,
    );
    return Buffer.from(bytes ?? []).readUInt16BE();
  };
  const write = (at: number, ...bytes: number[]) =>
    chip.transfer([{ isRead: false, bytes: Uint8Array.from(bytes) }], at);
  return { chip, read, write };
}

t.test('registers after power-on', async (t) => {
  const { chip, read, write } = bench();
  t.same(
    [0, 1, 2, 3].map((register) => read(register, 0)),
    [0, 0x8583, 0x8000, 0x7fff],
  );
  write(0, 2, 0x12, 0x34);
  t.equal(read(2, 0), 0x1234);
  chip.reset();
  t.equal(read(2, 0), 0x8000);
  t.same(chip.transfer([{ isRead: true, length: 2 }], 0), [Uint8Array.of(0x80, 0)], 'the pointer is kept');
});

t.test('a conversion takes its time, and until then the old one is read', async (t) => {
  const { chip, read, write } = bench();
  chip.setVolts(0, 2.048);
  write(0, 1, 0xc3, 0xe3);
  t.equal(read(1, 1.39), 0x43e3, 'busy');
  t.equal(read(0, 1.39), 0);
  t.equal(read(1, 1.41), 0xc3e3);
  t.equal(read(0, 1.41), 0x4000);
  write(2, 1, 0x43, 0xe3);
  chip.setVolts(0, 0);
  t.equal(read(0, 100), 0x4000, 'without OS nothing starts');
});

t.test('a start is ignored while one is under way, which keeps its settings', async (t) => {
  const { chip, read, write } = bench();
  chip.setVolts(0, 1.024);
  chip.setVolts(1, 2.048);
  write(0, 1, 0xc3, 0x03);
  write(1, 1, 0xd3, 0xe3);
  t.equal(read(1, 10) & 0x8000, 0);
  t.equal(read(0, 139), 0x2000, 'input 0');
  t.equal(read(1, 139), 0xd3e3);
});

t.test('continuous mode reads as busy and follows the input', async (t) => {
  const { chip, read, write } = bench();
  write(0, 1, 0x42, 0xe3);
  chip.setVolts(0, 1.024);
  t.equal(read(0, 2), 0x2000);
  chip.setVolts(0, 2.048);
  t.equal(read(0, 4), 0x4000);
  t.equal(read(1, 5) & 0x8000, 0);
  write(6, 1, 0x43, 0xe3);
  t.equal(read(1, 9) & 0x8000, 0x8000, 'stopped after the last one');
});

t.test('gains clip, differences and voltages below ground are negative', async (t) => {
  const { chip, read, write } = bench();
  const convert = (config: number) => {
    write(0, 1, config >> 8, config & 0xff);
    const code = read(0, 200);
    return code;
  };
  chip.setVolts(0, 3);
  chip.setVolts(1, 3.5);
  t.equal(convert(0xc5e3), 0x7fff, '3 V of 2.048 V');
  t.equal(convert(0xc1e3), 0x3e80, '3 V of 6.144 V');
  t.equal(convert(0x85e3), 0xe0c0, '0 against 1');
  chip.setVolts(0, -0.1);
  t.equal(convert(0xcbe3), 0xce00);
  t.throws(() => chip.setVolts(4, 1), RangeError);
});

t.test('what the part would not take', async (t) => {
  const { chip, read, write } = bench();
  t.throws(() => read(4, 0), ProtocolError);
  t.throws(() => write(0, 1, 0xc3), ProtocolError);
  t.throws(() => write(0, 1, 0xc3, 0xe3, 0), ProtocolError);
  t.throws(() => write(0, 0, 0, 0), ProtocolError, 'the conversion is read-only');
  t.throws(() => chip.transfer([{ isRead: true, length: 3 }], 0), ProtocolError);
  t.same(write(0), [], 'a scan');
});
