// Compiles daemon/ and hil/ to dist/ and bundles the pages. Run through `npm run build`.
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, run } from './setup.mjs';

const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const page = path.join(root, 'hil', 'sim', 'panel', 'page');
const pageOut = path.join(root, 'dist', 'hil', 'sim', 'panel', 'page');

// What else lies there, such as a card that was built, is not this script's.
for (const folder of ['daemon', 'hil'])
  rmSync(path.join(root, 'dist', folder), { recursive: true, force: true });
run(bin('tsc'), ['-p', 'tsconfig.build.json']);
if (existsSync(path.join(page, 'main.tsx'))) {
  mkdirSync(pageOut, { recursive: true });
  run(bin('esbuild'), [
    path.join(page, 'main.tsx'),
    '--bundle',
    '--minify',
    '--format=esm',
    '--target=es2022',
    '--jsx=automatic',
    '--jsx-import-source=preact',
    `--outfile=${path.join(pageOut, 'main.js')}`,
    '--log-level=warning',
  ]);
  for (const file of ['index.html', 'style.css', 'icon.svg']) {
    if (existsSync(path.join(page, file))) cpSync(path.join(page, file), path.join(pageOut, file));
  }
}
// The gateway's pages come without a build: their files are served as they are.
const webAssets = path.join('daemon', 'web', 'assets');
cpSync(path.join(root, webAssets), path.join(root, 'dist', webAssets), { recursive: true });
const main = path.join(root, 'dist', 'daemon', 'main.js');
if (existsSync(main)) chmodSync(main, 0o755);
