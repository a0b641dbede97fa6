/** `surfaced first-boot` and `surfaced show-problem`: what the image runs at each start, before the device. */
import type { Command } from 'commander';
import type { CommandLine } from './cli.ts';
import { runOnce, runRole } from './run.ts';
import { type TpmFlags, tpmOf, withTpmOptions } from './tpm-options.ts';

interface Flags extends TpmFlags {
  readonly root: string;
  readonly report?: true;
}

/** Declares them. */
export function addFirstBootCommands(program: Command, { logFor, print }: CommandLine): void {
  withTpmOptions(
    program
      .command('first-boot')
      .description(
        'takes over what a maker put on the boot partition; run by the image at each start, and harmless when run twice',
      )
      .option('--report', 'only write surfaced-report.txt, with what is known of network and panel by now')
      .option('--root <folder>', 'folder that stands for /, for trying out', '/'),
  ).action(({ root, report, ...tpm }: Flags) =>
    runOnce(async (signal) => {
      const { runFirstBoot, runReport } = await import('./first-boot-run.ts');
      const options = { root, tpm: tpmOf(tpm), signal };
      print(report === true ? await runReport(options) : await runFirstBoot(options));
      return 0;
    }),
  );

  program
    .command('show-problem')
    .description('shows on the panel why the surface cannot work, until it is stopped; run by the image')
    .option('--file <file>', 'what `surfaced first-boot` found', '/run/surfaced/problem.json')
    .action(({ file }: { file: string }) =>
      runRole(async (signal) => {
        const { runShowProblem } = await import('./show-problem.ts');
        return runShowProblem(file, await logFor('info'), signal);
      }),
    );
}
