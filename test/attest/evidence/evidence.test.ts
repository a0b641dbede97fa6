import fc from 'fast-check';
import t from 'tap';
import type { z } from 'zod';
import {
  challengeJson,
  challengeSchema,
  evidenceJson,
  evidenceSchema,
  keyClaimsJson,
  keyClaimsSchema,
  mostLogBytes,
  mostWholeLogBytes,
} from '../../../daemon/attest/evidence/evidence.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { anyChallenge, anyClaims, anyEvidence } from './arbitraries.ts';

/** Over the wire and back. */
const sent = <Kind extends z.ZodType>(schema: Kind, json: unknown): z.output<Kind> =>
  schema.parse(JSON.parse(JSON.stringify(json)));

const base64 = (bytes: number): string => Buffer.alloc(bytes, 1).toString('base64');

t.test('what is sent is what is read', async (t) => {
  fc.assert(
    fc.property(anyClaims, (claims) => {
      t.strictSame(sent(keyClaimsSchema, keyClaimsJson(claims)), claims);
    }),
    { numRuns: 30 },
  );
  fc.assert(
    fc.property(anyChallenge, (challenge) => {
      t.strictSame(sent(challengeSchema, challengeJson(challenge)), challenge);
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(anyEvidence, (evidence) => {
      t.strictSame(sent(evidenceSchema, evidenceJson(evidence)), evidence);
    }),
    { numRuns: 50 },
  );
});

t.test('any JSON is read or refused', async () => {
  for (const schema of [keyClaimsSchema, challengeSchema, evidenceSchema])
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        schema.safeParse(value);
      }),
    );
});

/** Every place in a JSON value, with what is there. */
function* places(
  value: unknown,
  path: readonly (string | number)[] = [],
): Generator<readonly [readonly (string | number)[], unknown]> {
  yield [path, value];
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) yield* places(inner, [...path, key]);
}

function replaced(value: unknown, path: readonly (string | number)[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  const copy: Record<string, unknown> = { ...(value as Record<string, unknown>) };
  copy[key] = replaced(copy[key], rest, by);
  return Array.isArray(value) ? Object.values(copy) : copy;
}

t.test('one place of a good message is another: read within the bounds, or refused', async (t) => {
  const messages = fc.oneof(
    anyClaims.map((claims) => [keyClaimsSchema, keyClaimsJson(claims)] as const),
    anyChallenge.map((challenge) => [challengeSchema, challengeJson(challenge)] as const),
    anyEvidence.map((evidence) => [evidenceSchema, evidenceJson(evidence)] as const),
  );
  fc.assert(
    fc.property(messages, fc.nat(), fc.jsonValue(), ([schema, json], pick, other) => {
      const all = [...places(json)];
      const [path, before] = all[pick % all.length] ?? [[], null];
      const result = schema.safeParse(replaced(json, path, other));
      // Another type in a place where only one can stand.
      if (typeof before === 'string' && typeof other === 'number') t.notOk(result.success, path.join('.'));
      if (typeof before === 'number' && typeof other === 'string') t.notOk(result.success, path.join('.'));
    }),
    { numRuns: 300 },
  );
});

/** Which field is refused; null: none. */
function refusedField(schema: z.ZodType, json: unknown): string | null {
  const issue = schema.safeParse(json).error?.issues[0];
  return issue ? `${issue.path.join('.')}: ${issue.message}` : null;
}

const claims = { ekPublic: base64(1), ekCertificate: null, ekChain: [], akPublic: base64(1) };
const start = { firmware: logStart, ima: logStart, measured: logStart, systemd: logStart };
const challenge = { nonce: base64(32), credential: null, bank: 'sha256', pcrs: [0, 7, 10], logs: start };
const noLogs = { firmware: null, ima: null, measured: null, systemd: null };
const evidence = { secret: null, attest: base64(1), signature: base64(1), pcrs: {}, logs: noLogs };
const partOf = (bytes: number) => ({ from: logStart, bytes: base64(bytes) });

t.test('bounds, and the field that breaks them', async (t) => {
  t.equal(refusedField(keyClaimsSchema, claims), null);
  t.equal(refusedField(challengeSchema, challenge), null);
  t.equal(refusedField(evidenceSchema, evidence), null);
  const cases: readonly (readonly [z.ZodType, object, RegExp])[] = [
    [keyClaimsSchema, { ...claims, ekPublic: base64(1025) }, /^ekPublic: 1025 bytes, at most 1024$/],
    [keyClaimsSchema, { ...claims, ekPublic: base64(2000) }, /^ekPublic: /],
    [keyClaimsSchema, { ...claims, ekCertificate: base64(4097) }, /^ekCertificate: /],
    [keyClaimsSchema, { ...claims, ekChain: Array(17).fill(base64(1)) }, /^ekChain: /],
    [keyClaimsSchema, { ...claims, ekChain: [base64(4097)] }, /^ekChain\.0: /],
    [keyClaimsSchema, { ...claims, more: 1 }, /more/],
    [keyClaimsSchema, { ...claims, akPublic: 'AA' }, /^akPublic: not base64$/],
    [keyClaimsSchema, { ...claims, akPublic: 'AB==' }, /^akPublic: not base64$/],
    [keyClaimsSchema, { ...claims, akPublic: '_-8=' }, /^akPublic: not base64$/],
    [keyClaimsSchema, { ...claims, akPublic: ' AA==' }, /^akPublic: not base64$/],
    [challengeSchema, { ...challenge, nonce: base64(31) }, /^nonce: 32 bytes$/],
    [challengeSchema, { ...challenge, nonce: base64(33) }, /^nonce: /],
    [challengeSchema, { ...challenge, bank: 'sha1' }, /^bank: /],
    [challengeSchema, { ...challenge, pcrs: [] }, /^pcrs: /],
    [challengeSchema, { ...challenge, pcrs: [16] }, /^pcrs\.0: /],
    [challengeSchema, { ...challenge, pcrs: [7, 0] }, /^pcrs: not ascending$/],
    [challengeSchema, { ...challenge, pcrs: [7, 7] }, /^pcrs: not ascending$/],
    [
      challengeSchema,
      { ...challenge, logs: { ...start, ima: { bytes: mostWholeLogBytes + 1, records: 0 } } },
      /^logs\.ima\.bytes: /,
    ],
    [evidenceSchema, { ...evidence, secret: base64(65) }, /^secret: 65 bytes, at most 64$/],
    [evidenceSchema, { ...evidence, pcrs: { 16: base64(32) } }, /^pcrs\.16: /],
    [evidenceSchema, { ...evidence, pcrs: { '01': base64(32) } }, /^pcrs\.01: /],
    [evidenceSchema, { ...evidence, logs: { ...noLogs, other: null } }, /other/],
    [
      evidenceSchema,
      { ...evidence, logs: { ...noLogs, ima: partOf(mostLogBytes + 1) } },
      /^logs\.ima\.bytes: /,
    ],
  ];
  for (const [schema, json, expected] of cases) t.match(refusedField(schema, json) ?? 'accepted', expected);
});

t.test('all logs together are bounded, not only each', async (t) => {
  const half = mostLogBytes / 2;
  const both = { ...noLogs, ima: partOf(half), measured: partOf(half) };
  t.equal(refusedField(evidenceSchema, { ...evidence, logs: both }), null, 'as much as is allowed');
  const more = { ...both, systemd: partOf(1) };
  t.match(refusedField(evidenceSchema, { ...evidence, logs: more }), /^logs: more than \d+ bytes in all$/);
});
