/** `surfaced factory-reset`: makes the data partition anew at the next start, and starts. */
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline/promises';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { SurfacedError } from '../errors.ts';
import type { WhileWritable } from '../first-boot/boot-partition.ts';
import type { Disk } from '../first-boot/disk.ts';
import type { CommandLine } from './cli.ts';
import { runOnce } from './run.ts';

const rebootMs = 60_000;

/** What a reset is made of. */
export interface ResetParts {
  readonly disk: Disk;
  /** The boot partition. */
  readonly boot: string;
  readonly whileWritable: WhileWritable;
  /** True: yes. */
  readonly ask: (question: string) => Promise<boolean>;
  readonly reboot: () => Promise<void>;
}

/** Declares it. */
export function addFactoryResetCommand(program: Command, { print }: CommandLine): void {
  program
    .command('factory-reset')
    .description('erases all state of this surface (Wi-Fi, keys, configuration, logs) and starts it anew')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
Only on the SD-card image, as root. A surfaced.yaml on the boot partition is taken over again after the reset; remove it
first for a surface that is to know nothing. On a card in another computer: make an empty file factory-reset there.`,
    )
    .action(({ yes }: { yes?: true }) =>
      runOnce(async () => {
        const { checkImage, remounting } = await import('../first-boot/boot-partition.ts');
        const { systemDisk } = await import('../first-boot/disk.ts');
        const { placesIn } = await import('../first-boot/places.ts');
        await checkImage('/');
        const { boot } = placesIn('/');
        const isDone = await factoryReset({
          disk: systemDisk,
          boot,
          whileWritable: remounting(boot),
          ask: yes === true ? async () => true : askTerminal,
          reboot: async () => {
            await promisify(execFile)('systemctl', ['reboot'], { timeout: rebootMs });
          },
        });
        print(isDone ? 'It starts anew now.\n' : 'Nothing was changed.\n');
        return isDone ? 0 : 1;
      }),
    );
}

/**
 * Leaves word for the next start, and starts. What is erased is erased there, by the initramfs.
 * @returns false: nobody wants it
 * @throws SurfacedError E_FIRST_BOOT
 */
export async function factoryReset({ disk, boot, whileWritable, ask, reboot }: ResetParts): Promise<boolean> {
  const question =
    'Erase Wi-Fi, SSH keys, configuration, logs and the identity of this machine, and restart?';
  if (!(await ask(question))) return false;
  const { onCard, replaceFile } = await import('../first-boot/disk.ts');
  await whileWritable(() => replaceFile(disk, `${boot}/factory-reset`, 'asked for by surfaced\n', onCard));
  await reboot();
  return true;
}

async function askTerminal(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true)
    throw new SurfacedError('E_USAGE', 'factory-reset: nobody is there to be asked; say --yes');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
