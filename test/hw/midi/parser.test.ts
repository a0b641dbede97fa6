import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { MidiMessage } from '../../../daemon/hw/midi/messages.ts';
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';
import { encode } from '../../../daemon/hw/midi/writer.ts';
import { anyMessage, anyRealtime } from './arbitraries.ts';

const limit = 64;

function parse(bytes: readonly number[]) {
  const parser = new MidiParser(limit);
  return { messages: parser.push(Uint8Array.from(bytes)), ...parser.counters };
}

const noteOn = (note: number): MidiMessage => ({ type: 'note-on', channel: 2, note, velocity: 0x40 });
const clock: MidiMessage = { type: 'realtime', status: 0xf8 };

t.test('every kind of message', async (t) => {
  const cases: [bytes: number[], message: MidiMessage][] = [
    [[0x92, 0x3c, 0x40], noteOn(0x3c)],
    [[0x92, 0x3c, 0x00], { type: 'note-off', channel: 2, note: 0x3c, velocity: 0 }],
    [[0x80, 0x3c, 0x11], { type: 'note-off', channel: 0, note: 0x3c, velocity: 0x11 }],
    [[0xb0, 0x07, 0x7f], { type: 'control-change', channel: 0, controller: 7, value: 127 }],
    [[0xc1, 0x05], { type: 'program-change', channel: 1, program: 5 }],
    [[0xd1, 0x06], { type: 'channel-pressure', channel: 1, pressure: 6 }],
    [[0xa1, 0x06, 0x07], { type: 'poly-pressure', channel: 1, note: 6, pressure: 7 }],
    [[0xe8, 0x01, 0x40], { type: 'pitch-bend', channel: 8, value: 0x2001 }],
    [[0xf0, 0x7e, 0x01, 0xf7], { type: 'sysex', data: Uint8Array.of(0x7e, 0x01) }],
    [[0xf0, 0xf7], { type: 'sysex', data: new Uint8Array(0) }],
    [[0xfe], { type: 'realtime', status: 0xfe }],
  ];
  for (const [bytes, message] of cases) t.same(parse(bytes).messages, [message]);
});

t.test('running status', async (t) => {
  t.same(parse([0x92, 1, 0x40, 2, 0x40]).messages, [noteOn(1), noteOn(2)], 'data alone repeats the status');
  t.same(
    parse([0x92, 1, 0xf8, 0x40, 0xf8, 2, 0x40]).messages,
    [clock, noteOn(1), clock, noteOn(2)],
    'kept over F8',
  );
  for (const status of [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7]) {
    const data = [[], [5], [5, 5], [5]][status - 0xf0] ?? [];
    const end = status === 0xf0 ? [0xf7] : [];
    const { messages, strayBytes } = parse([0x92, 1, 0x40, status, ...data, ...end, 2, 0x40]);
    t.same(
      messages.filter(({ type }) => type !== 'sysex'),
      [noteOn(1)],
      `cleared by ${status.toString(16)}`,
    );
    t.equal(strayBytes, 2, 'what follows belongs to nothing');
  }
});

t.test('system exclusive', async (t) => {
  t.same(
    parse([0xf0, 1, 0xf8, 2, 0xf7]).messages,
    [clock, { type: 'sysex', data: Uint8Array.of(1, 2) }],
    'F8 inside',
  );
  const cut = parse([0xf0, 1, 2, 0x92, 1, 0x40]);
  t.same(cut.messages, [noteOn(1)], 'a status ends an open one, which is not passed on half');
  t.equal(cut.droppedSysex, 1);
  const data = Array.from({ length: limit + 1 }, () => 1);
  t.equal(parse([0xf0, ...data.slice(1), 0xf7]).messages.length, 1, 'as long as the limit');
  const long = parse([0xf0, ...data, 0xf7, 0x92, 1, 0x40]);
  t.same(long.messages, [noteOn(1)], 'longer: dropped whole, and what follows is heard');
  t.equal(long.droppedSysex, 1);
});

t.test('stray data is counted', async (t) => {
  const { messages, strayBytes } = parse([1, 2, 3, 0x92, 1, 0x40]);
  t.same(messages, [noteOn(1)]);
  t.equal(strayBytes, 3);
  t.same(parse([0x92, 1, 0x92, 2, 0x40]).messages, [noteOn(2)], 'a torn message does not shift the next');
});

t.test('properties', async (t) => {
  const cutAt = (bytes: readonly number[], cuts: readonly number[]) => {
    const parser = new MidiParser(limit);
    const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
    const pieces = [0, ...places].map((start, index) => bytes.slice(start, places[index]));
    return { messages: pieces.flatMap((piece) => parser.push(Uint8Array.from(piece))), ...parser.counters };
  };

  t.doesNotThrow(
    () =>
      fc.assert(
        fc.property(fc.array(fc.nat(255), { maxLength: 200 }), fc.array(fc.nat(200)), (bytes, cuts) => {
          assert.deepEqual(cutAt(bytes, cuts), parse(bytes));
        }),
        { numRuns: 300 },
      ),
    'any cut of any bytes gives the same messages',
  );

  t.doesNotThrow(
    () =>
      fc.assert(
        fc.property(fc.array(anyMessage, { maxLength: 30 }), fc.array(fc.nat(500)), (messages, cuts) => {
          assert.deepEqual(cutAt(messages.flatMap(encode), cuts).messages, messages);
        }),
        { numRuns: 300 },
      ),
    'what the writer writes, the parser reads',
  );

  t.doesNotThrow(
    () =>
      fc.assert(
        fc.property(
          fc.array(anyMessage, { maxLength: 30 }),
          fc.array(fc.tuple(fc.nat(500), anyRealtime), { maxLength: 10 }),
          (messages, inserts) => {
            const bytes = withRunningStatus(messages);
            for (const [at, realtime] of inserts)
              bytes.splice(at % (bytes.length + 1), 0, ...encode(realtime));
            const { messages: parsed, strayBytes, droppedSysex } = parse(bytes);
            assert.deepEqual(
              parsed.filter(({ type }) => type !== 'realtime'),
              messages,
            );
            assert.equal(parsed.length, messages.length + inserts.length);
            assert.deepEqual({ strayBytes, droppedSysex }, { strayBytes: 0, droppedSysex: 0 });
          },
        ),
        { numRuns: 300 },
      ),
    'running status and real-time bytes between any two bytes change nothing',
  );

  t.doesNotThrow(
    () =>
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
          for (const message of new MidiParser(limit).push(bytes)) {
            if (message.type === 'sysex' && message.data.length > limit)
              throw new Error('longer than the limit');
          }
        }),
      ),
    'nothing throws, no SysEx is longer than the limit',
  );
});

/** Leaves out a channel status that repeats the one before it, as ALSA's sequencer does. */
function withRunningStatus(messages: readonly MidiMessage[]): number[] {
  let running: number | undefined;
  return messages.flatMap((message) => {
    const [status, ...data] = encode(message);
    if (message.type === 'sysex') running = undefined;
    else if (status === running) return data;
    else running = status;
    return [status ?? 0, ...data];
  });
}
