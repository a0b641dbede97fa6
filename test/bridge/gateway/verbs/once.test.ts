/** Whatever the API server answers or does not answer: a verb writes its object once at most, and says what it knows. */
import fc from 'fast-check';
import t from 'tap';
import { setNumber } from '../../../../daemon/bridge/gateway/set-number.ts';
import { verbs } from '../../../../daemon/bridge/gateway/verbs/table.ts';
import { type Fields, fields } from '../../../../daemon/bridge/kube/read.ts';
import { settingsOf } from '../../../../daemon/bridge/kube/settings.ts';
import { type Cluster, KubeError } from '../../../../daemon/bridge/kube/types.ts';
import { mergePatch } from '../../../../hil/sim/cluster/patch.ts';
import { FakeTime } from '../bed.ts';
import { apiError } from '../fake-cluster.ts';

type Answer = 'ok' | 'lost' | 'lost-before' | 'conflict' | 'busy';

/** One object whose patches are answered like this, then well. */
class OneObject {
  object: Fields;
  version = 1;
  writes = 0;
  readonly #answers: Answer[];

  constructor(object: Fields, answers: readonly Answer[]) {
    this.object = object;
    this.#answers = [...answers];
  }

  get #whole(): Fields {
    const metadata = { ...fields(this.object.metadata), uid: 'u', resourceVersion: String(this.version) };
    return { ...this.object, metadata };
  }

  readonly getObject: Cluster['getObject'] = async () => this.#whole;

  readonly patchObject: Cluster['patchObject'] = async (_ref, read, patch) => {
    const answer = this.#answers.shift() ?? 'ok';
    if (answer === 'lost-before') throw apiError(0, 'Timeout', { isUncertain: true });
    if (answer === 'busy') throw apiError(503, 'ServiceUnavailable');
    // The controller writes its status in between.
    if (answer === 'conflict') this.version++;
    if (read.resourceVersion !== String(this.version)) throw apiError(409, 'Conflict');
    this.object = fields(mergePatch(this.object, patch));
    this.version++;
    this.writes++;
    if (answer === 'lost')
      throw new KubeError('cut', { status: 0, reason: 'Unreachable', retryAfterMs: null, isUncertain: true });
    return this.#whole;
  };
}

const objects: Readonly<Record<string, Fields>> = {
  floor: { spec: { scaleTargetRef: {}, minReplicas: 1, maxReplicas: 9 } },
  ceiling: { spec: { scaleTargetRef: {}, minReplicas: 1, maxReplicas: 9 } },
  restart: { spec: { template: {} } },
  pause: { spec: {} },
  suspend: { spec: { suspend: false } },
  cordon: { spec: {} },
  drain: { spec: {} },
};

t.test('once at most, and never as done what is not', async (t) => {
  const answers = fc.array(fc.constantFrom<Answer>('ok', 'lost', 'lost-before', 'conflict', 'busy'), {
    maxLength: 6,
  });
  for (const [name, object] of Object.entries(objects)) {
    const verb = verbs[name as keyof typeof verbs];
    await fc.assert(
      fc.asyncProperty(answers, async (script) => {
        const one = new OneObject(object, script);
        const time = new FakeTime();
        const want = verb.number === 'count' ? 5 : 1;
        const order = {
          ...{ ref: { apiVersion: 'v1', kind: 'X', namespace: 'n', name: 'x' }, want, arm: [] },
          ...{ actor: { user: 'u', groups: [], extra: {} }, id: 'session-0001-1', issuedAt: time.now() },
        };
        const before = verb.number === 'count' ? (name === 'floor' ? 1 : 9) : 0;
        const running = setNumber(
          {
            ...{ verb, order, saw: before, uid: 'u', isDryRun: false, refuse: () => null },
            ...{ deadlineAt: time.monotonic() + 5000, signal: new AbortController().signal },
          },
          {
            cluster: one as unknown as Cluster,
            ...{ clock: time, timers: time, random: () => 0.5 },
          },
        );
        await time.advance(20_000);
        const outcome = await running;
        if (one.writes > 1) return false;
        return 'end' in outcome || (one.writes === 1 && outcome.written.replicas === want);
      }),
      { numRuns: 60 },
    );
    t.pass(name);
  }
});

t.test('a restart whose answer was lost is not done again after somebody else restarted', async (t) => {
  const one = new OneObject({ spec: { template: {} } }, ['lost']);
  const time = new FakeTime();
  const order = {
    ...{ ref: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'n', name: 'x' }, want: 1, arm: [] },
    ...{ actor: { user: 'u', groups: [], extra: {} }, id: 'session-0001-1', issuedAt: time.now() },
  };
  const patchObject: Cluster['patchObject'] = (...call) =>
    one.patchObject(...call).finally(() => {
      one.object = { spec: { template: {} } };
      one.version++;
    });
  const running = setNumber(
    {
      ...{ verb: verbs.restart, order, saw: 0, uid: 'u', isDryRun: false, refuse: () => null },
      ...{ deadlineAt: time.monotonic() + 5000, signal: new AbortController().signal },
    },
    {
      cluster: { getObject: one.getObject, patchObject } as Cluster,
      ...{ clock: time, timers: time, random: () => 0.5 },
    },
  );
  await time.advance(20_000);
  t.match(await running, { end: { phase: 'expired', code: 'AnswerLost' } });
  t.equal(one.writes, 1);
});

t.test('settings are read from anything without failing', async () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), fc.anything(), (metadata, spec, status) => {
      const { floor, ceiling, isPaused, isSuspended, isCordoned, restartedAt } = settingsOf({
        ...{ metadata, spec, status },
      });
      return (
        (floor === null || (Number.isSafeInteger(floor) && floor >= 0)) &&
        (ceiling === null || (Number.isSafeInteger(ceiling) && ceiling >= 0)) &&
        [isPaused, isSuspended, isCordoned].every((one) => typeof one === 'boolean') &&
        restartedAt.length <= 64
      );
    }),
  );
});
