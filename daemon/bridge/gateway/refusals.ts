/** Words for what the API server refuses (test/fixtures/kube/03 and 04 have its answers). */
import type { TargetRef } from '../../config/schema.ts';
import type { Actor, KubeError } from '../kube/types.ts';
import { cut, type End, endOf } from './command.ts';

const words = (target: TargetRef): string => `${target.kind} ${target.namespace}/${target.name}`;

/** The end for a 4xx other than 409 and 429: trying again would bring the same answer. */
export function refusalOf(error: KubeError, ref: TargetRef, actor: Actor): End {
  const text = cut(error.message, 300);
  switch (error.status) {
    case 401:
      return endOf(
        'denied',
        'Unauthorized',
        `The API server does not accept the gateway's own credentials. ${text}`,
      );
    case 403:
      return forbidden(text, ref, actor);
    case 404:
      return endOf('denied', 'NotFound', `${words(ref)} is not there, or cannot be scaled. ${text}`);
    default:
      return endOf('denied', error.reason || 'Refused', `The API server refuses it. ${text}`);
  }
}

function forbidden(text: string, ref: TargetRef, actor: Actor): End {
  if (/cannot impersonate/.test(text))
    return endOf('denied', 'Forbidden', `The gateway's own account may not act as ${actor.user}. ${text}`);
  const verb = /cannot (get|update|patch) resource/.exec(text)?.[1];
  if (verb)
    return endOf(
      'denied',
      'Forbidden',
      `User ${actor.user} may not ${verb} the scale of ${words(ref)}: a Role in namespace ${ref.namespace} with get and update on its scale, bound to that user, is missing.`,
    );
  return endOf('denied', 'AdmissionDenied', `A policy of the cluster refuses it. ${text}`);
}
