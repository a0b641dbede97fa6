/** `boot.scr`: the script of U-Boot in the wrapping that it takes. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { builtInEnvironment, encodeEnvironment } from './environment.ts';

/** The script as it is written. */
export const bootScriptSource = fileURLToPath(new URL('boot.cmd', import.meta.url));

/** Makes `boot.scr` at `output`; the same bytes for the same script and `epoch` (seconds). Rejects with E_IMAGE_STEP. */
export async function buildBootScript({
  toolbox,
  epoch,
  output,
}: {
  readonly toolbox: Toolbox;
  readonly epoch: number;
  readonly output: string;
}): Promise<void> {
  await rm(output, { force: true });
  const kind = ['-A', 'arm64', '-T', 'script', '-C', 'none', '-n', 'surfaced'];
  await toolbox.run('mkimage', [...kind, '-d', bootScriptSource, output], {
    binds: [path.dirname(bootScriptSource), path.dirname(output)],
    env: { SOURCE_DATE_EPOCH: String(epoch) },
  });
}

/** Of the Debian binary `rpi_arm64` (CONFIG_ENV_SIZE; CONFIG_ENV_FAT_FILE is `uboot.env`). */
const raspberryEnvironmentBytes = 0x4000;

/**
 * `uboot.env` for the firmware partition of a Raspberry Pi: what is built in, but nothing on the serial line stops the
 * start (what is wired to the UART of the header talks there), and only the card is looked at: no wait for USB, no boot
 * from the network.
 * @param program Debian's /usr/lib/u-boot/rpi_arm64/u-boot.bin
 * @throws Error when the program has another environment than is known here
 */
export function raspberryEnvironment(program: Buffer): Buffer {
  const variables = builtInEnvironment(program);
  variables.set('bootdelay', '-2');
  variables.set('boot_targets', 'mmc');
  variables.delete('preboot');
  return encodeEnvironment(variables, raspberryEnvironmentBytes);
}
