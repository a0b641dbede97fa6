/** PodDisruptionBudgets with a whole number of Pods: what they forbid an eviction, and their status (recording 09). */
import { at, numberAt } from '../json.ts';
import {
  isDeleting,
  isReady,
  type KubeObject,
  type ObjectCondition,
  type Pod,
  timestamp,
  withCondition,
} from '../objects.ts';
import { builtin } from '../resources.ts';
import { labelMatcher, selectorText } from '../selectors.ts';
import { StatusError } from '../status.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, updateStatus } from '../writes.ts';
import { splitKey, WorkQueue } from './queue.ts';

interface Count {
  readonly expected: number;
  readonly healthy: number;
  readonly desired: number;
}

function covers(budget: KubeObject, pod: KubeObject): boolean {
  const isSame = budget.metadata.namespace === pod.metadata.namespace;
  return isSame && labelMatcher(selectorText(at(budget, 'spec', 'selector')))(pod);
}

function countOf(world: World, budget: KubeObject): Count {
  const pods = [...world.store.of(builtin.pods).objects.values()].filter((pod) => covers(budget, pod));
  const healthy = pods.filter((pod) => isReady(pod as Pod) && !isDeleting(pod)).length;
  const most = at(budget, 'spec', 'maxUnavailable');
  const desired =
    typeof most === 'number' ? Math.max(0, pods.length - most) : numberAt(budget, 'spec', 'minAvailable');
  return { expected: pods.length, healthy, desired };
}

/** The refusal of an eviction, or null when every budget allows it. */
export function budgetRefusal(world: World, pod: KubeObject): StatusError | null {
  if (!isReady(pod as Pod)) return null;
  const budgets = [...world.store.of(builtin.budgets).objects.values()].filter((one) => covers(one, pod));
  if (budgets.length > 1) {
    const message =
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
    return new StatusError(500, 'InternalError', message, { details: {} });
  }
  const [budget] = budgets;
  if (budget === undefined) return null;
  const { healthy, desired } = countOf(world, budget);
  if (healthy > desired) return null;
  const why = `The disruption budget ${budget.metadata.name} needs ${desired} healthy pods and has ${healthy} currently`;
  const message = "Cannot evict pod as it would violate the pod's disruption budget.";
  return new StatusError(429, 'TooManyRequests', message, {
    details: { causes: [{ reason: 'DisruptionBudget', message: why }] },
  });
}

/** Keeps the status of every budget. */
export function startBudgets(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const budget = world.store.get(builtin.budgets, namespace, name);
    if (budget !== null) sync(world, budget);
  });
  const later = (budget: KubeObject): void =>
    queue.add(keyOf(budget), world.random.jitter(world.timing.createMs));
  world.store.on(builtin.budgets, (event) => {
    if (event.type !== 'DELETED') later(event.object);
  });
  world.store.on(builtin.pods, (event) => {
    for (const budget of world.store.of(builtin.budgets).objects.values())
      if (covers(budget, event.object)) later(budget);
  });
}

function sync(world: World, budget: KubeObject): void {
  const { expected, healthy, desired } = countOf(world, budget);
  const allowed = Math.max(0, healthy - desired);
  const { generation } = budget.metadata;
  const before = (at(budget, 'status', 'conditions') ?? []) as readonly ObjectCondition[];
  const conditions = withCondition(before, {
    type: 'DisruptionAllowed',
    status: allowed > 0 ? 'True' : 'False',
    observedGeneration: generation,
    lastTransitionTime: timestamp(world.now()),
    reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
    message: '',
  });
  const status = {
    observedGeneration: generation,
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    conditions,
  };
  updateStatus(world, builtin.budgets, budget, status, controllerManager(world, 'status'));
}
