// `npm test [-- files]`: sets up what is missing, then type check, lint and tests. Given files, only those run.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  build,
  checkNode,
  fingerprint,
  installPackages,
  installPrograms,
  once,
  root,
  run,
  say,
} from './setup.mjs';

checkNode();
installPackages();
installPrograms(
  {
    chromium: 'chromium',
    mosquitto: 'mosquitto',
    socat: 'socat',
    kubectl: 'kubernetes-client',
    swtpm: 'swtpm',
    tpm2_checkquote: 'tpm2-tools',
    openssl: 'openssl',
  },
  'tests that need them are skipped',
);
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
once('tap', fingerprint('.taprc', 'package-lock.json'), () => run(bin('tap'), ['build']));

const files = process.argv.slice(2);
if (files.length === 0) {
  say('type check');
  run(bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']);
  if (existsSync(path.join(root, 'hil/sim/panel/page/main.tsx')))
    run(bin('tsc'), ['-p', 'hil/sim/panel/page/tsconfig.json']);
  say('lint');
  run(bin('biome'), ['check', '--error-on-warnings', '.']);
}
build();
say('tests');
const done = spawnSync(bin('tap'), files, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
process.exit(done.status ?? 1);
