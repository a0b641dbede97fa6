/** `surfaced surfaces`: list, show, approve, revoke. */
import { type Command, Option } from 'commander';
import type { Level } from '../attest/types.ts';
import { SurfacedError } from '../errors.ts';
import { type CommandLine, gatewayConfig, type Output, output, wholeNumber } from './cli.ts';

interface Flags {
  readonly config: string;
  readonly output: Output;
}

interface ApproveFlags extends Flags {
  readonly code?: string;
  readonly ek?: string;
  readonly level?: number;
  readonly policy?: string;
  readonly replace?: true;
}

/** Declares the commands. */
export function addSurfacesCommands(program: Command, { print }: CommandLine): void {
  const surfaces = program.command('surfaces').description('what the gateway knows of its surfaces');
  const declare = (nameAndArguments: string): Command =>
    surfaces.command(nameAndArguments).addOption(gatewayConfig()).addOption(output());

  declare('list')
    .description('all surfaces, one a line, and the TPMs that wait for approval')
    .action(async ({ config, output: form }: Flags) => {
      const { listSurfaces } = await import('./surfaces.ts');
      print(await listSurfaces({ gatewayConfigPath: config, output: form }));
    });

  declare('show <name>')
    .description('one surface with its defaults filled in, its state and its last verdict')
    .option('--evidence', 'its last evidence instead, as a file for `surfaced policy test`')
    .action(async (name: string, { config, output: form, evidence }: Flags & { evidence?: true }) => {
      const { showEvidence, showSurface } = await import('./surfaces.ts');
      if (evidence) print(await showEvidence(config, name));
      else print(await showSurface({ gatewayConfigPath: config, name, output: form }));
    });

  declare('approve <name>')
    .description('let the surface with this TPM in under a name; its file is made or changed')
    .addOption(new Option('--code <code>', 'code that its panel shows, e.g. 4821-9037').conflicts('ek'))
    .option('--ek <sha256>', "SHA-256 of its endorsement key's SubjectPublicKeyInfo, in hex, instead")
    .option(
      '--level <number>',
      'what you assert about how it boots, 0 to 3; docs/threat-model.md',
      wholeNumber(0, 3),
    )
    .option('--policy <name>', 'reference values that its measurements must match')
    .option('--replace', 'put this TPM in the place of another that the name has')
    .addHelpText(
      'after',
      `
Compare the code on the panel with that of \`surfaced surfaces list\` first: who has approved the wrong one has let it in.

Examples:
  surfaced surfaces approve desk --code 4821-9037 --config gateway.yaml
  surfaced surfaces approve desk --code 4821-9037 --level 1 --policy pi-baseline --config gateway.yaml`,
    )
    .action(async (name: string, flags: ApproveFlags) => {
      const { approveSurface } = await import('./approve.ts');
      print(
        await approveSurface({
          gatewayConfigPath: flags.config,
          name,
          which: whichOf(flags),
          level: (flags.level ?? null) as Level | null,
          policy: flags.policy ?? null,
          isReplacing: flags.replace === true,
          output: flags.output,
        }),
      );
    });

  declare('revoke <name>')
    .description('end its sessions now and let none begin')
    .option('--undo', 'let it act again')
    .action(async (name: string, { config, output: form, undo }: Flags & { undo?: true }) => {
      const { revokeSurface } = await import('./surfaces.ts');
      print(await revokeSurface({ gatewayConfigPath: config, name, isRevoked: undo !== true, output: form }));
    });
}

function whichOf({ code, ek }: ApproveFlags): { readonly code: string } | { readonly ek: string } {
  if (code !== undefined) return { code };
  if (ek !== undefined) return { ek };
  throw new SurfacedError('E_USAGE', 'say which TPM: --code with what its panel shows, or --ek');
}
