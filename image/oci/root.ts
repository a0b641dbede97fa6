/** The two layers of the container image: Debian's libraries, and the program with its Node. */
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DebianPackage } from '../root/debian-packages.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { containerUser } from './layout.ts';

/** Of the unpacked packages; the rest of `/etc` and `/var` is for systems that are installed. */
const kept = ['usr', 'bin', 'lib', 'lib64', 'sbin', 'etc/debian_version', 'etc/os-release'] as const;
/** For debuggers and for people who log in. */
const unused = ['usr/share/gcc', 'usr/share/base-files', 'usr/src', 'usr/games', 'usr/local', 'usr/include'];

const users = `root:x:0:0:root:/:/nonexistent
surfaced:x:${containerUser}:${containerUser}:surfaced:/var/lib/surfaced:/nonexistent
`;
const groups = `root:x:0:
surfaced:x:${containerUser}:
`;

/** Lays Debian's part into `folder`, which is empty. */
export async function layBase(options: {
  readonly tree: string;
  readonly packages: readonly DebianPackage[];
  readonly folder: string;
}): Promise<void> {
  const { tree, packages, folder } = options;
  await mkdir(path.join(folder, 'etc/ssl/certs'), { recursive: true });
  for (const name of kept) {
    const source = path.join(tree, name);
    const isThere = await lstat(source).then(
      () => true,
      () => false,
    );
    // Only 64-bit x86 has a lib64.
    if (isThere)
      await cp(source, path.join(folder, name), {
        recursive: true,
        verbatimSymlinks: true,
        preserveTimestamps: true,
      });
  }
  for (const name of unused) await rm(path.join(folder, name), { recursive: true, force: true });
  await writeFile(path.join(folder, 'etc/passwd'), users);
  await writeFile(path.join(folder, 'etc/group'), groups);
  await writeFile(path.join(folder, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
  // Node has the same list built in; this one is for NODE_USE_SYSTEM_CA, and to be mounted over.
  const certificates = path.join(tree, 'usr/share/ca-certificates/mozilla');
  const names = (await readdir(certificates)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(path.join(certificates, name), 'utf8')));
  await writeFile(path.join(folder, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
  await rm(path.join(folder, 'usr/share/ca-certificates'), { recursive: true });
  // What scanners look for where there is no package manager.
  const status = path.join(folder, 'var/lib/dpkg/status.d');
  await mkdir(status, { recursive: true });
  for (const { name, version, architecture, source } of packages)
    await writeFile(
      path.join(status, name),
      `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\nSource: ${source}\n`,
    );
  await mkdir(path.join(folder, 'tmp'));
  await mkdir(path.join(folder, 'run'));
  for (const name of ['dev', 'proc', 'sys', 'etc/surfaced']) await mkdir(path.join(folder, name));
  // Kubernetes puts the token of the account below it.
  await symlink('/run', path.join(folder, 'var/run'));
  await settle(folder);
  await chmod(path.join(folder, 'tmp'), 0o1777);
}

/**
 * Starts the program with the Node that came with it; there is no shell. A symbolic link to main.js would do but for its first
 * line, which asks `env` for a Node.
 */
const starter = `#!/usr/lib/surfaced/bin/node
import('/usr/lib/surfaced/dist/daemon/main.js');
`;

/** Lays the program of the Debian package into `folder`, which is empty. */
export async function layProgram(options: {
  readonly toolbox: Toolbox;
  readonly packageFile: string;
  readonly folder: string;
}): Promise<void> {
  const { toolbox, packageFile, folder } = options;
  await toolbox.run('dpkg-deb', ['--extract', packageFile, folder], {
    binds: [path.dirname(packageFile), folder],
  });
  // Units and rules of a machine with systemd, and documentation; the copyright stays.
  for (const name of await readdir(path.join(folder, 'usr/lib')))
    if (name !== 'surfaced') await rm(path.join(folder, 'usr/lib', name), { recursive: true });
  const documents = path.join(folder, 'usr/share/doc/surfaced');
  for (const name of await readdir(documents))
    if (name !== 'copyright') await rm(path.join(documents, name), { recursive: true });
  await rm(path.join(folder, 'usr/bin/surfaced'));
  await writeFile(path.join(folder, 'usr/bin/surfaced'), starter);
  const home = path.join(folder, 'var/lib/surfaced');
  await mkdir(home, { recursive: true });
  await settle(folder);
  await chmod(path.join(folder, 'usr/bin/surfaced'), 0o755);
  await chmod(home, 0o700);
  await chown(home, containerUser, containerUser);
}

/** Modes that do not depend on who builds; links are left alone. */
async function settle(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const isExecutable = entry.isDirectory() || ((await lstat(file)).mode & 0o100) !== 0;
    await chmod(file, isExecutable ? 0o755 : 0o644);
  }
}
