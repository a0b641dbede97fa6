/** The forms of an answer: whole objects, metadata only, or a Table for kubectl (meta.k8s.io/v1). */
import type { JsonMap } from './json.ts';
import { listObject, type Page } from './list.ts';
import type { KubeObject } from './objects.ts';
import type { ApiRequest } from './request.ts';
import { columnsOf, rowOf } from './table.ts';

/** Only the metadata of an object. */
export function partial(object: KubeObject): JsonMap {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

function rows(request: ApiRequest, objects: readonly KubeObject[], now: number): JsonMap[] {
  const include = request.query.get('includeObject') ?? 'Metadata';
  return objects.map((object) => ({
    cells: rowOf(request.resource, object, now),
    ...(include === 'None' ? {} : { object: include === 'Object' ? object : partial(object) }),
  }));
}

function table(
  request: ApiRequest,
  objects: readonly KubeObject[],
  options: { metadata: JsonMap; hasColumns: boolean; now: number },
): JsonMap {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata,
    columnDefinitions: options.hasColumns ? columnsOf(request.resource) : null,
    rows: rows(request, objects, options.now),
  };
}

/** A list in the wanted form. */
export function shapeList(request: ApiRequest, page: Page, now: number): JsonMap {
  switch (request.accept) {
    case 'table':
      return table(request, page.items, { metadata: page.metadata, hasColumns: true, now });
    case 'metadata':
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata: page.metadata,
        items: page.items.map(partial),
      };
    case 'json':
      return listObject(request, page);
  }
}

/** One object in the wanted form; a watch names the columns only once. */
export function shapeObject(
  request: ApiRequest,
  object: KubeObject,
  now: number,
  hasColumns: boolean,
): JsonMap {
  switch (request.accept) {
    case 'table': {
      const metadata = { resourceVersion: object.metadata.resourceVersion };
      return table(request, [object], { metadata, hasColumns, now });
    }
    case 'metadata':
      return partial(object);
    case 'json':
      return object;
  }
}
