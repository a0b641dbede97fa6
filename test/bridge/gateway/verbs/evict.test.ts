/** Evictions of a drain, answer by answer: which Pods are asked to go, when again, and what is said of those that stay. */
import t from 'tap';
import { evictAll } from '../../../../daemon/bridge/gateway/verbs/evict.ts';
import type { Cluster, KubeError, PodState } from '../../../../daemon/bridge/kube/types.ts';
import { silentLog } from '../../../../daemon/log.ts';
import { FakeTime } from '../bed.ts';
import { apiError } from '../fake-cluster.ts';

const actor = { user: 'surfaced:surface:desk', groups: [], extra: {} };
const podOf = (uid: string, namespace = 'shop', hasLocalData = false): PodState => ({
  ...{ uid, name: uid, key: uid, light: 'ready', reason: '', message: '', createdAt: 0 },
  eviction: { namespace, stays: false, isFinished: false, hasLocalData, hasController: true },
});
const budget = (): KubeError =>
  apiError(429, 'TooManyRequests', { message: 'The disruption budget b needs 2' });
const rbac = 'User "x" cannot create resource "pods/eviction" in API group ""';

/** A drain of these Pods; `answer` throws what the API server refuses. */
class Drain {
  readonly time = new FakeTime();
  readonly asked: string[] = [];
  readonly told: (string | null)[] = [];
  readonly ending = new AbortController();
  pods: PodState[];
  mayActUntil = Number.POSITIVE_INFINITY;
  answer: (uid: string, signal: AbortSignal) => Promise<void> | void = () => {};
  readonly company: ReturnType<typeof evictAll>;

  constructor(...pods: PodState[]) {
    this.pods = pods;
    const evict: Cluster['evict'] = async ({ uid }, _, signal) => {
      this.asked.push(uid);
      await this.answer(uid, signal);
      this.pods = this.pods.map((pod) =>
        pod.uid === uid ? { ...pod, light: 'terminating', reason: 'Terminating' } : pod,
      );
    };
    this.company = evictAll(
      { actor, going: () => this.pods, isConfirmed: (pod) => pod.eviction?.hasLocalData === false },
      {
        ...{ cluster: { evict } as Cluster, clock: this.time, timers: this.time, log: silentLog },
        ...{ signal: this.ending.signal, mayActUntil: () => this.mayActUntil },
        changed: (waitsFor) => this.told.push(waitsFor?.reason ?? null),
      },
    );
  }

  /** What has been asked since the last time. */
  take(): string {
    return this.asked.splice(0).join();
  }
}

t.test('each once; Pods that come later are left, and it says so', async (t) => {
  const drain = new Drain(podOf('a'));
  drain.pods.push(podOf('b'));
  await drain.time.advance(1500);
  t.equal(drain.take(), 'a,b', 'bound while the Node was being cordoned');
  drain.pods.push(podOf('again'));
  await drain.time.advance(20_000);
  t.equal(drain.take(), '');
  t.equal(drain.company.trouble(), null, 'two are still on their way');
  drain.pods = [podOf('again')];
  t.match(drain.company.trouble(), {
    reason: 'CameLater',
    message: /^Pod shop\/again has come/,
    settleMs: 3000,
  });
  drain.pods = [];
  t.equal(drain.company.trouble(), null);
  drain.ending.abort();
});

t.test('a loss that nobody has confirmed does not happen', async (t) => {
  const drain = new Drain(podOf('a'));
  drain.pods.push(podOf('data', 'shop', true));
  await drain.time.advance(1500);
  t.equal(drain.take(), 'a');
  drain.pods = drain.pods.filter(({ uid }) => uid === 'data');
  t.equal(drain.company.trouble()?.reason, 'NotConfirmed');
  drain.ending.abort();
});

t.test('one that is refused for good does not keep the others, and is not asked again', async (t) => {
  const drain = new Drain(podOf('dns', 'kube-system'), podOf('mine'), podOf('policed'), podOf('held'));
  drain.answer = (uid) => {
    if (uid === 'dns') throw apiError(403, 'Forbidden', { message: rbac });
    if (uid === 'policed') throw apiError(403, 'Forbidden', { message: 'policy p says no' });
    if (uid === 'held') throw budget();
  };
  await drain.time.advance(1500);
  t.equal(drain.take(), 'dns,mine,policed,held');
  t.equal(drain.company.trouble(), null, 'the budget may give way');
  t.equal(drain.told.at(-1), 'DisruptionBudget', 'what may pass is named first');
  await drain.time.advance(5000);
  t.equal(drain.take(), 'held');
  drain.answer = () => {};
  await drain.time.advance(5000);
  drain.pods = drain.pods.filter(({ reason }) => reason === '');
  t.match(drain.company.trouble(), {
    reason: 'Forbidden',
    message: /may not evict Pod kube-system\/dns: it needs create/,
  });
  drain.pods = drain.pods.filter(({ uid }) => uid === 'policed');
  t.match(drain.company.trouble(), { reason: 'AdmissionDenied', message: /shop\/policed. policy p says no/ });
  drain.ending.abort();
});

t.test('what is answered otherwise is asked again as long as the Pod is there', async (t) => {
  for (const [reason, error] of [
    ['EvictionRefused', apiError(0, 'Timeout', { isUncertain: true })],
    ['EvictionRefused', apiError(429, 'TooManyRequests', { message: 'too many requests' })],
    ['DisruptionBudget', apiError(500, 'InternalError', { message: 'more than one PodDisruptionBudget' })],
    ['EvictionRefused', apiError(403, 'Forbidden', { message: 'namespace shop is being terminated' })],
    [null, apiError(409, 'Conflict')],
    [null, apiError(404, 'NotFound')],
  ] as const) {
    const drain = new Drain(podOf('a'));
    drain.answer = () => {
      throw error;
    };
    await drain.time.advance(6500);
    t.equal(drain.take(), 'a,a', error.message);
    t.equal(drain.told.at(-1), reason, error.message);
    t.equal(drain.company.trouble(), null);
    drain.ending.abort();
  }
});

t.test('nothing while another gateway may act, nothing much later, and on again', async (t) => {
  const drain = new Drain(podOf('a'), podOf('b'));
  drain.mayActUntil = 2500;
  let endedAt = 0;
  drain.answer = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        endedAt = drain.time.monotonic();
        reject(apiError(0, 'Aborted', { isUncertain: true }));
      });
    });
  await drain.time.advance(20_000);
  t.equal(drain.take(), 'a', 'the next one would have been too late');
  t.equal(endedAt, 4000, 'given up soon after it may have another owner');
  drain.answer = () => {};
  drain.mayActUntil = Number.POSITIVE_INFINITY;
  await drain.time.advance(6000);
  t.equal(drain.take(), 'a,b', 'the Lease was renewed after all');
  drain.ending.abort();
});

t.test('after its end it neither asks nor says anything', async (t) => {
  const drain = new Drain(podOf('a'), podOf('b'));
  drain.answer = () => {
    drain.ending.abort();
    throw budget();
  };
  await drain.time.advance(20_000);
  t.equal(drain.take(), 'a');
  t.same(drain.told, []);
  t.equal(drain.time.pending, 0);
});
