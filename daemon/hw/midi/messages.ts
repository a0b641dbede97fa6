/** What travels over MIDI 1.0, decoded. Channels run from 0 to 15, data from 0 to 127, pitch bend from 0 to 16383. */
export type MidiMessage =
  | {
      readonly type: 'note-on';
      readonly channel: number;
      readonly note: number;
      /** 1..127: a note on with velocity 0 is reported as note-off (MIDI 1.0, "Note Off"). */
      readonly velocity: number;
    }
  | { readonly type: 'note-off'; readonly channel: number; readonly note: number; readonly velocity: number }
  | {
      readonly type: 'control-change';
      readonly channel: number;
      readonly controller: number;
      readonly value: number;
    }
  | { readonly type: 'program-change'; readonly channel: number; readonly program: number }
  | { readonly type: 'channel-pressure'; readonly channel: number; readonly pressure: number }
  | {
      readonly type: 'poly-pressure';
      readonly channel: number;
      readonly note: number;
      readonly pressure: number;
    }
  | { readonly type: 'pitch-bend'; readonly channel: number; readonly value: number }
  /** Without the framing F0 and F7. */
  | { readonly type: 'sysex'; readonly data: Uint8Array }
  /** F8 to FF: clock, start, active sensing, reset. */
  | { readonly type: 'realtime'; readonly status: number };
