import t from 'tap';
import type { CommandRecord } from '../../../daemon/bridge/gateway/command.ts';
import { KubeError } from '../../../daemon/bridge/kube/types.ts';
import {
  createEventRecorder,
  eventLimits,
  type Occurrence,
} from '../../../daemon/bridge/registry/cluster/event-recorder.ts';
import { happeningOf, happeningsOf } from '../../../daemon/bridge/registry/cluster/happenings.ts';
import { silentLog } from '../../../daemon/log.ts';
import { connected, namespace, site, withoutKubectl } from './rig.ts';

const surface = {
  apiVersion: 'surfaced.dev/v1alpha1',
  kind: 'ControlSurface',
  namespace,
  name: 'desk',
  uid: 'u1',
};
const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };
const ended = (change: Partial<CommandRecord> = {}): CommandRecord => ({
  surface: 'desk',
  id: 'c1',
  slot: 1,
  verb: 'scale',
  target,
  want: 5,
  saw: 3,
  arm: [],
  issuedAt: 0,
  receivedAt: 0,
  endedAt: 0,
  user: 'surfaced:surface:desk',
  wasAccepted: true,
  phase: 'converged',
  code: 'Converged',
  now: 5,
  detail: '',
  ...change,
});
const parties = { surface, targetUid: 'u2' };
const told = (change: Partial<CommandRecord>) =>
  happeningsOf(ended(change), parties).map(({ regarding, type, reason }) => [regarding.kind, type, reason]);

t.test('which ends are news, and for whom', async (t) => {
  t.same(told({}), [
    ['ControlSurface', 'Normal', 'ScaledBySurface'],
    ['Deployment', 'Normal', 'ScaledBySurface'],
  ]);
  t.equal(happeningsOf(ended(), parties)[1]?.note, 'Surface desk scaled Deployment shop/cart from 3 to 5');
  t.same(told({ phase: 'reverted', code: 'Superseded' })[0]?.[2], 'ScaledBySurface', 'by its own next one');
  t.same(told({ phase: 'reverted', code: 'ChangedBack', detail: 'by argocd' }), [
    ['ControlSurface', 'Warning', 'ScaleReverted'],
    ['Deployment', 'Normal', 'ScaleReverted'],
  ]);
  t.match(
    happeningsOf(ended({ phase: 'blocked', code: 'Quota', detail: 'full' }), parties)[0]?.note,
    /Quota: full/,
  );
  t.same(told({ wasAccepted: false, phase: 'denied', code: 'Forbidden' }), [
    ['ControlSurface', 'Warning', 'ScaleRefused'],
    ['Deployment', 'Normal', 'ScaleRefused'],
  ]);
  t.same(told({ wasAccepted: false, phase: 'stale' }), [['ControlSurface', 'Warning', 'ScaleRefused']]);
  t.same(told({ wasAccepted: false, phase: 'needs-arm' }), []);
  t.same(told({ target: null, wasAccepted: false, phase: 'denied' }), []);
  const trust = (state: 'trusted' | 'failed' | 'pending', reason = 'r') =>
    ({ surface: 'desk', state, level: state === 'trusted' ? 1 : null, reason }) as never;
  t.equal(happeningOf(null, trust('trusted'), surface)?.reason, 'Attested');
  t.equal(happeningOf(trust('trusted'), trust('trusted'), surface), null);
  t.match(happeningOf(trust('trusted'), trust('failed'), surface), {
    reason: 'AttestationFailed',
    type: 'Warning',
  });
  t.equal(happeningOf(trust('failed'), trust('failed'), surface), null);
  t.equal(happeningOf(trust('failed'), trust('pending'), surface), null);
});

/** A recorder whose clock and API server a test drives. */
function recorder(t: { teardown(work: () => unknown): void }) {
  let now = 0;
  const writes: { method: string; path: string; body: never }[] = [];
  const failures: number[] = [];
  const events = createEventRecorder({
    access: {
      get: async () => ({}),
      write: async (write) => {
        const status = failures.shift();
        if (status !== undefined)
          throw new KubeError('no', { status, reason: '', retryAfterMs: null, isUncertain: false });
        writes.push(write as never);
        return {};
      },
    },
    instance: 'gateway',
    clock: { now: () => now, monotonic: () => now },
    log: silentLog,
  });
  t.teardown(() => events.close());
  return {
    events,
    writes,
    failures,
    pass: async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        now += 1000;
        await events.tick();
      }
    },
  };
}
const occurrence = (name = 'desk', more: Partial<Occurrence> = {}): Occurrence => ({
  regarding: { ...surface, name },
  related: null,
  type: 'Normal',
  reason: 'ScaledBySurface',
  action: 'Scale',
  note: 'scaled',
  ...more,
});

t.test('a knob that is turned is one Event that counts', async (t) => {
  const { events, writes, pass } = recorder(t);
  for (let second = 0; second < 120; second++) {
    events.record(occurrence('desk', { note: `to ${second}` }));
    events.record(occurrence('desk', { note: `to ${second}` }));
    await pass(1);
  }
  t.same(
    writes.map(({ method }) => method),
    ['POST', 'PATCH', 'PATCH'],
    '240 times',
  );
  t.match(writes[2]?.body, { series: { count: Number } });
  await pass(61);
  t.match(writes.at(-1)?.body, { series: { count: 240 } }, 'nothing is left uncounted');
  await pass(eventLimits.quietMs / 1000);
  events.record(occurrence());
  await pass(1);
  t.equal(writes.filter(({ method }) => method === 'POST').length, 2, 'later it is another series');
});

t.test('bounds, refusals, and Events that have lived their time', async (t) => {
  const { events, writes, failures, pass } = recorder(t);
  for (let number = 0; number < eventLimits.most + 10; number++) events.record(occurrence(`s${number}`));
  t.equal(events.dropped(), 10);
  await pass(1);
  t.ok(writes.length <= eventLimits.burst + eventLimits.perSecond);
  await pass(300);
  t.equal(writes.length, eventLimits.most);

  const one = recorder(t);
  one.failures.push(403);
  one.events.record(occurrence());
  await one.pass(1);
  t.match(one.events.problem(), /Events in namespace surfaced cannot be written: no/);
  await one.pass(30);
  t.equal(one.writes.length, 0);
  await one.pass(40);
  t.equal(one.writes.length, 1);
  t.equal(one.events.problem(), null);
  one.events.record(occurrence());
  one.failures.push(404);
  await one.pass(10);
  t.same(
    one.writes.map(({ method }) => method),
    ['POST', 'POST'],
    'the Event had lived its time',
  );
  one.events.record(occurrence('gone'));
  one.failures.push(503, 404);
  await one.pass(20);
  t.equal(one.writes.length, 2, 'for a namespace that is gone it is not tried for ever');
  t.same(failures, []);
});

t.test('kubectl shows them', { skip: withoutKubectl }, async (t) => {
  const bed = await site(t);
  const { access } = await connected(t, bed);
  const events = createEventRecorder({
    access,
    instance: 'gateway',
    clock: { now: Date.now, monotonic: () => performance.now() },
    log: silentLog,
  });
  events.record(occurrence('desk', { note: 'Surface desk scaled Deployment shop/cart from 3 to 5' }));
  await events.tick();
  for (let count = 0; count < 4; count++) events.record(occurrence());
  await events.close();
  const shown = await bed.kubectl('get', 'events');
  t.match(shown, /Normal +ScaledBySurface +controlsurface\/desk +Surface desk scaled Deployment shop\/cart/);
  const [event] = JSON.parse(await bed.kubectl('get', 'events.v1.events.k8s.io', '-o', 'json')).items;
  t.match(event, { series: { count: 5 }, reportingController: 'surfaced.dev/gateway', action: 'Scale' });
});
