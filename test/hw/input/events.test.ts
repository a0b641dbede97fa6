import fc from 'fast-check';
import t from 'tap';
import {
  decodeKeys,
  EventParser,
  inputEventBytes,
  inputIoctl,
  type Report,
} from '../../../daemon/hw/input/events.ts';
import { inputEvent } from './stream.ts';

const kept = (reports: readonly Report[]) =>
  reports.map((report) => report?.map(({ type, code, value }) => [type, code, value]) ?? 'dropped');

const report = inputEvent(0, 0, 0);
const dropped = inputEvent(0, 3, 0);

t.test('an event as the kernel writes it', async (t) => {
  // struct input_event of a C program: 1234.567890 s, EV_REL, REL_DIAL, -1.
  const long = 'd20400000000000052aa08000000000002000700ffffffff';
  const parser = new EventParser(24);
  t.same(parser.push(Buffer.concat([Buffer.from(long, 'hex'), report])), [
    [{ timestampNs: 1_234_567_890_000n, type: 2, code: 7, value: -1 }],
  ]);
  const short = new EventParser(16);
  const empty = '0'.repeat(32);
  t.same(short.push(Buffer.from(`d204000052aa080002000700ffffffff${empty}`, 'hex')), [
    [{ timestampNs: 1_234_567_890_000n, type: 2, code: 7, value: -1 }],
  ]);
  t.same(['x64', 'arm64', 'arm', 'ia32'].map(inputEventBytes), [24, 24, 16, 16]);
});

t.test('reports end with SYN_REPORT, empty ones say nothing', async (t) => {
  const parser = new EventParser(24);
  t.same(parser.push(Buffer.concat([report, inputEvent(1, 28, 1), inputEvent(4, 4, 9)])), []);
  t.same(kept(parser.push(Buffer.concat([report, report, inputEvent(2, 7, 1), report]))), [
    [
      [1, 28, 1],
      [4, 4, 9],
    ],
    [[2, 7, 1]],
  ]);
});

t.test('what is around SYN_DROPPED is dropped, up to the next report', async (t) => {
  const parser = new EventParser(24);
  const stream = [inputEvent(2, 7, 1), dropped, inputEvent(2, 7, 1), report, inputEvent(2, 7, -1), report];
  t.same(kept(parser.push(Buffer.concat(stream))), ['dropped', [[2, 7, -1]]]);
});

t.test('a report without an end is given up', async (t) => {
  const parser = new EventParser(24);
  const endless = Array.from({ length: 1025 }, () => inputEvent(2, 7, 1));
  t.same(kept(parser.push(Buffer.concat([...endless, report]))), ['dropped']);
});

t.test('numbers of ioctl and bits of keys', async (t) => {
  // _IOW('E', 0xa0, int), _IOW('E', 0x90, int) and _IOC(_IOC_READ, 'E', 0x18, 96).
  t.same(inputIoctl, {
    setClock: 2 ** 30 + 4 * 2 ** 16 + 0x45a0,
    grab: 2 ** 30 + 4 * 2 ** 16 + 0x4590,
    getKeys: 2 * 2 ** 30 + 96 * 2 ** 16 + 0x4518,
  });
  const bits = new Uint8Array(96);
  bits[3] = 0x10;
  bits[95] = 0x80;
  t.same(decodeKeys(bits), new Set([28, 767]));
});

t.test('any bytes in any pieces: the same reports as in one piece', async () => {
  const size = fc.constantFrom<24 | 16>(24, 16);
  // Mostly events that mean something, or hardly anything would be a report.
  const events = fc.array(
    fc
      .tuple(fc.constantFrom(0, 0, 1, 2), fc.constantFrom(0, 0, 3, 7), fc.integer())
      .map(([type, code, value]) => inputEvent(type, code, value)),
    { maxLength: 40 },
  );
  const stream = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    events.map((all) => Uint8Array.from(Buffer.concat(all))),
  );
  fc.assert(
    fc.property(size, stream, fc.array(fc.nat(60)), (eventBytes, bytes, cuts) => {
      const whole = new EventParser(eventBytes).push(bytes);
      const parser = new EventParser(eventBytes);
      const parts: Report[] = [];
      let at = 0;
      for (const length of [...cuts, bytes.length]) {
        parts.push(...parser.push(bytes.subarray(at, at + length)));
        at += length;
      }
      const text = (reports: readonly Report[]) =>
        JSON.stringify(reports, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
      return text(whole) === text(parts) && whole.every((each) => each === null || each.length > 0);
    }),
  );
});
