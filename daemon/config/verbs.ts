/** What a binding can do with its target: the verbs, the kinds that each takes, and what its number means. */

export const verbNames = [
  'scale',
  'floor',
  'ceiling',
  'restart',
  'pause',
  'suspend',
  'cordon',
  'drain',
] as const;

export type VerbName = (typeof verbNames)[number];

/** `count`: so many. `switch`: 0 or 1. `momentary`: 0 is what is seen, 1 what is asked for. */
export type NumberKind = 'count' | 'switch' | 'momentary';

/** A verb as far as a config can tell whether it fits. */
export interface VerbShape {
  readonly number: NumberKind;
  /** API group and kind of what it can be done to; null: whatever has a scale subresource. */
  readonly targets: readonly (readonly [group: string, kind: string])[] | null;
}

const autoscalers = [
  ['autoscaling', 'HorizontalPodAutoscaler'],
  ['keda.sh', 'ScaledObject'],
] as const;

export const verbShapes: Readonly<Record<VerbName, VerbShape>> = {
  scale: { number: 'count', targets: null },
  floor: { number: 'count', targets: autoscalers },
  ceiling: { number: 'count', targets: autoscalers },
  restart: {
    number: 'momentary',
    targets: [
      ['apps', 'Deployment'],
      ['apps', 'StatefulSet'],
      ['apps', 'DaemonSet'],
    ],
  },
  pause: {
    number: 'switch',
    targets: [
      ['apps', 'Deployment'],
      ['keda.sh', 'ScaledObject'],
    ],
  },
  suspend: {
    number: 'switch',
    targets: [
      ['batch', 'CronJob'],
      ['batch', 'Job'],
    ],
  },
  cordon: { number: 'switch', targets: [['', 'Node']] },
  drain: { number: 'switch', targets: [['', 'Node']] },
};

/** API group of an apiVersion; empty for the core group. */
export const groupOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';

/** Whether a verb can be done to objects of this kind, as far as their name tells. */
export function takes(verb: VerbName, { apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  const { targets } = verbShapes[verb];
  return targets === null || targets.some(([group, name]) => group === groupOf(apiVersion) && name === kind);
}

/** The least and the most that a binding asks for: what its file says, or 0 and 1 where there is nothing between. */
export function rangeOf(binding: { verb: VerbName; min: number; max?: number | undefined }): {
  readonly min: number;
  readonly max: number;
} {
  const isCount = verbShapes[binding.verb].number === 'count';
  return isCount ? { min: binding.min, max: binding.max ?? binding.min } : { min: 0, max: 1 };
}
