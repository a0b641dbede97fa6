// `npm run image:test [-- files]`: builds the card when something of it has changed, and runs the checks of hil/image on it
// in QEMU. See hil/README.md.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { checkNode, fail, fingerprint, installPackages, installPrograms, once, root, run } from './setup.mjs';

const usage = `Usage: npm run image:test [-- [files]]

Builds the SD-card image (npm run image) and boots it in QEMU, with a TPM, a panel, a gateway and a simulated cluster:
the checks of hil/image/checks, or the files that are named.

  --help         this text
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
const unknown = args.find((arg) => arg.startsWith('-'));
if (unknown !== undefined)
  fail(`unknown option ${unknown}; npm run image:test -- --help tells what there is`);
if (process.platform !== 'linux') fail('the image is built and booted on Debian');

checkNode();
installPackages();
installPrograms(
  {
    'qemu-system-aarch64': 'qemu-system-arm',
    'qemu-aarch64-static': 'qemu-user-static',
    swtpm: 'swtpm',
    socat: 'socat',
    mcopy: 'mtools',
    kubectl: 'kubernetes-client',
  },
  'the image cannot be booted',
);
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
once('tap', fingerprint('.taprc', 'package-lock.json'), () => run(bin('tap'), ['build']));
run(process.execPath, [path.join('scripts', 'image.mjs'), '--no-compress']);

// Seconds for all files together; each has a limit of its own in hil/image/run.ts.
const done = spawnSync(bin('tap'), ['--timeout=7200', '--jobs=1', 'hil/image/run.ts'], {
  cwd: root,
  env: { ...process.env, SURFACED_HIL_FILES: args.join(path.delimiter) },
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exit(done.status ?? 1);
