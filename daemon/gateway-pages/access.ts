/** Who somebody is and what they may do on the pages: Kubernetes says. */
import type { KubeAccess } from '../bridge/kube/access.ts';
import { reviewAccess, reviewToken } from '../bridge/kube/reviews.ts';
import { KubeError } from '../bridge/kube/types.ts';
import { SurfacedError } from '../errors.ts';
import type { PageAccess, Right } from '../web/sources.ts';

/** What each right is. */
const rules: Readonly<Record<Right, { readonly verb: string; readonly resource: string }>> = {
  look: { verb: 'get', resource: 'controlsurfaces' },
  approve: { verb: 'update', resource: 'surfacerequests' },
  revoke: { verb: 'update', resource: 'controlsurfaces' },
};

/** An error of the API server for whoever is at the page. */
export function askError(what: string, error: unknown): unknown {
  if (!(error instanceof KubeError)) return error;
  return new SurfacedError('E_PAGES_ASK', `${what}: ${error.message}`, { cause: error });
}

/** @param options.audience that pasted tokens must be for; null: the API server's own */
export function createPageAccess(options: {
  readonly access: KubeAccess;
  readonly namespace: string;
  readonly audience: string | null;
  readonly signal: AbortSignal;
}): PageAccess {
  const { access, namespace, audience, signal } = options;
  return {
    reviewToken: async (token) => {
      try {
        return await reviewToken(access, { token, audience }, signal);
      } catch (error) {
        throw askError('the API server cannot be asked whose token this is', error);
      }
    },
    isAllowed: async (user, right, surface) => {
      const { verb, resource } = rules[right];
      const question = { namespace, group: 'surfaced.dev', resource, subresource: '', name: surface, verb };
      try {
        return (await reviewAccess(access, user, question, signal)).isAllowed;
      } catch (error) {
        throw askError('the API server cannot be asked what you may do', error);
      }
    },
  };
}
