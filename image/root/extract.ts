/** Gets packages of Debian and unpacks them; no program of theirs runs, so any host will do. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Architecture } from '../package/architectures.ts';
import { keptFolder, keyOf } from '../toolbox/cache.ts';
import { say } from '../toolbox/command.ts';
import { hostMirrors, type Mirrors } from '../toolbox/mirrors.ts';
import { aptSources, type Toolbox } from '../toolbox/toolbox.ts';
import { type DebianPackage, licenceOf, packageListFormat, parsePackageList } from './debian-packages.ts';
import { absentPackages, excludedPaths, rootPackages } from './packages.ts';

/** Raised when the steps below change in a way that changes what is unpacked. */
const recipe = '1';
/** In the toolbox. */
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const timeoutMs = 60_000;

/** What is to be unpacked. */
export interface Selection {
  readonly architecture: Architecture;
  /** Components of the archive, such as `main`. */
  readonly components: readonly string[];
  /** Packages; what they depend on comes with them. */
  readonly include: readonly string[];
  /** Packages that apt is told are there. */
  readonly absent: readonly string[];
  /** Patterns of paths that are not unpacked. */
  readonly excluded: readonly string[];
}

/** The root file system of the card. */
export const rootSelection: Selection = {
  architecture: 'arm64',
  components: ['main', 'non-free-firmware'],
  include: rootPackages,
  absent: absentPackages,
  excluded: excludedPaths,
};

/** One entry of dpkg's list of what is installed: it provides all names, in a version that any dependency takes. */
export function statusOfAbsent(names: readonly string[], architecture: Architecture): string {
  const fields = {
    Package: 'surfaced-absent',
    Status: 'install ok installed',
    Priority: 'optional',
    Section: 'misc',
    Maintainer: 'nobody <nobody@localhost>',
    Architecture: architecture,
    'Multi-Arch': 'allowed',
    Version: '1',
    Provides: names.map((name) => `${name} (= 99:99)`).join(', '),
    Description: 'names of packages that are not needed',
  };
  return `${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')}\n\n`;
}

/**
 * The checksums of the lists of packages that a release's `InRelease` names: the same ones, the same packages. What signs
 * that file is looked at by apt, when it gets the packages.
 */
export function packageListsOf(
  release: string,
  { architecture, components }: Pick<Selection, 'architecture' | 'components'>,
): string[] {
  const wanted = components.map((component) => `${component}/binary-${architecture}/Packages.xz`);
  return [...release.matchAll(/^ ([0-9a-f]{64}) +\d+ (\S+)$/gm)]
    .filter(([, , file = '']) => wanted.includes(file))
    .map(([, checksum, file]) => `${file} ${checksum}`)
    .toSorted();
}

/**
 * What Debian's archive has now, as {@link packageListsOf} the release and its security updates. Rejects with E_IMAGE_STEP
 * when it cannot be reached.
 */
export async function archiveState(
  { debian, security }: Mirrors,
  selection: Pick<Selection, 'architecture' | 'components'>,
): Promise<string[]> {
  const { architecture, components } = selection;
  const addresses = [`${debian}/dists/trixie/InRelease`, `${security}/dists/trixie-security/InRelease`];
  const states = await Promise.all(
    addresses.map(async (address) => {
      const answer = await fetch(address, { signal: AbortSignal.timeout(timeoutMs) }).catch((cause) => {
        throw new SurfacedError('E_IMAGE_STEP', `${address} cannot be read: ${cause}`, { cause });
      });
      const text = answer.ok ? await answer.text() : '';
      const lists = packageListsOf(text, selection);
      if (lists.length !== components.length)
        throw new SurfacedError(
          'E_IMAGE_STEP',
          `${address} is not the list of a Debian release with ${components.join(' and ')} for ${architecture} (HTTP ${answer.status})`,
        );
      return lists;
    }),
  );
  return states.flat();
}

async function extract(
  toolbox: Toolbox,
  mirrors: Mirrors,
  { architecture, components, include, absent, excluded }: Selection,
  folder: string,
): Promise<void> {
  const startedAt = performance.now();
  say(
    `getting and unpacking packages of Debian for ${architecture} (once for each state of the archive, a minute at most)`,
  );
  const tree = path.join(folder, 'tree');
  await mkdir(tree);
  await writeFile(path.join(folder, 'status'), statusOfAbsent(absent, architecture));
  await toolbox.run(
    'mmdebstrap',
    [
      ...['--mode=root', '--variant=extract', '--format=directory', `--architectures=${architecture}`],
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${include.join(',')}`,
      ...excluded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      '--dpkgopt=path-exclude=/usr/share/doc/*',
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      `--setup-hook=cp '${folder}/status' "$1/var/lib/dpkg/status"`,
      `--extract-hook=for file in "$1"/var/cache/apt/archives/*.deb; do dpkg-deb --show --showformat='${packageListFormat}' "$file"; done >'${folder}/packages'`,
      ...['trixie', tree, ...aptSources(mirrors, keyring, components.join(' '))],
    ],
    { binds: [folder] },
  );
  say(`packages unpacked after ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

/**
 * The folder of the unpacked packages, not to be written to, and the list of them. Rejects with E_IMAGE_STEP when the
 * archive cannot be reached or a dependency cannot be had.
 */
export async function extractedPackages(
  toolbox: Toolbox,
  selection: Selection,
): Promise<{ tree: string; packages: readonly DebianPackage[] }> {
  const mirrors = await hostMirrors();
  const { include, absent, excluded } = selection;
  // The lists of packages name architecture and components.
  const key = keyOf([
    ...[recipe, toolbox.path, ...include, '-', ...absent, '-', ...excluded],
    ...(await archiveState(mirrors, selection)),
  ]);
  const folder = await keptFolder(`packages-${key}`, (made) => extract(toolbox, mirrors, selection, made));
  const tree = path.join(folder, 'tree');
  const packages = await Promise.all(
    parsePackageList(await readFile(path.join(folder, 'packages'), 'utf8')).map(async (item) => {
      const file = path.join(tree, 'usr/share/doc', item.name, 'copyright');
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        // A package whose documentation is a link to that of another one which is not here.
        if (error.code === 'ENOENT') return '';
        throw error;
      });
      return { ...item, licence: licenceOf(text) };
    }),
  );
  return { tree, packages };
}
