/** Discovery: which groups, versions, kinds and subresources there are, in the old and the aggregated form. */
import type { JsonMap } from './json.ts';
import { groupVersion, type Resource, type Resources, storageVersionHash } from './resources.ts';
import { unknownResource } from './status.ts';

/** What /version says: the server that was recorded. */
export const VERSION = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.2-sim',
  gitCommit: '0000000000000000000000000000000000000000',
  gitTreeState: 'simulation',
  buildDate: '2026-08-21T11:29:11Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'sim/sim',
} as const;

interface Group {
  readonly name: string;
  readonly versions: Map<string, Resource[]>;
}

function groupsOf(resources: Resources): Group[] {
  const groups = new Map<string, Group>();
  for (const resource of resources.all()) {
    const group = groups.get(resource.group) ?? { name: resource.group, versions: new Map() };
    groups.set(resource.group, group);
    const list = group.versions.get(resource.version) ?? [];
    list.push(resource);
    group.versions.set(resource.version, list);
  }
  return [...groups.values()];
}

/** Answers a discovery path; null when the path is not one. */
export function discover(
  resources: Resources,
  path: string,
  accept: string,
  address: string,
): { body: JsonMap; contentType: string } | null {
  const parts = path.split('/').filter((part) => part !== '');
  const [root, ...rest] = parts;
  if (root !== 'api' && root !== 'apis') return null;
  const groups = groupsOf(resources);
  const aggregated = /g=apidiscovery\.k8s\.io;v=(v2beta1|v2);as=APIGroupDiscoveryList/.exec(accept);
  if (rest.length === 0 && aggregated !== null) {
    const version = aggregated[1]!;
    const wanted = groups.filter((group) => (group.name === '') === (root === 'api'));
    return {
      contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      body: {
        kind: 'APIGroupDiscoveryList',
        apiVersion: `apidiscovery.k8s.io/${version}`,
        metadata: {},
        items: wanted.map(aggregatedGroup),
      },
    };
  }
  const body = root === 'api' ? core(groups, rest, address) : named(groups, rest);
  return body === null ? null : { body, contentType: 'application/json' };
}

function core(groups: readonly Group[], rest: readonly string[], address: string): JsonMap | null {
  if (rest.length === 0) {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
    };
  }
  if (rest.length > 1) return null;
  return resourceList(groups.find((group) => group.name === '')?.versions.get(rest[0]!));
}

function named(groups: readonly Group[], rest: readonly string[]): JsonMap | null {
  const known = groups.filter((group) => group.name !== '');
  if (rest.length === 0) {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: known.map(apiGroup) };
  }
  if (rest.length > 2) return null;
  const group = known.find((one) => one.name === rest[0]);
  if (group === undefined) throw unknownResource();
  if (rest.length === 1) return { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) };
  return resourceList(group.versions.get(rest[1]!));
}

function apiGroup(group: Group): JsonMap {
  const versions = [...group.versions.keys()].map((version) => ({
    groupVersion: `${group.name}/${version}`,
    version,
  }));
  return { name: group.name, versions, preferredVersion: versions[0] };
}

function resourceList(resources: readonly Resource[] | undefined): JsonMap {
  const [first] = resources ?? [];
  if (resources === undefined || first === undefined) throw unknownResource();
  return {
    kind: 'APIResourceList',
    // The core list carries no apiVersion.
    ...(first.group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: groupVersion(first),
    resources: resources.flatMap(apiResources),
  };
}

function apiResources(resource: Resource): JsonMap[] {
  const own = {
    name: resource.plural,
    singularName: resource.singular,
    namespaced: resource.isNamespaced,
    kind: resource.kind,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    ...(resource.isStored ? { storageVersionHash: storageVersionHash(resource) } : {}),
  };
  const below = resource.subresources.map((one) => ({
    name: `${resource.plural}/${one.name}`,
    singularName: '',
    namespaced: resource.isNamespaced,
    ...(one.group === '' ? {} : { group: one.group, version: one.version }),
    kind: one.kind,
    verbs: one.verbs,
  }));
  return [own, ...below];
}

function aggregatedGroup(group: Group): JsonMap {
  return {
    metadata: group.name === '' ? {} : { name: group.name },
    versions: [...group.versions].map(([version, resources]) => ({
      version,
      resources: resources.map((resource) => ({
        resource: resource.plural,
        responseKind: { group: '', version: '', kind: resource.kind },
        scope: resource.isNamespaced ? 'Namespaced' : 'Cluster',
        singularResource: resource.singular,
        verbs: resource.verbs,
        ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
        ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
        ...(resource.subresources.length === 0
          ? {}
          : {
              subresources: resource.subresources.map((one) => ({
                subresource: one.name,
                responseKind: { group: one.group, version: one.version, kind: one.kind },
                verbs: one.verbs,
              })),
            }),
      })),
      freshness: 'Current',
    })),
  };
}
