/** Every answer that the API server may give to a GET or PUT of a scale. */
import t from 'tap';
import { Bed, cart } from './bed.ts';
import { apiError } from './fake-cluster.ts';

t.test('a conflict is tried again only while the number is the one seen', async (t) => {
  const bed = await Bed.desk();
  let rounds = 0;
  bed.cluster.before = (verb) => {
    if (verb === 'put' && rounds++ < 2) bed.cluster.change(cart, { ready: 2 });
  };
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(500);
  t.equal(bed.phases(id), 'received accepted');
  t.same(bed.puts, [4, 4, 4]);

  bed.cluster.before = (verb) => {
    if (verb === 'put') bed.cluster.change(cart, { desired: 9 });
  };
  const changed = bed.send({ want: 5, saw: 4 });
  await bed.time.advance(500);
  t.equal(bed.last(changed), 'stale NumberChanged');

  bed.cluster.before = (verb) => {
    if (verb === 'put') bed.cluster.change(cart, { ready: 1 });
  };
  const hopeless = bed.send({ want: 5, saw: 9 });
  await bed.time.advance(500);
  t.equal(bed.last(hopeless), 'stale Conflict');
  t.equal(bed.puts.filter((want) => want === 5).length, 1 + 4, 'three tries more, then no more');
  await bed.relay.close();
});

t.test('every refusal of the API server has its own end and words', async (t) => {
  const rbac =
    'deployments.apps "cart" is forbidden: User "surfaced:surface:desk" cannot update resource "deployments/scale" in API group "apps" in the namespace "shop"';
  const impersonation =
    'users "surfaced:surface:desk" is forbidden: User "system:serviceaccount:surfaced:gateway" cannot impersonate resource "users" in API group "" at the cluster scope';
  const cases: readonly [ReturnType<typeof apiError>, string, RegExp][] = [
    [
      apiError(403, 'Forbidden', { message: rbac }),
      'denied Forbidden',
      /surfaced:surface:desk may not update .* Role in namespace shop/,
    ],
    [
      apiError(403, 'Forbidden', { message: impersonation }),
      'denied Forbidden',
      /own account may not act as surfaced:surface:desk/,
    ],
    [
      apiError(403, 'Forbidden', { message: 'admission webhook "x" denied the request: no' }),
      'denied AdmissionDenied',
      /x.* denied/,
    ],
    [apiError(401, 'Unauthorized'), 'denied Unauthorized', /own credentials/],
    [
      apiError(404, 'NotFound', { message: 'deployments.apps "cart" not found' }),
      'denied NotFound',
      /"cart" not found/,
    ],
    [
      apiError(422, 'Invalid', { message: 'spec.replicas: Invalid value: 99' }),
      'denied Invalid',
      /Invalid value: 99/,
    ],
    [apiError(400, 'BadRequest', { message: 'error decoding' }), 'denied BadRequest', /error decoding/],
  ];
  for (const verb of ['get', 'put'] as const)
    for (const [error, end, words] of cases) {
      const bed = await Bed.desk();
      bed.cluster.failures[verb].push({ error });
      const id = bed.send({ want: 4, saw: 3 });
      await bed.time.advance(50);
      t.equal(bed.last(id), end, `${verb} ${error.status}`);
      t.match(bed.acks(id).at(-1)?.detail, words);
      t.equal(bed.cluster.object(cart).desired, 3);
      await bed.relay.close();
    }
});

t.test('429 waits as long as it is told, within the time to live', async (t) => {
  const bed = await Bed.desk();
  const busy = apiError(429, 'TooManyRequests', { retryAfterMs: 2000 });
  bed.cluster.failures.put.push({ error: busy });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(1900);
  t.same(bed.puts, [4]);
  await bed.time.advance(200);
  t.same(bed.puts, [4, 4]);
  t.equal(bed.phases(id), 'received accepted');
  bed.cluster.failures.get.push({ error: busy }, { error: busy }, { error: busy });
  const overloaded = bed.send({ want: 5, saw: 4 });
  await bed.time.advance(6000);
  t.equal(bed.last(overloaded), 'denied Overloaded');
  t.same(bed.puts, [4, 4]);
  await bed.relay.close();
});

t.test('an API server that is away ends the command with its time to live', async (t) => {
  const bed = await Bed.desk();
  const away = apiError(0, 'Unreachable', { message: 'connect ECONNREFUSED' });
  for (let index = 0; index < 50; index++) bed.cluster.failures.get.push({ error: away });
  const id = bed.send({ want: 4, saw: 3 });
  await bed.time.advance(5001);
  t.equal(bed.last(id), 'expired ApiUnavailable');
  t.match(bed.acks(id).at(-1)?.detail, /ECONNREFUSED/);
  t.same(bed.puts, []);
  await bed.relay.close();
});

t.test('after a PUT without an answer the gateway looks before it sends anything', async (t) => {
  const lost = apiError(504, 'Timeout', { isUncertain: true });

  t.test('it was done', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost, isCarriedOut: true });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.phases(id), 'received accepted');
    t.same(bed.puts, [4]);
    await bed.relay.close();
  });
  t.test('it was not done', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.phases(id), 'received accepted');
    t.same(
      bed.cluster.calls.map(({ verb }) => verb),
      ['get', 'put', 'get', 'put'],
    );
    await bed.relay.close();
  });
  t.test('somebody else was faster', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    bed.cluster.before = (verb) => {
      if (verb === 'put') bed.cluster.change(cart, { desired: 8 });
    };
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.last(id), 'expired AnswerLost');
    t.same(bed.puts, [4]);
    await bed.relay.close();
  });
  t.test('the answer does not come at all', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost, isCarriedOut: true, delayMs: 60_000 });
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(8001);
    t.equal(bed.phases(id), 'received accepted', 'a last look after the time to live tells that it was done');
    t.same(bed.puts, [4]);
    await bed.relay.close();
  });
  t.test('a refusal to look is not a denial of what may have been done', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    bed.cluster.before = (verb) => {
      if (verb === 'get' && bed.puts.length > 0)
        bed.cluster.failures.get.push({ error: apiError(403, 'Forbidden', { message: 'no' }) });
    };
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(1000);
    t.equal(bed.last(id), 'expired AnswerLost');
    t.match(bed.acks(id).at(-1)?.detail, 'not known. no');
    await bed.relay.close();
  });
  t.test('nobody can tell', async (t) => {
    const bed = await Bed.desk();
    bed.cluster.failures.put.push({ error: lost });
    bed.cluster.before = (verb) => {
      if (verb === 'get' && bed.puts.length > 0) bed.cluster.failures.get.push({ error: lost });
    };
    const id = bed.send({ want: 4, saw: 3 });
    await bed.time.advance(8001);
    t.equal(bed.last(id), 'expired AnswerLost');
    t.match(bed.acks(id).at(-1)?.detail, /Whether it was done is not known/);
    t.same(bed.puts, [4]);
    await bed.relay.close();
  });
});
