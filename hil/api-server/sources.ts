/** Packages and sources of several releases of Debian, through an apt root of its own: nothing of this machine's is changed. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../image/toolbox/command.ts';
import { hostMirrors } from '../../image/toolbox/mirrors.ts';

const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
const releases = ['bookworm', 'trixie', 'sid'] as const;

/** A release of Debian. */
export type Release = (typeof releases)[number];

/** Gets packages, and unpacks them without installing them. */
export interface Sources {
  /** Unpacks packages of one release into a folder. */
  unpack(names: readonly string[], release: Release, folder: string): Promise<void>;
  /** Names of the packages that would be installed with these, themselves included. */
  closure(names: readonly string[], release: Release): Promise<readonly string[]>;
  /** Unpacks the upstream sources of a source package of a release. */
  source(name: string, release: Release, folder: string): Promise<void>;
}

/** Makes the apt root in `folder`. Rejects with E_IMAGE_STEP when the archive cannot be reached. */
export async function openSources(folder: string): Promise<Sources> {
  const at = (name: string): string => path.join(folder, name);
  for (const name of ['etc/apt/sources.list.d', 'state/lists/partial', 'cache/archives/partial', 'downloads'])
    await mkdir(at(name), { recursive: true });
  const { debian } = await hostMirrors();
  const lines = releases.flatMap((release) =>
    ['deb', 'deb-src'].map((type) => `${type} [signed-by=${keys}] ${debian} ${release} main`),
  );
  await writeFile(at('etc/apt/sources.list'), `${lines.join('\n')}\n`);
  await writeFile(at('state/status'), '');
  await writeFile(
    at('apt.conf'),
    [
      ...[`Dir::Etc "${at('etc/apt/')}"`, `Dir::State "${at('state/')}"`, `Dir::Cache "${at('cache/')}"`],
      ...[
        `Dir::State::status "${at('state/status')}"`,
        'APT::Architecture "amd64"',
        'APT::Architectures {"amd64";}',
      ],
      ...[
        'APT::Sandbox::User "root"',
        // How this machine reaches mirrors.
        'Dir::Etc::parts "/etc/apt/apt.conf.d"',
        // A mirror that stands still will do: what is signed stays signed.
        'Acquire::Check-Valid-Until "false"',
        'APT::Install-Recommends "false"',
      ],
    ]
      .map((line) => `${line};\n`)
      .join(''),
  );
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', APT_CONFIG: at('apt.conf') };
  const apt = (cwd: string, ...args: string[]): Promise<string> =>
    runCommand(`apt-get ${args[0] ?? ''}`, ['apt-get', ...args], { input: null, env, cwd });
  await apt(folder, 'update');
  return {
    unpack: async (names, release, target) => {
      const cwd = at(`downloads/${release}-${names.length}-${names[0]}`);
      await mkdir(cwd, { recursive: true });
      await mkdir(target, { recursive: true });
      await apt(cwd, 'download', ...names.map((name) => `${name}/${release}`));
      for (const file of (await readdir(cwd)).toSorted())
        await runCommand('dpkg-deb', ['dpkg-deb', '--extract', file, target], { input: null, env, cwd });
    },
    closure: async (names, release) => {
      const plan = await apt(folder, 'install', '--simulate', '--target-release', release, ...names);
      return [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
    },
    source: async (name, release, target) => {
      const cwd = at(`downloads/source-${name}`);
      await mkdir(cwd, { recursive: true });
      await mkdir(target, { recursive: true });
      await apt(cwd, 'source', '--download-only', '--target-release', release, name);
      const tarball = (await readdir(cwd)).find((file) => /\.orig\.tar\.[a-z0-9]+$/.test(file)) ?? '';
      const words = ['tar', '-xf', tarball, '-C', target, '--strip-components=1'] as const;
      await runCommand('tar', words, { input: null, env, cwd });
    },
  };
}
