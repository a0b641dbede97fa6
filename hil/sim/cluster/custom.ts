/** CustomResourceDefinitions: their kinds are served from the moment they are created (recording 11). */
import { at, listAt, textAt } from './json.ts';
import { type KubeObject, timestamp } from './objects.ts';
import { ALL_VERBS, builtin, type Resource, type ScalePaths, subresource } from './resources.ts';
import type { World } from './world.ts';
import { controllerManager, updateStatus } from './writes.ts';

/** The kinds that a definition declares, one for each served version. */
export function resourcesOf(definition: KubeObject): Resource[] {
  const names = at(definition, 'spec', 'names');
  const strings = (field: string): string[] => listAt(names, field).map(String);
  const kind = textAt(names, 'kind');
  return listAt(definition, 'spec', 'versions')
    .filter((version) => at(version, 'served') === true)
    .map((version) => {
      const scale = scalePaths(at(version, 'subresources', 'scale'));
      const hasStatus = at(version, 'subresources', 'status') !== undefined;
      return {
        group: textAt(definition, 'spec', 'group'),
        version: textAt(version, 'name'),
        plural: textAt(names, 'plural'),
        singular: textAt(names, 'singular'),
        kind,
        isNamespaced: textAt(definition, 'spec', 'scope') === 'Namespaced',
        shortNames: strings('shortNames'),
        categories: strings('categories'),
        verbs: ALL_VERBS,
        subresources: [
          ...(hasStatus ? [subresource('status', kind)] : []),
          ...(scale === null ? [] : [subresource('scale', kind)]),
        ],
        hasGeneration: true,
        isStored: true,
        custom: {
          schema: at(version, 'schema', 'openAPIV3Schema'),
          scale,
          columns: listAt(version, 'additionalPrinterColumns'),
          listKind: textAt(names, 'listKind'),
        },
      };
    });
}

function scalePaths(scale: unknown): ScalePaths | null {
  const path = (field: string): string[] =>
    textAt(scale, field)
      .split('.')
      .filter((part) => part !== '');
  if (path('specReplicasPath').length === 0) return null;
  const selector = path('labelSelectorPath');
  return {
    spec: path('specReplicasPath'),
    status: path('statusReplicasPath'),
    selector: selector.length === 0 ? null : selector,
  };
}

/** Serves what definitions declare and says so in their status. */
export function startDefinitions(world: World): void {
  world.store.on(builtin.definitions, (event) => {
    for (const old of event.previous === null ? [] : resourcesOf(event.previous)) world.resources.remove(old);
    if (event.type === 'DELETED') {
      for (const resource of resourcesOf(event.object)) {
        for (const object of [...world.store.of(resource).objects.values()]) {
          world.store.remove(resource, object);
        }
      }
      return;
    }
    for (const resource of resourcesOf(event.object)) world.resources.add(resource);
    if (event.type !== 'ADDED') return;
    const { name } = event.object.metadata;
    world.timers.after(world.random.jitter(world.timing.createMs), () => establish(world, name));
  });
}

function establish(world: World, name: string): void {
  const definition = world.store.get(builtin.definitions, null, name);
  if (definition === null) return;
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime: timestamp(world.now()),
    reason,
    message,
  });
  const status = {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: at(definition, 'spec', 'names'),
    storedVersions: listAt(definition, 'status', 'storedVersions'),
  };
  updateStatus(world, builtin.definitions, definition, status, controllerManager(world, 'status'));
}
