import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { diskId, partitions } from '../../../image/layout.ts';
import { maskedUnits, osRelease, ownFiles, unnumbered } from '../../../image/root/configure.ts';
import { danglingLinks, links } from '../../../image/root/links.ts';

const entries = readdirSync(ownFiles, { withFileTypes: true, recursive: true });
const files = entries
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(ownFiles, path.join(entry.parentPath, entry.name)));
const textOf = (name: string): string => readFileSync(path.join(ownFiles, name), 'utf8');
const project = path.resolve(ownFiles, '../../..');
const packageUnits = readdirSync(path.join(project, 'systemd'));
const units = 'usr/lib/systemd/system/';

/** Lines of a configuration file that say something. */
const linesOf = (name: string): string[] =>
  textOf(name)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

t.test('files and links are apart', async (t) => {
  t.same(
    entries.filter((entry) => entry.isSymbolicLink()).map((entry) => entry.name),
    [],
    'tools that read the tree would follow a link out of it',
  );
  for (const name of Object.keys(links)) t.notOk(files.includes(name), `${name} is a link`);
  for (const name of Object.keys(danglingLinks)) t.ok(name in links, name);
});

t.test('units are written as systemd reads them', async (t) => {
  const unitFiles = files.filter((name) =>
    /\.(?:service|timer|mount|path|socket|network)$|\.d\/[^/]+\.conf$/.test(name),
  );
  t.ok(unitFiles.length > 10);
  for (const name of unitFiles) {
    if (!/systemd\//.test(name)) continue;
    const lines = textOf(name).replaceAll('\\\n', ' ').split('\n');
    const strange = lines.filter(
      (line) => !/^(?:|[#;].*|\[[A-Z][A-Za-z0-9]+\]|[A-Z][A-Za-z0-9]*=.*)$/.test(line),
    );
    t.same(strange, [], name);
    t.match(lines.find((line) => line !== '' && !line.startsWith('#')) ?? '', /^\[/, `${name} has a section`);
  }
});

t.test('what is enabled is there', async (t) => {
  for (const name of files.filter((file) => file.endsWith('.preset'))) {
    for (const line of linesOf(name)) {
      const [verb, unit = ''] = line.split(' ');
      t.match(verb, /^(?:enable|disable)$/, name);
      if (verb !== 'enable' || !/^(?:surfaced|boot-)/.test(unit)) continue;
      const isThere = files.includes(`${units}${unit}`) || packageUnits.includes(unit);
      t.ok(isThere, `${unit} of ${name}`);
      if (isThere && files.includes(`${units}${unit}`))
        t.match(textOf(`${units}${unit}`), /^\[Install\]$/m, unit);
    }
  }
  t.equal(linesOf('usr/lib/systemd/system-preset/80-surfaced-image.preset').at(-1), 'disable *');
  for (const [unit, reason] of Object.entries(maskedUnits)) {
    t.notOk(files.includes(`${units}${unit}`), unit);
    t.ok(reason.length > 10);
  }
});

t.test('programs of ours that units run are there and may be run', async (t) => {
  for (const name of files.filter((file) => file.startsWith(units)))
    for (const [, program = ''] of textOf(name).matchAll(/\/(usr\/lib\/surfaced\/[\w./-]+)/g))
      t.ok(files.includes(program), `${program} of ${name}`);
  for (const name of ['keep-log', 'make-host-key'])
    t.match(textOf(`usr/lib/surfaced/${name}`), /^#!\/bin\/sh\n/);
});

t.test('SSH: a key, one user, no passwords', async (t) => {
  const options = new Map(
    linesOf('etc/ssh/sshd_config').map((line) => line.split(/\s+(.*)/) as [string, string]),
  );
  for (const [name, value] of Object.entries({
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    PermitEmptyPasswords: 'no',
    PermitRootLogin: 'no',
    AllowUsers: 'maker',
    AuthenticationMethods: 'publickey',
    HostKey: '/data/shared/ssh/ssh_host_ed25519_key',
    AuthorizedKeysFile: '/data/shared/ssh/authorized_keys',
  }))
    t.equal(options.get(name), value, name);
  t.match(
    textOf(`${units}ssh.service.d/surfaced-image.conf`),
    `ConditionFileNotEmpty=${options.get('AuthorizedKeysFile')}`,
  );
  t.match(textOf('usr/lib/surfaced/make-host-key'), `key=${options.get('HostKey')}\n`);
  t.same(linesOf('etc/pam.d/common-auth'), ['auth required pam_deny.so']);
});

t.test('numbers and names that others have, too', async (t) => {
  const mount = textOf(`${units}boot-firmware.mount`);
  t.match(mount, `What=/dev/disk/by-partuuid/${diskId}-0${partitions.firmware.number}\n`);
  t.match(mount, /^Options=ro,nosuid,nodev,noexec,/m);
  t.match(textOf('usr/lib/surfaced/keep-log'), `most_bytes=${256 * 1024}\n`);
  t.match(textOf('usr/lib/systemd/journald.conf.d/50-surfaced-image.conf'), /^RuntimeMaxUse=16M$/m);
});

t.test('a stick is never taken for the card', async (t) => {
  const rule = linesOf('usr/lib/udev/rules.d/61-surfaced-card.rules').join('\n');
  t.match(
    rule,
    `ENV{ID_PART_ENTRY_UUID}=="${diskId}-*", SYMLINK-="disk/by-partuuid/$env{ID_PART_ENTRY_UUID}"`,
  );
  const kinds = /KERNEL!="([^"]+)"/.exec(rule)?.[1]?.split('|') ?? [];
  t.same(kinds, ['mmcblk*', 'vd*']);
  const initramfs = readFileSync(path.join(project, 'image/boot/initramfs/lib/surfaced/disk.sh'), 'utf8');
  const searched = /for path in (.*); do/.exec(initramfs)?.[1]?.split(' ');
  t.same(
    searched,
    kinds.map((kind) => `/sys/class/block/${kind.replace('*', '?')}`),
    'the kinds of disk that the initramfs starts from',
  );
});

t.test('sticks: what the kernel is asked to read is what the rule allows', async (t) => {
  const rule = linesOf('usr/lib/udev/rules.d/85-surfaced-usb-update.rules').join('');
  const types = /ENV\{ID_FS_TYPE\}=="([^"]+)"/.exec(rule)?.[1]?.split('|');
  t.same(types, ['vfat', 'exfat']);
  const unit = textOf(`${units}surfaced-usb-update@.service`);
  t.match(unit, `ExecStartPre=/usr/bin/mount -t ${types?.join(',')} -o ro,nosuid,nodev,noexec /dev/%I `);
});

t.test('settings of the kernel that Debian has in a package which is not here', async (t) => {
  const lines = linesOf('usr/lib/sysctl.d/60-surfaced-image.conf');
  for (const line of [
    'fs.protected_hardlinks = 1',
    'fs.protected_symlinks = 1',
    'fs.protected_regular = 2',
    'fs.protected_fifos = 1',
    'kernel.kexec_load_disabled = 1',
  ])
    t.ok(lines.includes(line), line);
  const shape = /^(?:[a-z_]+(?:\.[a-z_0-9*]+)+ = \S.*|-net\.ipv4\.conf\.all\.[a-z_]+)$/;
  t.same(
    lines.filter((line) => !shape.test(line)),
    [],
  );
});

t.test('users have numbers', async (t) => {
  const list = textOf('usr/lib/sysusers.d/00-surfaced-image.conf');
  const numbers = [...list.matchAll(/^[ug]!? \S+ (\d+)/gm)].map(([, number]) => number);
  t.same([...new Set(numbers)], numbers, 'each number once');
  const own = readFileSync(path.join(project, 'systemd/surfaced.sysusers'), 'utf8');
  const names = [...own.matchAll(/^[ug] (\S+) /gm)].map(([, name]) => `${name}:x:900:`).join('\n');
  t.same(unnumbered(names, list), [], 'those of our package, too');

  t.same(unnumbered('root:x:0:0\nadm:x:4:\nnobody:x:65534:\nnew:x:998:998\n', list), ['new']);
  t.same(unnumbered('', ''), []);
  fc.assert(fc.property(fc.string(), fc.string(), (one, other) => Array.isArray(unnumbered(one, other))));
});

t.test('os-release', async (t) => {
  const debian = 'ID=debian\nIMAGE_ID=old\nVERSION_ID="13"\n';
  const text = osRelease(debian, '0.1.0');
  t.equal(
    text,
    'ID=debian\nVERSION_ID="13"\nIMAGE_ID=surfaced\nIMAGE_VERSION=0.1.0\nDEFAULT_HOSTNAME=surfaced\n',
  );
  t.equal(osRelease(text, '0.1.0'), text);
  for (const version of ['', '1 0', '1\nID=x', '1"'])
    t.throws(() => osRelease(debian, version), /Not a version/);
});
