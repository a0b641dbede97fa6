/** `surfaced audit`: the gateway's audit log is verified offline, or read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandLine, type Output, output, wholeNumber } from './cli.ts';

/** A parser for SHA-256 in hex. */
function hash(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected 64 hex digits, lower case.');
}

interface VerifyFlags {
  readonly head?: string;
  readonly start?: string;
  readonly signer?: string;
  readonly output: Output;
}
interface ShowFlags {
  readonly kind?: string;
  readonly surface?: string;
  readonly last: number;
  readonly output: Output;
}

/** Declares them. */
export function addAuditCommands(program: Command, { print }: CommandLine): void {
  const audit = program.command('audit').description('the audit log of a gateway');
  audit
    .command('verify <path>')
    .description('checks chain, signed head and every quote of an audit log, offline')
    .option('--head <hash>', 'hash of a record that was published: the log must have it', hash)
    .option(
      '--signer <hash>',
      'the key that must have signed the head, as an earlier verification showed it',
      hash,
    )
    .option('--start <hash>', 'hash of the record before the first, where older files were moved away', hash)
    .addOption(output())
    .addHelpText(
      'after',
      `
The path is the folder of the log, \`audit\` in the gateway's state folder or a copy of it, or one of its files. Exit
code 1: something is wrong, and the first bad record is named. docs/audit.md says what is proven.

Examples:
  surfaced audit verify /var/lib/surfaced/audit
  surfaced audit verify copy/ --head 5f0c... --signer 91ab... -o json`,
    )
    .action(async (path: string, flags: VerifyFlags) => {
      const { runAuditVerify } = await import('./audit-verify.ts');
      const { head = null, start = null, signer = null } = flags;
      const options = { path, publishedHash: head, startHash: start, signer };
      const { text, isSound } = await runAuditVerify(options, flags.output);
      print(text);
      process.exitCode = isSound ? 0 : 1;
    });
  audit
    .command('show <path>')
    .description('the newest records, as they stand: nothing is verified')
    .addOption(
      new Option('--kind <kind>', 'only records of this kind').choices([
        'gateway',
        'verdict',
        'certificate',
        'trust',
        'command',
        'update',
        'operator',
        'segment',
        'signer',
        'recovered',
      ]),
    )
    .option('--surface <name>', 'only records about this surface')
    .option('--last <count>', 'how many at most', wholeNumber(1, 100_000), 100)
    .addOption(output())
    .action(async (path: string, flags: ShowFlags) => {
      const { runAuditShow } = await import('./audit-show.ts');
      const { kind = null, surface = null, last } = flags;
      print(await runAuditShow({ path, kind, surface, last }, flags.output));
    });
}
