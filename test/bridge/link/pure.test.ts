import fc from 'fast-check';
import t from 'tap';
import { Commands } from '../../../daemon/bridge/link/commands.ts';
import { GatewayWatch } from '../../../daemon/bridge/link/gateway-watch.ts';
import { Inbox } from '../../../daemon/bridge/link/inbox.ts';
import { encodeBirth, encodeCommand } from '../../../daemon/bridge/link/outgoing.ts';
import { backOffMs, defaultTiming, eagerAttempts } from '../../../daemon/bridge/link/timing.ts';
import {
  type AckMessage,
  birthMessage,
  type CtlMessage,
  commandMessage,
  decode,
  type GatewayStatusMessage,
  type SlotMessage,
} from '../../../daemon/bridge/wire/messages.ts';
import type { Ack } from '../../../daemon/surface/types.ts';

const beat = (fields: Partial<GatewayStatusMessage>): GatewayStatusMessage => ({
  v: 1,
  state: 'online',
  session: 'gateway-1',
  seq: 0,
  at: 1_000_000,
  apiHealthy: true,
  detail: '',
  ...fields,
});
const answer = (id: string, phase: AckMessage['phase']): AckMessage => ({
  v: 1,
  id,
  phase,
  code: '',
  now: null,
  detail: '',
  guards: [],
});
const isEnd = (ack: Ack): boolean => ack.phase !== 'received' && ack.phase !== 'accepted';

t.test('back-off: at least a second, at most thirty, never the same for all', async (t) => {
  fc.assert(
    fc.property(fc.nat(2000), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, chance) => {
      const waitMs = backOffMs(attempt, defaultTiming, () => chance);
      return waitMs >= 1000 && waitMs <= 30_000;
    }),
  );
  t.equal(
    backOffMs(0, defaultTiming, () => 0),
    1000,
  );
  t.equal(
    backOffMs(0, defaultTiming, () => 0.5),
    1500,
  );
  t.equal(
    backOffMs(eagerAttempts - 1, defaultTiming, () => 0.999) <= 3000,
    true,
    'a gateway that restarts has its surfaces back soon',
  );
  t.equal(
    backOffMs(eagerAttempts + 9, defaultTiming, () => 0),
    15_000,
  );
});

t.test('the gateway counts as there after a fresh beat only', async (t) => {
  const watch = new GatewayWatch(5000);
  t.match(watch.problem(0), /Waiting/);
  watch.take('gw', beat({}), true, 0);
  t.match(watch.problem(0), /Waiting/, 'a retained one may be of any age');
  t.equal(watch.time(0), null);
  watch.take('gw', beat({}), false, 0);
  t.equal(watch.problem(15_000), null);
  t.match(watch.problem(15_001), /silent/);
  watch.take(
    'gw',
    beat({ seq: 1, apiHealthy: false, detail: 'API server refuses connections' }),
    false,
    15_001,
  );
  t.equal(watch.problem(15_001), 'API server refuses connections');
  watch.take('gw', beat({ seq: 2 }), false, 15_002);
  t.equal(watch.problem(15_002), null);
  watch.awaitBeat();
  t.match(watch.problem(15_003), /Waiting/);
});

t.test('only the will of the current session speaks for the gateway', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('gw', beat({}), false, 0);
  t.equal(watch.take('gw', beat({ session: 'gateway-2', at: 1_001_000 }), false, 1000), true, 'started anew');
  watch.take('gw', beat({ state: 'offline', session: 'gateway-1', seq: 99 }), false, 1001);
  t.equal(watch.problem(1001), null, 'a late will');
  t.equal(watch.take('gw', beat({ session: 'gateway-1', at: 1_000_500 }), false, 1002), false, 'a late beat');
  t.equal(watch.session, 'gateway-2');
  watch.take('gw', beat({ state: 'offline', session: 'gateway-2', seq: 1 }), false, 1003);
  t.match(watch.problem(1003), /stopping/);
});

t.test('gateway time is that of the beat that was least delayed', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('gw', beat({ seq: 1, at: 1_000_000 }), false, 300);
  watch.take('gw', beat({ seq: 2, at: 1_005_000 }), false, 5010);
  watch.take('gw', beat({ seq: 3, at: 1_010_000 }), false, 10_900);
  t.equal(watch.time(20_000), 1_019_990);
  fc.assert(
    fc.property(fc.array(fc.nat(2000), { minLength: 5, maxLength: 5 }), (delays) => {
      const one = new GatewayWatch(5000);
      for (const [seq, lateMs] of delays.entries())
        one.take('gw', beat({ seq, at: 1_000_000 + seq * 5000 }), false, seq * 5000 + lateMs);
      return one.time(50_000) === 1_050_000 - Math.min(...delays);
    }),
  );
});

t.test('a gateway clock that was set back is followed with the next beat', async (t) => {
  const watch = new GatewayWatch(5000);
  watch.take('gw', beat({ seq: 0, at: 9_000_000 }), false, 0);
  watch.take('gw', beat({ seq: 1, at: 1_005_000 }), false, 5000);
  t.equal(watch.time(5000), 1_005_000, 'it would refuse what is issued ahead of its clock');
  watch.take('gw', beat({ seq: 2, at: 1_009_000 }), false, 10_000);
  t.equal(watch.time(10_000), 1_010_000, 'by a little: a late beat');
});

t.test('a gateway that is started anew with its clock set back is heard', async (t) => {
  const back = beat({ session: 'gateway-2', at: 500_000 });
  const lost = new GatewayWatch(5000);
  lost.take('gw', beat({}), false, 0);
  lost.awaitBeat();
  t.equal(lost.take('gw', back, false, 1000), true, 'after a lost connection');
  t.equal(lost.problem(1000), null);
  t.equal(lost.time(1000), 500_000);
  const stopped = new GatewayWatch(5000);
  stopped.take('gw', beat({}), false, 0);
  stopped.take('gw', beat({ state: 'offline', seq: 1 }), false, 1000);
  t.equal(stopped.take('gw', back, false, 2000), true, 'after its good-bye');
  const silent = new GatewayWatch(5000);
  silent.take('gw', beat({}), false, 0);
  t.equal(silent.take('gw', back, false, 15_001), true, 'after a silence');
});

t.test('every command gets exactly one end, whatever is answered, lost, repeated or late', async () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('sent' as const) }),
    fc.record({
      type: fc.constant('answered' as const),
      seq: fc.integer({ min: 1, max: 12 }),
      phase: fc.constantFrom<AckMessage['phase']>(
        'received',
        'accepted',
        'converged',
        'denied',
        'stale',
        'blocked',
      ),
    }),
    fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
    fc.record({ type: fc.constantFrom('changed' as const, 'lost' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const commands = new Commands(defaultTiming);
      const told: Ack[] = [];
      let at = 0;
      let seq = 0;
      for (const each of steps) {
        if (each.type === 'sent') {
          seq += 1;
          commands.sent(`session-${seq}`, seq, 5000, at);
        } else if (each.type === 'answered') {
          const ack = commands.answered(answer(`session-${each.seq}`, each.phase), at);
          if (ack !== null) told.push(ack);
        } else if (each.type === 'wait') {
          at += each.ms;
          told.push(...commands.due(at));
        } else if (each.type === 'changed') told.push(...commands.gatewayChanged());
        else commands.connectionLost(at);
      }
      told.push(...commands.due(at + defaultTiming.longestCommandMs));
      const ends = told.filter(isEnd).map((ack) => ack.seq);
      const afterEnd = told.some((ack, index) =>
        told.slice(0, index).some((last) => isEnd(last) && last.seq === ack.seq),
      );
      return commands.size === 0 && ends.length === seq && new Set(ends).size === seq && !afterEnd;
    }),
    { numRuns: 500 },
  );
});

t.test('a gateway that says again that it has a command is trusted to end it', async (t) => {
  const commands = new Commands(defaultTiming);
  commands.sent('session-1', 1, 5000, 0);
  commands.answered(answer('session-1', 'accepted'), 1);
  commands.connectionLost(1000);
  t.equal(commands.answered(answer('session-1', 'accepted'), 3000), null, 'no news for the surface');
  t.same(commands.due(1000 + defaultTiming.uncertainMs), []);
  t.match(commands.answered(answer('session-1', 'converged'), 90_000), { phase: 'converged' });
});

t.test('ends that the link gives say why', async (t) => {
  const commands = new Commands(defaultTiming);
  commands.sent('session-1', 1, 5000, 0);
  commands.sent('session-2', 2, 5000, 0);
  commands.sent('session-3', 3, 5000, 0);
  t.equal(commands.answered(answer('another-1', 'denied'), 1), null, 'of an earlier run');
  t.match(commands.answered(answer('session-2', 'accepted'), 1), { seq: 2, phase: 'accepted' });
  t.equal(commands.answered(answer('session-2', 'received'), 2), null, 'out of order');
  t.match(commands.answered(answer('session-3', 'accepted'), 1), { seq: 3 });
  t.same(commands.due(7999), []);
  t.match(commands.due(8000), [{ seq: 1, phase: 'expired', code: 'NoAnswer' }]);
  t.match(commands.answered(answer('session-3', 'converged'), 9000), { seq: 3, phase: 'converged' });
  t.match(commands.gatewayChanged(), [{ seq: 2, phase: 'expired', code: 'GatewayRestarted' }]);
  commands.sent('session-4', 4, 5000, 10_000);
  commands.answered(answer('session-4', 'accepted'), 10_001);
  commands.connectionLost(11_000);
  t.same(commands.due(70_999), []);
  t.match(commands.due(71_000), [{ seq: 4, phase: 'expired', code: 'EndUnknown' }]);
  t.equal(commands.answered(answer('session-4', 'converged'), 71_001), null, 'too late: it had its end');
});

const slot = (rev: number): SlotMessage => ({
  v: 1,
  rev,
  at: rev,
  name: 'cart',
  colour: 'green',
  kind: 'Deployment',
  desired: 3,
  observed: 3,
  ready: 3,
  pods: [['a', 'ready']],
  podsLeftOut: 0,
  condition: { state: 'ok', reason: '', message: '' },
  owner: null,
});

t.test('a slot never goes back in time, and a live one beats a kept one', async (t) => {
  const inbox = new Inbox();
  t.match(inbox.slot(0, slot(500), true), { rev: 500, at: 500, name: 'cart' });
  t.match(inbox.slot(0, slot(3), false), { rev: 3 }, 'the kept one was of a gateway before');
  t.equal(inbox.slot(0, slot(2), false), null);
  t.equal(inbox.slot(0, slot(2), true), null);
  t.match(inbox.slot(1, slot(1), false), { rev: 1 }, 'each slot by itself');
  inbox.restart();
  t.match(inbox.slot(0, slot(1), false), { rev: 1 });
  t.notOk('v' in (inbox.slot(0, slot(9), false) ?? { v: 1 }));
});

type Part = Extract<CtlMessage, { type: 'bindings' }>;
const part = (rev: number, index: number, parts: number, slots: readonly number[]): Part => ({
  v: 1,
  type: 'bindings',
  rev,
  part: index,
  parts,
  trust: 'tpm',
  bindings: slots.map((number) => ({
    slot: number,
    control: `fader${number}`,
    bank: 0,
    name: 'cart',
    colour: 'green',
    min: 1,
    max: 9,
    step: 1,
    takeover: 'pickup',
    zero: 'never',
    isInverted: false,
  })),
});

t.test('bindings are applied when all parts of a revision are there, in any order', async (t) => {
  const inbox = new Inbox();
  t.equal(inbox.bindings(part(1, 1, 2, [1])), null);
  t.equal(inbox.bindings(part(1, 1, 2, [1])), null, 'the same part twice is one part');
  t.match(
    inbox.bindings(part(1, 0, 2, [0]))?.bindings.map((each) => each.slot),
    [0, 1],
  );
  t.equal(inbox.bindings(part(2, 0, 2, [0])), null);
  t.equal(inbox.bindings(part(3, 1, 2, [2])), null, 'parts of two revisions are never mixed');
  t.match(
    inbox.bindings(part(3, 0, 2, [5]))?.bindings.map((each) => each.slot),
    [5, 2],
  );
  t.equal(inbox.bindings(part(4, 3, 2, [0])), null, 'a part that cannot be');
  t.same(inbox.bindings(part(5, 0, 1, []))?.bindings, [], 'none is a valid set');
});

t.test('bindings that are what they were say so, after a new connection, too', async (t) => {
  const inbox = new Inbox();
  t.equal(inbox.bindings(part(1, 0, 1, [0]))?.isChanged, true);
  inbox.restart();
  t.equal(inbox.bindings(part(9, 0, 1, [0]))?.isChanged, false);
  t.equal(inbox.bindings(part(10, 0, 1, [1]))?.isChanged, true);
});

t.test('a birth with 64 long names fits', async (t) => {
  const controls = Array.from({ length: 70 }, (_, index) => ({
    name: `${'x'.repeat(30)}${String(index).padStart(2, '0')}`,
    kind: 'encoder' as const,
    hasTouch: true,
  }));
  const payload = encodeBirth('session-1', { model: 'm'.repeat(99), firmware: '1', controls }, 5, false);
  const decoded = decode(birthMessage, payload);
  t.match(decoded, { ok: true, message: { clock: 'unset', at: 5 } });
  t.ok(decoded.ok && decoded.message.controls.length > 50);
});

t.test('a birth names motors, because take-over depends on them', async (t) => {
  const controls = [
    { name: 'fader1', kind: 'fader' as const, hasMotor: true },
    { name: 'fader2', kind: 'fader' as const, hasMotor: false },
  ];
  const payload = encodeBirth('session-1', { model: 'm', firmware: '1', controls }, 5, true);
  const decoded = decode(birthMessage, payload);
  if (!decoded.ok) throw new Error(decoded.problem);
  t.same(decoded.message.controls, [
    { name: 'fader1', kind: 'fader', hasMotor: true },
    { name: 'fader2', kind: 'fader' },
  ]);
});

t.test('a command says what the operator saw, and is valid on the wire', async (t) => {
  const intent = { seq: 7, slot: 3, want: 5, saw: 2, arm: ['zero' as const] };
  t.match(decode(commandMessage, encodeCommand('session-1-7', intent, { issuedAt: 99, ttlMs: 5000 }, null)), {
    ok: true,
    message: { id: 'session-1-7', slot: 3, want: 5, saw: 2, issuedAt: 99, ttlMs: 5000, arm: ['zero'] },
  });
  const bare = decode(
    commandMessage,
    encodeCommand('session-1-8', { ...intent, arm: [] }, { issuedAt: 99, ttlMs: 5000 }, null),
  );
  t.ok(bare.ok && !('arm' in bare.message));
});
