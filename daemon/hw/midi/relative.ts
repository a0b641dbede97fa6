/**
 * How a control change carries a turn of an endless encoder. The four codes in use are those that DrivenByMoss'
 * value changers tell apart; `signed-bit-2` is Mackie's, `twos-complement` Ableton Push's, `signed-bit` HUI's.
 */
export type RelativeEncoding = 'twos-complement' | 'offset-binary' | 'signed-bit' | 'signed-bit-2';

const decoders: Record<RelativeEncoding, (value: number) => number> = {
  'twos-complement': (value) => (value < 64 ? value : value - 128),
  'offset-binary': (value) => value - 64,
  'signed-bit': (value) => (value >= 64 ? value - 64 : 0 - value),
  'signed-bit-2': (value) => (value < 64 ? value : 64 - value),
};

/** Pulses of a turn, clockwise positive, from the 7-bit value of its control change. */
export function decodeRelative(encoding: RelativeEncoding, value: number): number {
  return decoders[encoding](value & 0x7f);
}
