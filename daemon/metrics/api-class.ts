/** Requests to the API server by verb and class of resource, as Kubernetes' own metrics have them; pure and bounded. */

/** Resources that have a class of their own. */
const known: ReadonlySet<string> = new Set([
  'pods',
  'deployments',
  'statefulsets',
  'replicasets',
  'replicationcontrollers',
  'daemonsets',
  'cronjobs',
  'jobs',
  'nodes',
  'events',
  'leases',
  'persistentvolumeclaims',
  'persistentvolumes',
  'poddisruptionbudgets',
  'horizontalpodautoscalers',
  'scaledobjects',
  'controlsurfaces',
  'surfacerequests',
  'selfsubjectaccessreviews',
  'subjectaccessreviews',
  'tokenreviews',
  'validatingwebhookconfigurations',
]);
const subresources: ReadonlySet<string> = new Set(['scale', 'eviction', 'status']);
const writes: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Verb and class of a request. @param path with its query */
export function classOf(method: string, path: string): { readonly verb: string; readonly resource: string } {
  const [plain = '', query = ''] = path.split('?', 2);
  const parts = plain.split('/').filter((part) => part !== '');
  // /api/v1/..., /apis/<group>/<version>/...; anything shorter is discovery, anything else the server's own.
  const head = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : null;
  if (head === null) return { verb: writes[method] ?? 'get', resource: 'health' };
  const rest = parts.slice(head);
  if (rest.length === 0) return { verb: writes[method] ?? 'get', resource: 'discovery' };
  const [type = '', name, sub] = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  const verb =
    writes[method] ?? (name !== undefined ? 'get' : /(?:^|&)watch=(?:1|true)/.test(query) ? 'watch' : 'list');
  if (sub !== undefined && subresources.has(sub)) return { verb, resource: sub };
  return { verb, resource: known.has(type) ? type : 'other' };
}
