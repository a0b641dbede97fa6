// `npm run image [-- options]`: sets up what is missing and builds the SD-card image, see docs/image.md.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { checkNode, fail, fingerprint, installPackages, installPrograms, once, root, say } from './setup.mjs';

const usage = `Usage: npm run image [-- options]

Builds the SD-card image, the update bundle and the Debian packages into dist/image, in some ten minutes; what it gets from
Debian is kept in ~/.cache/surfaced/image. As root, on Debian or Ubuntu on x86-64. See docs/image.md.

  --board NAME     debian (default): Raspberry Pi 3, 4 and Zero 2 W; pi5 says what it needs
  --output FOLDER  where the results go (default: dist/image)
  --version V      another version than that of package.json
  --no-compress    the image as it is, not as .img.xz
  --base-url URL   where the results will be published: makes os_list.json for Raspberry Pi Imager
  --keys FOLDER    with the key that signs updates and sums (default: a key of this machine, made when there is none)
  --again          builds also when nothing has changed since the last time
  --help           this text
`;

const args = process.argv
  .slice(2)
  .flatMap((arg) =>
    /^--[a-z-]+=/.test(arg) ? [arg.split('=')[0], arg.split('=').slice(1).join('=')] : [arg],
  );
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
const valued = ['--board', '--output', '--version', '--base-url', '--keys'];
const plain = ['--no-compress', '--again'];
for (const [index, arg] of args.entries()) {
  if (valued.includes(arg) && /^(?:--.*)?$/.test(args[index + 1] ?? '')) fail(`${arg} needs a value`);
  if (plain.includes(arg) || valued.includes(arg) || valued.includes(args[index - 1])) continue;
  fail(`unknown option ${arg}; npm run image -- --help tells what there is`);
}
if (process.platform !== 'linux') fail('the image is built on Debian or Ubuntu');

checkNode();
installPackages();
installPrograms(
  {
    mmdebstrap: 'mmdebstrap',
    unshare: 'util-linux',
    git: 'git',
    readelf: 'binutils',
    'x86_64-linux-gnu-g++': 'g++',
    'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu',
  },
  'the image cannot be built without them',
);

const options = args.filter((arg) => arg !== '--again');
const after = (name) => options[options.indexOf(name) + 1];
const output = path.resolve(
  root,
  options.includes('--output') ? after('--output') : path.join('dist', 'image'),
);
const head = spawnSync('git', ['-c', `safe.directory=${root}`, 'rev-parse', 'HEAD'], { cwd: root });
// Sources, commit (its time is in the image) and options; Debian's archive is looked at by a build alone.
const state = [
  fingerprint(
    ...['daemon', 'image', 'systemd', 'schemas', 'docs'],
    ...['package.json', 'package-lock.json', 'LICENSE', 'CHANGELOG.md'],
  ),
  head.stdout?.toString().trim() ?? '',
  process.env.SOURCE_DATE_EPOCH ?? '',
  ...options,
].join(' ');
const stamp = `image-${path.basename(output)}`;
if (args.includes('--again') || !existsSync(path.join(output, 'SHA256SUMS.p7s'))) once(stamp, '', () => {});
const isBuilt = once(stamp, state, () => {
  const program = path.join(root, 'image', 'build.ts');
  const done = spawnSync(process.execPath, ['--import=tsx', program, ...options], {
    cwd: root,
    stdio: 'inherit',
  });
  if (done.status !== 0) process.exit(done.status ?? 1);
});
if (!isBuilt) say(`nothing has changed since the last image: ${output} (--again builds it anyway)`);
