// `npm run image:try -- CARD`: boots a card in QEMU for a person, with a TPM, and its panel in this terminal. See
// docs/build-a-surface.md.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { checkNode, fail, installPackages, installPrograms, root } from './setup.mjs';

const usage = `Usage: npm run image:try -- CARD

Turns on a machine in QEMU with a copy of the SD-card image as its card. It has a TPM, whose state is kept in CARD.tpm,
and its panel, a Mackie Control at /dev/ttyUSB0, is in this terminal. From there the gateway on this machine is
10.0.2.2. What the machine does to the card stays; \`off\` or Ctrl-C pulls the plug.

  --help         this text
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
const [card] = args;
if (args.length !== 1 || card.startsWith('-')) {
  process.stderr.write(usage);
  process.exit(2);
}
if (process.platform !== 'linux') fail('the image is booted on Debian');

checkNode();
installPackages();
installPrograms({ 'qemu-system-aarch64': 'qemu-system-arm', swtpm: 'swtpm' }, 'the image cannot be booted');
// npm has changed the folder: a name is meant from where the person is.
const named = path.resolve(process.env.INIT_CWD ?? process.cwd(), card);
const done = spawnSync(process.execPath, ['--import=tsx', path.join('hil', 'image', 'try.ts'), named], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(done.status ?? 1);
