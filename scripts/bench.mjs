// `npm run bench [-- options]`: sets up what is missing, compiles what is old, runs the benches as compiled code.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checkNode, fingerprint, installPackages, installPrograms, once, root, run, say } from './setup.mjs';

checkNode();
installPackages();
installPrograms(
  {
    mosquitto: 'mosquitto',
    kubectl: 'kubernetes-client',
    dtc: 'device-tree-compiler',
    ip: 'iproute2',
    setpriv: 'util-linux',
    swtpm: 'swtpm',
    tpm2_quote: 'tpm2-tools',
    evmctl: 'ima-evm-utils',
    'qemu-system-aarch64': 'qemu-system-arm',
    'update-binfmts': 'binfmt-support',
    'qemu-aarch64-static': 'qemu-user-static',
    'arch-test': 'arch-test',
    mmdebstrap: 'mmdebstrap',
    ssh: 'openssh-client',
  },
  'benches that need them are skipped',
);

const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const out = path.join(root, '.setup', 'bench');
const main = path.join(out, 'bench', 'main.js');
const compile = () => {
  say('compiling the benches (once, a few seconds)');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  run(bin('tsc'), ['-p', path.join('bench', 'tsconfig.json')]);
  // The compiled command line looks for it two folders up, as it does in dist.
  cpSync(path.join(root, 'package.json'), path.join(root, '.setup', 'package.json'));
};
// Results change with every run and are no source.
const own = readdirSync(path.join(root, 'bench')).filter((name) => name !== 'results');
const sources = [
  'daemon',
  'hil',
  'tsconfig.json',
  'package-lock.json',
  ...own.map((name) => `bench/${name}`),
];
if (!once('bench-build', fingerprint(...sources), compile) && !existsSync(main)) compile();

const options = process.argv.slice(2);
const done = spawnSync(process.execPath, [main, ...options], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
// The formatter has its own idea of JSON, and checks it.
if (options.includes('--save') && done.status === 0)
  run(bin('biome'), ['format', '--write', path.join('docs', 'bench.json')]);
process.exit(done.status ?? 1);
