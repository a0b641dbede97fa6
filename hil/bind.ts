/** `--bind namespace/kind/name[:min-max]` of the demo: a binding in one word. */
import type { TargetRef } from '../daemon/config/schema.ts';
import { SurfacedError } from '../daemon/errors.ts';

/** A target with its limits. */
export interface BindWord {
  readonly target: TargetRef;
  readonly min: number;
  readonly max: number;
}

/** Kinds that have a short form here; anything else needs a ControlSurface file. */
const kinds: Readonly<Record<string, readonly [apiVersion: string, kind: string]>> = {
  deployment: ['apps/v1', 'Deployment'],
  deploy: ['apps/v1', 'Deployment'],
  statefulset: ['apps/v1', 'StatefulSet'],
  sts: ['apps/v1', 'StatefulSet'],
  replicaset: ['apps/v1', 'ReplicaSet'],
  rs: ['apps/v1', 'ReplicaSet'],
  replicationcontroller: ['v1', 'ReplicationController'],
  rc: ['v1', 'ReplicationController'],
};

const defaultMax = 8;

/**
 * Reads one word, e.g. `shop/deployment/cart:1-8`.
 * @throws SurfacedError E_USAGE that says what was expected
 */
export function parseBind(word: string): BindWord {
  const match = /^([a-z0-9-]+)\/([A-Za-z]+)\/([a-z0-9.-]+)(?::(\d{1,5})-(\d{1,5}))?$/.exec(word);
  if (!match) {
    throw new SurfacedError(
      'E_USAGE',
      `--bind: expected namespace/kind/name[:min-max], e.g. shop/deployment/cart:1-8, got "${word}"`,
    );
  }
  const [, namespace = '', kindWord = '', name = '', min = '1', max = String(defaultMax)] = match;
  const kind = kinds[kindWord.toLowerCase().replace(/s$/, '')] ?? kinds[kindWord.toLowerCase()];
  if (!kind) {
    throw new SurfacedError(
      'E_USAGE',
      `--bind: kind "${kindWord}" has no short form; name it in a ControlSurface file and use --surface`,
    );
  }
  const limits = { min: Number(min), max: Number(max) };
  if (limits.min < 1 || limits.max < limits.min) {
    throw new SurfacedError(
      'E_USAGE',
      `--bind: limits ${min}-${max} must run upwards from 1 or more; zero needs \`zero: arm\` in a ControlSurface file`,
    );
  }
  return { target: { apiVersion: kind[0], kind: kind[1], namespace, name }, ...limits };
}
