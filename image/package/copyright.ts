/** Licences of what is in the package: the text for `/usr/share/doc/surfaced/copyright`, and a list for the SBOM. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';

/** A package of the npm registry that is in the Debian package, whole or in part. */
export interface NpmComponent {
  readonly name: string;
  readonly version: string;
  /** SPDX expression that its `package.json` has. */
  readonly licence: string;
}

/** A component with the licence text that it brings; null: it brings none. */
export interface LicensedComponent extends NpmComponent {
  readonly text: string | null;
}

/** Reads name, version and licence of a package in a folder. @throws SurfacedError E_IMAGE_STEP when it says no licence */
export async function readComponent(folder: string): Promise<LicensedComponent> {
  const about = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    readonly name?: string;
    readonly version?: string;
    readonly license?: string | { readonly type?: string };
  };
  const licence = typeof about.license === 'object' ? about.license.type : about.license;
  if (about.name === undefined || about.version === undefined || licence === undefined)
    throw new SurfacedError('E_IMAGE_STEP', `${folder}/package.json: no name, version or licence`);
  const files = (await readdir(folder)).filter((name) => /^(?:licen[cs]e|copying|notice)/i.test(name)).sort();
  const texts = await Promise.all(files.map((name) => readFile(path.join(folder, name), 'utf8')));
  const text = texts.map((item) => item.replaceAll('\r\n', '\n').trim()).join('\n\n');
  return { name: about.name, version: about.version, licence, text: text === '' ? null : text };
}

/** Each component once, sorted by name and version. */
export function sortedComponents<T extends NpmComponent>(components: readonly T[]): T[] {
  const keyed = new Map(components.map((item) => [`${item.name}@${item.version}`, item]));
  return [...keyed].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, item]) => item);
}

/** The copyright file: the project's own licence, then each licence text once with the packages that it is for. */
export function copyrightText(own: string, components: readonly LicensedComponent[]): string {
  const byText = new Map<string, LicensedComponent[]>();
  for (const component of sortedComponents(components)) {
    const text = component.text ?? '';
    byText.set(text, [...(byText.get(text) ?? []), component]);
  }
  const sections = [...byText].map(([text, users]) => {
    const names = users.map(({ name, version, licence }) => `${name} ${version} (${licence})`);
    return `${rule}\n${names.join('\n')}\n\n${text === '' ? 'brings no text of its licence.' : text}\n`;
  });
  return [
    'surfaced is under the Apache License 2.0; on Debian its text is in /usr/share/common-licenses/Apache-2.0.',
    'This package also has Node.js, and parts of packages of the npm registry. Their licences follow below that of surfaced.',
    '',
    own.trim(),
    '',
    ...sections,
  ].join('\n');
}

const rule = '-'.repeat(78);
