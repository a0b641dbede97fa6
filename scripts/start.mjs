// `npm start [-- options of surfaced demo]`: sets up what is missing, builds what is old, runs the demo.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, checkNode, installPackages, installPrograms, root } from './setup.mjs';

checkNode();
installPackages();
// With `--identity token` the demo does without.
if (!process.argv.includes('token'))
  installPrograms({ swtpm: 'swtpm' }, 'the demo attests with it, or runs with `--identity token`');
build();
const main = path.join(root, 'dist', 'daemon', 'main.js');
process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
