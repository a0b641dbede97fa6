/** Requests: connections, headers, refusals, deadlines, retries. */
import t from 'tap';
import { extraHeader, headerLines } from '../../../daemon/bridge/kube/client.ts';
import { retryAfterMs } from '../../../daemon/bridge/kube/failure.ts';
import type { KubeError, Scale } from '../../../daemon/bridge/kube/types.ts';
import type { ReplayRequest } from '../../../hil/sim/replay/replay.ts';
import { answer, cut, hang, type Reply, refusal, replyOf } from '../../../hil/sim/replay/reply.ts';
import { deployment, deskActor as desk, healthIs, never, recording, refusedBy, start } from './start.ts';

const cart = deployment('cart');
const isScale = ({ pathname }: ReplayRequest): boolean => pathname.endsWith('/cart/scale');
const scale: Scale = { uid: 'u', resourceVersion: '435', replicas: 0, observed: 0, selector: 'app=cart' };

t.test('30 reads in a row use at most 2 connections', async (t) => {
  const { cluster, replay } = await start(t, ['03-scale-errors'], { tuning: { probeMs: 60_000 } });
  for (let read = 0; read < 30; read++) await cluster.getScale(cart, desk, never);
  t.equal(replay.requests.filter(isScale).length, 30);
  t.ok(replay.connections <= 2, `${replay.connections} connections`);
});

t.test('the recorded scale, with its omitted number', async (t) => {
  const { cluster } = await start(t, ['03-scale-errors']);
  t.same(await cluster.getScale(cart, desk, never), {
    ...scale,
    uid: '3d2184bb-576b-4b88-afad-49447061dbc2',
  });
});

t.test('a surface acts in its own name: one line a group, extra keys encoded', async (t) => {
  const { cluster, replay } = await start(t, ['04-rbac-and-impersonation']);
  const actor = { ...desk, groups: ['surfaced:surfaces', 'site:home'] };
  const put = await cluster.putScale(cart, scale, 2, actor, { isDryRun: false }, never);
  t.equal(put.replicas, 2);
  const { rawHeaders, query, body, headers } = replay.requests.find(isScale)!;
  const groups = rawHeaders.filter((_, index) => rawHeaders[index - 1] === 'Impersonate-Group');
  t.same(groups, ['surfaced:surfaces', 'site:home']);
  t.equal(headers['impersonate-user'], 'surfaced:surface:desk');
  const recorded = (await recording('04-rbac-and-impersonation')).exchanges[2]?.request.headers;
  const extra = Object.keys(recorded ?? {}).find((name) => name.startsWith('impersonate-extra'))!;
  t.equal(headers[extra], 'desk', 'the header name of the recording');
  t.equal(query.get('fieldManager'), 'surfaced');
  t.equal(query.get('dryRun'), null);
  t.same(body, {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name: 'cart', namespace: 'shop', uid: 'u', resourceVersion: '435' },
    spec: { replicas: 2 },
  });
  await refusedBy(cluster.putScale(cart, scale, 2, actor, { isDryRun: true }, never));
  t.equal(replay.requests.filter(isScale).at(-1)?.query.get('dryRun'), 'All');
});

t.test('header names of extra fields', async (t) => {
  t.equal(extraHeader('surfaced.dev/surface'), 'Impersonate-Extra-surfaced.dev%2fsurface');
  t.equal(extraHeader('A b%ü'), 'Impersonate-Extra-a%20b%25%c3%bc');
  const lines = headerLines({ 'Impersonate-User': 'kubeconfig', Authorization: 'x' }, desk, {});
  t.notOk(lines.includes('kubeconfig'), 'an actor takes the place of the kubeconfig `as`');
});

t.test('every recorded refusal keeps its status, reason and words', async (t) => {
  const { exchanges } = await recording('03-scale-errors');
  const { cluster, replay } = await start(t, []);
  for (const exchange of exchanges.filter(({ response }) => response.status >= 400)) {
    const remove = replay.script((request) => (isScale(request) ? replyOf(exchange) : null));
    const error = await refusedBy(cluster.putScale(cart, scale, 4, desk, { isDryRun: false }, never));
    const status = exchange.response.body as { code: number; reason: string; message: string };
    t.match(error, {
      status: status.code,
      reason: status.reason,
      message: status.message,
      isUncertain: false,
      retryAfterMs: null,
    });
    remove();
  }
});

t.test('an answer to a PUT that does not come leaves the outcome open', async (t) => {
  const { cluster, replay } = await start(t, [], { tuning: { requestMs: 1500 } });
  const put = (reply: Reply, signal = never): Promise<KubeError> => {
    const remove = replay.script((request) => (isScale(request) ? reply : null));
    return refusedBy(cluster.putScale(cart, scale, 4, desk, { isDryRun: false }, signal)).finally(remove);
  };
  t.match(await put(hang), { status: 0, reason: 'Timeout', isUncertain: true });
  t.match(await put(cut), { status: 0, reason: 'Unreachable', isUncertain: true });
  t.match(await put(answer(504, '<html>')), { status: 504, reason: 'Http504', isUncertain: true });
  t.match(await put(refusal(500, 'InternalError', 'etcd')), { status: 500, isUncertain: true });
  t.match(await put(refusal(503, 'ServiceUnavailable', 'later')), { status: 503, isUncertain: false });
  t.match(await put(answer(200, 'ok')), { reason: 'InvalidAnswer', isUncertain: true });
  t.match(await put(refusal(429, 'TooManyRequests', 'later', { 'retry-after': '1' })), {
    status: 429,
    retryAfterMs: 1000,
    isUncertain: false,
  });
  t.equal(replay.requests.filter(isScale).length, 7, 'no write is ever repeated');
  const ended = new AbortController();
  const given = put(hang, ended.signal);
  await replay.until(() => replay.requests.filter(isScale).length === 8);
  ended.abort();
  t.match(await given, { status: 0, reason: 'Aborted', isUncertain: true });
  await replay.goAway();
  await healthIs(cluster, false);
  t.match(await put(hang), { status: 0, reason: 'Unreachable', isUncertain: false }, 'never sent');
});

t.test('a read is repeated after what may pass, and only then', async (t) => {
  const { cluster, replay } = await start(t, ['03-scale-errors']);
  const read = async (replies: Reply[]): Promise<number> => {
    const before = replay.requests.filter(isScale).length;
    const remove = replay.script((request) => (isScale(request) ? (replies.shift() ?? null) : null));
    await cluster.getScale(cart, desk, never).catch(() => {});
    remove();
    return replay.requests.filter(isScale).length - before;
  };
  t.equal(await read([refusal(500, 'InternalError', ''), cut]), 3);
  t.equal(await read([refusal(429, 'TooManyRequests', '', { 'retry-after': '0' })]), 2);
  t.equal(
    await read([refusal(503, 'ServiceUnavailable', ''), answer(502, ''), answer(504, ''), cut]),
    3,
    'then no more',
  );
  t.equal(await read([refusal(403, 'Forbidden', '')]), 1);
  t.equal(
    await read([refusal(429, 'TooManyRequests', '', { 'retry-after': '60' })]),
    1,
    'longer than the deadline',
  );
});

t.test('answers are bounded', async (t) => {
  const { cluster, replay } = await start(t, [], { tuning: { maxBodyBytes: 1 << 20 } });
  replay.script((request) => (isScale(request) ? answer(200, { filler: 'x'.repeat(2 << 20) }) : null));
  const error = await refusedBy(cluster.getScale(cart, desk, never));
  t.match(error.message, /longer than/);
  replay.script((request) => (isScale(request) ? refusal(422, 'Invalid', 'y'.repeat(100_000)) : null));
  t.ok((await refusedBy(cluster.getScale(cart, desk, never))).message.length <= 1024);
});

t.test('Retry-After in seconds and as a date', async (t) => {
  const now = Date.parse('2026-11-23T04:00:00Z');
  t.equal(retryAfterMs('7', now), 7000);
  t.equal(retryAfterMs('Mon, 23 Nov 2026 04:00:05 GMT', now), 5000);
  t.equal(retryAfterMs('Mon, 23 Nov 2026 03:00:00 GMT', now), 0);
  t.equal(retryAfterMs('999999', now), 300_000);
  t.equal(retryAfterMs('soon', now), null);
  t.equal(retryAfterMs(undefined, now), null);
});
