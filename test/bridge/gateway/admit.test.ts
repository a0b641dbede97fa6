import fc from 'fast-check';
import t from 'tap';
import { type AdmitFacts, readCommand, refusal } from '../../../daemon/bridge/gateway/admit.ts';
import { surfaceOf } from './bed.ts';

const surface = surfaceOf('desk', [{ min: 1, max: 20 }]);
const binding = surface.spec.bindings[0]!;
const now = 1_800_000_100_000;
const good: AdmitFacts = {
  message: { v: 1, id: 'session-0001-1', slot: 0, want: 4, saw: 3, issuedAt: now - 100, ttlMs: 5000 },
  isRetained: false,
  surface,
  binding,
  slotSince: 0,
  now,
  startedAt: now - 60_000,
  isWithinRate: true,
};
const withMessage = (change: Partial<AdmitFacts['message']>): AdmitFacts => ({
  ...good,
  message: { ...good.message, ...change },
});
const endOf = (facts: AdmitFacts): string => {
  const end = refusal(facts);
  return end ? `${end.phase} ${end.code}` : 'passes';
};

t.test('each rule has its own end', (t) => {
  const zeroArmed = surfaceOf('desk', [{ min: 0, zero: 'arm' }]).spec.bindings[0]!;
  const cases: readonly [string, AdmitFacts, string][] = [
    ['nothing wrong', good, 'passes'],
    ['retained', { ...good, isRetained: true }, 'denied Retained'],
    ['unknown surface', { ...good, surface: null }, 'denied UnknownSurface'],
    ['revoked', { ...good, surface: surfaceOf('desk', [], true) }, 'denied Revoked'],
    ['nothing bound', { ...good, binding: null }, 'denied UnknownSlot'],
    ['slot bound anew since', { ...good, slotSince: now - 50 }, 'stale BindingChanged'],
    ['at the last moment', withMessage({ issuedAt: now - 5000 }), 'passes'],
    ['late', withMessage({ issuedAt: now - 5001 }), 'expired Late'],
    ['a little ahead', withMessage({ issuedAt: now + 2000 }), 'passes'],
    ['too far ahead', withMessage({ issuedAt: now + 2001 }), 'denied ClockSkew'],
    ['before this process', { ...good, startedAt: now - 99 }, 'expired BeforeStart'],
    ['above max', withMessage({ want: 21 }), 'denied OutOfRange'],
    ['zero: never', withMessage({ want: 0 }), 'denied ZeroNotAllowed'],
    ['zero: arm', { ...withMessage({ want: 0 }), binding: zeroArmed }, 'passes'],
    [
      'zero: arm, but min 1',
      { ...withMessage({ want: 0 }), binding: { ...zeroArmed, min: 1 } },
      'denied OutOfRange',
    ],
    ['too many', { ...good, isWithinRate: false }, 'denied RateLimited'],
  ];
  for (const [name, facts, end] of cases) t.equal(endOf(facts), end, name);
  t.end();
});

t.test('a bad message is named, and answered where its id can be read', (t) => {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const bad = readCommand(bytes({ ...good.message, want: -1 }));
  t.match(bad, { ok: false, id: 'session-0001-1', problem: /^want: / });
  t.match(readCommand(bytes({ ...good.message, v: 2 })), {
    ok: false,
    id: 'session-0001-1',
    problem: /version 2/,
  });
  t.match(readCommand(bytes({ ...good.message, more: true })), { ok: false, id: 'session-0001-1' });
  t.match(readCommand(bytes({ ...good.message, id: '../../x' })), { ok: false, id: null });
  t.match(readCommand(Buffer.from('{"v":1')), { ok: false, id: null });
  t.match(readCommand(Buffer.alloc(5000, 0x20)), { ok: false, id: null, problem: /5000 bytes/ });
  t.match(readCommand(bytes(good.message)), { ok: true, id: 'session-0001-1' });
  t.end();
});

t.test('whatever comes over the wire, reading it does not throw', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (payload) => {
        readCommand(payload);
      },
    ),
    { numRuns: 500 },
  );
  t.end();
});
