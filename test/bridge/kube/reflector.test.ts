/** Watches that meet every failure which bridge.md lists for client-node, and must outlive them. */
import pino from 'pino';
import t, { type Test } from 'tap';
import type { Replay } from '../../../hil/sim/replay/replay.ts';
import { answer, cut, hang, type Reply, refusal, stream } from '../../../hil/sim/replay/reply.ts';
import { deployment, follow, type Started, start } from './start.ts';
import {
  deploymentObject,
  deployments,
  inTurn,
  isList,
  isWatch,
  listOf,
  modified,
  podObject,
  podsPath,
  quietWorld,
} from './world.ts';

const tooOld = {
  kind: 'Status',
  status: 'Failure',
  message: 'too old resource version: 5 (937)',
  reason: 'Expired',
  code: 410,
};
const count = (replay: Replay, matches: typeof isList): number => replay.requests.filter(matches).length;
const isOpen = (replay: Replay): boolean => replay.openWatches.some(isWatch);

/** Starts with a failure of the list or the watch, and expects the next event to arrive nevertheless. */
async function survives(
  t: Test,
  matches: typeof isList,
  replies: readonly Reply[],
  change: Parameters<typeof start>[2] = {},
): Promise<Started> {
  const started = await start(t, [], {
    ...change,
    prepare: (replay) => {
      quietWorld(replay);
      inTurn(replay, matches, replies);
    },
  });
  const { replay, cluster } = started;
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(() => count(replay, matches) > replies.length && isOpen(replay));
  replay.push(deployments, modified(50, 7));
  const { problem } = await cart.until(({ target }) => target?.desired === 7);
  t.equal(problem, null);
  return started;
}

t.test('a quiet watch stays as it is', async (t) => {
  const { replay } = await survives(t, isWatch, []);
  await replay.until(() => replay.requests.filter(({ pathname }) => pathname === '/readyz').length > 6);
  t.equal(count(replay, isWatch), 1);
  const { query } = replay.requests.find(isWatch)!;
  t.equal(query.get('allowWatchBookmarks'), 'true');
  t.ok(Number(query.get('timeoutSeconds')) >= 240 && Number(query.get('timeoutSeconds')) <= 300);
  t.equal(query.get('resourceVersion'), '10');
});

t.test(
  'a watch that the server forgot to end is ended here, and goes on after its last bookmark',
  async (t) => {
    const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '33' } } };
    const { replay, cluster } = await start(t, [], {
      tuning: { watchSeconds: [0.4, 0.4], watchGraceMs: 200 },
      prepare: (replay) => {
        quietWorld(replay);
        inTurn(replay, isWatch, [stream([bookmark])]);
      },
    });
    follow(t, cluster, deployment('cart'));
    await replay.until(() => count(replay, isWatch) > 1);
    t.equal(replay.requests.filter(isWatch)[1]?.query.get('resourceVersion'), '33');
    t.equal(count(replay, isList), 1);
  },
);

t.test('a watch that is cut goes on where it was', async (t) => {
  const { replay } = await survives(t, isWatch, [
    stream([modified(20, 3), modified(21, 4)], { cutAfterEvents: 2 }),
    cut,
  ]);
  t.equal(replay.requests.filter(isWatch)[1]?.query.get('resourceVersion'), '21');
  t.equal(count(replay, isList), 1, 'nothing is listed again');
});

t.test('a server that ends watches again and again', async (t) => {
  await survives(t, isWatch, Array(12).fill(stream([], { closeAfterMs: 0 })));
});

t.test('a server that ends watches at once is not asked in a tight loop', async (t) => {
  const { replay, cluster } = await start(t, [], {
    tuning: { watchGapMs: 60_000 },
    prepare: (replay) => {
      quietWorld(replay);
      inTurn(replay, isWatch, Array(50).fill(stream([], { closeAfterMs: 0 })));
    },
  });
  follow(t, cluster, deployment('cart'));
  await replay.until(() => count(replay, isWatch) > 0);
  const probes = replay.requests.length + 8;
  await replay.until(() => replay.requests.length > probes);
  t.equal(count(replay, isWatch), 1);
});

t.test('503 when the watch is opened', async (t) => {
  await survives(t, isWatch, Array(3).fill(refusal(503, 'ServiceUnavailable', 'apiserver is shutting down')));
});

t.test('500 when listing', async (t) => {
  await survives(t, isList, Array(4).fill(refusal(500, 'InternalError', 'etcdserver: request timed out')));
});

t.test('410 as an event: listed again', async (t) => {
  const { replay } = await survives(t, isWatch, [
    stream([{ type: 'ERROR', object: tooOld }], { closeAfterMs: 0 }),
  ]);
  t.equal(count(replay, isList), 2);
});

t.test('410 as a status: listed again', async (t) => {
  const { replay } = await survives(t, isWatch, [answer(410, tooOld)]);
  t.equal(count(replay, isList), 2);
});

t.test('410 again and again is no tight loop, but ends', async (t) => {
  await survives(t, isWatch, Array(5).fill(answer(410, tooOld)));
});

t.test('another ERROR event', async (t) => {
  const status = { kind: 'Status', code: 500, reason: 'InternalError', message: 'decoding failed' };
  await survives(t, isWatch, [stream([{ type: 'ERROR', object: status }], { closeAfterMs: 0 })]);
});

t.test('a list that hangs meets its deadline', async (t) => {
  await survives(t, isList, [hang, hang], { tuning: { requestMs: 400 } });
});

t.test('a watch whose headers never come meets its deadline', async (t) => {
  await survives(t, isWatch, [hang], { tuning: { requestMs: 400 } });
});

t.test('429 with Retry-After', async (t) => {
  await survives(t, isList, [refusal(429, 'TooManyRequests', 'slow down', { 'retry-after': '0' })]);
});

t.test('a line that is not JSON, and one without end: listed again', async (t) => {
  const { replay, cluster } = await start(t, [], { tuning: { maxLineBytes: 4096 }, prepare: quietWorld });
  follow(t, cluster, deployment('cart'));
  for (const [index, bytes] of ['{"type":"MODI\n', 'x'.repeat(5000), '[]\n'].entries()) {
    await replay.until(() => count(replay, isWatch) === index + 1 && isOpen(replay));
    replay.pushRaw(deployments, bytes);
    await replay.until(() => count(replay, isList) === index + 2);
  }
  t.pass('three times listed again');
});

t.test('an exception in a listener stops nothing and nobody else', async (t) => {
  const { replay, cluster } = await start(t, [], { prepare: quietWorld });
  let calls = 0;
  const bad = cluster.watchTarget(
    deployment('cart'),
    () => {
      calls++;
      throw new Error('listener');
    },
    'pods',
  );
  const good = follow(t, cluster, deployment('cart'));
  await replay.until(() => isOpen(replay));
  for (const replicas of [5, 6]) {
    replay.push(deployments, modified(40 + replicas, replicas));
    await good.until(({ target }) => target?.desired === replicas);
  }
  t.ok(calls >= 2);
  bad.close();
});

t.test('pages are put together; a continue token that is too old starts over', async (t) => {
  const isPods = ({ pathname, isWatch }: { pathname: string; isWatch: boolean }): boolean =>
    pathname === podsPath && !isWatch;
  const { replay, cluster } = await start(t, [], {
    tuning: { pageItems: 2 },
    prepare: (replay) => {
      quietWorld(replay);
      inTurn(replay, isPods, [
        listOf('Pod', 10, [podObject('a'), podObject('b')], 'two'),
        answer(410, tooOld),
        listOf('Pod', 11, [podObject('a'), podObject('c')], 'two'),
        listOf('Pod', 11, [podObject('d')]),
      ]);
    },
  });
  const { pods } = await follow(t, cluster, deployment('cart')).until(({ pods }) => pods.length > 0);
  t.same(
    pods.map(({ name }) => name),
    ['a', 'c', 'd'],
    'nothing of the list that was given up',
  );
  const pages = replay.requests.filter(isPods).map(({ query }) => query.get('continue'));
  t.same(pages, [null, 'two', null, 'two']);
  t.equal(replay.requests.find(isPods)?.query.get('limit'), '2');
});

t.test('a watch that may not be opened says so, and works as soon as it may', async (t) => {
  const words = 'deployments.apps is forbidden: User "gateway" cannot list resource "deployments"';
  let isAllowed = false;
  const { cluster } = await start(t, [], {
    prepare: (replay) => {
      quietWorld(replay);
      replay.script((request) => (isList(request) && !isAllowed ? refusal(403, 'Forbidden', words) : null));
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  const { problem, target } = await cart.until(({ problem }) => problem !== null);
  t.same(problem, { state: 'denied', reason: 'Forbidden', message: words });
  t.equal(target, null);
  isAllowed = true;
  await cart.until(({ target, problem }) => target !== null && problem === null);
});

t.test('autoscalers that may not be seen are none, and no problem but for a line in the log', async (t) => {
  const lines: string[] = [];
  const { replay, cluster } = await start(t, [], {
    log: pino({ level: 'warn' }, { write: (line) => lines.push(line) }),
    prepare: (replay) => {
      quietWorld(replay);
      replay.script(({ pathname }) =>
        pathname.endsWith('/horizontalpodautoscalers') ? refusal(403, 'Forbidden', 'no') : null,
      );
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(
    () => replay.requests.filter(({ pathname }) => pathname.endsWith('autoscalers')).length > 1,
  );
  const { problem, autoscaler } = await cart.until(({ target }) => target !== null);
  t.same([problem, autoscaler], [null, null]);
  t.match(lines, [/horizontalpodautoscalers.*cannot watch/], 'once: without it nobody is warned of them');
});

t.test('a target that is deleted, then made again', async (t) => {
  const { replay, cluster } = await start(t, [], { prepare: quietWorld });
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(
    () => replay.openWatches.some(({ pathname }) => pathname === podsPath) && isOpen(replay),
  );
  replay.push(podsPath, { type: 'ADDED', object: podObject('a', 11) });
  await cart.until(({ pods }) => pods.length === 1);
  replay.push(deployments, { type: 'DELETED', object: deploymentObject(60, 2) });
  const gone = await cart.until(({ target }) => target === null);
  t.match(gone, { problem: { state: 'missing', message: 'Deployment shop/cart does not exist' }, pods: [] });
  replay.push(deployments, { type: 'ADDED', object: deploymentObject(61, 3) });
  const back = await cart.until(({ target }) => target !== null);
  t.equal(back.problem, null);
  const pods = replay.requests.filter(({ pathname }) => pathname === podsPath);
  t.ok(
    pods.length >= 2 && pods.every(({ query }) => query.get('labelSelector') === 'app=cart'),
    'never all Pods',
  );
});

t.test('one watch for all who look at a target, ended by the last', async (t) => {
  const { replay, cluster } = await start(t, [], { prepare: quietWorld });
  const first = follow(t, cluster, deployment('cart'));
  const second = follow(t, cluster, deployment('cart'));
  await replay.until(() => replay.openWatches.length === 3);
  t.equal(count(replay, isWatch), 1);
  first.close();
  first.close();
  replay.push(deployments, modified(50, 7));
  await second.until(({ target }) => target?.desired === 7);
  second.close();
  await replay.until(() => replay.openWatches.length === 0);
});

t.test('close ends everything at once', async (t) => {
  const { replay, cluster } = await start(t, [], { prepare: quietWorld });
  follow(t, cluster, deployment('cart'));
  await replay.until(() => replay.openWatches.length === 3);
  await cluster.close();
  await replay.until(() => replay.openWatches.length === 0);
  t.throws(() => cluster.watchTarget(deployment('cart'), () => {}, 'pods'));
});

t.test('after an outage a number is none of now until the watch is there again', async (t) => {
  let isAway = false;
  let isHeld = false;
  const { replay, cluster } = await start(t, [], {
    tuning: { requestMs: 400 },
    prepare: (replay) => {
      quietWorld(replay);
      replay.script((request) => {
        if (request.pathname === '/readyz') return isAway ? cut : answer(200, 'ok');
        return isHeld && isWatch(request) ? hang : null;
      });
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(() => isOpen(replay));
  await cart.until(({ target, problem }) => target !== null && problem === null);
  isAway = true;
  await cart.until(({ problem }) => problem?.reason === 'Unreachable');
  isHeld = true;
  isAway = false;
  const { problem } = await cart.until(({ problem }) => problem?.reason !== 'Unreachable');
  t.match(problem, { state: 'unreachable', reason: 'CatchingUp' });
  t.ok(cluster.health().isHealthy);
  isHeld = false;
  await cart.until(({ problem }) => problem === null);
});
