/** What the tests of `deploy/` share: its files, and overlays as kustomize makes them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { root } from '../structure/source-files.ts';

/** An object of Kubernetes, as a file has it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: manifests are of every shape, and each test names the fields it looks at
  readonly [field: string]: any;
}

export const deployFolder = path.join(root, 'deploy');
export const overlays = readdirSync(path.join(deployFolder, 'overlays')).toSorted();

/** False, or the reason why overlays cannot be rendered here. */
export const skip: false | string =
  spawnSync('kubectl', ['kustomize', '--help']).status === 0
    ? false
    : 'kubectl is not installed (npm test installs kubernetes-client)';

/** All objects of YAML text. */
export function objectsIn(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
}

/** All objects of a file below `deploy/`. */
export function objectsOf(file: string): Manifest[] {
  return objectsIn(readFileSync(path.join(deployFolder, file), 'utf8'));
}

/** An overlay as `kubectl kustomize` renders it. */
export function rendered(overlay: string): Manifest[] {
  const folder = path.join(deployFolder, 'overlays', overlay);
  return objectsIn(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8', maxBuffer: 64 << 20 }));
}

/** The one object of a kind and name. */
export function objectOf(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found.length !== 1 || !found[0]) throw new Error(`There are ${found.length} of ${kind} ${name}.`);
  return found[0];
}
