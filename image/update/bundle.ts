/** Builds the update bundle of a slot with RAUC, and reads it back with the program's own reader. */
import { constants } from 'node:fs';
import { copyFile, link, mkdir, mkdtemp, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { checkBundle, readBundle } from '../../daemon/update/bundle.ts';
import { mostReferencesBytes } from '../../daemon/update/manifest.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import type { SigningKey } from './keys.ts';

/** Kind of device, as in image/root/files/etc/rauc/system.conf. */
export const compatible = 'surfaced-pi-arm64';

/** What a bundle is made of. */
export interface BundleParts {
  readonly toolbox: Toolbox;
  /** The image of the slot, a file. */
  readonly slot: string;
  /** Root of its dm-verity tree, 64 hex digits. */
  readonly rootHash: string;
  readonly version: string;
  /** YAML of the ReferenceSet. */
  readonly references: string;
  readonly key: SigningKey;
  /** Seconds since 1970: time of all files in the bundle. */
  readonly epoch: number;
  /** Path of the bundle; must not be there yet. */
  readonly output: string;
}

/**
 * Builds a bundle. Two of the same parts have the same squashfs; RAUC takes a new salt for the hash tree each time, and so
 * tree, manifest and signature differ, the signature also by its time.
 * @throws SurfacedError E_IMAGE_STEP; E_IMAGE_ORDER for references that do not fit into the signature; E_UPDATE_* when the
 *   bundle cannot be read back
 */
export async function buildBundle(parts: BundleParts): Promise<void> {
  const { toolbox, slot, key, epoch, output } = parts;
  if (Buffer.byteLength(parts.references) > mostReferencesBytes)
    throw new SurfacedError('E_IMAGE_ORDER', `the reference set has more than ${mostReferencesBytes} bytes`);
  // Beside the slot, which then is not copied.
  const work = await mkdtemp(path.join(path.dirname(slot), '.unfinished-bundle-'));
  try {
    const content = path.join(work, 'content');
    await mkdir(content);
    const image = path.join(content, 'slot.img');
    await link(slot, image).catch(() => copyFile(slot, image, constants.COPYFILE_FICLONE));
    const manifest = path.join(content, 'manifest.raucm');
    await writeFile(manifest, manifestOf(parts));
    const time = new Date(epoch * 1000);
    for (const file of [image, manifest, content]) await utimes(file, time, time);
    const unfinished = path.join(work, 'bundle.raucb');
    const squashfs = [
      // The bundle is read in pieces over the network: not too large a block.
      ...['-comp', 'zstd', '-Xcompression-level', '15', '-b', '128K', '-reproducible'],
      ...['-mkfs-time', String(epoch), '-all-time', String(epoch), '-processors', '2'],
    ];
    await toolbox.run(
      'rauc',
      [
        ...['bundle', `--cert=${key.certificate}`, `--key=${key.privateKey}`],
        ...[`--mksquashfs-args=${squashfs.join(' ')}`, content, unfinished],
      ],
      { binds: [work, ...foldersOf(key)] },
    );
    await checkBack(unfinished, parts);
    await rename(unfinished, output).catch(async (problem: NodeJS.ErrnoException) => {
      if (problem.code !== 'EXDEV') throw problem;
      await copyFile(unfinished, output, constants.COPYFILE_EXCL);
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The manifest as RAUC takes it; sums, sizes and hashes are added by it. */
export function manifestOf({
  version,
  rootHash,
  references,
}: Pick<BundleParts, 'version' | 'rootHash' | 'references'>): string {
  return `[update]
compatible=${compatible}
version=${version}

[bundle]
format=verity

[image.rootfs]
filename=slot.img
adaptive=block-hash-index

[meta.surfaced]
version=${version}
root-hash=${rootHash}
references=${Buffer.from(references).toString('base64')}
`;
}

const foldersOf = (key: SigningKey): string[] =>
  [key.certificate, key.privateKey].map((file) => path.dirname(file));

/** A bundle that surfaces or gateways would refuse must not be published. */
async function checkBack(file: string, { key, version, rootHash, references }: BundleParts): Promise<void> {
  const bundle = await readBundle(file, {
    trusted: await readFile(key.authorities, 'latin1'),
    at: new Date(),
  });
  await checkBundle(file, bundle, new AbortController().signal);
  const isSame =
    bundle.version === version && bundle.rootHash === rootHash && bundle.references === references;
  if (!isSame)
    throw new SurfacedError('E_IMAGE_STEP', `${file}: its manifest says something else than was given`);
}
