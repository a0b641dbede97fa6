/** Packing of layers and of archives, by the tools of the toolbox: the same files give the same bytes on any host. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { type Layer, mediaTypes } from './layout.ts';

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Options of GNU tar that take from the files nothing but names, contents, modes and owners. */
const plain = ['--create', '--sort=name', '--format=gnu', '--numeric-owner'] as const;

/** Packs `folder` into `<output>.gz`; `epoch` in seconds is the time of all of its files. */
export async function packLayer(options: {
  readonly toolbox: Toolbox;
  readonly folder: string;
  readonly epoch: number;
  readonly comment: string;
  /** Path of the tar, which is gone afterwards. */
  readonly output: string;
}): Promise<{ readonly layer: Layer; readonly file: string }> {
  const { toolbox, folder, epoch, comment, output } = options;
  const names = ['tar', ...plain, `--mtime=@${epoch}`, '-f', output, '-C', folder, '.'] as const;
  await toolbox.run(names[0], names.slice(1), { binds: [folder, path.dirname(output)] });
  const diffId = await sha256Of(output);
  const file = `${output}.gz`;
  await rm(file, { force: true });
  // No name and no time in its header.
  await toolbox.run('gzip', ['-n', '-6', output], { binds: [path.dirname(output)] });
  const descriptor = {
    mediaType: mediaTypes.layer,
    digest: await sha256Of(file),
    size: (await stat(file)).size,
  };
  return { layer: { descriptor, diffId, comment }, file };
}

/** Packs a folder with a layout into one file for `docker load`, `podman load` and `skopeo`. */
export async function packArchive(options: {
  readonly toolbox: Toolbox;
  readonly folder: string;
  readonly epoch: number;
  readonly output: string;
}): Promise<void> {
  const { toolbox, folder, epoch, output } = options;
  await toolbox.run(
    'tar',
    [
      ...[...plain, '--owner=0', '--group=0', '--mode=u=rwX,go=rX', `--mtime=@${epoch}`],
      ...['-f', output, '-C', folder, '--transform=s,^\\./,,', '.'],
    ],
    { binds: [folder, path.dirname(output)] },
  );
}
