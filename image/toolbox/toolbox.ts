/**
 * The tools of Debian 13 in a folder, for any host that has mmdebstrap: file systems, verity, RAUC and systemd's own tools
 * must be of the release that is built, and the same wherever it is built.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SurfacedError } from '../../daemon/errors.ts';
import { keptFolder, keyOf } from './cache.ts';
import { runCommand, say } from './command.ts';
import { hostMirrors, type Mirrors } from './mirrors.ts';

/** Raised when the steps below change in a way that changes the toolbox. */
const recipe = '1';
const architecture = 'amd64';

/** Debian packages of the toolbox; what they depend on comes with them. */
export const toolboxPackages: readonly string[] = [
  // Getting and unpacking packages.
  'apt ca-certificates debian-archive-keyring dpkg mmdebstrap',
  // What scripts take for granted, and readelf.
  'base-files libc-bin bash busybox coreutils cpio dash diffutils file findutils grep gzip mawk',
  'perl-base sed tar util-linux xz-utils zstd binutils',
  // File systems, partitions and verity.
  'bmap-tools cryptsetup-bin dosfstools e2fsprogs fdisk libarchive13t64 mount mtools squashfs-tools',
  // Configuring a root file system that does not run.
  'kmod systemd udev',
  // Boot and updates.
  'device-tree-compiler libubootenv-tool openssl rauc u-boot-tools',
].flatMap((line) => line.split(' '));

/** Commands of the host that the toolbox is made and entered with -> their Debian packages. */
export const hostPrograms: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  unshare: 'util-linux',
  chroot: 'coreutils',
};

/** What a command inside the toolbox gets beyond its arguments; left out is none. */
export interface ToolOptions {
  /** Folders of the host, absolute, that it sees at the same path and may write to. */
  readonly binds?: readonly string[];
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Working folder inside; `/` when left out. */
  readonly cwd?: string;
}

/** A toolbox that is ready. */
export interface Toolbox {
  /** Its folder on the host; not to be written to. */
  readonly path: string;
  /** Runs a command in it and resolves with its standard output; rejects with E_IMAGE_STEP and the end of its errors. */
  run(command: string, args: readonly string[], options?: ToolOptions): Promise<string>;
}

const enterScript = fileURLToPath(new URL('enter.sh', import.meta.url));
const programFolders = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Steps are the same in any language and time zone; a proxy is what the host says. */
const environment: Readonly<Record<string, string>> = {
  ...{ PATH: programFolders, HOME: '/root', LC_ALL: 'C.UTF-8', TZ: 'UTC', SHELL: '/bin/sh' },
  ...Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  ),
};

function checkHost(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new SurfacedError('E_IMAGE_HOST', `This is ${process.platform} on ${process.arch}`);
  if (process.getuid?.() !== 0)
    throw new SurfacedError(
      'E_IMAGE_HOST',
      'Files of the image belong to root and to users of its own, which only root can make; this user is not root',
    );
  const missing = Object.keys(hostPrograms).filter(
    (name) => !programFolders.split(':').some((folder) => existsSync(path.join(folder, name))),
  );
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => hostPrograms[name]))].join(' ');
    throw new SurfacedError(
      'E_IMAGE_HOST',
      `Programs are missing: ${missing.join(', ')}; install them: sudo apt-get install -y ${packages}`,
    );
  }
}

/** Debian's archive signs with these keys; the name has changed between releases. */
function keyring(): string {
  const folder = '/usr/share/keyrings';
  const found = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp']
    .map((name) => path.join(folder, name))
    .find((file) => existsSync(file));
  if (found === undefined)
    throw new SurfacedError(
      'E_IMAGE_HOST',
      `${folder} has no keys of Debian's archive; install them: sudo apt-get install -y debian-archive-keyring`,
    );
  return found;
}

/** Lines for apt: this release with its security updates, signed by the keys in `keys`. */
export function aptSources({ debian, security }: Mirrors, keys: string, components: string): string[] {
  return [
    `deb [signed-by=${keys}] ${debian} trixie ${components}`,
    `deb [signed-by=${keys}] ${security} trixie-security ${components}`,
  ];
}

async function makeToolbox(folder: string): Promise<void> {
  const startedAt = performance.now();
  say('making the toolbox of Debian 13 (once, half a minute and 300 MB)');
  await runCommand(
    'The toolbox cannot be made: mmdebstrap',
    [
      ...(['mmdebstrap', '--mode=root', '--variant=extract', '--format=directory'] as const),
      `--architectures=${architecture}`,
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${toolboxPackages.join(',')}`,
      ...['man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      ...['trixie', folder],
      ...aptSources(await hostMirrors(), keyring(), 'main'),
    ],
    { input: null, env: environment, cwd: '/' },
  );
  // No maintainer script ran; these are what the tools miss of what such scripts make.
  await writeFile(path.join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\n');
  await writeFile(path.join(folder, 'etc/group'), 'root:x:0:\n');
  for (const name of ['hosts', 'resolv.conf']) await writeFile(path.join(folder, 'etc', name), '');
  await mkdir(path.join(folder, 'mnt'), { recursive: true });
  const certificates = path.join(folder, 'usr/share/ca-certificates/mozilla');
  const bundle = 'for name in *.crt; do cat "$name"; done';
  await writeFile(
    path.join(folder, 'etc/ssl/certs/ca-certificates.crt'),
    await runCommand('cat', ['sh', '-c', bundle], { input: null, env: environment, cwd: certificates }),
  );
  say(`toolbox ready after ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

/**
 * The toolbox, made when it is not in the cache. Rejects with E_IMAGE_HOST when this machine cannot have one (another
 * system, not root, a program missing) and with E_IMAGE_STEP when a step fails.
 */
export async function ensureToolbox(): Promise<Toolbox> {
  checkHost();
  const key = keyOf([recipe, architecture, ...toolboxPackages]);
  const folder = await keptFolder(`toolbox-${key}`, makeToolbox);
  return {
    path: folder,
    run: (command, args, { binds = [], input, env = {}, cwd = '/' } = {}) => {
      // The outer one first, or it would hide the inner one.
      const sorted = [...new Set(binds)].toSorted((one, other) => one.length - other.length);
      return runCommand(
        command,
        [
          ...(['unshare', '--mount', '--propagation', 'private', 'sh', enterScript, folder, cwd] as const),
          ...[String(sorted.length), ...sorted, command, ...args],
        ],
        { input: input ?? null, env: { ...environment, ...env }, cwd: '/' },
      );
    },
  };
}
