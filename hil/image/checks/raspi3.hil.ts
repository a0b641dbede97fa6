/**
 * The card in an emulated Raspberry Pi 3 instead of the usual machine: with its own U-Boot and device tree from the firmware
 * partition, and its SD card. There is no TPM on that board, nor a network that QEMU emulates.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { decodeEnvironment, encodeEnvironment } from '../../../image/boot/environment.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard, firmwareOf } from '../built-card.ts';
import { ConsoleLines } from '../console-lines.ts';

/** The firmware reads the card word by word, which takes minutes in an emulator on a busy machine. */
const timeoutMs = 1_200_000;
t.setTimeout(timeoutMs);
/** QEMU wants a power of two for an SD card. */
const cardBytes = 2 * 2 ** 30;

const toolbox = await ensureToolbox();
const built = builtCard();
const work = await mkdtemp(path.join(tmpdir(), 'surfaced-raspi3-'));
t.teardown(() => rm(work, { recursive: true, force: true }));
const at = (name: string): string => path.join(work, name);
const run = (command: string, ...args: string[]): Promise<string> =>
  toolbox.run(command, args, { binds: [built.folder, work] });

const card = at('card');
await run('cp', '--sparse=always', built.image, card);
await run('truncate', `--size=${cardBytes}`, card);
const boot = firmwareOf({ ...built, image: card });
for (const name of ['u-boot.bin', 'bcm2837-rpi-3-b.dtb', 'uboot.env'])
  await run('mcopy', '-n', '-i', boot, `::/${name}`, at(name));

// A whole Device file, so that the surface starts what it has.
const device = `apiVersion: surfaced.dev/v1alpha1
kind: Device
gateway:
  url: https://gateway.example:8443
  caPin: sha256:${'0'.repeat(64)}
identity:
  tpm: {}
panel:
  preset: mackie-control
  port: { type: serial, path: /dev/ttyUSB0 }
`;
await toolbox.run('mcopy', ['-i', boot, '-', '::/surfaced.yaml'], { binds: [work], input: device });

// QEMU's watchdog of this board starts the machine anew as soon as somebody arms it, so systemd is told not to; and what
// takes a board a second may take the emulated one minutes.
const patient = ['watchdog_sec=0', 'default_timeout_start_sec=900', 'default_device_timeout_sec=900']
  .map((word) => ` systemd.${word}`)
  .join('');
const block = await readFile(at('uboot.env'));
const variables = decodeEnvironment(block);
if (variables === null) throw new Error('the environment on the card has a wrong checksum');
variables.set('surfaced_board', `setenv bootargs "\${bootargs}${patient}"`);
await writeFile(at('uboot.env'), encodeEnvironment(variables, block.length));
await run('mcopy', '-o', '-i', boot, at('uboot.env'), '::/uboot.env');

/** The board's second serial line is the one on its header. */
function startBoard(): { readonly console: ConsoleLines; readonly off: () => Promise<void> } {
  const machine = ['-M', 'raspi3b', '-kernel', at('u-boot.bin'), '-dtb', at('bcm2837-rpi-3-b.dtb')];
  const devices = ['-drive', `if=sd,format=raw,file=${card}`, '-serial', 'null', '-serial', 'stdio'];
  const words = [...machine, ...devices, '-display', 'none', '-monitor', 'none'];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nice', 'qemu-system-aarch64', ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = new ConsoleLines();
  child.stdout.setEncoding('utf8').on('data', (text: string) => lines.write(text));
  child.once('error', (error) => lines.end(`QEMU cannot be started: ${error.message}`));
  child.once('exit', () => lines.end('the board is off'));
  const off = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return { console: lines, off };
}

t.test('from the firmware partition to the report for the maker', async (t) => {
  const board = startBoard();
  t.teardown(board.off);
  let from = 0;
  const says = async (pattern: RegExp): Promise<void> => {
    const { line, number } = await board.console.waitFor(pattern, { from, timeoutMs, signal: null });
    t.pass(line);
    from = number + 1;
  };
  await says(/Booting bootflow 'mmc@7e202000.bootdev.part_1' with script/);
  await says(/surfaced: boot state: good a, trial , left 0/);
  await says(/surfaced: loading slot a/);
  await says(/Linux version .*-arm64/);
  await says(/Kernel command line: .* surfaced\.slot=a /);
  await says(/surfaced: growing the data partition to \d+ MiB/);
  await says(/surfaced: no TPM, nothing is measured/);
  await says(
    new RegExp(
      `surfaced: slot a, version ${built.info.version.replaceAll('.', '\\.')}, goes on with systemd`,
    ),
  );
  // Its end is cut off to the width of the console.
  await says(/Finished surfaced-first/);
  await board.off();

  const report = (await run('mcopy', '-n', '-i', boot, '::/surfaced-report.txt', '-')).replaceAll('\r', '');
  t.match(report, /^surfaced\.yaml: in force$/m);
  t.match(report, /^TPM: none found$/m, 'it is told that this board has none');
  t.match(report, /^Panel: mackie-control at \/dev\/ttyUSB0: NOT THERE$/m);
});
