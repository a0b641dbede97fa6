/** Makes a root file system of what was unpacked, without running anything of it: what Debian's scripts would have done. */
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { links } from './links.ts';
import { busyboxPrograms } from './packages.ts';

/** What lies in `/` as it lies here. */
export const ownFiles = fileURLToPath(new URL('files', import.meta.url));

/** Units that Debian starts by itself, with the reason why they are switched off for good. */
export const maskedUnits: Readonly<Record<string, string>> = {
  'ldconfig.service': '/etc cannot be written to; the loader does without a cache',
  'proc-sys-fs-binfmt_misc.automount': 'programs of one architecture',
  'sshd-keygen.service': 'it would write to /etc/ssh; make-host-key writes to the data partition',
  'systemd-firstboot.service': 'it would ask on the console',
  'systemd-journal-catalog-update.service': '/var is empty at every start, so it would run at every start',
  'systemd-logind.service': 'no seats, no sessions, no lids',
  'systemd-machine-id-commit.service': 'the machine id is bound from the data partition',
  'systemd-random-seed.service': '/var is in memory; the chip has a generator of its own',
  'systemd-update-done.service': '/etc cannot be written to',
};

/** Empty folders that others are mounted on. */
const mountPoints = ['boot/firmware', 'data', 'dev', 'proc', 'run', 'sys', 'tmp', 'var'] as const;

/** `/usr/lib/os-release` of Debian with what image this is (os-release(5)). */
export function osRelease(text: string, version: string): string {
  if (!/^[\w.+~-]+$/.test(version)) throw new Error(`Not a version for os-release: ${version}`);
  const kept = text.split('\n').filter((line) => line !== '' && !/^(?:IMAGE_|DEFAULT_HOSTNAME=)/.test(line));
  return `${[...kept, 'IMAGE_ID=surfaced', `IMAGE_VERSION=${version}`, 'DEFAULT_HOSTNAME=surfaced'].join('\n')}\n`;
}

/**
 * Names in `accounts` (lines of `/etc/passwd` or `/etc/group`) with a number of the ranges that are given out in order of
 * appearance, for which `wanted` (sysusers.d(5)) has no number.
 */
export function unnumbered(accounts: string, wanted: string): string[] {
  const named = new Set(
    wanted
      .split('\n')
      .map((line) => /^[ug]!? (\S+) \d/.exec(line)?.[1])
      .filter((name) => name !== undefined),
  );
  return accounts
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name = '', , number]) => Number(number) >= 101 && Number(number) < 65_534 && !named.has(name))
    .map(([name = '']) => name);
}

/** With the modes that git keeps, and no more: a checkout may be writable for others. */
async function placeOwnFiles(toolbox: Toolbox, root: string): Promise<void> {
  const script = `
    cp -R --no-preserve=mode,ownership "$1/." "$2"
    cd "$1"
    find . -type f -perm -u+x -exec sh -c 'cd "$1"; shift; chmod 0755 "$@"' sh "$2" {} +
  `;
  await toolbox.run('sh', ['-euc', script, 'sh', ownFiles, root], { binds: [ownFiles, root] });
}

async function makeUsers(toolbox: Toolbox, root: string, epoch: number): Promise<void> {
  await toolbox.run('systemd-sysusers', [`--root=${root}`], {
    binds: [root],
    env: { SOURCE_DATE_EPOCH: String(epoch) },
  });
  // Made without a password, root would be asked for one at the first start that may ask.
  const shadow = path.join(root, 'etc/shadow');
  await writeFile(shadow, (await readFile(shadow, 'utf8')).replace(/^root:[^:]*:/m, 'root:!*:'));
  const list = 'usr/lib/sysusers.d/00-surfaced-image.conf';
  const numbers = await readFile(path.join(root, list), 'utf8');
  for (const file of ['etc/passwd', 'etc/group']) {
    const names = unnumbered(await readFile(path.join(root, file), 'utf8'), numbers);
    if (names.length > 0)
      throw new SurfacedError(
        'E_IMAGE_STEP',
        `No fixed number in image/root/files/${list} for ${names.join(', ')} of /${file}; add a line for each, or data of one version would belong to others in the next`,
      );
  }
}

async function makeLinks(root: string): Promise<void> {
  const programs = busyboxPrograms.map((name) => [`usr/bin/${name}`, 'busybox'] as const);
  for (const [file, target] of [...Object.entries(links), ...programs]) {
    const link = path.join(root, file);
    await mkdir(path.dirname(link), { recursive: true });
    await rm(link, { force: true });
    await symlink(target, link);
  }
}

/** The certificates of all authorities that Mozilla trusts, in one file: what `update-ca-certificates` makes. */
async function makeCertificates(root: string): Promise<void> {
  const folder = path.join(root, 'usr/share/ca-certificates/mozilla');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')));
  const bundle = texts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('');
  await mkdir(path.join(root, 'etc/ssl/certs'), { recursive: true });
  await writeFile(path.join(root, 'etc/ssl/certs/ca-certificates.crt'), bundle);
}

/** The kernel as the boot script looks for it; resolves with its version. */
async function placeKernel(root: string): Promise<string> {
  const boot = path.join(root, 'boot');
  const kernels = (await readdir(boot)).filter((name) => name.startsWith('vmlinuz-'));
  const [kernel] = kernels;
  if (kernel === undefined || kernels.length > 1)
    throw new SurfacedError('E_IMAGE_STEP', `One kernel is wanted in /boot, there are ${kernels.length}`);
  await rename(path.join(boot, kernel), path.join(boot, 'vmlinuz'));
  return kernel.slice('vmlinuz-'.length);
}

/** What {@link configureRoot} gets. */
export interface Configuration {
  readonly toolbox: Toolbox;
  /** The tree, of which nothing is configured yet. */
  readonly root: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly epoch: number;
}

/** Configures the tree in place, all but times and sizes; resolves with the version of its kernel. */
export async function configureRoot({ toolbox, root, version, epoch }: Configuration): Promise<string> {
  const inTree = (command: string, ...args: string[]) => toolbox.run(command, args, { binds: [root] });
  await placeOwnFiles(toolbox, root);
  await inTree('chmod', '0440', path.join(root, 'etc/sudoers.d/maker'));
  const release = path.join(root, 'usr/lib/os-release');
  await writeFile(release, osRelease(await readFile(release, 'utf8'), version));
  await makeUsers(toolbox, root, epoch);
  await makeLinks(root);
  await makeCertificates(root);
  // Empty: systemd takes what is mounted there, and does not say "uninitialized" in the meantime.
  await writeFile(path.join(root, 'etc/machine-id'), '');
  await writeFile(path.join(root, 'etc/fstab'), '');
  // systemd sets no clock to before the time of this file.
  await writeFile(path.join(root, 'usr/lib/clock-epoch'), '');
  for (const name of mountPoints) {
    await rm(path.join(root, name), { recursive: true, force: true });
    await mkdir(path.join(root, name), { recursive: true });
  }
  // What would be made or corrected at each start, where nothing can be written then.
  const prefixes = ['/etc', '/home', '/root', '/srv'].map((name) => `--prefix=${name}`);
  await inTree('systemd-tmpfiles', `--root=${root}`, '--create', '--boot', ...prefixes);
  const kernelVersion = await placeKernel(root);
  await inTree('depmod', '--basedir', root, kernelVersion);
  await inTree('systemctl', `--root=${root}`, 'preset-all');
  await inTree('systemctl', `--root=${root}`, 'mask', ...Object.keys(maskedUnits));
  return kernelVersion;
}
