import fc from 'fast-check';
import t from 'tap';
import {
  ackMessage,
  birthMessage,
  commandMessage,
  ctlMessage,
  decode,
  encode,
  encodeSlot,
  gatewayStatusMessage,
  maxMessageBytes,
  type SlotMessage,
  slotMessage,
  statusMessage,
  teleMessage,
} from '../../../daemon/bridge/wire/messages.ts';

const schemas = [
  ackMessage,
  birthMessage,
  commandMessage,
  ctlMessage,
  gatewayStatusMessage,
  slotMessage,
  statusMessage,
  teleMessage,
];
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '');

const command = {
  v: 1,
  id: 'abcdefgh-1',
  slot: 0,
  want: 3,
  saw: 2,
  issuedAt: 1,
  ttlMs: 5000,
} as const;

const slot: SlotMessage = {
  v: 1,
  rev: 1,
  at: 1,
  name: 'cart',
  colour: 'green',
  kind: 'Deployment',
  desired: 3,
  observed: 3,
  ready: 3,
  pods: [],
  podsLeftOut: 0,
  condition: { state: 'ok', reason: '', message: '' },
  owner: null,
};

t.test('decode never throws, whatever the bytes', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (payload) =>
      schemas.every((schema) => decode(schema, payload).ok === false),
    ),
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      for (const schema of schemas) decode(schema, Buffer.from(text));
      return true;
    }),
  );
});

t.test('decode never throws on a real message with one field replaced', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(command), 'extra', '__proto__', 'toJSON', 'constructor'),
      fc.jsonValue({ maxDepth: 3 }),
      (field, value) => {
        const text = JSON.stringify(command).replace(
          /}$/,
          `,${JSON.stringify(field)}:${JSON.stringify(value)}}`,
        );
        const decoded = decode(commandMessage, Buffer.from(text));
        return decoded.ok || (decoded.problem.length > 0 && decoded.problem.length <= 300);
      },
    ),
  );
});

t.test('a problem names the field', async (t) => {
  const problem = (value: unknown) => {
    const decoded = decode(commandMessage, bytes(value));
    return decoded.ok ? '' : decoded.problem;
  };
  t.equal(problem(command), '');
  t.match(problem({ ...command, want: -1 }), /^want: /);
  t.match(problem({ ...command, extra: 1 }), /extra/);
  t.match(problem({ ...command, v: 2 }), /^v: version 2 /);
  t.match(problem({ ...command, v: undefined }), /^v: version/);
  t.match(problem({ ...command, issuedAt: 1.5 }), /^issuedAt: /);
  t.match(problem([]), /^v: /);
  t.match(problem(null), /^v: /);
});

t.test('size and encoding are checked before anything else', async (t) => {
  const exact = bytes({ v: 1 });
  const padded = Buffer.concat([exact, Buffer.alloc(maxMessageBytes - exact.length, ' ')]);
  t.match(decode(statusMessage, padded), { ok: false, problem: /state|Invalid/ });
  t.match(decode(statusMessage, Buffer.concat([padded, Buffer.from(' ')])), {
    ok: false,
    problem: /4097 bytes, at most 4096/,
  });
  t.match(decode(statusMessage, Buffer.from([0x22, 0xff, 0x22])), {
    ok: false,
    problem: /not JSON in UTF-8/,
  });
  t.match(decode(statusMessage, Buffer.from('['.repeat(4096))), { ok: false, problem: /not JSON/ });
  const deep = `{"v":${'['.repeat(2000)}${']'.repeat(2000)}}`;
  t.match(decode(statusMessage, Buffer.from(deep)), { ok: false, problem: /^v: version/ });
});

t.test('encode refuses what is over the limit', async (t) => {
  t.throws(() => encode({ v: 1, text: 'x'.repeat(maxMessageBytes) } as { v: number }), /over the wire limit/);
  t.ok(encode(command).length < 200);
});

t.test('a slot message always fits, whatever its texts, and says what it left out', async () => {
  const text = (max: number) => fc.string({ unit: 'binary', maxLength: max });
  const anySlot: fc.Arbitrary<SlotMessage> = fc.record({
    v: fc.constant(1 as const),
    rev: fc.nat(),
    at: fc.nat(),
    name: text(30),
    colour: fc.constantFrom('green', 'vermilion'),
    kind: text(30),
    desired: fc.constantFrom(null, 2_147_483_647),
    observed: fc.nat(),
    ready: fc.nat(),
    pods: fc.array(fc.tuple(text(8), fc.constantFrom('ready', 'terminating')), {
      maxLength: 512,
      size: 'max',
    }),
    podsLeftOut: fc.nat(1000),
    condition: fc.record({
      state: fc.constantFrom('ok', 'unreachable'),
      reason: text(32),
      message: text(256),
    }),
    owner: fc.constantFrom(null, { kind: 'autoscaler' as const, name: 'x'.repeat(128) }),
  });
  fc.assert(
    fc.property(anySlot, (message) => {
      const payload = encodeSlot(message);
      const decoded = decode(slotMessage, payload);
      if (payload.length > maxMessageBytes || !decoded.ok) return false;
      const { pods, podsLeftOut } = decoded.message;
      return pods.length + podsLeftOut === message.pods.length + message.podsLeftOut;
    }),
    { numRuns: 200 },
  );
});

t.test('texts that JSON escapes to six bytes a character fit too', async (t) => {
  const worst = (length: number) => '\u0001'.repeat(length);
  const payload = encodeSlot({
    ...slot,
    name: worst(63),
    kind: worst(63),
    condition: { state: 'blocked', reason: worst(64), message: worst(512) },
    owner: { kind: 'gitops', name: worst(128) },
    pods: [[worst(16), 'ready']],
  });
  t.ok(payload.length <= maxMessageBytes, `${payload.length} bytes`);
  const decoded = decode(slotMessage, payload);
  t.match(decoded, { ok: true, message: { name: worst(63), podsLeftOut: 1 } });
});

t.test('512 Pods: as many as fit, in order', async (t) => {
  const pods = Array.from({ length: 512 }, (_, index) => [`pod-${index}`, 'ready'] as [string, 'ready']);
  const decoded = decode(slotMessage, encodeSlot({ ...slot, pods }));
  if (!decoded.ok) throw new Error(decoded.problem);
  const kept = decoded.message.pods;
  t.ok(kept.length > 150, `${kept.length} Pods`);
  t.same(kept, pods.slice(0, kept.length));
  t.equal(decoded.message.podsLeftOut, 512 - kept.length);
});

t.test('updates fit beside ends that know nothing of them', async (t) => {
  const update = { state: 'installing', version: '1.2.0', detail: 'x'.repeat(256) };
  const tele = { v: 1, at: 1, counters: { connects: 1 } };
  t.match(decode(teleMessage, bytes(tele)), { ok: true }, 'from a surface that says nothing of updates');
  t.match(decode(teleMessage, bytes({ ...tele, update })), { ok: true, message: { update } });
  for (const wrong of [
    { ...update, version: '../1.2.0' },
    { ...update, state: 'resting' },
    { ...update, detail: 'x'.repeat(257) },
    { ...update, extra: 1 },
  ])
    t.match(decode(teleMessage, bytes({ ...tele, update: wrong })), { ok: false, problem: /^update/ });
  const ctl = { v: 1, type: 'update', version: '1.2.0', manifestSha256: 'ab'.repeat(32) };
  t.match(decode(ctlMessage, bytes(ctl)), { ok: true, message: ctl });
  t.match(decode(ctlMessage, bytes({ ...ctl, version: '1.2' })), { ok: false, problem: /^version/ });
  // As surfaces before updates read it: a type that they do not know is counted, and nothing follows from it.
  t.match(decode(ctlMessage, bytes({ ...ctl, type: 'dance' })), { ok: false, problem: /^type/ });
  t.equal(
    decode(
      birthMessage,
      bytes({
        v: 1,
        session: 'abcdefgh',
        at: 1,
        model: '',
        firmware: '',
        controls: [],
        clock: 'unset',
        update,
      }),
    ).ok,
    false,
    'a birth may not tell of updates: gateways refuse what they do not know in it',
  );
});
