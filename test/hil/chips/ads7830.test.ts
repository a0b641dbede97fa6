import t from 'tap';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import { ProtocolError } from '../../../hil/sim/chips/model.ts';

function bench() {
  const chip = new Ads7830Model(() => 0.25);
  chip.reset();
  const write = (...bytes: number[]) => ({ isRead: false, bytes: Uint8Array.from(bytes) }) as const;
  const read = (length = 1) => ({ isRead: true, length }) as const;
  const convert = (command: number, at = 0) => chip.transfer([write(command), read()], at)[0]?.[0];
  return { chip, write, read, convert };
}

t.test('every channel against ground', async (t) => {
  const { chip, convert } = bench();
  for (let channel = 0; channel < 8; channel++) chip.setVolts(channel, (3.3 * channel) / 7);
  const commands = [0x84, 0xc4, 0x94, 0xd4, 0xa4, 0xe4, 0xb4, 0xf4];
  t.same(
    commands.map((command) => convert(command)),
    [0, 36, 73, 109, 146, 182, 219, 255],
  );
  t.equal(convert(0x87), 0, 'the lowest bits do not matter');
});

t.test('differences, which are not below 0', async (t) => {
  const { chip, convert } = bench();
  chip.setVolts(2, 3.3);
  chip.setVolts(3, 1.65);
  t.equal(convert(0x14), 128);
  t.equal(convert(0x54), 0);
  t.throws(() => chip.setVolts(8, 1), RangeError);
});

t.test('the reference: of the board, of the part, none', async (t) => {
  const { chip, convert } = bench();
  chip.setVolts(0, 1.25);
  t.equal(convert(0x84), 97, '3.3 V');
  t.equal(convert(0x8c, 0), 64, 'chance: only now it is switched on');
  t.equal(convert(0x8c, 1), 64, 'not steady yet');
  t.equal(convert(0x8c, 2), 128, '2.5 V');
  convert(0x84, 3);
  t.equal(convert(0x8c, 4), 64, 'it was off in between');
  chip.referenceVolts = null;
  t.equal(convert(0x84, 5), 64, 'nothing is wired');
  chip.reset();
  t.equal(convert(0x8c, 9), 64, 'off after power-on');
});

t.test('what the part would not take', async (t) => {
  const { chip, write, read } = bench();
  t.throws(() => chip.transfer([read()], 0), ProtocolError, 'a read without a command');
  t.throws(() => chip.transfer([write(0x84, 0xc4)], 0), ProtocolError, 'two commands');
  chip.transfer([write(0x84)], 0);
  t.same(chip.transfer([read()], 0), [Uint8Array.of(0)], 'after a STOP is well');
  t.throws(() => chip.transfer([read()], 0), ProtocolError, 'once');
  t.same(chip.transfer([write(), read(0)], 0), [new Uint8Array()], 'scans');
});
