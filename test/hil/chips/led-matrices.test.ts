/** The models of LED matrices refuse what the real parts would not take, and nothing makes them crash. */
import fc from 'fast-check';
import t from 'tap';
import { Ht16k33Model } from '../../../hil/sim/chips/ht16k33.ts';
import { Is31fl3731Model } from '../../../hil/sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../../../hil/sim/chips/is31fl3741.ts';
import { type I2cMessage, ProtocolError, type ShownLights } from '../../../hil/sim/chips/model.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';
import { type LightsModel, matrices } from '../../hw/chips/matrices.ts';

const write = (...bytes: number[]): I2cMessage => ({ isRead: false, bytes: Uint8Array.from(bytes) });
const read = (length: number): I2cMessage => ({ isRead: true, length });
const send = (model: LightsModel, ...writes: number[][]) => {
  for (const bytes of writes) model.transfer([write(...bytes)], 0);
};
const bytesAt = (model: LightsModel, register: number, length: number) => [
  ...(model.transfer([write(register), read(length)], 0)?.[0] ?? []),
];
const isDark = ({ rgb }: ShownLights) => rgb.every((byte) => byte === 0);
const fills = (length: number, value: number) => new Array<number>(length).fill(value);

t.test('any transfers: a protocol error or an answer of the right length', async () => {
  const register = fc.oneof(
    fc.constantFrom(0, 1, 0x0a, 0x21, 0x81, 0xfc, 0xfd, 0xfe, 0xf2),
    fc.nat({ max: 255 }),
  );
  const value = fc.oneof(fc.constantFrom(0, 1, 4, 0x0b, 0xc5), fc.nat({ max: 255 }));
  const message = fc.oneof(
    fc
      .tuple(register, fc.array(value, { maxLength: 200, size: 'medium' }))
      .map(([first, rest]): I2cMessage => write(first, ...rest)),
    fc.tuple(register, value).map(([first, second]): I2cMessage => write(first, second)),
    register.map((first): I2cMessage => write(first)),
    fc.constant<I2cMessage>(write()),
    fc.nat({ max: 40 }).map(read),
  );
  const transfers = fc.array(fc.array(message, { maxLength: 3 }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom(...matrices), transfers, (matrix, transfers) => {
      const model = matrix.model();
      for (const messages of transfers) {
        try {
          const reads = model.transfer(messages, 0) ?? [];
          const lengths = messages.flatMap((message) => (message.isRead ? [message.length] : []));
          if (String(reads.map(({ length }) => length)) !== String(lengths)) return false;
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
        const { width, height, rgb } = model.lights();
        if (rgb.length !== 3 * width * height) return false;
      }
      model.reset();
      return true;
    }),
    { numRuns: 400 },
  );
});

t.test('ht16k33: shows with oscillator and display on, the pointer goes round', async (t) => {
  const model = new Ht16k33Model('8x8');
  t.ok(isDark(model.lights()));
  send(model, [0x81]);
  t.ok(isDark(model.lights()), 'in standby');
  send(model, [0x21]);
  t.notOk(isDark(model.lights()), 'what the RAM held after power-up');
  send(model, [0x80]);
  t.ok(isDark(model.lights()));
  send(model, [0, ...fills(16, 0)], [0x0f, 1, 2, 3]);
  t.same(bytesAt(model, 0x0f, 3), [1, 2, 3]);
  t.same(bytesAt(model, 0x00, 3), [2, 3, 0]);
  t.same(bytesAt(model, 0x40, 6), fills(6, 0), 'no keys');
  for (const bytes of [[0x10], [0x41], [0x83], [0xd9], [0x21, 0x81]])
    t.throws(() => send(model, bytes), ProtocolError, `${bytes}`);
  t.throws(() => bytesAt(model, 0x41, 1), ProtocolError, 'key data from its middle');
});

t.test('is31fl3731: pages, ends of pages, shutdown, the frame that is shown', async (t) => {
  const model = new Is31fl3731Model();
  send(model, [0xfd, 3], [0, ...fills(18, 0xff)], [0x24, 255]);
  t.same(bytesAt(model, 0x24, 2), [255, 0]);
  send(model, [0xfd, 0x0b], [0x01, 3]);
  t.ok(isDark(model.lights()), 'shut down');
  send(model, [0x0a, 1]);
  t.same([...model.lights().rgb.subarray(0, 6)], [255, 255, 255, 0, 0, 0]);
  send(model, [0x01, 2]);
  t.ok(isDark(model.lights()), 'another frame');
  send(model, [0x01, 3], [0xfd, 3], [0, 0xfe]);
  t.ok(isDark(model.lights()), 'not enabled');
  send(model, [0, 0xff], [0x12, 1]);
  t.ok(isDark(model.lights()), 'left to blink');
  for (const bytes of [[0xfd, 8], [0xfd], [0xfd, 0, 0], [0xb3, 0, 0], [0xb4], [0xb4, 0]])
    t.throws(() => send(model, bytes), ProtocolError, `${bytes}`);
  t.throws(() => bytesAt(model, 0xb3, 2), ProtocolError);
  send(model, [0xfd, 0x0b]);
  for (const bytes of [
    [0x0d, 0],
    [0x00, ...fills(14, 0)],
    [0x01, 8],
    [0x07, 1],
    [0x00, 0x18],
    [0x0a, 2],
  ])
    t.throws(() => send(model, bytes), ProtocolError, `${bytes}`);
  send(model, [0xfd, 0], [0x56, 1], [0xfd, 0x0b]);
  const read = model.transfer([{ isRead: true, length: 1 }]);
  t.same(read, [Uint8Array.of(0)], 'a read alone, by which the part is looked for, wherever it was left');
});

t.test('is31fl3741: the lock, ends of pages, scaling and current, reset', async (t) => {
  const model = new Is31fl3741Model(0x31);
  t.same(bytesAt(model, 0xfc, 1), [0x62], 'without unlocking');
  t.throws(() => send(model, [0xfd, 4]), ProtocolError, 'locked');
  t.throws(() => send(model, [0, 1]), ProtocolError, 'no page');
  send(model, [0xfe, 0xc5], [0xfd, 4]);
  t.throws(() => send(model, [0xfd, 0]), ProtocolError, 'locked again');
  send(model, [0x00, 1], [0x01, 255], [0xfe, 0xc5], [0xfd, 0], [0x00, ...fills(180, 255)]);
  t.ok(isDark(model.lights()), 'no scaling');
  send(model, [0xfe, 0xc5], [0xfd, 2], [0x00, ...fills(180, 255)]);
  t.notOk(isDark(model.lights()));
  const [bright = 0] = model.lights().rgb.subarray(3 * 13);
  send(model, [0xfe, 0xc5], [0xfd, 4], [0x01, 50]);
  t.ok((model.lights().rgb[3 * 13] ?? 0) < bright, 'less current, less light');
  send(model, [0x01, 0]);
  t.ok(isDark(model.lights()), 'no current');
  for (const bytes of [
    [0x3f, 1],
    [0x02, 0],
    [0x00, 3],
    [0xfe, 0xc5, 0],
  ])
    t.throws(() => send(model, bytes), ProtocolError, `${bytes}`);
  send(model, [0xfe, 0xc5]);
  t.throws(() => send(model, [0xfd, 5]), ProtocolError, 'no such page');
  send(model, [0xfe, 0xc5], [0xfd, 1]);
  t.throws(() => send(model, [0x00, ...fills(172, 0)]), ProtocolError, '171 on the second page');
  send(model, [0xfe, 0xc5], [0xfd, 3]);
  t.throws(() => send(model, [0xab, 0]), ProtocolError);
  send(model, [0xfe, 0xc5], [0xfd, 0]);
  t.throws(() => send(model, [0xb3, 0, 0]), ProtocolError, '180 on the first');
  send(model, [0xfe, 0xc5], [0xfd, 4], [0x3f, 0xae]);
  t.throws(() => send(model, [0x00, 1]), ProtocolError, 'no page after a reset');
});

t.test('sense-hat: lengths and values, identity, keys and their line', async (t) => {
  const model = new SenseHatModel();
  t.notOk(isDark(model.lights()), 'its own picture after power-up');
  send(model, [0, ...fills(192, 0)]);
  t.ok(isDark(model.lights()));
  send(model, [24 * 7 + 16 + 7, 31]);
  t.same([...model.lights().rgb.subarray(-3)], [0, 0, 255]);
  t.same(bytesAt(model, 191, 2), [31, 0xff]);
  t.same(
    [0xf0, 0xf1, 0xf2, 0xf4].map((register) => bytesAt(model, register, 1)[0]),
    [0x73, 0, 0, 0xff],
  );
  for (const bytes of [
    [0, 32],
    [191, 0, 0],
    [192, 0],
    [0xf3, 0],
    [0xf2, 0],
    [0, ...fills(193, 0)],
  ])
    t.throws(() => send(model, bytes), ProtocolError, `${bytes.slice(0, 3)}`);
  const levels: boolean[] = [];
  model.onInterrupt = (isHigh) => levels.push(isHigh);
  model.key('up', true);
  model.key('up', true);
  model.key('left', true);
  t.ok(model.interruptIsHigh);
  t.same(bytesAt(model, 0xf2, 1), [0x14]);
  model.key('up', false);
  t.same(bytesAt(model, 0xf2, 1), [0x10]);
  t.same(levels, [true, false, true, false], 'reading lowers it');
});
