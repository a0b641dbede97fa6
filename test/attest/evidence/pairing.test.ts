import fc from 'fast-check';
import t from 'tap';
import { pairingCode, pairingSaltBytes } from '../../../daemon/attest/evidence/pairing.ts';
import { exactly } from './arbitraries.ts';

const anyKey = exactly(32).map((bytes) => Buffer.from(bytes).toString('hex'));
const anySalt = exactly(pairingSaltBytes);

t.test('eight digits in two groups, whatever it is made from', async (t) => {
  fc.assert(
    fc.property(anySalt, anyKey, fc.string(), (salt, key, pin) => {
      t.match(pairingCode(salt, key, pin), /^\d{4}-\d{4}$/);
    }),
  );
});

t.test('salt, key and pin count, each bit of them', async (t) => {
  // Codes of different things are the same once in 10^8: a fixed seed, so that it never is.
  const seed = 1;
  fc.assert(
    fc.property(anySalt, anyKey, fc.nat({ max: 127 }), (salt, key, bit) => {
      const code = pairingCode(salt, key, 'sha256:pin');
      const other = Buffer.from(salt);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      t.not(pairingCode(other, key, 'sha256:pin'), code);
      const otherKey = Buffer.from(key, 'hex');
      otherKey[bit >> 2] = (otherKey[bit >> 2] ?? 0) ^ 1;
      t.not(pairingCode(salt, otherKey.toString('hex'), 'sha256:pin'), code);
      t.not(pairingCode(salt, key, 'sha256:pim'), code);
    }),
    { seed },
  );
});

t.test('never changes: panel and gateway may be of different versions', async (t) => {
  t.equal(pairingCode(Buffer.alloc(16, 7), 'ab'.repeat(32), 'sha256:pin'), '6551-4321');
});

t.test('what is no salt or no hash is a mistake', async (t) => {
  for (const bytes of [0, 15, 17])
    t.throws(() => pairingCode(Buffer.alloc(bytes), 'ab'.repeat(32), ''), RangeError);
  for (const key of ['', 'ab', 'AB'.repeat(32), `${'ab'.repeat(31)}zz`])
    t.throws(() => pairingCode(Buffer.alloc(16), key, ''), RangeError, key);
});
