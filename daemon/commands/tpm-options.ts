/** Options of commands that talk to a TPM. */
import { type Command, Option } from 'commander';
import type { TpmConfig } from '../config/schema.ts';

/** Where the TPM is, as the options below say it. */
export interface TpmFlags {
  readonly device?: string;
  readonly swtpm?: string;
  readonly mssim?: string;
}

/** Adds them. */
export const withTpmOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--device <path>', 'device file of the TPM, /dev/tpmrm0 when nothing is given').conflicts([
        'swtpm',
        'mssim',
      ]),
    )
    .addOption(
      new Option('--swtpm <address>', 'a software TPM instead: host:port or socket of swtpm').conflicts(
        'mssim',
      ),
    )
    .option('--mssim <address>', 'the TPM reference simulator instead: host:port');

/** The options as a config has them; null when none is given. */
export function tpmOf({ device, swtpm, mssim }: TpmConfig): TpmConfig | null {
  if (device !== undefined) return { device };
  if (swtpm !== undefined) return { swtpm };
  return mssim === undefined ? null : { mssim };
}
