import t from 'tap';
import { decodeRelative, type RelativeEncoding } from '../../../daemon/hw/midi/relative.ts';

const cases: Record<RelativeEncoding, [value: number, pulses: number][]> = {
  'twos-complement': [
    [1, 1],
    [63, 63],
    [127, -1],
    [64, -64],
    [0, 0],
  ],
  'offset-binary': [
    [65, 1],
    [127, 63],
    [63, -1],
    [0, -64],
    [64, 0],
  ],
  'signed-bit': [
    [65, 1],
    [127, 63],
    [1, -1],
    [63, -63],
    [0, 0],
    [64, 0],
  ],
  'signed-bit-2': [
    [1, 1],
    [63, 63],
    [65, -1],
    [127, -63],
    [0, 0],
    [64, 0],
  ],
};

for (const [encoding, values] of Object.entries(cases)) {
  t.test(encoding, async (t) => {
    for (const [value, pulses] of values) {
      const decoded = decodeRelative(encoding as RelativeEncoding, value);
      t.equal(decoded, pulses, `${value} is ${pulses}`);
      t.notOk(Object.is(decoded, -0), 'no turn is not minus nothing');
    }
  });
}
