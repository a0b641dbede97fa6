// `node scripts/api-server.mjs`: holds deploy/ against real API servers, which are built once; see hil/api-server/README.md.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { checkNode, fail, fingerprint, installPackages, installPrograms, once, root, run } from './setup.mjs';

const usage = `Usage: node scripts/api-server.mjs

Builds kube-apiserver 1.20, apiextensions-apiserver 1.36 and the policy plug-in of 1.36 from Debian's sources (once, some twenty
minutes and 6 GB, of which 400 MB stay), and runs the checks of hil/api-server on them.

  --help         this text
`;

if (process.argv.includes('--help') || process.argv.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
if (process.platform !== 'linux' || process.arch !== 'x64')
  fail('the API servers are built on Debian on x86-64');
checkNode();
installPackages();
installPrograms(
  { 'apt-get': 'apt', 'dpkg-deb': 'dpkg', openssl: 'openssl', kubectl: 'kubernetes-client' },
  'the API servers cannot be built',
);
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
once('tap', fingerprint('.taprc', 'package-lock.json'), () => run(bin('tap'), ['build']));
const done = spawnSync(
  bin('tap'),
  ['--disable-coverage', '--timeout=7200', 'hil/api-server/checks/deploy.hil.ts'],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  },
);
process.exit(done.status ?? 1);
