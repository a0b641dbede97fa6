/** Random claims, challenges and evidence, within their bounds. */
import fc from 'fast-check';
import type {
  Challenge,
  Evidence,
  KeyClaims,
  LogName,
  LogPart,
} from '../../../daemon/attest/evidence/evidence.ts';
import { quotableBanks } from '../../../daemon/attest/evidence/evidence.ts';
import type { LogPosition } from '../../../daemon/attest/logs/log.ts';

/** A record as code makes it, with the prototype of objects. */
const record = <Value>(fields: { [Name in keyof Value]: fc.Arbitrary<Value[Name]> }): fc.Arbitrary<Value> =>
  fc.record<Value>(fields, { noNullPrototype: true });

/** Up to so many bytes. */
export const upTo = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));
/** So many bytes. */
export const exactly = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));

const position: fc.Arbitrary<LogPosition> = record({
  bytes: fc.integer({ min: 0, max: 16 * 1024 * 1024 }),
  records: fc.integer({ min: 0, max: 1_000_000 }),
});
const part: fc.Arbitrary<LogPart> = record({ from: position, bytes: upTo(300) });
const eachLog = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Record<LogName, Value>> =>
  record({ firmware: value, ima: value, measured: value, systemd: value });
const pcrNumbers = Array.from({ length: 16 }, (_, pcr) => pcr);

export const anyClaims: fc.Arbitrary<KeyClaims> = record({
  ekPublic: upTo(1024),
  ekCertificate: fc.option(upTo(4096)),
  ekChain: fc.array(upTo(100), { maxLength: 16 }),
  akPublic: upTo(1024),
});

export const anyChallenge: fc.Arbitrary<Challenge> = record({
  nonce: exactly(32),
  credential: fc.option(record({ blob: upTo(256), secret: upTo(1024) })),
  bank: fc.constantFrom(...quotableBanks),
  pcrs: fc.subarray(pcrNumbers, { minLength: 1 }),
  logs: eachLog(position),
});

export const anyEvidence: fc.Arbitrary<Evidence> = record({
  secret: fc.option(upTo(64)),
  attest: upTo(2048),
  signature: upTo(1024),
  pcrs: fc
    .tuple(
      fc.subarray(pcrNumbers),
      fc.array(fc.constantFrom(32, 48, 64).chain(exactly), { minLength: 16, maxLength: 16 }),
    )
    .map(([pcrs, values]) => new Map(pcrs.map((pcr, index) => [pcr, values[index] ?? Buffer.alloc(32)]))),
  logs: eachLog(fc.option(part)),
});
