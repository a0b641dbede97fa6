import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  type Binding,
  type LogDigest,
  type LogDigests,
  logDigests,
  qualifyingData,
} from '../../../daemon/attest/evidence/binding.ts';
import { logNames } from '../../../daemon/attest/evidence/evidence.ts';
import { anyEvidence, exactly, upTo } from './arbitraries.ts';

const anyDigest: fc.Arbitrary<LogDigest | null> = fc.option(
  fc.record({
    from: fc.record({ bytes: fc.nat(), records: fc.nat() }),
    length: fc.nat(),
    sha256: exactly(32),
  }),
);
const anyBinding: fc.Arbitrary<Binding> = fc.record({
  nonce: exactly(32),
  keySha256: exactly(32),
  channel: exactly(32),
  secret: fc.option(upTo(64)),
  logs: fc.record({ firmware: anyDigest, ima: anyDigest, measured: anyDigest, systemd: anyDigest }),
});

/** One bit is another. */
function bent(bytes: Uint8Array, pick: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const bit = pick % (copy.length * 8);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

const withLog = (
  binding: Binding,
  name: keyof LogDigests,
  change: (log: LogDigest) => LogDigest | null,
): Binding => {
  const log = binding.logs[name];
  const empty = { from: { bytes: 0, records: 0 }, length: 0, sha256: Buffer.alloc(32) };
  return { ...binding, logs: { ...binding.logs, [name]: log === null ? empty : change(log) } };
};

/** Everything that differs in one thing from a binding. */
function* neighbours(binding: Binding, pick: number): Generator<readonly [what: string, Binding]> {
  for (const field of ['nonce', 'keySha256', 'channel'] as const)
    yield [field, { ...binding, [field]: bent(binding[field], pick) }];
  const { secret } = binding;
  const hasSecret = secret !== null && secret.length > 0;
  yield ['secret', { ...binding, secret: hasSecret ? bent(secret, pick) : Buffer.from([1]) }];
  if (hasSecret) yield ['no secret', { ...binding, secret: null }];
  for (const name of logNames) {
    yield [`${name}, there or not`, withLog(binding, name, () => null)];
    yield [`${name}, digest`, withLog(binding, name, (log) => ({ ...log, sha256: bent(log.sha256, pick) }))];
    yield [`${name}, length`, withLog(binding, name, (log) => ({ ...log, length: log.length + 1 }))];
    const moved = (by: { bytes: number; records: number }) =>
      withLog(binding, name, ({ from, ...log }) => ({
        ...log,
        from: { bytes: from.bytes + by.bytes, records: from.records + by.records },
      }));
    yield [`${name}, first byte`, moved({ bytes: 1, records: 0 })];
    yield [`${name}, first record`, moved({ bytes: 0, records: 1 })];
  }
}

t.test('whatever is another, the digest is', async (t) => {
  fc.assert(
    fc.property(anyBinding, fc.nat(), (binding, pick) => {
      const digest = qualifyingData(binding);
      t.equal(digest.length, 32);
      t.strictSame(qualifyingData(structuredClone(binding)), digest, 'the same gives the same');
      for (const [what, other] of neighbours(binding, pick)) t.notSame(qualifyingData(other), digest, what);
    }),
    { numRuns: 50 },
  );
});

t.test('fields that change places are not the same', async (t) => {
  fc.assert(
    fc.property(anyBinding, (binding) => {
      const { nonce, keySha256, channel, logs } = binding;
      fc.pre(Buffer.compare(nonce, keySha256) !== 0 && Buffer.compare(keySha256, channel) !== 0);
      const digest = qualifyingData(binding);
      t.notSame(qualifyingData({ ...binding, nonce: keySha256, keySha256: nonce }), digest);
      t.notSame(qualifyingData({ ...binding, channel: keySha256, keySha256: channel }), digest);
      fc.pre(JSON.stringify(logs.ima) !== JSON.stringify(logs.measured));
      const swapped = { ...logs, ima: logs.measured, measured: logs.ima };
      t.notSame(qualifyingData({ ...binding, logs: swapped }), digest);
    }),
    { numRuns: 50 },
  );
});

t.test('as it is written down', async (t) => {
  const sha256 = (...parts: readonly (Uint8Array | string)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const bytes = Buffer.from('list');
  const logs = logDigests({
    firmware: null,
    ima: { from: { bytes: 258, records: 3 }, bytes },
    measured: null,
    systemd: null,
  });
  const [nonce, keySha256, channel] = [1, 2, 3].map((value) => Buffer.alloc(32, value)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const secret = Buffer.from('secret');
  const none = Buffer.alloc(57);
  const ima = Buffer.concat([
    Buffer.from('01' + '0000000000000102' + '0000000000000003' + '0000000000000004', 'hex'),
    sha256(bytes),
  ]);
  const head = ['surfaced/attest/v1\0', nonce, keySha256, channel] as const;
  t.strictSame(
    qualifyingData({ nonce, keySha256, channel, secret, logs }),
    sha256(...head, sha256(secret), none, ima, none, none),
  );
  t.equal(
    qualifyingData({ nonce, keySha256, channel, secret: null, logs }).toString('hex'),
    '57920a7927f5eb48a417f26c9d27c9696407076106dfe8e75d5f1072f0f8863f',
    'never changes without another label',
  );
});

t.test('digests are those of the logs', async (t) => {
  fc.assert(
    fc.property(anyEvidence, ({ logs }) => {
      const digests = logDigests(logs);
      for (const name of logNames) {
        const part = logs[name];
        const sha256 = part && createHash('sha256').update(part.bytes).digest();
        t.strictSame(digests[name], part && { from: part.from, length: part.bytes.length, sha256 });
      }
    }),
    { numRuns: 30 },
  );
});

t.test('fields of another length are mistakes', async (t) => {
  const good = Buffer.alloc(32);
  const logs = { firmware: null, ima: null, measured: null, systemd: null };
  const binding: Binding = { nonce: good, keySha256: good, channel: good, secret: null, logs };
  for (const field of ['nonce', 'keySha256', 'channel'] as const)
    for (const length of [0, 31, 33])
      t.throws(() => qualifyingData({ ...binding, [field]: Buffer.alloc(length) }), RangeError, field);
});
