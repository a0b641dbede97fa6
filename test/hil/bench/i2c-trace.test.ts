/** Transfers out of the two lines of a bus, as the sniffer records them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { I2cTrace, type TraceTransfer } from '../../../hil/bench/i2c-trace.ts';
import { recordsOf, type Sent } from './waveform.ts';

const bytes = fc.array(fc.nat(255), { maxLength: 12 });
const message: fc.Arbitrary<Sent> = fc.record(
  { address: fc.nat(0x7f), isRead: fc.boolean(), bytes, isAcknowledged: fc.boolean() },
  { noNullPrototype: true },
);
const transfers = fc.array(fc.array(message, { minLength: 1, maxLength: 3 }), { maxLength: 6 });

/** What should be seen of what was sent. */
function seenOf(sent: readonly (readonly Sent[])[]): TraceTransfer[] {
  return sent
    .map((messages) =>
      messages
        .filter(({ isAcknowledged }) => isAcknowledged)
        .map(({ address, isRead, bytes }) => ({ address, isRead, bytes: [...bytes] })),
    )
    .filter((messages) => messages.length > 0);
}

t.test('a write, by hand', async (t) => {
  // START, 0x70 W: 1110000 0, ACK (low), 0x21, ACK, STOP: SCL above SDA.
  const bits = (text: string) => [...text].flatMap((bit) => [`0${bit}`, `1${bit}`, `0${bit}`]);
  const states = ['11', '10', '00', ...bits('111000000'), ...bits('001000010'), '00', '10', '11'];
  while (states.length % 16 !== 0) states.push('11');
  const words = (states.join('').match(/.{32}/g) ?? []).map((word) => Number.parseInt(word, 2));
  const records = new Uint8Array(Uint32Array.from(words).buffer);
  t.same(new I2cTrace().push(records), [[{ address: 0x70, isRead: false, bytes: [0x21] }]]);
});

t.test('all that was sent is seen, in any pieces, with and without repeats', async () => {
  fc.assert(
    fc.property(transfers, fc.integer({ min: 1, max: 9 }), fc.nat(3), (sent, size, repeats) => {
      const records = recordsOf(sent, repeats);
      const trace = new I2cTrace();
      const seen: TraceTransfer[] = [];
      for (let at = 0; at < records.length; at += size)
        seen.push(...trace.push(records.subarray(at, at + size)));
      assert.deepEqual(seen, seenOf(sent));
    }),
  );
});

t.test('a byte that is not acknowledged does not count, and nothing before a START', async (t) => {
  const trace = new I2cTrace();
  const one = { address: 0x48, isRead: false, bytes: [1, 2, 3], isAcknowledged: true };
  const records = recordsOf([[one]], 0);
  trace.push(recordsOf([[{ ...one, bytes: Array(200).fill(0xa5) }]], 0).subarray(0, 200));
  trace.reset();
  t.same(trace.push(records), seenOf([[one]]), 'after a loss');
  const middle = new I2cTrace();
  const whole = recordsOf([[one], [one]], 0);
  t.same(middle.push(whole.subarray(12)).at(-1), seenOf([[one]])[0], 'begun in the middle');
});

t.test('any bytes do no harm', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (pieces) => {
      const trace = new I2cTrace();
      for (const piece of pieces)
        for (const transfer of trace.push(piece))
          for (const { address, bytes } of transfer) {
            assert.ok(address >= 0 && address <= 0x7f);
            assert.ok(bytes.every((byte) => byte >= 0 && byte <= 0xff));
          }
    }),
  );
});

t.test('a transfer without an end does not fill the memory', async (t) => {
  const trace = new I2cTrace();
  const endless = { address: 1, isRead: false, bytes: Array(5000).fill(0), isAcknowledged: true };
  const one = { address: 0x48, isRead: false, bytes: [1], isAcknowledged: true };
  t.same(trace.push(recordsOf([[endless], [one]], 0)), seenOf([[one]]));
});
