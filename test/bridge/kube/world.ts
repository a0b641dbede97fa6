/** Scripted answers for one Deployment and its Pods, so that a test decides when what happens. */

import type { Replay, ReplayRequest } from '../../../hil/sim/replay/replay.ts';
import { answer, type Reply, stream } from '../../../hil/sim/replay/reply.ts';

export const deployments = '/apis/apps/v1/namespaces/shop/deployments';
export const podsPath = '/api/v1/namespaces/shop/pods';

export function deploymentObject(resourceVersion: number, replicas: number): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'cart',
      namespace: 'shop',
      uid: 'd1',
      generation: 1,
      resourceVersion: `${resourceVersion}`,
    },
    spec: { replicas, selector: { matchLabels: { app: 'cart' } } },
    status: { observedGeneration: 1, replicas },
  };
}

export function podObject(name: string, resourceVersion = 1): Record<string, unknown> {
  return {
    metadata: { name, uid: `uid-${name}`, resourceVersion: `${resourceVersion}` },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

export function listOf(kind: string, resourceVersion: number, items: readonly unknown[], next = ''): Reply {
  return answer(200, {
    kind: `${kind}List`,
    apiVersion: 'v1',
    metadata: { resourceVersion: `${resourceVersion}`, ...(next === '' ? {} : { continue: next }) },
    items,
  });
}

export const modified = (resourceVersion: number, replicas: number): unknown => ({
  type: 'MODIFIED',
  object: deploymentObject(resourceVersion, replicas),
});

/** A Deployment `shop/cart` with 2 replicas at version 10, quiet watches, no Pods, no autoscalers. */
export function quietWorld(replay: Replay): void {
  replay.script((request) => {
    const { pathname, isWatch } = request;
    if (pathname === '/readyz') return answer(200, 'ok');
    if (pathname === deployments)
      return isWatch ? stream([]) : listOf('Deployment', 10, [deploymentObject(10, 2)]);
    if (pathname === podsPath || pathname.endsWith('/horizontalpodautoscalers'))
      return isWatch ? stream([]) : listOf('Pod', 10, []);
    return null;
  });
}

/** Answers the matching requests in turn, each reply once, before everything else. */
export function inTurn(
  replay: Replay,
  matches: (request: ReplayRequest) => boolean,
  replies: readonly Reply[],
): void {
  const left = [...replies];
  replay.script((request) => (matches(request) ? (left.shift() ?? null) : null));
}

export const isList = ({ pathname, isWatch }: ReplayRequest): boolean => pathname === deployments && !isWatch;
export const isWatch = (request: ReplayRequest): boolean =>
  request.pathname === deployments && request.isWatch;
