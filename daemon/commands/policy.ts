/** `surfaced policy`: reference sets are looked at, learned, tried, signed. */
import { type Command, Option } from 'commander';
import type { Level } from '../attest/types.ts';
import { type CommandLine, type Output, output, wholeNumber } from './cli.ts';

const config = () =>
  new Option(
    '--config <file>',
    "Gateway file: its signers and rules count; left out: nobody's signature is checked",
  );
const evidence = () =>
  new Option('--evidence <file>', 'evidence, as `surfaced surfaces show NAME --evidence` writes it');

/** Declares them. */
export function addPolicyCommands(program: Command, { print }: CommandLine): void {
  const policy = program.command('policy').description('reference sets: what measurements must match');
  addShow(policy, print);
  addLearn(policy, print);
  addTest(policy, print);
  addKey(policy, print);
  addSign(policy, print);
}

type Print = CommandLine['print'];

function addShow(policy: Command, print: Print): void {
  policy
    .command('show [files...]')
    .description(
      'reference sets with validity, signer and problems: these files, or the folder of the gateway',
    )
    .addOption(config())
    .addOption(output())
    .action(async (files: string[], flags: { config?: string; output: Output }) => {
      const { showPolicies } = await import('./policy-show.ts');
      print(await showPolicies({ files, gatewayConfigPath: flags.config ?? null, output: flags.output }));
    });
}

interface LearnFlags {
  readonly config?: string;
  readonly surface?: string;
  readonly evidence?: string;
  readonly name: string;
  readonly setVersion?: number;
  readonly days: number;
  readonly out?: string;
  readonly key?: string;
}

function addLearn(policy: Command, print: Print): void {
  policy
    .command('learn')
    .description('makes a reference set of what a known-good surface has measured')
    .option('--config <file>', 'Gateway file')
    .option('--surface <name>', 'surface whose last evidence the gateway keeps')
    .addOption(evidence().conflicts(['surface']))
    .requiredOption('--name <name>', 'name of the policy')
    .option(
      '--set-version <number>',
      'version of the set; left out: one more than the gateway has, else 1',
      wholeNumber(1, 1_000_000_000),
    )
    .option('--days <number>', 'how long it counts from now on', wholeNumber(1, 3650), 90)
    .option('--out <file>', 'write it there, the list of IMA beside it; left out: to stdout')
    .option('--key <file>', 'sign it with this private key; needs --out')
    .addHelpText(
      'after',
      `
Whatever the surface ran is good from then on: read the set before you sign it.

Examples:
  surfaced policy learn --config gateway.yaml --surface desk --name pi-baseline --out pi-baseline-1.yaml
  surfaced policy learn --evidence desk.json --name pi-baseline`,
    )
    .action(async (flags: LearnFlags) => {
      const { learnPolicy } = await import('./policy-learn.ts');
      const { text, notes } = await learnPolicy({
        gatewayConfigPath: flags.config ?? null,
        surface: flags.surface ?? null,
        evidence: flags.evidence ?? null,
        name: flags.name,
        version: flags.setVersion ?? null,
        days: flags.days,
        out: flags.out ?? null,
        key: flags.key ?? null,
      });
      for (const note of notes) process.stderr.write(`surfaced: ${note}\n`);
      print(text);
    });
}

interface TestFlags {
  readonly evidence: string;
  readonly config?: string;
  readonly assertedLevel: Level;
  readonly requiredLevel?: Level;
  readonly output: Output;
}

function addTest(policy: Command, print: Print): void {
  policy
    .command('test <files...>')
    .description('judges evidence by reference sets, offline; exit code 1 when it is not trusted')
    .addOption(evidence().makeOptionMandatory())
    .addOption(config())
    .option('--asserted-level <level>', 'what you assert about how the surface boots', wholeNumber(0, 3), 1)
    .option(
      '--required-level <level>',
      'least level; left out: that of the Gateway file, else 0',
      wholeNumber(0, 3),
    )
    .addOption(output())
    .action(async (files: string[], flags: TestFlags) => {
      const { testPolicy } = await import('./policy-test.ts');
      const { text, isTrusted } = await testPolicy({
        files,
        evidence: flags.evidence,
        gatewayConfigPath: flags.config ?? null,
        assertedLevel: flags.assertedLevel,
        requiredLevel: flags.requiredLevel ?? null,
        output: flags.output,
      });
      print(text);
      process.exitCode = isTrusted ? 0 : 1;
    });
}

function addKey(policy: Command, print: Print): void {
  policy
    .command('key')
    .description('makes a key pair that signs reference sets; keep the private one away from the gateway')
    .requiredOption('--out <file>', 'file of the private key; the public one is <file>.pub')
    .addOption(output())
    .action(async (flags: { out: string; output: Output }) => {
      const { makePolicyKey } = await import('./policy-sign.ts');
      print(await makePolicyKey(flags));
    });
}

function addSign(policy: Command, print: Print): void {
  policy
    .command('sign <files...>')
    .description('checks reference sets and writes their signatures beside them, <file>.sig')
    .requiredOption('--key <file>', 'private key, as `surfaced policy key` makes one')
    .addOption(output())
    .action(async (files: string[], flags: { key: string; output: Output }) => {
      const { signPolicies } = await import('./policy-sign.ts');
      print(await signPolicies({ files, ...flags }));
    });
}
