import fc from 'fast-check';
import t from 'tap';
import { commandMessage, ctlMessage, decode } from '../../../daemon/bridge/wire/messages.ts';
import { newTraceparent, parseTraceparent } from '../../../daemon/bridge/wire/traceparent.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

t.test('what the specification allows is read, anything else is as good as none', async (t) => {
  t.same(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, isSampled: true });
  t.same(parseTraceparent(`00-${traceId}-${spanId}-02`), { traceId, spanId, isSampled: false });
  t.same(parseTraceparent(`cc-${traceId}-${spanId}-01-what.comes`), { traceId, spanId, isSampled: true });
  for (const bad of [
    undefined,
    '',
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01\n`,
    `cc-${traceId}-${spanId}-01-${'x'.repeat(200)}`,
  ])
    t.equal(parseTraceparent(bad), null, String(bad).slice(0, 70));
});

t.test('new ones are read back, and any text is read without harm', async () => {
  fc.assert(fc.property(fc.constant(null), () => parseTraceparent(newTraceparent())?.isSampled === true));
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const parsed = parseTraceparent(text);
      return parsed === null || (text.includes(parsed.traceId) && text.includes(parsed.spanId));
    }),
  );
});

t.test('a command may carry one; a bad one refuses nothing, one without a bound does', async (t) => {
  const command = { v: 1, id: 'session-1-7', slot: 0, want: 2, saw: 1, issuedAt: 99, ttlMs: 5000 };
  const read = (more: object) => decode(commandMessage, Buffer.from(JSON.stringify({ ...command, ...more })));
  t.ok(read({}).ok);
  t.ok(read({ traceparent: newTraceparent() }).ok);
  t.ok(read({ traceparent: '<script>' }).ok);
  t.match(read({ traceparent: 'x'.repeat(129) }), { ok: false, problem: /^traceparent: / });
  t.match(read({ traceparent: 7 }), { ok: false, problem: /^traceparent: / });
  t.ok(decode(ctlMessage, Buffer.from('{"v":1,"type":"tracing"}')).ok);
});
