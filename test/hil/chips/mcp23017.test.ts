import t from 'tap';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import { ProtocolError } from '../../../hil/sim/chips/model.ts';

function bench() {
  let isHigh = false;
  // Floating pins read as the other level each time.
  const chip = new Mcp23017Model(() => {
    isHigh = !isHigh;
    return isHigh ? 0 : 1;
  });
  chip.reset();
  const write = (...bytes: number[]) => {
    chip.transfer([{ isRead: false, bytes: Uint8Array.from(bytes) }], 0);
  };
  const read = (register: number, length = 1) => {
    const [bytes] = chip.transfer(
      [
        { isRead: false, bytes: Uint8Array.of(register) },
        { isRead: true, length },
      ],
      0,
    );
    return [...(bytes ?? [])];
  };
  const next = (length: number) => [...(chip.transfer([{ isRead: true, length }], 0)[0] ?? [])];
  return { chip, write, read, next };
}

t.test('registers after power-on, in both banks', async (t) => {
  const { write, read } = bench();
  t.same(read(0, 22).slice(0, 18), [0xff, 0xff, ...new Array(16).fill(0)]);
  write(0x04, 0x11, 0x22);
  write(0x0a, 0x80);
  t.same(read(0x02, 1), [0x11]);
  t.same(read(0x12, 1), [0x22]);
  t.same(read(0x05, 1), [0x80]);
  t.same(read(0x15, 1), [0x80]);
  t.throws(() => read(0x0b), ProtocolError);
  t.throws(() => read(0x1b), ProtocolError);
  write(0x05, 0x00);
  t.throws(() => read(0x16), ProtocolError);
});

t.test('the pointer: on and around, toggling, standing', async (t) => {
  const { write, read, next } = bench();
  write(0x06, 1, 2, 3);
  t.same(read(0x06, 3), [1, 2, 3]);
  t.same(read(0x14, 4), [0, 0, 0xff, 0xff], 'around');
  t.same(next(1), [0], 'a read without a register goes on where the last one ended');
  write(0x0a, 0x20);
  write(0x06, 7, 8, 9);
  t.same(read(0x06, 4), [9, 8, 9, 8]);
  t.same(read(0x07, 2), [8, 9]);
  write(0x0a, 0xa0);
  t.same(read(0x03, 3), [9, 9, 9]);
  write(0x05, 0x80);
  t.same(read(0x0a, 2), [0, 0xff], 'in bank 1 from OLATA to IODIRB');
  t.same(read(0x1a, 2), [0, 0xff], 'from OLATB to IODIRA');
});

t.test('levels: driven, pulled up, output, floating, turned around', async (t) => {
  const { chip, write, read } = bench();
  t.same(read(0x12, 2), [0x55, 0x55], 'without pull-ups they float');
  write(0x0c, 0xff, 0xff);
  t.same(read(0x12, 2), [0xff, 0xff]);
  chip.press(0);
  chip.drive(15, 'low');
  t.same(read(0x12, 2), [0xfe, 0x7f]);
  chip.drive(15, 'high');
  write(0x02, 0x0f, 0x00);
  t.same(read(0x12, 2), [0xf1, 0xff]);
  write(0x00, 0xff, 0xf0);
  write(0x13, 0x0a);
  t.same(read(0x13, 3), [0xfa, 0x00, 0x0a], 'outputs read what is in OLAT');
  t.throws(() => chip.press(16), RangeError);
});

t.test('interrupt on change: the first one is latched until GPIO or INTCAP is read', async (t) => {
  const { chip, write, read } = bench();
  write(0x0c, 0xff, 0xff);
  write(0x04, 0x03, 0x00);
  chip.press(2);
  t.notOk(chip.interruptIsLow);
  t.same(read(0x0e), [0], 'not enabled for that pin');
  write(0x0a, 0x04);
  t.notOk(chip.interruptIsLow);
  chip.press(0);
  t.ok(chip.interruptIsLow);
  chip.press(1);
  chip.release(0);
  t.same(read(0x0e), [0x01], 'INTF is the first');
  t.ok(chip.interruptIsLow, 'and clears nothing');
  t.same(read(0x10), [0xfa], 'INTCAP is the port at that time');
  t.notOk(chip.interruptIsLow, 'and clears it');
  t.same(read(0x0e), [0]);
  chip.release(1);
  t.ok(chip.interruptIsLow);
  t.same(read(0x12), [0xfb]);
  t.notOk(chip.interruptIsLow, 'so does GPIO');
});

t.test('interrupt against DEFVAL lasts as long as the pin differs', async (t) => {
  const { chip, write, read } = bench();
  write(0x0a, 0x04);
  write(0x0c, 0xff, 0xff);
  write(0x06, 0xff, 0xff);
  write(0x08, 0xff, 0xff);
  write(0x04, 0xff, 0xff);
  chip.press(0);
  read(0x12);
  t.ok(chip.interruptIsLow);
  chip.release(0);
  read(0x12);
  t.notOk(chip.interruptIsLow);
});

t.test('INTA: both ports only when mirrored, active high only when driven', async (t) => {
  const { chip, write, read } = bench();
  const wire: boolean[] = [];
  write(0x0c, 0xff, 0xff);
  write(0x0a, 0x04);
  write(0x04, 0xff, 0xff);
  chip.onInterrupt = (isLow) => wire.push(isLow);
  chip.press(8);
  t.notOk(chip.interruptIsLow);
  write(0x0a, 0x44);
  t.ok(chip.interruptIsLow);
  write(0x0a, 0x42);
  t.notOk(chip.interruptIsLow, 'active high');
  write(0x0a, 0x46);
  t.ok(chip.interruptIsLow, 'open drain goes before');
  read(0x13);
  t.same(wire, [true, false, true, false]);
  chip.press(9);
  chip.reset();
  t.notOk(chip.interruptIsLow, 'without power it lets go');
});

t.test('what the part would not take', async (t) => {
  const { write } = bench();
  t.throws(() => write(0x0e, 1), ProtocolError);
  t.throws(() => write(0x11, 1), ProtocolError);
  t.throws(() => write(0x20, 1), ProtocolError);
  t.doesNotThrow(() => write(), 'a scan');
});
