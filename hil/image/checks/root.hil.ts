/** The root file system with a stand-in for our package: the same twice, complete, and with nothing in it that opens a door. */
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { setuidFiles } from '../../../image/root/finish.ts';
import { danglingLinks } from '../../../image/root/links.ts';
import { buildRoot } from '../../../image/root/root.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';

/** Without Node and the program, which are 130 MB. */
const mostMegabytes = 250;
const epoch = 1_750_000_000;

const toolbox = await ensureToolbox();
const work = await mkdtemp(path.join(tmpdir(), 'surfaced-root-'));
t.teardown(() => rm(work, { recursive: true, force: true }));
const run = (command: string, ...args: string[]): Promise<string> =>
  toolbox.run(command, args, { binds: [work] });

const standIn: Readonly<Record<string, string>> = {
  'DEBIAN/control':
    'Package: surfaced\nVersion: 0.1.0\nArchitecture: arm64\nMaintainer: nobody <nobody@localhost>\nDescription: stand-in\n',
  'usr/bin/surfaced': '#!/bin/sh\n',
  'usr/lib/sysusers.d/surfaced.conf': 'u surfaced - "surfaced" /var/lib/surfaced\n',
  'usr/lib/systemd/system/surfaced-device.service':
    '[Unit]\nDescription=stand-in\n[Service]\nExecStart=/usr/bin/surfaced\n[Install]\nWantedBy=multi-user.target\n',
  'usr/lib/systemd/system-preset/50-surfaced.preset': 'enable surfaced-device.service\n',
};

async function makePackage(): Promise<string> {
  const folder = path.join(work, 'package');
  for (const [name, text] of Object.entries(standIn)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  await chmod(path.join(folder, 'usr/bin/surfaced'), 0o755);
  const file = path.join(work, 'surfaced.deb');
  await run('dpkg-deb', '--root-owner-group', '--build', folder, file);
  return file;
}

/** Where a path of the tree leads to inside of it, links followed as they would be there; null: nowhere. */
async function targetIn(root: string, name: string, depth = 0): Promise<string | null> {
  if (depth > 20) return null;
  const parts = path.posix.resolve('/', name).split('/').slice(1);
  let at = '/';
  for (const [index, part] of parts.entries()) {
    const next = path.posix.join(at, part);
    const stat = await lstat(path.join(root, next)).catch(() => null);
    if (stat === null) return null;
    if (stat.isSymbolicLink()) {
      const link = path.posix.resolve(at, await readlink(path.join(root, next)));
      return targetIn(root, path.posix.join(link, ...parts.slice(index + 1)), depth + 1);
    }
    at = next;
  }
  return at;
}

const packageFile = await makePackage();
const build = (name: string) =>
  buildRoot({ toolbox, packageFile, version: '0.1.0', epoch, output: path.join(work, name) });
const { folder: root, kernelVersion, packages } = await build('one');
const other = await build('other');
const list = async (...conditions: string[]): Promise<string[]> =>
  (await run('find', root, '-xdev', ...conditions, '-printf', '%P\n'))
    .split('\n')
    .filter((name) => name !== '');

t.test('two builds are the same tree', async (t) => {
  const sum = (folder: string) =>
    run('sh', '-c', 'tar -C "$1" --sort=name --format=gnu -c . | sha256sum', 'sh', folder);
  t.equal(await sum(root), await sum(other.folder));
  t.same(packages, other.packages);
  await rm(other.folder, { recursive: true });
});

t.test('kernel, packages and size', async (t) => {
  t.ok((await list('-path', '*/boot/vmlinuz', '-size', '+10M')).length === 1);
  t.ok((await list('-path', `*/modules/${kernelVersion}/modules.dep.bin`)).length === 1);
  t.ok(packages.length > 100 && packages.length < 170, `${packages.length} packages`);
  const bytes = Number((await run('du', '--summarize', '--block-size=1', root)).split('\t')[0]);
  t.ok(bytes < mostMegabytes * 1e6, `${Math.round(bytes / 1e6)} MB`);
});

t.test('links lead somewhere', async (t) => {
  const dangling: string[] = [];
  for (const name of await list('-type', 'l')) {
    if (name in danglingLinks) continue;
    const target = await readlink(path.join(root, name));
    // Masked, or made by the kernel.
    if (/^\/(?:dev|proc|run|sys)\//.test(path.posix.resolve('/', path.posix.dirname(name), target))) continue;
    if ((await targetIn(root, name)) === null) dangling.push(`${name} -> ${target}`);
  }
  t.same(dangling, []);
});

t.test('programs find their libraries', async (t) => {
  const output = await run(
    'sh',
    '-c',
    'find "$1/usr" -xdev -type f ! -path "*/modules/*" -exec readelf --dynamic --wide {} + 2>/dev/null || true',
    'sh',
    root,
  );
  const present = new Set(await list('-name', '*.so*'));
  const usualFolders = ['usr/lib/aarch64-linux-gnu', 'usr/lib'];
  const files = output.split('\nFile: ').slice(1);
  t.ok(files.length > 300, `${files.length} files`);
  const lost = files.flatMap((text) => {
    const name = path.relative(root, text.split('\n')[0]!);
    const ownFolders = /\((?:RUNPATH|RPATH)\).*\[(.*)\]/.exec(text)?.[1]?.split(':') ?? [];
    // What a program has loaded is there for its libraries, too: those beside it in a folder of its own.
    const folders = [...ownFolders, path.dirname(name), ...usualFolders].map((folder) =>
      folder.replace('$ORIGIN', path.dirname(name)).replace(/^\//, ''),
    );
    return [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)]
      .map(([, library = '']) => library)
      .filter((library) => !folders.some((folder) => present.has(path.join(folder, library))))
      .map((library) => `${name} needs ${library}`);
  });
  t.same(lost, []);
});

t.test('units', async (t) => {
  const folders = (await readdir(path.join(root, 'etc/systemd/system'))).filter((name) =>
    name.endsWith('.wants'),
  );
  const names = (
    await Promise.all(folders.map((name) => readdir(path.join(root, 'etc/systemd/system', name))))
  ).flat();
  for (const name of [
    'boot-firmware.mount',
    'ssh.service',
    'surfaced-device.service',
    'surfaced-log.service',
  ])
    t.ok(names.includes(name), `${name} is enabled`);
  t.notOk(
    names.some((name) => /getty|debug-shell|logind/.test(name)),
    'no console to log in on',
  );
  const said = await run(
    'sh',
    '-c',
    'systemd-analyze verify --man=no --recursive-errors=yes --root="$@" 2>&1 || true',
    'sh',
    ...[root, 'default.target', ...names],
  );
  t.equal(said.trim(), '', 'systemd-analyze verify is content: all that units run is there');
});

t.test('doors', async (t) => {
  t.same((await list('-type', 'f', '-perm', '/6000')).toSorted(), setuidFiles.toSorted());
  t.same(await list('!', '-type', 'l', '-perm', '-o+w'), [], 'nothing that all may write');
  t.same(await list('-name', 'ssh_host_*'), [], 'no host keys');
  t.same(await list('-name', 'authorized_keys'), []);
  t.equal(await readFile(path.join(root, 'etc/machine-id'), 'utf8'), '');
  const passwords = (await readFile(path.join(root, 'etc/shadow'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split(':')[1]);
  t.same([...new Set(passwords)], ['!*'], 'nobody has a password');
  t.same(await list('!', '-user', 'root'), [], 'all is of root');
});

t.test('a stick with the disk identifier of the card has none of its names', async (t) => {
  const rules = path.join(root, 'usr/lib/udev/rules.d/61-surfaced-card.rules');
  // Any disk of this machine but one of the card's kinds, with what udev would know of a partition of a stick.
  const script = `
    mkdir -p /run/udev/rules.d
    echo "SUBSYSTEM==\\"block\\", ENV{ID_PART_ENTRY_UUID}=\\"$2\\", SYMLINK+=\\"disk/by-partuuid/$2 disk/other\\"" \\
      >/run/udev/rules.d/60-persistent-storage.rules
    cp "$1" /run/udev/rules.d
    for disk in /sys/class/block/*; do
      case \${disk##*/} in mmcblk* | vd*) continue ;; esac
      udevadm test "$disk" 2>&1
      exit
    done
  `;
  const linksOf = async (uuid: string): Promise<string[]> => {
    const said = await run('sh', '-c', script, 'sh', rules, uuid);
    t.match(said, /DEVLINKS=/, uuid);
    return [...said.matchAll(/^\s*DEVLINKS=(.*)$/gm)].flatMap(([, list = '']) =>
      list.split(' ').filter((link) => link !== '/dev/disk/other'),
    );
  };
  t.same(await linksOf('50a7face-01'), []);
  t.same(await linksOf('12345678-01'), ['/dev/disk/by-partuuid/12345678-01'], 'sticks of others have theirs');
  await t.resolves(run('udevadm', 'verify', '--resolve-names=never', path.dirname(rules)));
});

t.test('nothing that differs from one build to the next', async (t) => {
  t.same(await list('-newermt', `@${epoch}`), []);
  t.same(await list('-path', '*/var/*'), [], '/var is made in memory');
  t.same(await list('-path', '*/etc/*-', '-type', 'f'), []);
  t.equal((await lstat(path.join(root, 'usr/lib/clock-epoch'))).mtimeMs, epoch * 1000);
});
