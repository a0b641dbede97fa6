/** The root file system of a slot, as a folder: Debian's packages, ours, and configuration without a running system. */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { say } from '../toolbox/command.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { configureRoot } from './configure.ts';
import type { DebianPackage } from './debian-packages.ts';
import { extractedPackages, rootSelection } from './extract.ts';
import { finishRoot, sizesOf } from './finish.ts';
import { pruneRoot } from './prune.ts';

/** What {@link buildRoot} gets; paths are absolute. */
export interface RootParts {
  readonly toolbox: Toolbox;
  /** Our own .deb for arm64. */
  readonly packageFile: string;
  /** Of surfaced, for os-release. */
  readonly version: string;
  /** SOURCE_DATE_EPOCH, in seconds since 1970: no file is younger. */
  readonly epoch: number;
  /** Folder for the tree: not there, or empty. */
  readonly output: string;
}

/** A root file system with `/boot/vmlinuz`, without initrd. */
export interface Root {
  readonly folder: string;
  readonly kernelVersion: string;
  /** Debian's packages, without our own. */
  readonly packages: readonly DebianPackage[];
}

/**
 * Builds the tree in `output`; the same parts and the same state of Debian's archive give the same tree. Rejects with
 * E_IMAGE_STEP when a step fails; what is in `output` then is of no use.
 */
export async function buildRoot({ toolbox, packageFile, version, epoch, output }: RootParts): Promise<Root> {
  // Whoever builds may have another one, and the tree would differ.
  const umask = process.umask(0o022);
  try {
    await mkdir(output, { recursive: true });
    if ((await readdir(output)).length > 0)
      throw new SurfacedError('E_IMAGE_STEP', `${output} is not empty; remove it, or name another folder`);
    const { tree, packages } = await extractedPackages(toolbox, rootSelection);
    say('configuring the root file system');
    await toolbox.run('cp', ['--archive', `${tree}/.`, output], { binds: [tree, output] });
    await pruneRoot(toolbox, output);
    await toolbox.run('dpkg-deb', ['--extract', packageFile, output], {
      binds: [path.dirname(packageFile), output],
    });
    const kernelVersion = await configureRoot({ toolbox, root: output, version, epoch });
    await finishRoot(toolbox, output, epoch);
    say(`root file system: ${await sizesOf(toolbox, output)}`);
    return { folder: output, kernelVersion, packages };
  } finally {
    process.umask(umask);
  }
}
