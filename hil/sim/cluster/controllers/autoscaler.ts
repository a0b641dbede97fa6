/**
 * HorizontalPodAutoscalers at their sync period: bounds are enforced, and a target at zero disables scaling
 * (recording 07). The simulated load always suits the replicas there are, so nothing else is ever changed.
 */
import { at, listAt, numberAt, textAt, withAt } from '../json.ts';
import {
  type KubeObject,
  type ObjectCondition,
  timestamp,
  type Workload,
  withCondition,
} from '../objects.ts';
import { builtin } from '../resources.ts';
import type { World } from '../world.ts';
import { controllerManager, updateObject, updateStatus } from '../writes.ts';

const REPORTER = 'horizontal-pod-autoscaler';

/** Runs the controller: one period for each autoscaler, from its creation on. */
export function startAutoscalers(world: World): void {
  world.store.on(builtin.autoscalers, (event) => {
    if (event.type !== 'ADDED') return;
    const { namespace = 'default', name, uid } = event.object.metadata;
    const tick = (): void => {
      const autoscaler = world.store.get(builtin.autoscalers, namespace, name);
      if (autoscaler === null || autoscaler.metadata.uid !== uid) return;
      sync(world, autoscaler);
      world.timers.after(world.timing.hpaSyncMs, tick);
    };
    world.timers.after(world.timing.hpaSyncMs, tick);
  });
}

function sync(world: World, autoscaler: KubeObject): void {
  const reference = at(autoscaler, 'spec', 'scaleTargetRef');
  const resource = world.resources.findKind(textAt(reference, 'apiVersion'), textAt(reference, 'kind'));
  const namespace = autoscaler.metadata.namespace ?? 'default';
  const name = textAt(reference, 'name');
  const target = resource === null ? null : world.store.get<Workload>(resource, namespace, name);
  let conditions = listAt(autoscaler, 'status', 'conditions') as readonly ObjectCondition[];
  const set = (type: string, status: 'True' | 'False', reason: string, message: string): void => {
    const next = { type, status, lastTransitionTime: timestamp(world.now()), reason, message };
    // Unlike a Deployment's, these conditions keep their place.
    const index = conditions.findIndex((one) => one.type === type);
    const changed = withCondition(conditions, next);
    if (changed === conditions || index < 0) conditions = changed;
    else conditions = conditions.map((one, place) => (place === index ? changed.at(-1)! : one));
  };
  const write = (fields: Record<string, unknown>): void => {
    const lastScaleTime = fields.lastScaleTime ?? at(autoscaler, 'status', 'lastScaleTime');
    const status = {
      ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
      currentMetrics: null,
      ...fields,
      conditions,
    };
    updateStatus(world, builtin.autoscalers, autoscaler, status, controllerManager(world, 'status'));
  };

  if (resource === null || target === null) {
    const message = `the HPA controller was unable to get the target's current scale: ${name} not found`;
    set('AbleToScale', 'False', 'FailedGetScale', message);
    write({ desiredReplicas: 0 });
    return;
  }
  const current = target.spec.replicas;
  if (current === 0) {
    const found = "the HPA controller was able to get the target's current scale";
    set('AbleToScale', 'True', 'SucceededGetScale', found);
    const off = 'scaling is disabled since the replica count of the target is zero';
    set('ScalingActive', 'False', 'ScalingDisabled', off);
    write({ desiredReplicas: 0 });
    return;
  }
  const minimum = numberAt(autoscaler, 'spec', 'minReplicas') || 1;
  const maximum = numberAt(autoscaler, 'spec', 'maxReplicas');
  const desired = Math.max(minimum, Math.min(maximum, current));
  if (desired !== current) {
    const scaled = withAt(target, ['spec', 'replicas'], desired);
    const writer = { ...controllerManager(world, ''), subresource: 'scale', time: '' };
    updateObject(world, resource, target, scaled, writer);
    const limit = current > maximum ? 'above Spec.MaxReplicas' : 'below Spec.MinReplicas';
    const why = `New size: ${desired}; reason: Current number of replicas ${limit}`;
    world.events.record(autoscaler, 'Normal', 'SuccessfulRescale', why, REPORTER);
    const done = `the HPA controller was able to update the target scale to ${desired}`;
    set('AbleToScale', 'True', 'SucceededRescale', done);
    write({
      lastScaleTime: timestamp(world.now()),
      currentReplicas: current,
      desiredReplicas: desired,
    });
    return;
  }
  set('AbleToScale', 'True', 'ReadyForNewScale', 'recommended size matches current size');
  const metric =
    'the HPA was able to successfully calculate a replica count from cpu resource utilization ' +
    '(percentage of request)';
  set('ScalingActive', 'True', 'ValidMetricFound', metric);
  const within = 'the desired count is within the acceptable range';
  set('ScalingLimited', 'False', 'DesiredWithinRange', within);
  write({
    currentReplicas: current,
    desiredReplicas: desired,
    currentMetrics: [
      {
        type: 'Resource',
        resource: { name: 'cpu', current: { averageUtilization: 60, averageValue: '60m' } },
      },
    ],
  });
}
