/** Role-based access control: who may do what, by Roles, ClusterRoles and their bindings. */
import { at, listAt, textAt } from './json.ts';
import type { KubeObject } from './objects.ts';
import { builtin } from './resources.ts';
import { StatusError } from './status.ts';
import type { Store } from './store.ts';

/** A user, as authentication or impersonation gives one. */
export interface Identity {
  readonly username: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What a request wants to do. */
export interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** null for cluster-scoped objects and for all namespaces. */
  readonly namespace: string | null;
  /** Set for requests that are about no resource. */
  readonly path: string | null;
}

/** Who sent no credentials. */
export const anonymous: Identity = {
  username: 'system:anonymous',
  groups: ['system:unauthenticated'],
  extra: {},
};

const PUBLIC_PATHS = /^\/(version|healthz|livez|readyz)(\/.*)?$/;
const DISCOVERY_PATHS = /^\/(api|apis|openapi|version|healthz|livez|readyz)(\/.*)?$/;

/** Whether an identity may do something. */
export function isAllowed(store: Store, who: Identity, what: Attributes): boolean {
  if (who.groups.includes('system:masters')) return true;
  if (what.path !== null) {
    const isKnown = who.groups.includes('system:authenticated');
    if (what.verb === 'get' && (isKnown ? DISCOVERY_PATHS : PUBLIC_PATHS).test(what.path)) return true;
  }
  // system:basic-user: everybody may ask about themselves.
  const isSelf = what.resource.startsWith('selfsubject') && what.verb === 'create';
  if (isSelf && who.groups.includes('system:authenticated')) return true;
  for (const rule of rulesFor(store, who, what.namespace)) if (covers(rule, what)) return true;
  return false;
}

function* rulesFor(store: Store, who: Identity, namespace: string | null): Iterable<unknown> {
  for (const binding of store.of(builtin.clusterRoleBindings).objects.values()) {
    if (isSubject(binding, who)) yield* roleRules(store, binding, null);
  }
  if (namespace === null) return;
  for (const binding of store.of(builtin.roleBindings).objects.values()) {
    if (binding.metadata.namespace === namespace && isSubject(binding, who)) {
      yield* roleRules(store, binding, namespace);
    }
  }
}

function roleRules(store: Store, binding: KubeObject, namespace: string | null): readonly unknown[] {
  const name = textAt(binding, 'roleRef', 'name');
  const isClusterRole = textAt(binding, 'roleRef', 'kind') === 'ClusterRole';
  const role = isClusterRole
    ? store.get(builtin.clusterRoles, null, name)
    : store.get(builtin.roles, namespace, name);
  return listAt(role, 'rules');
}

function isSubject(binding: KubeObject, who: Identity): boolean {
  return listAt(binding, 'subjects').some((subject) => {
    const name = textAt(subject, 'name');
    switch (textAt(subject, 'kind')) {
      case 'User':
        return name === who.username;
      case 'Group':
        return who.groups.includes(name);
      case 'ServiceAccount':
        return who.username === `system:serviceaccount:${textAt(subject, 'namespace')}:${name}`;
      default:
        return false;
    }
  });
}

function covers(rule: unknown, what: Attributes): boolean {
  const has = (field: string, wanted: readonly string[]): boolean =>
    listAt(rule, field).some((one) => one === '*' || wanted.includes(String(one)));
  if (!has('verbs', [what.verb])) return false;
  if (what.path !== null) {
    const { path } = what;
    return listAt(rule, 'nonResourceURLs').some((one) => {
      const url = String(one);
      return url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path;
    });
  }
  const full = what.subresource === '' ? what.resource : `${what.resource}/${what.subresource}`;
  const wanted = what.subresource === '' ? [full] : [full, `*/${what.subresource}`];
  if (!has('apiGroups', [what.group]) || !has('resources', wanted)) return false;
  const names = at(rule, 'resourceNames');
  if (!Array.isArray(names) || names.length === 0) return true;
  return what.name !== '' && names.includes(what.name);
}

/** The 403 of recordings 03 and 04. */
export function forbidden(who: Identity, what: Attributes): StatusError {
  if (what.path !== null) {
    const message = `forbidden: User "${who.username}" cannot ${what.verb} path "${what.path}"`;
    return new StatusError(403, 'Forbidden', message, { details: {} });
  }
  const qualified = what.group === '' ? what.resource : `${what.resource}.${what.group}`;
  const object = what.name === '' ? qualified : `${qualified} "${what.name}"`;
  const full = what.subresource === '' ? what.resource : `${what.resource}/${what.subresource}`;
  const where = what.namespace === null ? 'at the cluster scope' : `in the namespace "${what.namespace}"`;
  const message =
    `${object} is forbidden: User "${who.username}" cannot ${what.verb} resource "${full}" ` +
    `in API group "${what.group}" ${where}`;
  return new StatusError(403, 'Forbidden', message, {
    details: {
      ...(what.name === '' ? {} : { name: what.name }),
      ...(what.group === '' ? {} : { group: what.group }),
      kind: what.resource,
    },
  });
}
