/** The API server goes away and comes back. */
import t from 'tap';
import { answer, hang, refusal, stream } from '../../../hil/sim/replay/reply.ts';
import { deployment, follow, healthIs, start } from './start.ts';
import { isWatch, modified, quietWorld } from './world.ts';

t.test('away and back: shown, and everything is right again', async (t) => {
  const { replay, cluster } = await start(t, [], { prepare: quietWorld });
  const cart = follow(t, cluster, deployment('cart'));
  await cart.until(({ target }) => target !== null);
  t.equal(cluster.health().isHealthy, true);
  await replay.goAway();
  await healthIs(cluster, false);
  const away = await cart.until(({ problem }) => problem?.state === 'unreachable');
  t.match(away.problem?.message, /ECONNREFUSED/);
  t.not(away.target, null, 'what was known stays');
  replay.script((request) => (isWatch(request) ? stream([modified(90, 9)]) : null));
  await replay.comeBack();
  await healthIs(cluster, true);
  await cart.until(({ target, problem }) => target?.desired === 9 && problem === null);
});

t.test('an API server that does not answer is noticed although its watches are open', async (t) => {
  let isSilent = false;
  const { replay, cluster } = await start(t, [], {
    tuning: { probeDeadlineMs: 400 },
    prepare: (replay) => {
      quietWorld(replay);
      replay.script(({ pathname }) => (pathname === '/readyz' && isSilent ? hang : null));
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(() => replay.openWatches.length === 3);
  isSilent = true;
  const { problem } = await cart.until(({ problem }) => problem !== null);
  t.match(problem, { state: 'unreachable', message: /did not answer in time/ });
  isSilent = false;
  await cart.until(({ problem }) => problem === null);
  await replay.until(() => replay.requests.filter(isWatch).length === 2);
  t.pass('the watch was opened anew: the old one may hang on a connection that is no more');
});

t.test('no API server at the start: no exception, it is found later', async (t) => {
  const { replay, cluster } = await start(t, [], {
    prepare: async (replay) => {
      quietWorld(replay);
      await replay.goAway();
    },
  });
  t.equal(cluster.health().isHealthy, false);
  t.match(cluster.health().detail, /127\.0\.0\.1.*ECONNREFUSED/);
  const cart = follow(t, cluster, deployment('cart'));
  const { problem } = await cart.until(({ problem }) => problem !== null);
  t.equal(problem?.state, 'unreachable');
  await replay.comeBack();
  await cart.until(({ target, problem }) => target !== null && problem === null);
});

t.test('what the answers to a probe mean', async (t) => {
  const cases = [
    { readyz: answer(200, 'ok'), version: answer(500, ''), isHealthy: true, detail: /is ready/ },
    { readyz: refusal(403, 'Forbidden', 'no'), version: answer(200, {}), isHealthy: true, detail: /answers/ },
    {
      readyz: refusal(404, 'NotFound', 'no'),
      version: refusal(403, 'Forbidden', 'no'),
      isHealthy: true,
      detail: /answers/,
    },
    {
      readyz: refusal(401, 'Unauthorized', 'Unauthorized'),
      version: answer(200, {}),
      isHealthy: false,
      detail: /credentials/,
    },
    {
      readyz: answer(500, '[-]etcd failed'),
      version: answer(200, {}),
      isHealthy: false,
      detail: /not ready/,
    },
    {
      readyz: refusal(429, 'TooManyRequests', 'no'),
      version: answer(200, {}),
      isHealthy: true,
      detail: /answers/,
    },
  ];
  for (const { readyz, version, isHealthy, detail } of cases) {
    const { cluster } = await start(t, [], {
      prepare: (replay) => {
        replay.script(({ pathname }) =>
          pathname === '/readyz' ? readyz : pathname === '/version' ? version : null,
        );
      },
    });
    t.equal(cluster.health().isHealthy, isHealthy);
    t.match(cluster.health().detail, detail);
  }
});

t.test('one failed probe is not an outage', async (t) => {
  let probes = 0;
  let changes = 0;
  const { replay, cluster } = await start(t, [], {
    prepare: (replay) => {
      replay.script(({ pathname }) => {
        if (pathname !== '/readyz') return null;
        probes++;
        return probes === 2 ? { kind: 'cut' } : answer(200, 'ok');
      });
    },
  });
  cluster.onHealth(() => changes++);
  await replay.until(() => probes > 4);
  t.equal(changes, 0);
});
