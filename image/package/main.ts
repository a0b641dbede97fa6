/** Builds the Debian package alone: `node --import=tsx image/package/main.ts [arm64|amd64] [folder]`. */
import path from 'node:path';
import { version } from '../../daemon/version.ts';
import { sourceState } from '../card/source-state.ts';
import { architectures } from './architectures.ts';
import { projectRoot } from './bundle.ts';
import { buildPackage } from './package.ts';

const [architecture = 'arm64', output = path.join(projectRoot, 'dist/package')] = process.argv.slice(2);
if (architecture !== 'arm64' && architecture !== 'amd64') {
  process.stderr.write(
    `surfaced: no such architecture: ${architecture}; ${Object.keys(architectures).join(' or ')}\n`,
  );
  process.exit(2);
}
const { epoch } = await sourceState(projectRoot, process.env);
const file = await buildPackage({ architecture, version, epoch, output: path.resolve(output) });
process.stdout.write(`${file}\n`);
