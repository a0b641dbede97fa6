/** Packages of Debian 13, unpacked into a folder that is kept: what the machine is made of and is not part of the image. */
import path from 'node:path';
import { keptFolder, keyOf } from '../../image/toolbox/cache.ts';
import { say } from '../../image/toolbox/command.ts';
import { hostMirrors } from '../../image/toolbox/mirrors.ts';
import { aptSources, type Toolbox } from '../../image/toolbox/toolbox.ts';

/** In the toolbox. */
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** What is unpacked. */
export interface DebianTree {
  readonly toolbox: Toolbox;
  /** First part of the folder's name; also what is said while it is made. */
  readonly name: string;
  /** Raised when `finish` changes. */
  readonly recipe: string;
  /** The first one is that of programs that run here. */
  readonly architectures: readonly string[];
  readonly packages: readonly string[];
  /** Packages of which only the files are wanted, without what they depend on. */
  readonly bare: readonly string[];
  /** Makes of the tree what is kept of it. */
  readonly finish: (tree: string) => Promise<void>;
}

/** For mmdebstrap(1), EXTRACT HOOKS: `$1` is the tree. */
const unpackBare = (names: readonly string[]): string =>
  [
    ...['set -e', 'folder=$(mktemp -d)', 'chmod 755 "$folder"', 'cd "$folder"'],
    `APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q download ${names.join(' ')}`,
    'for file in *.deb; do dpkg-deb --extract "$file" "$1"; done',
    'rm -r "$folder"',
  ].join('; ');

/** The folder; made once for these packages, and not to be written to. Rejects with E_IMAGE_STEP. */
export async function debianTree(options: DebianTree): Promise<string> {
  const { toolbox, name, recipe, architectures, packages, bare, finish } = options;
  const key = keyOf([recipe, ...architectures, '-', ...packages, '-', ...bare]);
  const folder = await keptFolder(`${name}-${key}`, async (made) => {
    say(`getting ${name} (once)`);
    const tree = path.join(made, 'tree');
    await toolbox.run(
      'mmdebstrap',
      [
        ...['--mode=root', '--variant=extract', '--format=directory'],
        `--architectures=${architectures.join(',')}`,
        '--aptopt=Apt::Install-Recommends "false"',
        `--include=${packages.join(',')}`,
        ...['doc', 'man', 'locale'].map((one) => `--dpkgopt=path-exclude=/usr/share/${one}/*`),
        ...(bare.length > 0 ? [`--extract-hook=${unpackBare(bare)}`] : []),
        ...['trixie', tree, ...aptSources(await hostMirrors(), keyring, 'main')],
      ],
      { binds: [made] },
    );
    await finish(tree);
  });
  return path.join(folder, 'tree');
}
