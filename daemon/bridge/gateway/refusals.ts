/** Words for what the API server refuses (test/fixtures/kube/03 and 04 have its answers). */
import { nameOf } from '../kube/scales.ts';
import type { KubeError, TargetSnapshot } from '../kube/types.ts';
import { cut, type End, endOf } from './command.ts';
import type { Order, Verb } from './verbs/verb.ts';

/** The end for a 4xx other than 409 and 429: trying again would bring the same answer. */
export function refusalOf(error: KubeError, order: Order, verb: Verb): End {
  const text = cut(error.message, 300);
  switch (error.status) {
    case 401:
      return endOf(
        'denied',
        'Unauthorized',
        `The API server does not accept the gateway's own credentials. ${text}`,
      );
    case 403:
      return forbidden(text, order, verb);
    case 404:
      return endOf('denied', 'NotFound', `${nameOf(order.ref)} is not there, or cannot be scaled. ${text}`);
    default:
      return endOf('denied', error.reason || 'Refused', `The API server refuses it. ${text}`);
  }
}

function forbidden(text: string, { ref, actor }: Order, { rights: { part } }: Verb): End {
  if (/cannot impersonate/.test(text))
    return endOf('denied', 'Forbidden', `The gateway's own account may not act as ${actor.user}. ${text}`);
  const verb = /cannot (get|update|patch) resource/.exec(text)?.[1];
  if (!verb) return endOf('denied', 'AdmissionDenied', `A policy of the cluster refuses it. ${text}`);
  const role = ref.namespace === '' ? 'a ClusterRole' : `a Role in namespace ${ref.namespace}`;
  const need = part === '' ? 'get and patch on it' : 'get and update on its scale';
  return endOf(
    'denied',
    'Forbidden',
    `User ${actor.user} may not ${verb} ${part}${nameOf(ref)}: ${role} with ${need}, bound to that user, is missing.`,
  );
}

/** What is not seen is not touched: without its state nobody knows which guards apply. */
export function unseen({ problem }: TargetSnapshot): End {
  if (problem?.state === 'missing') return endOf('denied', 'NotFound', problem.message);
  if (problem?.state === 'denied')
    return endOf(
      'denied',
      'NotVisible',
      `The gateway's own account may not watch the target. ${problem.message}`,
    );
  return endOf(
    'expired',
    'ApiUnavailable',
    problem?.message ?? 'The state of the target has not been read yet.',
  );
}
