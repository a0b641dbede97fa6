/** The reference values of an image: what a surface that runs it will have measured, so that policy can take it beforehand. */
import { createHash } from 'node:crypto';
import { lstat, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { contentOf } from '../../daemon/attest/measure/content.ts';
import { filesOf, unitFolders } from '../../daemon/attest/measure/self.ts';
import { parseReferenceSet } from '../../daemon/attest/policy/reference-set.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { versionPattern } from '../../daemon/version.ts';
import type { SlotName } from '../layout.ts';

/** Where the Debian package has the program. */
const program = '/usr/lib/surfaced';
const slots: readonly SlotName[] = ['a', 'b'];

/** Arguments of the kernel as boot.cmd makes them of the slot's file `/boot/cmdline`, and as the initramfs measures them. */
export const kernelArguments = (cmdline: string, slot: SlotName): string =>
  `${cmdline.replace(/\n$/, '')} surfaced.slot=${slot} rauc.slot=${slot}\n`;

/**
 * A version as one number, so that a newer one is larger: 1.2.3 is 1002003. What stands before a release counts as it.
 * @throws SurfacedError E_IMAGE_ORDER for numbers above 999, and for 0.0.0
 */
export function versionNumber(version: string): number {
  const numbers = version.split('-')[0]?.split('.').map(Number) ?? [];
  const [major = 0, minor = 0, patch = 0] = numbers;
  const whole = major * 1_000_000 + minor * 1000 + patch;
  if (versionPattern.test(version) && whole > 0 && numbers.every((number) => number <= 999)) return whole;
  throw new SurfacedError('E_IMAGE_ORDER', `version ${version}: expected 0.0.1 to 999.999.999`);
}

/**
 * The reference set (YAML) of an image: root hash and kernel arguments of either slot, which the initramfs measures, and the
 * program with its units, which it measures itself.
 * @param options.root the tree of the slot as it was built, with `/boot/cmdline`
 * @param options.rootHash 64 hex digits
 * @throws SurfacedError E_IMAGE_ORDER, E_MEASURE when the tree is not that of a surface
 */
export async function referenceSetFor(options: {
  readonly root: string;
  readonly rootHash: string;
  readonly version: string;
}): Promise<string> {
  const { root, rootHash, version } = options;
  const cmdline = await readFile(path.join(root, 'boot/cmdline'), 'utf8');
  const files = [
    { path: '/run/surfaced/boot/root-hash', sha256: [sha256(`${rootHash}\n`)] },
    {
      path: '/run/surfaced/boot/cmdline',
      sha256: slots.map((slot) => sha256(kernelArguments(cmdline, slot))),
    },
    ...(await programFiles(root)),
  ];
  const set = {
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ReferenceSet',
    metadata: {
      name: 'surfaced-image',
      version: versionNumber(version),
      description: `What the SD-card image ${version} measures`,
    },
    // The Device file is measured, too, and is another one on every surface. All that runs is covered by the root hash.
    spec: { bank: 'sha256', files, mayHaveOtherFiles: true },
  };
  const text = stringify(set, { lineWidth: 0 });
  parseReferenceSet(Buffer.from(text), 'the reference set of the image');
  return text;
}

/** What `surfaced measure --self` will measure, with the paths that it will have. */
async function programFiles(root: string): Promise<{ path: string; sha256: string[] }[]> {
  const inRoot = (file: string): string => path.join(root, file);
  const names = await filesOf({
    node: inRoot(`${program}/bin/node`),
    module: inRoot(`${program}/dist/daemon/main.js`),
    unitFolders: unitFolders.map(inRoot),
  });
  const files: { path: string; sha256: string[] }[] = [];
  for (const name of names) {
    const content = await contentOf(await followed(root, name), new AbortController().signal);
    const isFolder = content.path.endsWith('/');
    files.push({
      path: `/${path.relative(root, name)}${isFolder ? '/' : ''}`,
      sha256: [content.sha256.toString('hex')],
    });
  }
  return files;
}

/** A unit may be a link, as systemd makes them for aliases: it leads to a file of the image, not of this machine. */
async function followed(root: string, name: string): Promise<string> {
  let file = name;
  for (let links = 0; links < 8; links++) {
    if (!(await lstat(file)).isSymbolicLink()) return file;
    const target = await readlink(file);
    file = path.isAbsolute(target) ? path.join(root, target) : path.resolve(path.dirname(file), target);
  }
  throw new SurfacedError('E_MEASURE', `${name}: a link that leads nowhere`);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
