/**
 * The driver of QEMU's TPM, which Debian's kernel for arm64 leaves out, as an archive that is appended to the initramfs:
 * compiled from Debian's source for exactly the kernel of the image. The chip on the Raspberry Pi is on SPI and has its
 * driver in the image. Module and source are GPL-2.0 and are not distributed with this project.
 */
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SurfacedError } from '../../../daemon/errors.ts';
import { cpioArchive } from '../../../image/boot/cpio.ts';
import { keptFolder, keyOf } from '../../../image/toolbox/cache.ts';
import { runCommand, say } from '../../../image/toolbox/command.ts';
import type { Toolbox } from '../../../image/toolbox/toolbox.ts';
import { debianTree } from '../debian-tree.ts';

/** Raised when the steps below change in a way that changes the module. */
const recipe = '1';
const sources = ['tpm_tis.c', 'tpm_tis_core.h', 'tpm.h'];
const enterScript = fileURLToPath(new URL('../../../image/toolbox/enter.sh', import.meta.url));

/** The parts of `6.12.117+deb13-arm64`. */
function partsOf(kernelVersion: string) {
  const match = /^((\d+\.\d+)\.\d+)(\S*)-arm64$/.exec(kernelVersion);
  const [, version, series, local] = match ?? [];
  if (version === undefined || series === undefined || local === undefined)
    throw new SurfacedError('E_IMAGE_STEP', `${kernelVersion} is no kernel of Debian for arm64`);
  return { version, series, base: `${version}${local}` };
}

/** Compiler, headers of the kernel, and of its source the few files of the driver. */
async function compilerTree(toolbox: Toolbox, kernelVersion: string): Promise<string> {
  const { series, version, base } = partsOf(kernelVersion);
  return debianTree({
    ...{ toolbox, name: 'compiler-arm64', recipe, architectures: ['amd64', 'arm64'] },
    packages: [
      ...['base-files', 'bash', 'coreutils', 'dash', 'findutils', 'grep', 'make', 'mawk', 'perl-base', 'sed'],
      'gcc-14-aarch64-linux-gnu',
    ],
    // They want the kernel itself and what else is needed where they are installed for good.
    bare: [
      ...[
        `linux-headers-${kernelVersion}:arm64`,
        `linux-headers-${base}-common`,
        `linux-kbuild-${base}:amd64`,
      ],
      `linux-source-${series}`,
    ],
    finish: async (tree) => {
      const archive = path.join(tree, `usr/src/linux-source-${series}.tar.xz`);
      const folder = path.join(tree, 'usr/src/tpm');
      await mkdir(folder);
      // What a command that is run in the tree needs, and scripts of the packages would have made.
      await symlink('mawk', path.join(tree, 'usr/bin/awk'));
      await mkdir(path.join(tree, 'mnt'), { recursive: true });
      for (const name of ['hosts', 'resolv.conf']) await writeFile(path.join(tree, 'etc', name), '');
      say('taking the driver out of the source of the kernel');
      const names = ['Makefile', ...sources.map((name) => `drivers/char/tpm/${name}`)];
      const wanted = names.map((name) => `linux-source-${series}/${name}`);
      const untar = [
        '--extract',
        `--file=${archive}`,
        `--directory=${folder}`,
        '--transform=s,.*/,,',
        ...wanted,
      ];
      await toolbox.run('tar', untar, { binds: [tree] });
      await toolbox.run('rm', [archive], { binds: [tree] });
      const makefile = await readFile(path.join(folder, 'Makefile'), 'utf8');
      const found = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL']
        .map((name) => new RegExp(`^${name} = (\\d+)$`, 'm').exec(makefile)?.[1])
        .join('.');
      if (found !== version)
        throw new SurfacedError(
          'E_IMAGE_STEP',
          `Debian has the source of the kernel ${found}, and the image has ${version}: build the image anew`,
        );
    },
  });
}

async function compile(tree: string, kernelVersion: string, folder: string): Promise<void> {
  for (const name of sources)
    await writeFile(path.join(folder, name), await readFile(path.join(tree, 'usr/src/tpm', name)));
  await writeFile(path.join(folder, 'Kbuild'), 'obj-m += tpm_tis.o\n');
  const settings = ['ARCH=arm64', 'CROSS_COMPILE=aarch64-linux-gnu-', 'CC=aarch64-linux-gnu-gcc-14'];
  // Type data for BPF would need `pahole`.
  const make = [`M=${folder}`, ...settings, 'CONFIG_DEBUG_INFO_BTF_MODULES=', 'modules'];
  const enter = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    enterScript,
    tree,
    '/',
    '1',
    folder,
  ] as const;
  const options = {
    input: null,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
    cwd: '/',
  };
  const headers = `/usr/src/linux-headers-${kernelVersion}`;
  await runCommand("Compiling the driver of QEMU's TPM", [...enter, 'make', '-C', headers, ...make], options);
  const strip = ['aarch64-linux-gnu-strip', '--strip-debug', path.join(folder, 'tpm_tis.ko')];
  await runCommand("Stripping the driver of QEMU's TPM", [...enter, ...strip], options);
}

/** The path of the archive for this kernel, made once. Rejects with E_IMAGE_STEP. */
export async function ensureTpmModule(toolbox: Toolbox, kernelVersion: string): Promise<string> {
  const kept = await keptFolder(`tpm-module-${keyOf([recipe, kernelVersion])}`, async (made) => {
    const tree = await compilerTree(toolbox, kernelVersion);
    say(`compiling the driver of QEMU's TPM for the kernel ${kernelVersion}`);
    const work = path.join(made, 'work');
    await mkdir(work);
    await compile(tree, kernelVersion, work);
    const module = path.join(work, 'tpm_tis.ko');
    const archive = cpioArchive(
      [
        {
          kind: 'file',
          path: 'lib/modules/tpm_tis.ko',
          content: await readFile(module),
          isExecutable: false,
        },
        {
          kind: 'file',
          path: 'conf/modules.d/20-qemu',
          // What it needs is in the list of the image, for the chip on SPI.
          content: Buffer.from('/lib/modules/tpm_tis.ko\n'),
          isExecutable: false,
        },
      ],
      0,
    );
    await writeFile(path.join(made, 'archive'), archive);
    await rm(work, { recursive: true });
  });
  return path.join(kept, 'archive');
}
