/**
 * What must hold whatever happens (DESIGN.md rules 3 and 5): one end for each command, no command acts twice,
 * after its time, or on a number that the operator did not see.
 */
import fc from 'fast-check';
import t from 'tap';
import { Bed, cart, surfaceOf } from './bed.ts';
import { apiError, autoscaled, type Failure } from './fake-cluster.ts';

const maxMs = 4000;
const surfaces = ['desk', 'wall'] as const;

type Step =
  | {
      readonly type: 'send';
      readonly surface: 0 | 1;
      readonly slot: number;
      readonly sawOff: number;
      readonly ageMs: number;
      readonly ttlMs: number;
      readonly isArmed: boolean;
    }
  | { readonly type: 'repeat'; readonly back: number }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'fail'; readonly verb: 'get' | 'put'; readonly failure: Failure }
  | { readonly type: 'slow'; readonly ms: number }
  | { readonly type: 'elsewhere'; readonly desired: number }
  | { readonly type: 'touch' }
  | { readonly type: 'converge' }
  | { readonly type: 'autoscaler'; readonly isThere: boolean }
  | { readonly type: 'revoke'; readonly isRevoked: boolean };

const failures: readonly Failure[] = [
  { error: apiError(409, 'Conflict') },
  { error: apiError(429, 'TooManyRequests', { retryAfterMs: 700 }) },
  { error: apiError(403, 'Forbidden') },
  { error: apiError(503, 'ServiceUnavailable') },
  { error: apiError(0, 'Unreachable') },
  { error: apiError(500, 'InternalError', { isUncertain: true }) },
  { error: apiError(500, 'InternalError', { isUncertain: true }), isCarriedOut: true },
  { error: apiError(504, 'Timeout', { isUncertain: true }), isCarriedOut: true, delayMs: 3000 },
  { error: apiError(504, 'Timeout', { isUncertain: true }), isCarriedOut: true, delayMs: 60_000 },
];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      surface: fc.constantFrom(0 as const, 1 as const),
      slot: fc.nat(1),
      sawOff: fc.constantFrom(0, 0, 0, 0, 1),
      ageMs: fc.constantFrom(0, 0, 0, 0, 100, 2000, 40_000, -3000),
      ttlMs: fc.constantFrom(500, 3000),
      isArmed: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('repeat' as const), back: fc.nat(4) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 10, 100, 1000, maxMs),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('fail' as const),
      verb: fc.constantFrom('get' as const, 'put' as const),
      failure: fc.constantFrom(...failures),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('slow' as const), ms: fc.constantFrom(0, 50, 400) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('elsewhere' as const), desired: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.constant({ type: 'touch' as const }) },
  { weight: 2, arbitrary: fc.constant({ type: 'converge' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('autoscaler' as const), isThere: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('revoke' as const), isRevoked: fc.boolean() }) },
);

interface Asked {
  readonly id: string;
  readonly want: number;
  readonly saw: number;
  readonly lastMoment: number;
  readonly surface: (typeof surfaces)[number];
  readonly again: () => void;
}

/** Plays the steps and returns what was asked of the gateway. */
async function play(bed: Bed, steps: readonly Step[]): Promise<readonly Asked[]> {
  const bindings = [{ max: 1000 }, { max: 1000 }];
  for (const name of surfaces) {
    bed.registry.set(name, surfaceOf(name, bindings));
    bed.birth(name, { id: `session-${name}` });
  }
  const asked: Asked[] = [];
  for (const next of steps) {
    switch (next.type) {
      case 'send': {
        const surface = surfaces[next.surface];
        // Each command wants a number of its own, by which its PUT is known.
        const want = 100 + asked.length;
        const id = `session-${surface}-${asked.length}`;
        const saw = bed.cluster.object(cart).desired + next.sawOff;
        const issuedAt = bed.time.now() - next.ageMs;
        const arm = next.isArmed ? (['autoscaler'] as const) : [];
        const again = (): void =>
          void bed.send({ id, want, saw, slot: next.slot, issuedAt, ttlMs: next.ttlMs, arm }, surface);
        asked.push({ id, want, saw, lastMoment: issuedAt + next.ttlMs, surface, again });
        again();
        break;
      }
      case 'repeat':
        asked.at(-1 - next.back)?.again();
        break;
      case 'wait':
        await bed.time.advance(next.ms);
        break;
      case 'fail':
        bed.cluster.failures[next.verb].push(next.failure);
        break;
      case 'slow':
        bed.cluster.delayMs = next.ms;
        break;
      case 'elsewhere':
        bed.cluster.change(cart, { desired: next.desired });
        break;
      case 'touch':
        bed.cluster.change(cart, {});
        break;
      case 'converge':
        bed.cluster.converge(cart);
        break;
      case 'autoscaler':
        bed.cluster.change(cart, {
          autoscaler: next.isThere ? autoscaled('web', 2, 4) : null,
        });
        break;
      case 'revoke':
        bed.registry.set('wall', surfaceOf('wall', bindings, next.isRevoked));
    }
  }
  return asked;
}

/** Everything that is wrong with what the gateway did. */
function faults(bed: Bed, asked: readonly Asked[]): readonly string[] {
  const found: string[] = [];
  const { calls } = bed.cluster;
  for (const { id, want, saw, lastMoment, surface } of asked) {
    const phases = bed.acks(id).map(({ phase }) => phase);
    const ends = phases.filter((phase) => phase !== 'received' && phase !== 'accepted');
    if (ends.length === 0) found.push(`${id} has no end`);
    if (new Set(ends).size > 1) found.push(`${id} has several ends: ${ends.join()}`);
    if (bed.records.filter((entry) => entry.id === id).length !== 1) found.push(`${id} is not recorded once`);
    const puts = calls.filter((call) => call.verb === 'put' && call.want === want);
    const done = puts.filter(({ replaced }) => replaced !== null);
    if (done.length > 1) found.push(`${id} acted ${done.length} times`);
    if (done.some(({ replaced }) => replaced !== saw)) found.push(`${id} acted on a number that nobody saw`);
    if (puts.some(({ at }) => at > lastMoment)) found.push(`${id} acted after its time`);
    if (puts.some(({ actor }) => actor.user !== `surfaced:surface:${surface}`))
      found.push(`${id} acted as another`);
    if (phases.includes('accepted') && done.length === 0) found.push(`${id} was accepted and not done`);
    if (done.length > 0 && ends.includes('stale')) found.push(`${id} was done and called stale`);
    for (const put of puts.slice(1)) {
      const before = calls[calls.indexOf(put) - 1];
      if (before?.verb !== 'get') found.push(`${id} was sent again without a look`);
    }
  }
  return found;
}

t.test('whatever happens: one end each, at most one deed, in time, on what was seen', async (t) => {
  let deeds = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40 }),
      fc.boolean(),
      async (steps, isCutShort) => {
        const bed = new Bed();
        bed.cluster.add(cart, { desired: 3 });
        bed.start();
        // Commands from before the start are refused anyway; here they should get further.
        await bed.time.advance(60_000);
        const asked = await play(bed, steps);
        if (!isCutShort) await bed.time.advance(1_000_000);
        await bed.relay.close();
        await bed.time.advance(100_000);
        deeds += bed.cluster.calls.filter(({ replaced }) => replaced !== null).length;
        const found = faults(bed, asked);
        if (found.length > 0) throw new Error(found.join('; '));
        if (bed.relay.status().commandsInFlight > 0) throw new Error('commands are left');
        if (bed.cluster.openWatches > 0) throw new Error('watches are left');
      },
    ),
    { numRuns: 250 },
  );
  t.ok(deeds > 50, `${deeds} deeds were looked at`);
});
