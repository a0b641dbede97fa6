// `npm start [-- options of surfaced demo]`: sets up what is missing, builds what is old, runs the demo.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, checkNode, installPackages, root } from './setup.mjs';

checkNode();
installPackages();
build();
const main = path.join(root, 'dist', 'daemon', 'main.js');
process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
