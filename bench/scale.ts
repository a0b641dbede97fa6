/** How a gateway grows: hundreds to thousands of surfaces that come at once, turn knobs, watch Pods and lose their gateway. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { KnobReport } from './parts/knob-ledger.ts';
import type { Deployed, Passed, ScaleClusterOptions } from './parts/scale-cluster.ts';
import type { Times, Turning } from './parts/scale-surfaces.ts';
import { Part, sharedNow, threadSeconds } from './processes.ts';
import {
  type FanOut,
  knobsOf,
  type Restart,
  type SiteFigures,
  type Spread,
  scaleRows,
  spreadOf,
} from './scale-rows.ts';
import { cpuBetween, ScaleSite, type SiteBinding, type SiteBroker, type SiteOptions } from './scale-site.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

/** How much of everything. */
export interface Plan {
  readonly sizes: readonly number[];
  readonly brokers: readonly SiteBroker[];
  /** Deployments that surfaces show, each of so many Pods; surfaces are spread over them. */
  readonly shown: number;
  readonly podsEach: number;
  /** Deployments that are turned; each has one knob, whatever the number of surfaces. */
  readonly turned: number;
  /** Commands a second of all knobs together. */
  readonly perSecond: number;
  readonly turnMs: number;
  readonly idleMs: number;
}

const plans: Readonly<Record<'full' | 'quick', Plan>> = {
  full: {
    ...{ sizes: [100, 1000, 5000], brokers: ['embedded', 'mosquitto'] },
    ...{ shown: 100, podsEach: 100, turned: 500, perSecond: 500, turnMs: 20_000, idleMs: 10_000 },
  },
  quick: {
    ...{ sizes: [20, 100], brokers: ['embedded', 'mosquitto'] },
    ...{ shown: 10, podsEach: 10, turned: 20, perSecond: 40, turnMs: 3000, idleMs: 2000 },
  },
};

/** Numbers of replicas of what is turned. */
const between: Turning['between'] = [2, 3];
/** Whoever has nothing by then is not served, milliseconds. */
const patienceMs = 90_000;
/** Heartbeats, telemetry and garbage of a storm are over, milliseconds. */
const settleMs = 2000;
const group = 'surfaced:surfaces';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Workloads are spread over so many namespaces, as those of a large site are. */
const namespaces = Array.from({ length: 10 }, (_, index) => `bench-${index}`);
const deployed = (what: string, index: number, replicas: number): Deployed => ({
  namespace: namespaces[index % namespaces.length] ?? '',
  name: `${what}-${index}`,
  replicas,
});
const allShown = ({ shown, podsEach }: Plan): Deployed[] =>
  Array.from({ length: shown }, (_, index) => deployed('shown', index, podsEach));
const allTurned = ({ turned }: Plan): Deployed[] =>
  Array.from({ length: turned }, (_, index) => deployed('turned', index, between[0]));

/**
 * One Role a namespace for the group of all surfaces: thousands of Roles would be gone through for each request, which the
 * plan of docs/scale.md is about and not this bench.
 */
const rightsIn = (namespace: string) => [
  {
    ...{
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'surfaces', namespace },
    },
    rules: [{ apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get', 'update', 'patch'] }],
  },
  {
    ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' },
    metadata: { name: 'surfaces', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'surfaces' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
  },
];

async function startCluster(
  context: BenchContext,
  plan: Plan,
): Promise<{ part: Part; kubeconfigPath: string }> {
  const part = new Part('scale-cluster');
  context.defer(() => part.end());
  const folder = path.join(context.folder, 'cluster');
  await mkdir(folder);
  const deployments = [...allShown(plan), ...allTurned(plan)];
  const objects = namespaces.flatMap(rightsIn);
  const options: ScaleClusterOptions = { folder, deployments, objects };
  return { part, kubeconfigPath: await part.call<string>('start', options) };
}

const boundTo = (control: string, { namespace, name }: Deployed, max: number): SiteBinding => ({
  control,
  target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name },
  max,
});

/** Every surface shows one of the shared Deployments; the knobs are dealt out one by one. */
function surfacesOf(plan: Plan, count: number): SiteOptions['surfaces'] {
  const surfaces = new Map<string, SiteBinding[]>();
  const nameOf = (index: number): string => `s${String(index).padStart(5, '0')}`;
  const shown = allShown(plan);
  for (let index = 0; index < count; index++)
    surfaces.set(nameOf(index), [boundTo('show', shown[index % shown.length]!, 500)]);
  for (const [knob, one] of allTurned(plan).entries()) {
    const own = surfaces.get(nameOf(knob % count));
    own?.push(boundTo(`knob${own.length}`, one, 20));
  }
  return surfaces;
}

const joined = (times: readonly Times[], from: number, count: number): Spread =>
  spreadOf(
    times.flatMap(({ at }) => at),
    from,
    count,
  );
const sum = <Item>(items: readonly Item[], pick: (item: Item) => number): number =>
  items.reduce((all, item) => all + pick(item), 0);

async function fanOut(
  site: ScaleSite,
  cluster: Part,
  plan: Plan,
  isReady: boolean,
  count: number,
): Promise<FanOut> {
  const before = { passed: await cluster.call<Passed>('passed'), cpu: site.cpu() };
  await site.all('expectReady', { ready: isReady ? plan.podsEach : 0 });
  const from = await cluster.call<number>('setReady', { deployments: allShown(plan), isReady });
  const times = await site.all<Times>('right', { timeoutMs: patienceMs });
  const passed = await cluster.call<Passed>('passed');
  const shown = joined(times, from, count);
  return {
    pods: plan.shown * plan.podsEach,
    shown,
    afterLastEvent: shown.all - (passed.lastPodEventAt - from) / 1000,
    podEvents: passed.podEvents - before.passed.podEvents,
    slotMessages: sum(times, ({ slotMessages }) => slotMessages),
    cpu: cpuBetween(before.cpu, site.cpu()),
  };
}

async function restart(site: ScaleSite, signal: NodeJS.Signals, count: number): Promise<Restart> {
  const before = { cpu: site.cpu(), failures: await failuresOf(site) };
  await site.all('expectService');
  const from = sharedNow();
  await site.restart(signal);
  const up = (sharedNow() - from) / 1000;
  const served = joined(await site.all<Times>('served', { timeoutMs: patienceMs }), from, count);
  const cpu = cpuBetween(before.cpu, site.cpu());
  return {
    ...{ served, up },
    failures: (await failuresOf(site)) - before.failures,
    // Of the new process, which has begun from nothing.
    cpu: { ...cpu, gateway: site.cpu().gateway },
  };
}

const failuresOf = async (site: ScaleSite): Promise<number> =>
  sum(await site.all<Times>('served', { timeoutMs: 0 }), ({ failures }) => failures);

/** Everything with one site; what it starts ends with it. */
async function measure(context: BenchContext, plan: Plan, options: SiteOptions): Promise<SiteFigures> {
  const { broker, cluster, surfaces } = options;
  const count = surfaces.size;
  const say = (text: string): void => context.say(`  ${count} surfaces, ${broker}: ${text}`);
  const ends: (() => Promise<unknown> | unknown)[] = [];
  context.defer(() => Promise.all(ends.map((end) => end())));
  const site = await ScaleSite.start(options, (end) => void ends.push(end));
  const empty = site.residentMib();

  say('all connect at once');
  const atRest = site.cpu();
  await site.all('expectService');
  const from = sharedNow();
  await site.all('connect');
  const came = await site.all<Times>('served', { timeoutMs: patienceMs });
  const storm = {
    served: joined(came, from, count),
    failures: sum(came, ({ failures }) => failures),
    cpu: cpuBetween(atRest, site.cpu()),
  };

  say(`the last was served after ${storm.served.all.toFixed(1)} s; at rest`);
  await sleep(settleMs);
  const idleFrom = { at: sharedNow(), cpu: site.cpu(threadSeconds) };
  await sleep(plan.idleMs);
  const idle = {
    seconds: (sharedNow() - idleFrom.at) / 1000,
    cpu: cpuBetween(idleFrom.cpu, site.cpu(threadSeconds)),
  };
  const memoryMib = { empty, full: site.residentMib() };

  say(`${plan.turned} knobs are turned`);
  const turnFrom = { passed: await cluster.call<Passed>('passed'), cpu: site.cpu() };
  const turning: Turning = { everyMs: (plan.turned * 1000) / plan.perSecond, forMs: plan.turnMs, between };
  const reports = await site.all<KnobReport>('turn', turning);
  const { writes } = await cluster.call<Passed>('passed');
  const knobs = knobsOf(reports, writes - turnFrom.passed.writes, cpuBetween(turnFrom.cpu, site.cpu()));

  say(`${plan.shown * plan.podsEach} Pods change`);
  const changes = [
    await fanOut(site, cluster, plan, false, count),
    await fanOut(site, cluster, plan, true, count),
  ];

  say('the gateway is stopped and started');
  const stopped = await restart(site, 'SIGTERM', count);
  await sleep(settleMs);
  say('the gateway is killed and started');
  const killed = await restart(site, 'SIGKILL', count);
  const { watches } = await cluster.call<Passed>('passed');

  await site.all('stop');
  for (const end of ends.splice(0).reverse()) await end();
  return {
    ...{ broker, surfaces: count, watches, storm, idle, memoryMib, knobs, fanOut: changes, stopped, killed },
  };
}

/** The bench with another plan. */
export async function measureScale(context: BenchContext, plan: Plan): Promise<Findings> {
  context.say(`  a cluster of ${plan.shown * plan.podsEach + plan.turned * between[0]} Pods`);
  const { part: cluster, kubeconfigPath } = await startCluster(context, plan);
  const figures: SiteFigures[] = [];
  for (const size of plan.sizes)
    for (const broker of plan.brokers) {
      const folder = path.join(context.folder, `${broker}-${size}`);
      const surfaces = surfacesOf(plan, size);
      figures.push(await measure(context, plan, { broker, folder, kubeconfigPath, surfaces, cluster }));
    }
  return { rows: scaleRows(figures), details: { plan, figures } };
}

export const scale: Bench = {
  name: 'scale',
  title: 'A gateway with very many surfaces',
  needs: ['mosquitto'],
  run: (context) => measureScale(context, context.isQuick ? plans.quick : plans.full),
};
