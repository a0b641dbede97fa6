/** The files of a release: the image, compressed or not, and what belongs to it. */
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { say } from '../toolbox/command.ts';
import type { BoardProfile } from './boards.ts';
import { releaseFile, writeSums } from './checksums.ts';
import type { Tools } from './fat.ts';
import { ownFiles } from './firmware-partition.ts';
import { imagerManifest, type ReleaseFile } from './imager.ts';
import type { NpmComponent, Sbom } from './sbom.ts';

/** What `build-info.json` says: how this image came to be, for who wants to build it again. */
export interface BuildInfo {
  readonly version: string;
  readonly board: string;
  readonly commit: string | null;
  /** Sources differed from the commit: nobody else can build this image. */
  readonly isDirty: boolean;
  readonly epoch: number;
  /** Lists of packages of Debian's archive, with their checksums: the same ones, the same packages. */
  readonly archive: readonly string[];
  readonly kernel: string;
  readonly node: string;
  readonly toolbox: string;
  readonly rootHash: string;
  readonly packages: number;
  /** The image as it is written to a card. */
  readonly image: ReleaseFile;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Writes what belongs to the image `image` into its folder: compressed image (which takes its place, unless `isCompressed`
 * is false), SBOM, build info, manifests for Raspberry Pi Imager, sums and signature over all that is
 * published. `others` are files that lie in the folder already. `base` is where the folder will be published; null: not
 * known, and there is a manifest for files on this machine alone.
 */
export async function writeRelease({
  tools,
  profile,
  image,
  isCompressed,
  others,
  sbom,
  info,
  base,
  key,
}: {
  readonly tools: Tools;
  readonly profile: BoardProfile;
  readonly image: string;
  readonly isCompressed: boolean;
  readonly others: readonly string[];
  readonly sbom: Sbom;
  readonly info: Omit<BuildInfo, 'image'>;
  readonly base: URL | null;
  readonly key: { readonly certificate: string; readonly privateKey: string };
}): Promise<void> {
  const folder = path.dirname(image);
  const binds = [folder];
  const at = (name: string): string => path.join(folder, name);
  const plain = await releaseFile(image);
  let download = image;
  if (isCompressed) {
    say('compressing the image (one to three minutes)');
    // Blocks of one size, however many threads: else the bytes would depend on the machine.
    await tools.run('xz', ['-6', '--threads=2', '--block-size=24MiB', '--force', image], { binds });
    download = `${image}.xz`;
  } else {
    await rm(`${image}.xz`, { force: true });
  }
  await writeFile(at('sbom.cdx.json'), json(sbom));
  await writeFile(at('build-info.json'), json({ ...info, image: plain }));
  await copyFile(path.join(ownFiles, 'icon.svg'), at('surfaced.svg'));

  const manifest = (where: URL, file: ReleaseFile): string =>
    json(
      imagerManifest({
        profile,
        version: info.version,
        epoch: info.epoch,
        base: where,
        image: plain,
        download: file,
        icon: 'surfaced.svg',
      }),
    );
  const downloaded = await releaseFile(download);
  // For who has built it: a double click opens it in Imager. It names a folder of this machine and is not published.
  await writeFile(at('surfaced.rpi-imager-manifest'), manifest(pathToFileURL(`${folder}/`), downloaded));
  if (base === null) await rm(at('os_list.json'), { force: true });
  else await writeFile(at('os_list.json'), manifest(base, downloaded));

  const published = [at('sbom.cdx.json'), at('build-info.json'), at('surfaced.svg'), ...others];
  if (base !== null) published.push(at('os_list.json'));
  const files = [downloaded, ...(await Promise.all(published.map(releaseFile)))];
  await writeSums({ tools, folder, files, key });
}

/** Moves a file, over the border of two disks too. */
export async function moveFile(from: string, to: string): Promise<void> {
  await rename(from, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EXDEV') throw error;
    await copyFile(from, to);
    await rm(from);
  });
}

const npmList = z.array(z.object({ name: z.string(), version: z.string(), licence: z.string().nullable() }));

/** The npm packages in the package surfaced, from the list that is made with it. */
export async function npmPackages(file: string): Promise<NpmComponent[]> {
  return npmList.parse(JSON.parse(await readFile(file, 'utf8')));
}
