/** The Debian package: program, Node, native modules, units, and what Debian wants to know of them. */
import { createHash } from 'node:crypto';
import { chmod, cp, lutimes, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { runCommand, say } from '../toolbox/command.ts';
import { compileAddons, stripFor } from './addons.ts';
import { type Architecture, architectures } from './architectures.ts';
import { bundleProgram, nativePackages, packagesIn, projectRoot } from './bundle.ts';
import { controlText, debianVersion, md5sumsText } from './control.ts';
import { copyrightText, type LicensedComponent, readComponent, sortedComponents } from './copyright.ts';
import { dependenciesOf } from './elf.ts';
import { closureOf, installNatives, readLockFile } from './natives.ts';
import { fetchPackages, plainEnvironment, unpack } from './registry.ts';

/** What to build. */
export interface PackageOptions {
  readonly architecture: Architecture;
  /** Semver, such as 0.1.0. */
  readonly version: string;
  /** SOURCE_DATE_EPOCH: time of all files, Unix seconds. */
  readonly epoch: number;
  /** Folder for the package and `npm-packages.json`, the list of its parts from npm; made when it is not there. */
  readonly output: string;
}

/**
 * Builds `surfaced_<version>_<architecture>.deb`; two builds of the same sources on one machine give the same bytes.
 * @returns path of the package
 * @throws SurfacedError E_IMAGE_HOST when a program is missing, E_IMAGE_STEP when a step fails
 */
export async function buildPackage(options: PackageOptions): Promise<string> {
  const { architecture, version, epoch, output } = options;
  const work = await mkdtemp(path.join(tmpdir(), 'surfaced-deb-'));
  try {
    const root = path.join(work, 'root');
    const program = path.join(root, 'usr/lib/surfaced');
    await mkdir(program, { recursive: true });
    const components = await layProgram({ ...options, program, work });
    await laySystemFiles(root);
    await layDocuments(root, components);
    await settle(root, epoch);
    await layControl({ ...options, root, program });
    await mkdir(output, { recursive: true });
    const file = path.join(output, `surfaced_${debianVersion(version)}_${architecture}.deb`);
    say(`packing ${path.basename(file)}`);
    await runCommand(
      'dpkg-deb',
      // More threads would cut the data into more blocks.
      ['dpkg-deb', '--root-owner-group', '--threads-max=1', '-Zxz', '-z6', '--build', root, file],
      { input: null, env: { ...plainEnvironment, SOURCE_DATE_EPOCH: String(epoch) }, cwd: work },
    );
    const list = components.map(({ name, version: its, licence }) => ({ name, version: its, licence }));
    await writeFile(path.join(output, 'npm-packages.json'), `${JSON.stringify(list, null, 2)}\n`);
    return file;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Node, the bundle, native packages and `package.json`. @returns what of npm is in them */
async function layProgram({
  architecture,
  version,
  program,
  work,
}: PackageOptions & { readonly program: string; readonly work: string }): Promise<LicensedComponent[]> {
  const lock = await readLockFile(projectRoot);
  const node = path.join(work, 'node');
  await mkdir(node);
  const [tarball = ''] = await fetchPackages([architectures[architecture].node]);
  await unpack(tarball, node);
  await mkdir(path.join(program, 'bin'));
  await runCommand(
    'strip',
    // Names of functions for debuggers, a sixth of it.
    [await stripFor(architecture), '--strip-unneeded', '-o', path.join(program, 'bin/node'), 'bin/node'],
    { input: null, env: plainEnvironment, cwd: node },
  );
  say('bundling the program');
  const metafile = await bundleProgram(program);
  const packages = closureOf(lock, nativePackages);
  await installNatives({ packages, architecture, folder: program });
  const headers = path.join(node, 'include/node');
  await compileAddons({ lock, architecture, headers, folder: program, work: path.join(work, 'addons') });
  const about = { name: 'surfaced', version, license: 'Apache-2.0', type: 'module', private: true };
  await writeFile(path.join(program, 'package.json'), `${JSON.stringify(about, null, 2)}\n`);
  const folders = [
    ...packagesIn(metafile).map((folder) => path.join(projectRoot, folder)),
    ...packages.map((item) => path.join(program, item.path)),
    node,
  ];
  return sortedComponents(await Promise.all(folders.map(readComponent)));
}

/** Where the files of `systemd/` go, by their ends. */
const places: readonly (readonly [end: string, folder: string])[] = [
  ['.service', 'usr/lib/systemd/system'],
  ['.sysusers', 'usr/lib/sysusers.d'],
  ['.tmpfiles', 'usr/lib/tmpfiles.d'],
  ['.modules', 'usr/lib/modules-load.d'],
  ['.rules', 'usr/lib/udev/rules.d'],
  ['.preset', 'usr/lib/systemd/system-preset'],
];

/** Where a file of `systemd/` is installed, relative to `/`; null: nowhere. */
export function installedAs(name: string): string | null {
  const [end, folder] = places.find(([each]) => name.endsWith(each)) ?? [];
  if (end === undefined || folder === undefined) return null;
  const hasOwnEnd = ['.service', '.rules', '.preset'].includes(end);
  return `${folder}/${hasOwnEnd ? name : `${name.slice(0, -end.length)}.conf`}`;
}

async function laySystemFiles(root: string): Promise<void> {
  const source = path.join(projectRoot, 'systemd');
  for (const name of await readdir(source)) {
    const place = installedAs(name);
    if (place !== null) await cp(path.join(source, name), path.join(root, place));
  }
  await cp(path.join(projectRoot, 'image/package/debian/surfaced'), path.join(root, 'usr/bin/surfaced'));
}

async function layDocuments(root: string, components: readonly LicensedComponent[]): Promise<void> {
  const target = path.join(root, 'usr/share/doc/surfaced');
  await cp(path.join(projectRoot, 'docs/examples'), path.join(target, 'examples'), {
    recursive: true,
    // What a gateway that was tried with the examples has written beside them.
    filter: (file) => !/\/examples\/state(?:\/|$)/.test(file),
  });
  await cp(path.join(projectRoot, 'schemas'), path.join(target, 'schemas'), { recursive: true });
  const licence = await readFile(path.join(projectRoot, 'LICENSE'), 'utf8');
  await writeFile(path.join(target, 'copyright'), copyrightText(licence, components));
  await cp(path.join(projectRoot, 'docs/install.md'), path.join(target, 'install.md'));
  const changes = await readFile(path.join(projectRoot, 'CHANGELOG.md'));
  await writeFile(path.join(target, 'changelog.gz'), gzipSync(changes, { level: 9 }));
}

const executables = /^usr\/bin\/|^usr\/lib\/surfaced\/bin\//;

/** Gives all files the same modes and time wherever they are built. */
async function settle(root: string, epoch: number): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const isExecutable = entry.isDirectory() || executables.test(path.relative(root, file));
    await chmod(file, isExecutable ? 0o755 : 0o644);
    await lutimes(file, epoch, epoch);
  }
  await chmod(root, 0o755);
  await lutimes(root, epoch, epoch);
}

const scripts = ['postinst', 'prerm', 'postrm'];

/** The folder `DEBIAN` with control file, digests and maintainer scripts. */
async function layControl({
  architecture,
  version,
  epoch,
  root,
  program,
}: PackageOptions & { readonly root: string; readonly program: string }): Promise<void> {
  const files = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const digests = new Map<string, string>();
  let bytes = 0;
  for (const file of files) {
    bytes += (await stat(file)).size;
    digests.set(
      path.relative(root, file),
      createHash('md5')
        .update(await readFile(file))
        .digest('hex'),
    );
  }
  const needs = new Map<string, string>();
  for (const file of files.filter(
    (name) => name.endsWith('.node') || name === path.join(program, 'bin/node'),
  ))
    needs.set(path.relative(program, file), await readNeeds(file));
  const control = path.join(root, 'DEBIAN');
  await mkdir(control);
  const libraries = dependenciesOf(needs);
  const installedKibibytes = Math.ceil(bytes / 1024);
  await writeFile(
    path.join(control, 'control'),
    controlText({ version, architecture, libraries, installedKibibytes }),
  );
  await writeFile(path.join(control, 'md5sums'), md5sumsText(digests));
  for (const name of scripts) {
    await cp(path.join(projectRoot, 'image/package/debian', name), path.join(control, name));
    await chmod(path.join(control, name), 0o755);
  }
  for (const name of ['', 'control', 'md5sums', ...scripts])
    await lutimes(path.join(control, name), epoch, epoch);
  await chmod(control, 0o755);
  await chmod(path.join(control, 'control'), 0o644);
  await chmod(path.join(control, 'md5sums'), 0o644);
  await lutimes(root, epoch, epoch);
}

async function readNeeds(file: string): Promise<string> {
  return runCommand('readelf', ['readelf', '--wide', '--file-header', '--dynamic', '--version-info', file], {
    input: null,
    env: plainEnvironment,
    cwd: path.dirname(file),
  });
}
