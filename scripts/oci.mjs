// `npm run oci [-- options]`: sets up what is missing and builds the container image of the gateway, see docs/deploy.md.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { checkNode, installPackages, installPrograms, root } from './setup.mjs';

const usage = `Usage: npm run oci [-- options]

Builds the container image of the gateway into dist/oci, without a container engine, in some five minutes. As root, on Debian or
Ubuntu on x86-64. The digest of the image is printed; the same sources and the same state of Debian's archive give the same one.

  --architecture NAME  amd64 or arm64; may be repeated (default: both)
  --output FOLDER      where the results go (default: dist/oci); what is there is replaced
  --version V          another version than that of package.json
  --help               this text

Results: layout/ (an OCI image layout), surfaced-gateway_V_ARCHITECTURE.tar (for docker load, podman load and skopeo),
surfaced-gateway_V_ARCHITECTURE.cdx.json (what is in it, CycloneDX; attached to the image, too), digest.
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
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
  'the container image cannot be built without them',
);
const program = path.join(root, 'image', 'oci', 'main.ts');
const done = spawnSync(process.execPath, ['--import=tsx', program, ...args], { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
