import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { type LoggedEvent, parseEventLog, replay } from '../../../hil/qemu/event-log.ts';

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** TCG PC Client Platform Firmware Profile 1.05, 10.2.1 and 10.4.5.1: SHA-1 and SHA-256, no vendor information. */
const header = ((): Buffer => {
  const data = Buffer.concat([
    ...[Buffer.from('Spec ID Event03\0', 'latin1'), u32(0), Buffer.from([0, 2, 0, 2]), u32(2)],
    ...[u16(0x0004), u16(20), u16(0x000b), u16(32), Buffer.from([0])],
  ]);
  return Buffer.concat([u32(0), u32(3), Buffer.alloc(20), u32(data.length), data]);
})();

const encode = ({ pcr, type, digest, data }: LoggedEvent): Buffer =>
  Buffer.concat([
    ...[u32(pcr), u32(type), u32(2), u16(0x0004), Buffer.alloc(20, 0xee), u16(0x000b), digest],
    ...[u32(data.length), data],
  ]);

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
const event: fc.Arbitrary<LoggedEvent> = fc.record(
  {
    pcr: fc.nat(23),
    type: fc.constantFrom(1, 3, 4, 6, 0x80000001),
    digest: bytes(32, 32),
    data: bytes(0, 40),
  },
  { noNullPrototype: true },
);

t.test('what was written is read back', async (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), (events) => {
      t.strictSame(parseEventLog(Buffer.concat([header, ...events.map(encode)])), events);
    }),
    { numRuns: 50 },
  );
});

t.test('a log that ends early, anywhere but between events, is an error', async (t) => {
  fc.assert(
    fc.property(event, event, fc.nat(), (one, other, seed) => {
      const whole = Buffer.concat([header, encode(one), encode(other)]);
      const ends = [header.length, header.length + encode(one).length];
      const length = seed % whole.length;
      if (!ends.includes(length)) t.throws(() => parseEventLog(whole.subarray(0, length)));
    }),
    { numRuns: 100 },
  );
});

t.test('random bytes are an error or a log, never a hang', async (t) => {
  fc.assert(
    fc.property(bytes(0, 200), (tail) => {
      try {
        parseEventLog(Buffer.concat([header, tail]));
      } catch (error) {
        t.match(error, { message: /\w/ });
      }
    }),
  );
});

t.test('registers are extended in order, and not by what says something about the log', async (t) => {
  const digest = Buffer.alloc(32, 1);
  const plain = { pcr: 9, type: 6, digest, data: Buffer.alloc(0) };
  const once = createHash('sha256').update(Buffer.alloc(32)).update(digest).digest();
  const twice = createHash('sha256').update(once).update(digest).digest('hex');
  t.same([...replay([plain, { ...plain, type: 3 }, plain])], [[9, twice]]);
});
