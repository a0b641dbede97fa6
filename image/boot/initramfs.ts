/** The initramfs: scripts of initramfs/, the few programs and modules that they need, all from the tree of the slot. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { cpioArchive, type Entry } from './cpio.ts';
import { earlyModules, modulesInOrder } from './modules.ts';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Programs by their paths in the tree -> Debian packages that have them. */
const programs: Readonly<Record<string, string>> = {
  'usr/bin/busybox': 'busybox',
  'usr/sbin/dmsetup': 'dmsetup',
  'usr/sbin/e2fsck': 'e2fsprogs',
  'usr/sbin/mke2fs': 'e2fsprogs',
  'usr/sbin/resize2fs': 'e2fsprogs',
};

/** Packages of Debian that must be in the tree. */
export const initramfsPackages: readonly string[] = [...new Set(Object.values(programs))];

/** What busybox is called as; `boot-state` among those who call it. */
const applets: readonly string[] = [
  ...[
    '[',
    'blockdev',
    'cat',
    'chmod',
    'cut',
    'dd',
    'echo',
    'find',
    'grep',
    'gzip',
    'head',
    'insmod',
    'mkdir',
  ],
  ...[
    'mount',
    'mv',
    'od',
    'printf',
    'readlink',
    'reboot',
    'rm',
    'sed',
    'sh',
    'sha256sum',
    'sleep',
    'switch_root',
  ],
  ...['sync', 'tail', 'test', 'tr', 'true', 'umount'],
];

/**
 * Makes the initramfs of a kernel at `output`: the same bytes for the same tree and `epoch` (seconds). Rejects with
 * E_IMAGE_STEP, for instance when the tree misses a program.
 */
export async function buildInitramfs({
  toolbox,
  root,
  kernelVersion,
  epoch,
  output,
}: {
  readonly toolbox: Toolbox;
  readonly root: string;
  readonly kernelVersion: string;
  readonly epoch: number;
  readonly output: string;
}): Promise<void> {
  const work = await mkdtemp(path.join(path.dirname(output), '.initramfs-'));
  try {
    const entries = [
      ...(await scripts()),
      ...(await programsOf(toolbox, root)),
      ...(await modulesOf({ toolbox, root, kernelVersion, work })),
      // Where something is mounted before the root is there.
      ...['dev', 'proc', 'root', 'run', 'sys', 'tmp'].map((name): Entry => ({ kind: 'folder', path: name })),
    ];
    const archive = path.join(work, 'initramfs');
    await writeFile(archive, cpioArchive(entries, epoch));
    const packed = path.join(work, 'packed');
    await toolbox.run('zstd', ['-q', '-19', '--single-thread', '-o', packed, archive], { binds: [work] });
    await copyFile(packed, output);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const file = async (from: string, to: string, isExecutable: boolean): Promise<Entry> => ({
  kind: 'file',
  path: to,
  content: await readFile(from),
  isExecutable,
});

async function scripts(): Promise<Entry[]> {
  const folder = path.join(here, 'initramfs');
  const parts = (await readdir(path.join(folder, 'lib/surfaced'))).sort();
  return [
    await file(path.join(folder, 'init'), 'init', true),
    await file(path.join(here, '../root/files/usr/lib/surfaced/boot-state'), 'bin/boot-state', true),
    ...(await Promise.all(
      parts.map((name) => file(path.join(folder, 'lib/surfaced', name), `lib/surfaced/${name}`, false)),
    )),
    ...applets.map((name): Entry => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' })),
  ];
}

/** Programs and the libraries that they are linked with, all of which the dynamic loader finds in `/lib`. */
async function programsOf(toolbox: Toolbox, root: string): Promise<Entry[]> {
  const found = new Map<string, string>();
  for (const [name, debianPackage] of Object.entries(programs)) {
    const from = path.join(root, name);
    await stat(from).catch((cause: unknown) => {
      throw new SurfacedError('E_IMAGE_STEP', `The tree misses ${name}: add the package ${debianPackage}`, {
        cause,
      });
    });
    found.set(`bin/${path.basename(name)}`, from);
  }
  for (let fresh = [...found.values()]; fresh.length > 0; ) {
    const said = await toolbox.run('readelf', ['-d', ...fresh], { binds: [root] });
    const needed = [...said.matchAll(/\(NEEDED\).*\[([^\]/]+)\]/g)].map(([, name = '']) => name);
    const missing = [...new Set(needed)].filter((name) => !found.has(`lib/${name}`));
    fresh = await Promise.all(
      missing.map((name) => realpath(path.join(root, 'usr/lib/aarch64-linux-gnu', name))),
    );
    for (const [index, name] of missing.entries()) found.set(`lib/${name}`, fresh[index] ?? '');
  }
  return Promise.all([...found].map(([to, from]) => file(from, to, true)));
}

/** Modules unpacked, so that the archive as a whole is packed better, and their list. */
async function modulesOf(options: {
  readonly toolbox: Toolbox;
  readonly root: string;
  readonly kernelVersion: string;
  readonly work: string;
}): Promise<Entry[]> {
  const { toolbox, root, kernelVersion, work } = options;
  const modules = await modulesInOrder(root, kernelVersion, earlyModules);
  const folder = path.join(work, 'modules');
  await mkdir(folder);
  const from = path.join(root, 'usr/lib/modules', kernelVersion);
  for (const module of modules)
    await copyFile(path.join(from, module), path.join(folder, path.basename(module)));
  const packed = modules
    .filter((name) => name.endsWith('.xz'))
    .map((name) => path.join(folder, path.basename(name)));
  if (packed.length > 0) await toolbox.run('xz', ['--decompress', ...packed], { binds: [folder] });
  const names = modules.map((name) => path.basename(name).replace(/\.xz$/, ''));
  return [
    ...(await Promise.all(names.map((name) => file(path.join(folder, name), `lib/modules/${name}`, false)))),
    {
      kind: 'file',
      path: 'conf/modules.d/10-card',
      content: Buffer.from(names.map((name) => `/lib/modules/${name}\n`).join('')),
      isExecutable: false,
    },
  ];
}
