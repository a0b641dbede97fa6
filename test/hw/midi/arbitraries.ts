import fc from 'fast-check';
import type { MidiMessage } from '../../../daemon/hw/midi/messages.ts';

const channel = fc.nat(15);
const data = fc.nat(127);

/** Any message that is not real-time. */
export const anyMessage: fc.Arbitrary<MidiMessage> = fc.oneof(
  fc.record({
    type: fc.constant('note-on' as const),
    channel,
    note: data,
    velocity: fc.integer({ min: 1, max: 127 }),
  }),
  fc.record({ type: fc.constant('note-off' as const), channel, note: data, velocity: data }),
  fc.record({ type: fc.constant('control-change' as const), channel, controller: data, value: data }),
  fc.record({ type: fc.constant('program-change' as const), channel, program: data }),
  fc.record({ type: fc.constant('channel-pressure' as const), channel, pressure: data }),
  fc.record({ type: fc.constant('poly-pressure' as const), channel, note: data, pressure: data }),
  fc.record({ type: fc.constant('pitch-bend' as const), channel, value: fc.nat(16383) }),
  fc.record({ type: fc.constant('sysex' as const), data: fc.uint8Array({ max: 127, maxLength: 40 }) }),
);

/** Any real-time message: these may stand between any two bytes of others. */
export const anyRealtime: fc.Arbitrary<MidiMessage> = fc.record({
  type: fc.constant('realtime' as const),
  status: fc.integer({ min: 0xf8, max: 0xff }),
});
