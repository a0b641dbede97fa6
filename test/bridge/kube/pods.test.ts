/** Lights of Pods, from recorded Pods and from the states of a crash loop. */
import fc from 'fast-check';
import t from 'tap';
import { parseNodePod, parsePod } from '../../../daemon/bridge/kube/pods.ts';
import { type Fields, fields, list } from '../../../daemon/bridge/kube/read.ts';
import type { PodState } from '../../../daemon/bridge/kube/types.ts';
import { recording } from './start.ts';

const now = Date.parse('2026-11-23T04:40:00Z');

async function watched(name: string, index: number): Promise<{ type: unknown; object: Fields }[]> {
  const exchange = (await recording(name)).exchanges[index];
  return (exchange?.response.stream ?? []).map(({ event }) => ({
    type: event.type,
    object: fields(event.object),
  }));
}

async function listed(name: string, index: number): Promise<PodState[]> {
  const body = fields((await recording(name)).exchanges[index]?.response.body);
  return list(body.items).map((item) => parsePod(fields(item), undefined, now));
}

t.test('the life of a Pod, as recorded', async (t) => {
  const events = await watched('02-deployment-create-and-scale', 10);
  const lights: string[] = [];
  for (const { object } of events) {
    if (fields(object.metadata).name !== 'cart-759cd74648-t8qt5') continue;
    const { light, reason, key } = parsePod(object, undefined, now);
    lights.push(`${light} ${reason}`.trim());
    t.equal(key, 't8qt5');
  }
  t.same(lights, [
    'pending Pending',
    'pending Pending',
    'ready',
    'terminating Terminating',
    'terminating Terminating',
    'terminating Terminating',
  ]);
});

t.test('Pods of a StatefulSet have their ordinal for a key', async (t) => {
  const keys = new Set<string>();
  for (const { object } of await watched('08-statefulset-and-volumes', 8)) {
    const { key, name } = parsePod(object, undefined, now);
    t.equal(name, `db-${key}`);
    keys.add(key);
  }
  t.same([...keys], ['0', '1']);
});

t.test('troubled Pods, as recorded', async (t) => {
  for (const pod of await listed('06-troubled-rollouts', 2))
    t.match(pod, { light: 'running', reason: 'ContainersNotReady' });
  for (const pod of await listed('06-troubled-rollouts', 4)) {
    t.match(pod, { light: 'crashed', reason: 'ImagePullBackOff' });
    t.match(pod.message, 'registry.example/pull:1.0');
    t.equal(pod.createdAt, Date.parse('2026-11-23T04:36:31Z'));
  }
});

function pod(status: Record<string, unknown>, metadata: Record<string, unknown> = {}): Fields {
  return { metadata: { uid: 'u1', name: 'web-5c-abcde', ...metadata }, status };
}

const container = (fields: Record<string, unknown>): Record<string, unknown> => ({
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }],
  containerStatuses: [{ ready: false, ...fields }],
});
const lastCrash = { terminated: { exitCode: 1, reason: 'Error', finishedAt: '2026-11-23T04:39:30Z' } };

t.test('a crash loop stays crashed while the container is restarted', async (t) => {
  const phases = [
    container({ restartCount: 0, state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    container({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
    }),
    container({ restartCount: 1, state: { waiting: { reason: 'ContainerCreating' } }, lastState: lastCrash }),
    container({
      restartCount: 2,
      state: { running: { startedAt: '2026-11-23T04:39:40Z' } },
      lastState: lastCrash,
    }),
  ];
  const reasons = phases.map((status) => {
    const { light, reason } = parsePod(pod(status), undefined, now);
    t.equal(light, 'crashed');
    return reason;
  });
  t.same(reasons, ['OOMKilled', 'CrashLoopBackOff', 'Error', 'Error']);
  const old = container({
    restartCount: 1,
    state: { running: { startedAt: '2026-11-23T02:00:00Z' } },
    lastState: lastCrash,
  });
  t.equal(parsePod(pod(old), undefined, now).light, 'running', 'a crash of long ago is forgotten');
});

t.test('other states', async (t) => {
  const light = (status: Record<string, unknown>, metadata?: Record<string, unknown>): string => {
    const { light, reason } = parsePod(pod(status, metadata), undefined, now);
    return `${light} ${reason}`;
  };
  const unschedulable = {
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }],
  };
  t.equal(light(unschedulable), 'pending Unschedulable');
  t.equal(light({ phase: 'Failed', reason: 'Evicted' }), 'crashed Evicted');
  t.equal(light({ phase: 'Succeeded' }), 'terminating Completed');
  t.equal(light({ phase: 'Failed' }, { deletionTimestamp: 'x' }), 'terminating Terminating');
  const config = {
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'CreateContainerConfigError' } } }],
  };
  t.equal(light(config), 'crashed CreateContainerConfigError');
  const init = {
    phase: 'Pending',
    initContainerStatuses: [{ state: { waiting: { reason: 'CrashLoopBackOff' } } }],
    containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }],
  };
  t.equal(light(init), 'crashed CrashLoopBackOff');
  const creating = {
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }],
  };
  t.equal(light(creating), 'pending ContainerCreating');
});

t.test('the record stays the same object while nothing that is shown changes', async (t) => {
  const first = parsePod(pod({ phase: 'Pending' }), undefined, now);
  t.equal(parsePod(pod({ phase: 'Pending', hostIP: '10.0.0.1' }), first, now), first);
  t.not(parsePod(pod({ phase: 'Failed' }), first, now), first);
});

t.test('a Pod on a Node that loses its owner is seen to', async (t) => {
  const owned = { ownerReferences: [{ kind: 'DaemonSet', name: 'x', uid: 'u', controller: true }] };
  const of = (more: object, previous?: PodState): PodState =>
    parseNodePod({ metadata: { namespace: 'n', name: 'a', uid: 'a', ...more } }, previous, 0);
  const first = of(owned);
  t.match(first.eviction, { stays: true, hasController: true });
  t.equal(of(owned, first), first, 'nothing has changed');
  t.match(of({}, first).eviction, { stays: false, hasController: false });
});

t.test('any JSON is survived, and texts are bounded', async () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 5 }), fc.string({ maxLength: 2000 }), (status, long) => {
      const record = parsePod(
        {
          metadata: { name: long, uid: long },
          status: { ...status, phase: long, reason: long, message: long },
        },
        undefined,
        now,
      );
      return record.key.length <= 16 && record.reason.length <= 64 && record.message.length <= 256;
    }),
  );
});
