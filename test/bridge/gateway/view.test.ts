import { readFileSync } from 'node:fs';
import t from 'tap';
import { quotaWords, troubleOf, troubleOfEvents } from '../../../daemon/bridge/gateway/trouble.ts';
import { conditionOf, slotBody } from '../../../daemon/bridge/gateway/view.ts';
import { parsePod } from '../../../daemon/bridge/kube/pods.ts';
import { fields } from '../../../daemon/bridge/kube/read.ts';
import { noSettings } from '../../../daemon/bridge/kube/settings.ts';
import { parseTarget } from '../../../daemon/bridge/kube/targets.ts';
import type { TargetSnapshot } from '../../../daemon/bridge/kube/types.ts';
import { encodeSlot, slotMessage } from '../../../daemon/bridge/wire/messages.ts';
import { surfaceOf } from './bed.ts';
import { autoscaled, podOf } from './fake-cluster.ts';

interface Recording {
  readonly exchanges: readonly {
    readonly request: { readonly path: string; readonly method: string };
    readonly response: { readonly body: { readonly items?: readonly object[] } & object };
  }[];
}
const recording = JSON.parse(
  readFileSync(new URL('../../fixtures/kube/06-troubled-rollouts.json', import.meta.url), 'utf8'),
) as Recording;

/** A snapshot as the gateway has it, from what a real API server answered. */
function recorded(name: string, namespace = 'shop'): TargetSnapshot {
  const bodyOf = (path: string): Recording['exchanges'][number]['response']['body'] | undefined =>
    recording.exchanges.find(({ request }) => request.method === 'GET' && request.path === path)?.response
      .body;
  const target = bodyOf(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`);
  const pods = bodyOf(`/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${name}`)?.items ?? [];
  return {
    target: parseTarget(fields(target), true, undefined, 0).state,
    pods: pods.map((pod) => parsePod(fields(pod), undefined, 0)),
    autoscaler: null,
    problem: null,
  };
}

const binding = surfaceOf('desk', [{}]).spec.bindings[0]!;
const well: TargetSnapshot = {
  target: {
    uid: 'u',
    resourceVersion: '1',
    generation: 1,
    observedGeneration: 1,
    desired: 3,
    observed: 3,
    ready: 3,
    isPaused: false,
    isDeleting: false,
    conditions: [],
    replicasManager: null,
    gitops: null,
    deletesClaims: false,
    settings: noSettings,
  },
  pods: [0, 1, 2].map((index) => podOf(index, 'ready')),
  autoscaler: null,
  problem: null,
};
const withTarget = (change: Partial<NonNullable<TargetSnapshot['target']>>): TargetSnapshot => ({
  ...well,
  target: { ...well.target!, ...change },
});

t.test('troubled rollouts of a real control plane are named', (t) => {
  t.match(troubleOf(recorded('stuck')), {
    reason: 'ProgressDeadlineExceeded',
    message: /0 of 2 Pods are ready.*timed out/,
  });
  t.match(troubleOf(recorded('pull')), {
    reason: 'ImagePullBackOff',
    message: /2 of 2 Pods cannot pull.*registry\.example/,
  });
  t.match(troubleOf(recorded('paused')), { reason: 'Paused', message: /paused: 0 of 3/ });
  t.match(troubleOf(recorded('greedy', 'tight')), {
    reason: 'QuotaExceeded',
    message: 'Quota pods is used up: pods=2 of pods=2 in use, pods=1 more asked for.',
  });
  t.equal(troubleOf(well), null);
  t.end();
});

t.test('quota: several resources, and texts that are something else', (t) => {
  t.equal(
    quotaWords(
      'exceeded quota: compute, requested: limits.cpu=1,pods=1, used: limits.cpu=4,pods=9, limited: limits.cpu=4,pods=10',
    ),
    'Quota compute is used up: limits.cpu=4,pods=9 of limits.cpu=4,pods=10 in use, limits.cpu=1,pods=1 more asked for.',
  );
  t.equal(quotaWords('exceeded quota'), null);
  t.end();
});

t.test('events count only when they are about now', (t) => {
  const event = {
    reason: 'FailedCreate',
    message: 'Error creating: pods "x" is forbidden: no',
    at: 5000,
    object: 'ReplicaSet/x',
  };
  t.match(troubleOfEvents([event], 5000), { reason: 'FailedCreate', message: 'pods "x" is forbidden: no' });
  t.equal(troubleOfEvents([event], 5001), null);
  t.equal(troubleOfEvents([{ ...event, reason: 'Unhealthy' }], 0), null);
  const webhook = { ...event, message: 'Error creating: admission webhook "a.b" denied the request: no' };
  t.equal(troubleOfEvents([webhook], 0)?.reason, 'AdmissionDenied');
  t.end();
});

t.test('conditions', (t) => {
  const stateOf = (snapshot: TargetSnapshot, note = null as Parameters<typeof conditionOf>[1]): string => {
    const { state, reason } = conditionOf(snapshot, note);
    return `${state} ${reason}`.trim();
  };
  t.equal(stateOf(well), 'ok');
  t.equal(stateOf({ ...well, target: null }), 'unknown NotReadYet');
  for (const state of ['missing', 'denied', 'unreachable'] as const)
    t.equal(stateOf({ ...well, problem: { state, reason: 'Why', message: 'words' } }), `${state} Why`);
  t.equal(stateOf(withTarget({ isDeleting: true })), 'progressing Deleting');
  t.equal(stateOf(withTarget({ desired: 5, generation: 2 })), 'progressing ScalingUp');
  t.equal(stateOf(withTarget({ desired: 2, generation: 2 })), 'progressing ScalingDown');
  t.equal(stateOf(withTarget({ ready: 2 })), 'progressing Starting');
  t.equal(stateOf({ ...well, pods: [...well.pods, podOf(3, 'terminating')] }), 'progressing ScalingDown');
  t.equal(
    stateOf({ ...withTarget({ ready: 2 }), pods: [podOf(0, 'crashed', 'CrashLoopBackOff')] }),
    'blocked CrashLoopBackOff',
  );
  const note = { state: 'blocked' as const, desired: 5, ready: 3, reason: 'QuotaExceeded', message: 'words' };
  t.equal(stateOf(withTarget({ desired: 5 }), note), 'blocked QuotaExceeded');
  t.equal(stateOf(withTarget({ desired: 4 }), note), 'progressing ScalingUp', 'a note is about its number');
  t.equal(
    stateOf(withTarget({ desired: 5, ready: 4 }), note),
    'progressing ScalingUp',
    'and about a standstill',
  );
  t.equal(stateOf(well, { ...note, desired: 3 }), 'ok');
  t.end();
});

t.test('Pods keep their places', (t) => {
  const pods = [podOf(10, 'ready'), podOf(2, 'pending'), podOf(1, 'ready')];
  const keysOf = (kind: string): readonly string[] =>
    slotBody({ ...binding, target: { ...binding.target, kind } }, 'blue', { ...well, pods }, null).pods.map(
      ([key]) => key,
    );
  t.same(keysOf('StatefulSet'), ['1', '2', '10'], 'by ordinal, as a number');
  const aged = pods.map((pod, index) => ({ ...pod, createdAt: index }));
  t.same(
    slotBody(binding, 'blue', { ...well, pods: aged.reverse() }, null).pods.map(([key]) => key),
    ['10', '2', '1'],
    'by age, oldest first',
  );
  t.end();
});

t.test('owners', (t) => {
  const autoscaler = autoscaled('web', 1, 2);
  const gitops = { tool: 'Argo CD', name: 'shop' };
  t.same(slotBody(binding, 'blue', { ...withTarget({ gitops }), autoscaler }, null).owner, {
    kind: 'autoscaler',
    name: 'web',
  });
  t.same(slotBody(binding, 'blue', withTarget({ gitops }), null).owner, {
    kind: 'gitops',
    name: 'Argo CD shop',
  });
  t.equal(slotBody(binding, 'blue', well, null).owner, null);
  t.end();
});

t.test('however large a target is, its message fits', (t) => {
  const pods = Array.from({ length: 2000 }, (_, index) => ({
    ...podOf(index, 'terminating'),
    key: `${index}`.padStart(16, 'x'),
  }));
  const problem = { state: 'unreachable', reason: 'R'.repeat(300), message: '日'.repeat(2000) } as const;
  const body = slotBody(binding, 'blue', { ...withTarget({ desired: 2000 }), pods, problem }, null);
  const payload = encodeSlot({ v: 1, rev: 1, at: 1, ...body });
  t.ok(payload.length <= 4096);
  const message = slotMessage.parse(JSON.parse(payload.toString()));
  t.equal(message.pods.length + message.podsLeftOut, 2000);
  t.end();
});
