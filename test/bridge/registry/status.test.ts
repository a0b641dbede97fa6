import fc from 'fast-check';
import t from 'tap';
import type { KubeAccess, Write } from '../../../daemon/bridge/kube/access.ts';
import { KubeError } from '../../../daemon/bridge/kube/types.ts';
import { type Facts, lastSeenMs, statusOf } from '../../../daemon/bridge/registry/cluster/conditions.ts';
import {
  type KnownStatus,
  recordOf,
  type SurfaceRecord,
} from '../../../daemon/bridge/registry/cluster/objects.ts';
import { startStatusWriter, statusBudget } from '../../../daemon/bridge/registry/cluster/status-writer.ts';
import { silentLog } from '../../../daemon/log.ts';

const at = Date.UTC(2026, 0, 1);
const ek = 'ab'.repeat(32);
const nothing: KnownStatus = {
  observedGeneration: null,
  conditions: [],
  level: null,
  lastSeenAt: null,
  firmware: null,
};
const object = (name: string, version = 1, status: unknown = {}, spec: unknown = {}) => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion: `${version}`, generation: 1 },
  spec,
  status,
});
const facts = (change: Partial<Facts> = {}): Facts => ({
  generation: 1,
  surface: recordOf(object('desk', 1, {}, { tpm: { ekSha256: ek } }), undefined).surface,
  problem: null,
  isTokenEnough: false,
  trust: null,
  isOnline: false,
  lastSeenAt: null,
  firmware: null,
  targets: [],
  ...change,
});
const trust = (state: 'trusted' | 'failed' | 'pending') => ({
  surface: 'desk',
  ekSha256: ek,
  state,
  level: state === 'trusted' ? (1 as const) : null,
  reason: `it is ${state}`,
  attestedAt: null,
  evidence: null,
  reference: null,
  hasTrustedCertificate: false,
  firmware: null,
});
const kept = ({ status }: ReturnType<typeof statusOf>): KnownStatus => ({
  observedGeneration: status.observedGeneration,
  conditions: status.conditions,
  level: status.level,
  lastSeenAt: status.lastSeen === null ? null : Date.parse(status.lastSeen),
  firmware: status.firmware,
});
const words = ({ status }: ReturnType<typeof statusOf>) =>
  Object.fromEntries(status.conditions.map((one) => [one.type, `${one.status} ${one.reason}`]));

t.test('conditions say what is, and keep the time of their last change', async (t) => {
  const first = statusOf(facts(), nothing, at);
  t.same(words(first), {
    Approved: 'True KeyApproved',
    Valid: 'True Valid',
    Attested: 'Unknown NotLooked',
    Connected: 'False NotSeen',
    Resolved: 'True NoBindings',
  });
  t.equal(first.change, 'transition');
  t.equal(statusOf(facts(), kept(first), at + 5000).change, 'none');
  const online = { isOnline: true, lastSeenAt: at, firmware: '1.2.3', trust: trust('trusted') };
  const second = statusOf(facts(online), kept(first), at + 10_000);
  t.match(words(second), { Attested: 'True Level1', Connected: 'True Online' });
  t.match(second.status, { level: 1, firmware: '1.2.3', lastSeen: '2026-01-01T00:00:10Z' });
  const valid = second.status.conditions.find(({ type }) => type === 'Valid');
  t.equal(valid?.lastTransitionTime, '2026-01-01T00:00:00Z', 'did not change');
  t.equal(statusOf(facts(online), kept(second), at + 10_000 + lastSeenMs - 1).change, 'none');
  t.equal(statusOf(facts(online), kept(second), at + 10_000 + lastSeenMs).change, 'minor');
  const failed = statusOf(facts({ ...online, trust: trust('failed') }), kept(second), at + 20_000);
  t.match(failed, { change: 'transition', status: { level: null } });
  t.match(words(failed), { Attested: 'False Failed' });

  const broken = facts({ problem: 'spec.bindings.0.min: must not be above max', generation: 2 });
  t.match(words(statusOf(broken, kept(first), at)), { Valid: 'False LastGoodKept' });
  t.match(statusOf(broken, kept(first), at).status.conditions[1], {
    message: 'spec.bindings.0.min: must not be above max',
    observedGeneration: 2,
  });
  const targets = [
    { name: 'Deployment shop/cart', state: 'missing' as const, message: 'not found' },
    { name: 'Deployment shop/web', state: 'found' as const, message: '' },
  ];
  t.match(words(statusOf(facts({ targets }), nothing, at)), { Resolved: 'False TargetMissing' });
  const none = recordOf(object('desk'), undefined).surface;
  t.match(words(statusOf(facts({ surface: none }), nothing, at)), {
    Approved: 'False NoKey',
    Attested: 'False NoKey',
  });
  t.match(words(statusOf(facts({ surface: none, isTokenEnough: true }), nothing, at)), {
    Approved: 'True TokenIsEnough',
    Attested: 'False Token',
  });
  const revoked = recordOf(object('desk', 1, {}, { isRevoked: true }), undefined).surface;
  t.match(words(statusOf(facts({ surface: revoked }), nothing, at)), { Approved: 'False Revoked' });
});

t.test('whatever the facts: written once it is settled, and what others say stays', async (t) => {
  const other = {
    type: 'Other',
    status: 'True' as const,
    observedGeneration: 1,
    lastTransitionTime: '',
    reason: 'R',
    message: '',
  };
  const target = fc.record({
    name: fc.string(),
    state: fc.constantFrom('found' as const, 'missing' as const, 'denied' as const, 'unknown' as const),
    message: fc.string({ maxLength: 5000 }),
  });
  const any = fc.record({
    generation: fc.nat(9),
    problem: fc.option(fc.string({ maxLength: 5000 })),
    isTokenEnough: fc.boolean(),
    isOnline: fc.boolean(),
    lastSeenAt: fc.option(fc.integer({ min: at - 100_000, max: at })),
    firmware: fc.option(fc.string()),
    targets: fc.array(target, { maxLength: 8 }),
    trust: fc.constantFrom(null, trust('trusted'), trust('failed'), trust('pending')),
  });
  fc.assert(
    fc.property(any, any, (one, two) => {
      const first = statusOf(facts(one), { ...nothing, conditions: [other] }, at);
      const second = statusOf(facts(two), kept(first), at + 1000);
      const third = statusOf(facts(two), kept(second), at + 2000);
      const isBounded = second.status.conditions.every(
        ({ message, reason }) => message.length <= 1024 && /^[A-Za-z]\w*$/.test(reason),
      );
      return third.change === 'none' && isBounded && second.status.conditions.includes(other);
    }),
  );
  t.pass('for all of them');
});

/** An API server for one kind that a test drives by hand, and a clock. */
function bed(names: readonly string[]) {
  let now = 0;
  let version = 1;
  const records = new Map(
    names.map((name): [string, SurfaceRecord] => [name, recordOf(object(name), undefined)]),
  );
  const state = new Map<string, Partial<Facts>>();
  const writes: string[] = [];
  const failures: number[] = [];
  const access: KubeAccess = {
    get: async () => ({}),
    write: async ({ path, body }: Write) => {
      const name = path.split('/').at(-2) ?? '';
      const status = failures.shift();
      const isStale =
        (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion !==
        live.get(name)?.version;
      if (status !== undefined || isStale)
        throw new KubeError('refused', {
          status: status ?? 409,
          reason: '',
          retryAfterMs: null,
          isUncertain: false,
        });
      writes.push(name);
      live.set(name, { version: `${++version}`, status: (body as { status: unknown }).status });
      return object(name, version, (body as { status: unknown }).status);
    },
  };
  const live = new Map(names.map((name) => [name, { version: '1', status: {} as unknown }]));
  const writer = startStatusWriter({
    access,
    namespace: 'surfaced',
    recordOf: (name) => records.get(name) ?? null,
    factsOf: ({ name }) => facts(state.get(name) ?? {}),
    clock: { now: () => at + now, monotonic: () => now },
    log: silentLog,
  });
  return {
    writer,
    writes,
    failures,
    state,
    /** The mirror shows what the API server has. */
    mirror: () => {
      for (const [name, { version, status }] of live)
        records.set(name, recordOf(object(name, Number(version), status), records.get(name)));
    },
    meddle: (name: string) => live.set(name, { version: `${++version}`, status: {} }),
    pass: async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        now += 1000;
        await writer.tick();
      }
    },
  };
}

t.test('a storm is spread, one surface that comes and goes is bounded, its last word is told', async (t) => {
  const names = Array.from({ length: 500 }, (_, index) => `s${index}`);
  const { writer, writes, pass, state, mirror } = bed(names);
  t.teardown(() => writer.close());
  writer.mark(names);
  await pass(1);
  t.ok(writes.length <= statusBudget.burst + statusBudget.perSecond, `${writes.length} in the first second`);
  await pass(30);
  t.equal(new Set(writes).size, 500);
  t.equal(writes.length, 500);
  t.equal(writer.waiting(), 0);
  mirror();
  writer.mark(names);
  await pass(1);
  t.equal(writes.length, 500, 'nothing that is not different');

  writes.length = 0;
  for (let second = 0; second < 300; second++) {
    state.set('s1', { isOnline: second % 2 === 0, lastSeenAt: at });
    writer.mark(['s1']);
    await pass(1);
  }
  t.ok(writes.length <= statusBudget.surfaceBurst + 300 / 30 + 1, `${writes.length} writes in 300 changes`);
  state.set('s1', { isOnline: true, lastSeenAt: at });
  writer.mark(['s1']);
  await pass(31);
  mirror();
  const last = writes.length;
  writer.mark(['s1']);
  await pass(1);
  t.equal(writes.length, last, 'the last word has been told');
});

t.test('conflicts, refusals and an API server that is away', async (t) => {
  const { writer, writes, failures, pass, state, mirror, meddle } = bed(['a', 'b']);
  t.teardown(() => writer.close());
  meddle('a');
  writer.mark(['a']);
  await pass(1);
  t.same(writes, [], 'somebody else had written');
  mirror();
  await pass(3);
  t.same(writes, ['a']);
  // Our own write is not shown yet: the next one goes by the answer to it.
  state.set('a', { isOnline: true, lastSeenAt: at });
  writer.mark(['a']);
  await pass(1);
  t.same(writes, ['a', 'a']);
  failures.push(403);
  writer.mark(['b']);
  await pass(1);
  t.match(writer.problem(), /cannot be written: refused/);
  await pass(20);
  t.equal(writes.length, 2, 'rests');
  await pass(15);
  t.same(writes, ['a', 'a', 'b']);
  t.equal(writer.problem(), null);
  failures.push(503, 422);
  state.set('b', { isOnline: true, lastSeenAt: at });
  writer.mark(['b']);
  await pass(10);
  t.match(writer.problem(), /status of b is refused/);
  await pass(301);
  t.same(writes, ['a', 'a', 'b', 'b']);
});
