/**
 * The signed manifest of a RAUC bundle (RAUC, Reference, "Manifest"): a text of sections with `key=value` lines. Read
 * strictly: what RAUC itself writes is plain, so whatever could be read in two ways is refused.
 */
import { SurfacedError } from '../errors.ts';
import { versionPattern } from '../version.ts';

/** What a manifest of ours says. */
export interface Manifest {
  /** Kind of device that the bundle is for. */
  readonly compatible: string;
  /** As {@link versionPattern} has it. */
  readonly version: string;
  /** Hash of the root of the slot's dm-verity tree, 64 hex digits: `root-hash` of `[meta.surfaced]`. */
  readonly rootHash: string;
  /** YAML of a ReferenceSet: what a surface that runs this image measures; `references` of `[meta.surfaced]`, there base64. */
  readonly references: string;
  /** dm-verity of the bundle itself. Hash and salt are 64 hex digits, the size of the tree in bytes. */
  readonly verity: { readonly hash: string; readonly salt: string; readonly treeBytes: number };
  /** The one image in it, as it is written to the slot. */
  readonly image: { readonly bytes: number; readonly sha256: string };
}

/** Bytes of a reference set at most: the whole signature with its certificates has 64 KiB. */
export const mostReferencesBytes = 32 * 1024;

const hex64 = /^[0-9a-f]{64}$/;
const wholeNumber = /^(?:0|[1-9]\d{0,12})$/;
const known = /^(?:update|bundle|image\.rootfs|rollout|meta\.[A-Za-z0-9_-]{1,64})$/;

/** What a bundle may be wrong about, E_UPDATE_BUNDLE. */
export const bundleError = (where: string, what: string, cause?: unknown): SurfacedError =>
  new SurfacedError('E_UPDATE_BUNDLE', `${where}: ${what}`, cause === undefined ? {} : { cause });

/** Reads a manifest, all of it. @throws SurfacedError E_UPDATE_BUNDLE naming section and key */
export function parseManifest(bytes: Uint8Array): Manifest {
  const sections = sectionsOf(textOf(bytes, 'manifest'));
  const value = (section: string, key: string, pattern: RegExp, expected: string): string => {
    const found = sections.get(section)?.get(key);
    const where = `manifest, [${section}] ${key}`;
    if (found === undefined) throw bundleError(where, 'missing');
    if (!pattern.test(found)) throw bundleError(where, `expected ${expected}`);
    return found;
  };
  const bytesOf = (section: string, key: string): number =>
    Number(value(section, key, wholeNumber, 'a number of bytes'));
  const format = value('bundle', 'format', /./, 'a format');
  if (format !== 'verity') throw bundleError('manifest, [bundle] format', 'expected "verity"');
  const version = value('update', 'version', versionPattern, 'a version such as 1.2.3');
  // The handler that refuses downgrades is given the second, people are shown the first.
  if (value('meta.surfaced', 'version', versionPattern, 'a version') !== version)
    throw bundleError('manifest, [meta.surfaced] version', 'differs from [update] version');
  const base64 = value('meta.surfaced', 'references', /^[A-Za-z0-9+/]+={0,2}$/, 'base64');
  return {
    compatible: value('update', 'compatible', /^[a-z0-9-]{1,64}$/, 'a kind of device'),
    version,
    rootHash: value('meta.surfaced', 'root-hash', hex64, '64 hex digits'),
    references: referencesOf(base64),
    verity: {
      hash: value('bundle', 'verity-hash', hex64, '64 hex digits'),
      salt: value('bundle', 'verity-salt', hex64, '64 hex digits'),
      treeBytes: bytesOf('bundle', 'verity-size'),
    },
    image: {
      bytes: bytesOf('image.rootfs', 'size'),
      sha256: value('image.rootfs', 'sha256', hex64, '64 hex digits'),
    },
  };
}

/** Sections by name. A handler or a hook would be code that the bundle brings, which ours never do. */
function sectionsOf(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let current: Map<string, string> | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const where = `manifest, line ${index + 1}`;
    if (line === '' || line.startsWith('#')) continue;
    const name = /^\[([^[\]]{1,80})\]$/.exec(line)?.[1];
    if (name !== undefined) {
      if (!known.test(name)) throw bundleError(where, 'a section that bundles of surfaced do not have');
      if (sections.has(name)) throw bundleError(where, 'a section that is there already');
      current = new Map();
      sections.set(name, current);
      continue;
    }
    const [, key, value = ''] = /^([A-Za-z0-9_-]{1,64})=(.*)$/.exec(line) ?? [];
    if (key === undefined || current === null)
      throw bundleError(where, 'neither a section nor a value in one');
    if (current.has(key)) throw bundleError(where, 'a key that is there already');
    if (value.includes('\\') || value !== value.trim()) throw bundleError(where, 'a value that is not plain');
    current.set(key, value);
  }
  return sections;
}

function referencesOf(base64: string): string {
  const where = 'manifest, [meta.surfaced] references';
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw bundleError(where, 'expected base64');
  if (bytes.length > mostReferencesBytes) throw bundleError(where, `more than ${mostReferencesBytes} bytes`);
  return textOf(bytes, where);
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw bundleError(where, 'not UTF-8', cause);
  }
}
