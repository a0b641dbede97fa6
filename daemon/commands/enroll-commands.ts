/** `surfaced enroll`: token, config. */
import { type Command, Option } from 'commander';
import { midiPresets, partPresets } from '../config/panel.ts';
import { SurfacedError } from '../errors.ts';
import { type CommandLine, gatewayConfig, type Output, output, wholeNumber } from './cli.ts';
import type { EnrollConfigOptions } from './enroll.ts';

interface Flags {
  readonly config: string;
  readonly surface?: string;
  readonly ttl: string;
  readonly uses: number;
  readonly url?: string;
  readonly output: Output;
}

interface ConfigFlags extends Flags {
  readonly preset: string;
  readonly portType: string;
  readonly port?: string;
  readonly tpm?: true;
}

/** Declares the commands. */
export function addEnrollCommands(program: Command, { print }: CommandLine): void {
  const enroll = program.command('enroll').description('let a surface in');
  const declare = (name: string): Command =>
    enroll
      .command(name)
      .addOption(gatewayConfig())
      .option('--surface <name>', 'surface that the token is for')
      .option('--ttl <time>', 'how long the token can be used: 30m, 1h, 7d', '1h')
      .option(
        '--uses <count>',
        'how often it can be used; a surface needs it at each start',
        wholeNumber(1, 1000),
        1,
      )
      .option('--url <https-address>', "gateway's address as the surface sees it; left out: from the config")
      .addOption(output());

  declare('token')
    .description('a one-time token, with the pin of the gateway CA')
    .action(async (flags: Flags) => {
      const { enrollToken } = await import('./enroll.ts');
      print(await enrollToken(tokenOptions(flags)));
    });

  declare('config')
    .description('a whole Device file, with a one-time token in it, or for a surface with a TPM')
    .option('--tpm', 'for a surface with a TPM: no token, and the file is no secret')
    .addOption(
      new Option('--preset <panel>', 'panel of the surface')
        .choices([...midiPresets, ...partPresets])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--port-type <type>', 'how the panel is connected')
        .choices(['raw-midi', 'serial', 'pty'])
        .default('raw-midi'),
    )
    .option('--port <path>', 'device file of a MIDI panel on the surface, e.g. /dev/snd/midiC1D1')
    .action(async ({ preset, portType, port, tpm, ...flags }: ConfigFlags) => {
      const { enrollConfig, enrollTpmConfig } = await import('./enroll.ts');
      const line = port === undefined ? {} : { port: { type: portType, path: port } };
      const panel = { preset, ...line } as EnrollConfigOptions['panel'];
      if (tpm) {
        const { config: gatewayConfigPath, url = null, output: form } = flags;
        print(await enrollTpmConfig({ gatewayConfigPath, url, panel, output: form }));
      } else print(await enrollConfig({ ...tokenOptions(flags), panel }));
    });
}

function tokenOptions({ config, surface, url, ...rest }: Flags) {
  if (surface !== undefined) return { ...rest, surface, gatewayConfigPath: config, url: url ?? null };
  throw new SurfacedError(
    'E_USAGE',
    'say with --surface whom the token is for; a surface with a TPM needs none',
  );
}
