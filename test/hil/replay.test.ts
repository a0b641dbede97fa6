/** The replay server gives what was recorded, in its order and its time, and notes what it was asked. */
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { loadRecording } from '../../hil/sim/replay/recording.ts';
import { type Replay, startReplay } from '../../hil/sim/replay/replay.ts';
import { cut, refusal } from '../../hil/sim/replay/reply.ts';

async function start(t: Test, name: string): Promise<{ replay: Replay; agent: Agent }> {
  const file = new URL(`../fixtures/kube/${name}.json`, import.meta.url).pathname;
  const replay = await startReplay({
    recordings: [await loadRecording(file)],
    speed: Number.POSITIVE_INFINITY,
  });
  const agent = new Agent({ connect: { ca: replay.caPem } });
  t.teardown(async () => {
    await agent.destroy();
    await replay.stop();
  });
  return { replay, agent };
}

t.test('requests that repeat get their answers in the recorded order, then the last one', async (t) => {
  const { replay, agent } = await start(t, '02-deployment-create-and-scale');
  const versions: string[] = [];
  for (let times = 0; times < 3; times++) {
    const path = '/apis/apps/v1/namespaces/shop/deployments/cart';
    const { body } = await agent.request({ origin: replay.url, method: 'GET', path });
    versions.push(
      ((await body.json()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion,
    );
  }
  t.equal(new Set(versions.slice(0, 2)).size, 2);
  t.equal(versions[2], versions[1]);
});

t.test('the same facts in another shape', async (t) => {
  const { replay, agent } = await start(t, '06-troubled-rollouts');
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const { body } = await agent.request({ origin: replay.url, method: 'GET', path });
    return (await body.json()) as Record<string, unknown>;
  };
  const path = '/apis/apps/v1/namespaces/shop/deployments';
  const listed = await get(`${path}?fieldSelector=metadata.name%3Dstuck&limit=500`);
  t.equal(listed.kind, 'DeploymentList');
  t.same(
    (listed.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name),
    ['stuck'],
  );
  const event = await get(
    '/api/v1/namespaces/tight/events?fieldSelector=involvedObject.kind%3DReplicaSet%2Ctype%3DWarning&limit=500',
  );
  t.ok((event.items as { type: string }[]).every(({ type }) => type === 'Warning'));
  t.match(await get('/apis/apps/v1/namespaces/shop/deployments/nobody'), { code: 404, reason: 'NotFound' });
});

t.test('a watch that goes on gets only what is newer', async (t) => {
  const { replay, agent } = await start(t, '07-autoscaler-owned');
  const path =
    '/apis/apps/v1/namespaces/shop/deployments?watch=1&fieldSelector=metadata.name%3Dweb&resourceVersion=719';
  const { body } = await agent.request({ origin: replay.url, method: 'GET', path });
  await replay.until(() => replay.openWatches.length === 1);
  replay.endWatches('close');
  const events = (await body.text()).trim().split('\n');
  t.equal(events.length, 3, 'versions 724, 735 and 736');
});

t.test('scripts come first, connections are counted, a cut is a cut', async (t) => {
  const { replay, agent } = await start(t, '03-scale-errors');
  const path = '/apis/apps/v1/namespaces/shop/deployments/cart/scale';
  const remove = replay.script(() => refusal(429, 'TooManyRequests', 'slow', { 'retry-after': '1' }));
  const { statusCode, headers, body } = await agent.request({ origin: replay.url, method: 'GET', path });
  await body.dump();
  t.equal(statusCode, 429);
  t.equal(headers['retry-after'], '1');
  remove();
  const put = { method: 'PUT', path, body: '{"spec":{"replicas":-1}}' } as const;
  const refused = await agent.request({ origin: replay.url, ...put });
  await refused.body.dump();
  t.equal(refused.statusCode, 422, 'a recorded PATCH answers the PUT of the same number');
  replay.script(() => cut);
  await t.rejects(agent.request({ origin: replay.url, method: 'GET', path }));
  t.ok(replay.connections >= 1 && replay.connections <= 3);
  t.equal(replay.requests.length, 3);
});

t.test('away, a handshake in the middle included, and back on the same port', async (t) => {
  const { replay } = await start(t, '01-discovery');
  const { port } = new URL(replay.url);
  const socket: TLSSocket = connect({ host: '127.0.0.1', port: Number(port), ca: replay.caPem });
  socket.on('error', () => {});
  await replay.goAway();
  await replay.comeBack();
  t.equal(new URL(replay.url).port, port);
  socket.destroy();
});
