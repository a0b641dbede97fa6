import { readFileSync } from 'node:fs';
import t from 'tap';
import { changerOf, Follower, isAtLeast } from '../../../daemon/bridge/gateway/follow.ts';
import { verbs } from '../../../daemon/bridge/gateway/verbs/table.ts';
import { fields } from '../../../daemon/bridge/kube/read.ts';
import { noSettings } from '../../../daemon/bridge/kube/settings.ts';
import { parseTarget, type TargetRecord } from '../../../daemon/bridge/kube/targets.ts';
import type { TargetSnapshot } from '../../../daemon/bridge/kube/types.ts';
import { cart } from './bed.ts';
import { autoscaled, managedBy, podOf } from './fake-cluster.ts';

const target: NonNullable<TargetSnapshot['target']> = {
  uid: 'u',
  resourceVersion: '200',
  generation: 2,
  observedGeneration: 2,
  desired: 5,
  observed: 5,
  ready: 5,
  isPaused: false,
  isDeleting: false,
  conditions: [],
  replicasManager: null,
  gitops: null,
  deletesClaims: false,
  settings: noSettings,
};
const there: TargetSnapshot = { target, pods: [], autoscaler: null, problem: null };
const withTarget = (change: Partial<typeof target>): TargetSnapshot => ({
  ...there,
  target: { ...target, ...change },
});
/** A command that scales, for nobody's object. */
const ordered = (want: number) => {
  const actor = { user: 'u', groups: [], extra: {} };
  return {
    verb: verbs.scale,
    order: { ref: cart, actor, want, arm: [], id: 'id-1', issuedAt: 0 },
    company: null,
  };
};
const newFollower = (want = 5): Follower =>
  new Follower({ ...ordered(want), uid: 'u', resourceVersion: '200', acceptedAt: 0 });
const verdictOf = (snapshot: TargetSnapshot, now = 0): string => {
  const verdict = newFollower().look(snapshot, now);
  return verdict.type === 'end' ? `${verdict.end.phase} ${verdict.end.code}`.trim() : verdict.type;
};

t.test('converged is all of it', (t) => {
  t.equal(verdictOf(there), 'converged');
  t.equal(verdictOf(withTarget({ observedGeneration: 1 })), 'wait', 'the controller has not seen it');
  t.equal(verdictOf(withTarget({ observed: 6 })), 'wait', 'one too many');
  t.equal(verdictOf(withTarget({ ready: 4 })), 'wait', 'one not ready');
  t.equal(verdictOf({ ...there, pods: [podOf(0, 'terminating')] }), 'wait', 'one still going');
  t.end();
});

t.test('a view from before the write says nothing', (t) => {
  t.equal(verdictOf(withTarget({ resourceVersion: '199', desired: 3 })), 'wait');
  t.equal(
    verdictOf(withTarget({ resourceVersion: '199' })),
    'wait',
    'not even when the number fits by chance',
  );
  t.equal(
    verdictOf(withTarget({ resourceVersion: '201', desired: 3 })),
    'changed',
    'after it: somebody set it back',
  );
  t.equal(
    verdictOf(withTarget({ resourceVersion: 'abc', desired: 3 })),
    'wait',
    'versions that are not numbers: the number tells',
  );
  t.equal(verdictOf(withTarget({ resourceVersion: 'abc' })), 'converged');
  t.equal(verdictOf(withTarget({ resourceVersion: '199', desired: 3 }), 120_000), 'expired NotFollowed');
  t.same(
    [isAtLeast('10', '9'), isAtLeast('9', '10'), isAtLeast('9', '9'), isAtLeast('', '9')],
    [true, false, true, null],
  );
  t.end();
});

t.test('trouble must last, also when its name changes', (t) => {
  const follower = newFollower();
  const crashing = (reason: string): TargetSnapshot => ({
    ...withTarget({ ready: 4 }),
    pods: [podOf(0, 'crashed', reason)],
  });
  t.match(follower.look(crashing('Error'), 0), { type: 'wait', inMs: 10_000 });
  t.match(follower.look(crashing('CrashLoopBackOff'), 2000), { type: 'wait', inMs: 1000 });
  t.match(follower.look(crashing('CrashLoopBackOff'), 3000), {
    type: 'end',
    end: { phase: 'blocked', code: 'CrashLoopBackOff' },
  });
  const recovered = newFollower();
  recovered.look(crashing('CrashLoopBackOff'), 0);
  recovered.look(withTarget({ ready: 4 }), 2000);
  t.match(
    recovered.look(crashing('CrashLoopBackOff'), 4000),
    { type: 'wait', inMs: 3000 },
    'a break starts it anew',
  );
  t.end();
});

t.test('progress puts the patience back; its absence ends with what is known', (t) => {
  const follower = newFollower();
  for (let ready = 0; ready < 5; ready++)
    t.equal(follower.look(withTarget({ ready }), ready * (120_000 - 1)).type, 'wait');
  const stuck = newFollower();
  stuck.look(withTarget({ ready: 4 }), 0);
  t.match(stuck.look(withTarget({ ready: 4 }), 5000), { type: 'wait', asksEvents: true });
  stuck.learn([{ reason: 'FailedMount', message: 'no such secret', at: 10, object: 'Pod/x' }], 5);
  t.match(stuck.look(withTarget({ ready: 4 }), 120_000), {
    end: {
      code: 'NotReady',
      detail: '4 of 5 Pods are ready and it has stopped there. FailedMount: no such secret',
    },
  });
  const leaving = newFollower();
  leaving.look({ ...there, pods: [podOf(0, 'terminating')] }, 0);
  t.match(leaving.look({ ...there, pods: [podOf(0, 'terminating')] }, 120_000), {
    end: { code: 'StillTerminating' },
  });
  t.end();
});

t.test('the recorded autoscaler sets the number back, and is named', (t) => {
  const recording = JSON.parse(
    readFileSync(new URL('../../fixtures/kube/07-autoscaler-owned.json', import.meta.url), 'utf8'),
  ) as {
    exchanges: {
      request: { path: string };
      response: {
        stream?: { ms: number; event?: { object: object }; object?: object }[];
        body: { metadata?: { uid: string; resourceVersion: string } };
      };
    }[];
  };
  const put = recording.exchanges.find(({ request }) =>
    request.path.endsWith('/web/scale?fieldManager=surfaced'),
  )?.response.body.metadata;
  const stream = recording.exchanges.find(({ response }) => response.stream)?.response.stream ?? [];
  const autoscaler = autoscaled('web', 2, 4);
  const follower = new Follower({
    ...ordered(9),
    uid: put?.uid ?? '',
    resourceVersion: put?.resourceVersion ?? '',
    acceptedAt: 500,
  });
  let record: TargetRecord | undefined;
  for (const event of stream) {
    record = parseTarget(fields(event.event?.object ?? event.object), true, record, event.ms);
    const snapshot = { target: record.state, pods: [], autoscaler, problem: null };
    const verdict = follower.look(snapshot, event.ms);
    if (verdict.type === 'wait') continue;
    t.match(verdict, { type: 'changed', now: 4 });
    t.ok(event.ms > 5000, 'all nine were ready four seconds before, which was not the end');
    t.same(changerOf(record.state.replicasManager, snapshot, 'surfaced'), {
      code: 'ByAutoscaler',
      words: 'horizontal-pod-autoscaler web',
    });
    t.end();
    return;
  }
  t.fail('the revert was not seen');
  t.end();
});

t.test('changers', (t) => {
  const autoscaler = autoscaled('jobs', 0, 9, 'ScaledObject');
  t.equal(
    changerOf(managedBy('kubectl'), { ...there, autoscaler }, 'surfaced').words,
    'kubectl',
    'not everything is the autoscaler',
  );
  t.equal(changerOf(null, { ...there, autoscaler }, 'surfaced').words, 'scaled-object jobs');
  const flux = changerOf(managedBy('kustomize-controller', ''), there, 'surfaced');
  t.equal(flux.code, 'ByGitOps', 'also where the tool leaves no mark on the object');
  t.end();
});
