import fc from 'fast-check';
import type { MidiMessage } from '../../../daemon/hw/midi/messages.ts';

const channel = fc.nat(15);
const data = fc.nat(127);

/** A record with the prototype of an object literal, as the parser makes them. */
function message<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** Any message that is not real-time. */
export const anyMessage: fc.Arbitrary<MidiMessage> = fc.oneof(
  message({
    type: fc.constant('note-on' as const),
    channel,
    note: data,
    velocity: fc.integer({ min: 1, max: 127 }),
  }),
  message({ type: fc.constant('note-off' as const), channel, note: data, velocity: data }),
  message({ type: fc.constant('control-change' as const), channel, controller: data, value: data }),
  message({ type: fc.constant('program-change' as const), channel, program: data }),
  message({ type: fc.constant('channel-pressure' as const), channel, pressure: data }),
  message({ type: fc.constant('poly-pressure' as const), channel, note: data, pressure: data }),
  message({ type: fc.constant('pitch-bend' as const), channel, value: fc.nat(16383) }),
  message({ type: fc.constant('sysex' as const), data: fc.uint8Array({ max: 127, maxLength: 40 }) }),
);

/** Any real-time message: these may stand between any two bytes of others. */
export const anyRealtime: fc.Arbitrary<MidiMessage> = message({
  type: fc.constant('realtime' as const),
  status: fc.integer({ min: 0xf8, max: 0xff }),
});
