/** Changes of the ControlSurface files in a registry folder: comments stay, and a running gateway never reads half a file. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Document, parseAllDocuments, stringify } from 'yaml';
import { parseConfigs, readConfigFile } from '../../config/load.ts';
import type { ControlSurface } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import { fileError, replaceFile, writeBeside } from '../../whole-files.ts';
import { checkSurface } from './check.ts';

/** A surface that is not in the folder. */
export const unknownSurface = (name: string, folder: string): SurfacedError =>
  new SurfacedError('E_SURFACE_UNKNOWN', `there is no surface "${name}" in ${folder}`);

const registryError = (file: string, cause: unknown): SurfacedError => fileError('E_REGISTRY', file, cause);

/**
 * Changes a surface in every document that describes it.
 * @param options.change sets fields in the document
 * @returns the files that were changed; none: no file describes the surface
 * @throws SurfacedError E_REGISTRY; E_CFG_INVALID, E_CFG_READ when it may be in a file that is broken, or would break it
 */
export async function changeSurface(options: {
  readonly folder: string;
  readonly name: string;
  readonly change: (document: Document) => void;
}): Promise<string[]> {
  const { folder, name, change } = options;
  const files: string[] = [];
  let broken: unknown = null;
  for (const entry of (await namesIn(folder)).filter((file) => /^[^.].*\.ya?ml$/i.test(file)).sort()) {
    const file = path.join(folder, entry);
    let text: string;
    try {
      text = await readConfigFile(file);
      // The gateway would not look at a changed file that is broken elsewhere, so it is not changed.
      parseConfigs('ControlSurface', text, file, checkSurface);
    } catch (error) {
      broken = error;
      continue;
    }
    const documents = parseAllDocuments(text);
    const ours = documents.filter(
      (document) => (document.toJS() as Partial<ControlSurface> | null)?.metadata?.name === name,
    );
    if (ours.length === 0) continue;
    for (const document of ours) change(document);
    for (const document of documents.slice(1)) document.directives!.docStart = true;
    const changed = documents.map((document) => document.toString({ lineWidth: 0 })).join('');
    // Nor is it made one that the gateway would not look at.
    parseConfigs('ControlSurface', changed, file, checkSurface);
    await replaceFile(file, changed, 'E_REGISTRY');
    files.push(file);
  }
  if (files.length === 0 && broken !== null) throw broken;
  return files;
}

/**
 * Adds a file for a surface that has none.
 * @param surface what the file is to hold
 * @returns the file
 * @throws SurfacedError E_REGISTRY, also when a file of that name describes something else
 */
export async function addSurfaceFile(folder: string, surface: object, name: string): Promise<string> {
  const file = path.join(folder, `${name}.yaml`);
  const text = stringify(surface, { lineWidth: 0 });
  parseConfigs('ControlSurface', text, file, checkSurface);
  try {
    await stat(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw registryError(file, cause);
    await writeBeside(file, { text, like: folder, mode: 0o644 }, 'E_REGISTRY');
    return file;
  }
  throw new SurfacedError('E_REGISTRY', `${file} is there already and does not describe "${name}"`);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: unknown) => {
    throw registryError(folder, cause);
  });
}
