import fc from 'fast-check';
import { generate } from 'mqtt-packet';
import t from 'tap';
import { FrameGuard } from '../../../daemon/bridge/wire/framing.ts';

/** One packet: type byte, Remaining Length, body. */
function packet(bodyBytes: number): Buffer {
  const length: number[] = [];
  let left = bodyBytes;
  do {
    length.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from([0x30, ...length]), Buffer.alloc(bodyBytes, 0xff)]);
}

t.test('any split of packets within the limit passes, and is counted', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 }),
      (sizes, cuts) => {
        const stream = Buffer.concat(sizes.map(packet));
        const guard = new FrameGuard(() => 3000);
        for (let at = 0, cut = 0; at < stream.length; cut += 1) {
          const step = cuts[cut % cuts.length] ?? 1;
          if (guard.check(stream.subarray(at, at + step)) !== null) return false;
          at += step;
        }
        return guard.packets === sizes.length;
      },
    ),
  );
});

t.test('one byte over the limit is refused on its header alone, however it is split', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 28 - 2 }), fc.boolean(), (limit, isSplit) => {
      const header = packet(Math.min(limit + 1, 300_000)).subarray(0, 5);
      const guard = new FrameGuard(() => Math.min(limit, 299_999));
      const chunks = isSplit ? [...header].map((byte) => Buffer.from([byte])) : [header];
      return chunks.some((chunk) => guard.check(chunk) !== null);
    }),
  );
});

t.test('a fifth length byte is refused', async (t) => {
  const guard = new FrameGuard(() => Number.MAX_SAFE_INTEGER);
  t.match(guard.check(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80])), /malformed/);
});

t.test('the limit may change between packets', async (t) => {
  let limit = 10;
  const guard = new FrameGuard(() => limit);
  t.equal(guard.check(packet(10)), null);
  t.match(guard.check(packet(11)), /11 bytes or more, at most 10/);
  limit = 20;
  t.equal(new FrameGuard(() => limit).check(packet(11)), null);
});

t.test('what a real encoder writes is framed as it says', async (t) => {
  const guard = new FrameGuard(() => 2048);
  const stream = Buffer.concat([
    generate({ cmd: 'connect', protocolId: 'MQTT', clientId: 'desk', keepalive: 15, clean: true }),
    generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] }),
    generate({ cmd: 'pingreq' }),
    generate({
      cmd: 'publish',
      topic: 'a',
      payload: 'x'.repeat(900),
      qos: 1,
      messageId: 2,
      dup: false,
      retain: false,
    }),
  ]);
  t.equal(guard.check(stream), null);
  t.equal(guard.packets, 4);
});
