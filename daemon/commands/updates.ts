/** `surfaced updates`: bundles that a gateway offers, and rollouts of them. */
import type { Command } from 'commander';
import { type CommandLine, gatewayConfig, type Output, output, wholeNumber } from './cli.ts';
import { runOnce } from './run.ts';

interface Flags {
  readonly config: string;
  readonly output: Output;
}

interface RollFlags extends Flags {
  readonly surfaces?: string[];
  readonly all?: true;
  readonly atOnce: number;
  readonly stopAfter: number;
  readonly name?: string;
  readonly paused?: true;
}

/** Declares the commands. */
export function addUpdatesCommands(program: Command, { print }: CommandLine): void {
  const updates = program.command('updates').description('new versions for surfaces that run the image');
  const declare = (nameAndArguments: string): Command =>
    updates.command(nameAndArguments).addOption(gatewayConfig()).addOption(output());

  declare('add <bundle>')
    .description('checks a bundle, puts its reference set into force and the bundle where surfaces fetch it')
    .option(
      '--key <file>',
      'sign its reference set with this private key, as `surfaced policy key` makes one',
    )
    .addHelpText(
      'after',
      `
Without --key the reference set must be in force already, or the gateway takes unsigned ones: see docs/rollout.md.

Examples:
  surfaced updates add surfaced-1.2.0.raucb --config gateway.yaml --key policy.key`,
    )
    .action(async (bundle: string, { config, output: form, key }: Flags & { key?: string }) => {
      const { addBundle } = await import('./updates-bundles.ts');
      await runOnce(async (signal) => {
        print(await addBundle({ bundle, gatewayConfigPath: config, key: key ?? null, output: form, signal }));
        return 0;
      });
    });

  declare('references <bundle>')
    .description('the reference set that is signed with a bundle, to be looked at and signed elsewhere')
    .action(async (bundle: string, { config }: Flags) => {
      const { showReferences } = await import('./updates-bundles.ts');
      print(await showReferences(config, bundle));
    });

  declare('list')
    .description('bundles and rollouts')
    .action(async ({ config, output: form }: Flags) => {
      const { listUpdates } = await import('./updates-bundles.ts');
      print(await listUpdates(config, form));
    });

  declare('roll <version>')
    .description('begin a rollout: surfaces are asked one after the other, and no more once some have failed')
    .option('--surfaces <names...>', 'these, in this order')
    .option('--all', 'all surfaces of the gateway, also those to come')
    .option('--at-once <number>', 'so many at most at the same time', wholeNumber(1, 1000), 1)
    .option('--stop-after <number>', 'stop once so many have failed', wholeNumber(1, 5000), 1)
    .option('--name <name>', 'name of the rollout; left out: made of the version')
    .option('--paused', 'ask nobody until `surfaced updates resume`')
    .addHelpText(
      'after',
      `
Examples:
  surfaced updates roll 1.2.0 --surfaces bench --config gateway.yaml
  surfaced updates roll 1.2.0 --all --at-once 5 --stop-after 2 --config gateway.yaml`,
    )
    .action(async (version: string, flags: RollFlags) => {
      const { roll } = await import('./updates-rollouts.ts');
      print(
        await roll({
          gatewayConfigPath: flags.config,
          version,
          surfaces: flags.surfaces ?? null,
          isForAll: flags.all === true,
          atOnce: flags.atOnce,
          stopAfterFailures: flags.stopAfter,
          name: flags.name ?? null,
          isPaused: flags.paused === true,
          output: flags.output,
        }),
      );
    });

  declare('show [name]')
    .description('how far the surfaces of a rollout have come; left out: of all')
    .action(async (name: string | undefined, { config, output: form }: Flags) => {
      const { showRollouts } = await import('./updates-rollouts.ts');
      print(await showRollouts({ gatewayConfigPath: config, name: name ?? null, output: form }));
    });

  declare('pause <name>')
    .description('ask no other surface; those on their way go on')
    .action(async (name: string, { config, output: form }: Flags) => {
      const { pauseRollout } = await import('./updates-rollouts.ts');
      print(await pauseRollout({ gatewayConfigPath: config, name, output: form }));
    });

  declare('resume <name>')
    .description('go on with a rollout that is paused, or has stopped')
    .option('--stop-after <number>', 'failures after which it stops from now on', wholeNumber(1, 5000))
    .action(async (name: string, { config, output: form, stopAfter }: Flags & { stopAfter?: number }) => {
      const { resumeRollout } = await import('./updates-rollouts.ts');
      print(
        await resumeRollout({
          gatewayConfigPath: config,
          name,
          stopAfterFailures: stopAfter ?? null,
          output: form,
        }),
      );
    });

  declare('abort <name>')
    .description('take a rollout away for good; surfaces that were asked already go on')
    .action(async (name: string, { config, output: form }: Flags) => {
      const { abortRollout } = await import('./updates-rollouts.ts');
      print(await abortRollout({ gatewayConfigPath: config, name, output: form }));
    });
}
