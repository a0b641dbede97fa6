/** As much OpenAPI v3 as kubectl needs to see that the server checks fields itself. */
import type { JsonMap } from './json.ts';
import { groupVersion, type Resource, type Resources } from './resources.ts';

/** Answers /openapi/v3 and below; null for other paths. */
export function openApi(resources: Resources, path: string): JsonMap | null {
  if (path === '/openapi/v3') {
    const paths = new Set([...resources.all()].map(pathOf));
    return {
      paths: Object.fromEntries(
        [...paths].map((one) => [one, { serverRelativeURL: `/openapi/v3/${one}?hash=sim` }]),
      ),
    };
  }
  const wanted = /^\/openapi\/v3\/(.+)$/.exec(path)?.[1];
  const kinds = [...resources.all()].filter((resource) => pathOf(resource) === wanted);
  if (kinds.length === 0) return null;
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes (simulation)', version: 'v1.36.2-sim' },
    paths: Object.fromEntries(
      kinds.map((resource) => [`/${pathOf(resource)}/${resource.plural}`, doors(resource)]),
    ),
    components: { schemas: {} },
  };
}

function pathOf(resource: Resource): string {
  return resource.group === '' ? `api/${resource.version}` : `apis/${groupVersion(resource)}`;
}

function doors(resource: Resource): JsonMap {
  const { group, version, kind } = resource;
  const parameters = [{ name: 'fieldValidation', in: 'query', schema: { type: 'string' } }];
  const door = { parameters, 'x-kubernetes-group-version-kind': { group, version, kind } };
  return { post: door, put: door, patch: door };
}
