/** `surfaced secret`: seals secrets to the TPM and what was measured, opens them, and approves new measurements. */
import { Buffer } from 'node:buffer';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import type { SealedFile } from '../attest/secrets/sealed-file.ts';
import type { Tpm } from '../attest/tpm2/index.ts';
import { SurfacedError } from '../errors.ts';
import { type CommandLine, type Output, output } from './cli.ts';
import { runOnce } from './run.ts';
import { type TpmFlags, tpmOf, withTpmOptions } from './tpm-options.ts';

const mostPemBytes = 16 * 1024;

interface SealFlags extends TpmFlags {
  readonly pcrs: readonly number[];
  readonly updateKey?: string;
  readonly in?: string;
}
interface ApproveFlags extends TpmFlags {
  readonly key: string;
  readonly from?: 'current';
  readonly pcrValues?: string;
}

/** A parser for a list such as `8,14`. */
function pcrList(text: string): readonly number[] {
  const pcrs = [...new Set(text.split(',').map(Number))].sort((one, other) => one - other);
  if (/^\d+(?:,\d+)*$/.test(text) && pcrs.every((pcr) => pcr <= 15)) return pcrs;
  throw new InvalidArgumentError('Expected PCRs from 0 to 15, such as 8,14.');
}

/** Declares them. */
export function addSecretCommands(program: Command, { print }: CommandLine): void {
  const secret = program
    .command('secret')
    .description('secrets that only this TPM opens, while the measurements are those that were approved');
  const run = (work: (signal: AbortSignal) => Promise<string | Uint8Array>) =>
    runOnce(async (signal) => {
      const result = await work(signal);
      if (typeof result === 'string') print(result);
      else await written(result);
      return 0;
    });

  withTpmOptions(
    secret
      .command('seal <file>')
      .description('seals what comes from stdin, at most 64 KiB, into a new file')
      .option('--pcrs <list>', 'PCRs that must be as they are now, such as 8,14', pcrList, [14])
      .option('--update-key <file>', 'P-256 public key (PEM) of who may approve other measurements')
      .option('--in <file>', 'take the secret from this file'),
  )
    .addHelpText(
      'after',
      `
Examples:
  printf %s "$password" | surfaced secret seal /etc/surfaced/wifi.sealed --update-key update-key.pub
  surfaced secret seal /etc/surfaced/device.sealed --in device.yaml --pcrs 8,14`,
    )
    .action((file: string, flags: SealFlags) => run((signal) => runSeal(file, flags, signal)));

  withTpmOptions(secret.command('open <file>').description('writes the secret to stdout')).action(
    (file: string, flags: TpmFlags) => run((signal) => runOpen(file, flags, signal)),
  );

  withTpmOptions(
    secret
      .command('approve <file>')
      .description('lets it open with other measurements, too; without --from it needs no TPM')
      .requiredOption('--key <file>', 'P-256 private key (PEM) that belongs to its update key')
      .addOption(new Option('--from <where>', 'what the PCRs are now').choices(['current']))
      .addOption(
        new Option(
          '--pcr-values <file>',
          'values as `surfaced measure --dry-run -o json` and `surfaced secret info -o json` print them',
        ).conflicts('from'),
      ),
  ).action((file: string, flags: ApproveFlags) => run(() => runApprove(file, flags)));

  withTpmOptions(
    secret.command('info <file>').description('what it is sealed to, and whether it would open now'),
  )
    .addOption(output())
    .action((file: string, flags: TpmFlags & { output: Output }) => run(() => runInfo(file, flags)));
}

/** Resolves once all of it is with whoever reads; half a secret must not pass for one. @throws SurfacedError E_SECRET */
async function written(bytes: Uint8Array): Promise<void> {
  const { stdout } = process;
  await new Promise<void>((resolve, reject) => {
    // The stream tells of it a second time.
    stdout.once('error', () => {});
    stdout.write(bytes, (cause) => {
      if (!cause) return resolve();
      const { code } = cause as NodeJS.ErrnoException;
      reject(new SurfacedError('E_SECRET', `stdout: the secret cannot be written (${code})`, { cause }));
    });
  });
}

async function withTpm<Value>(flags: TpmFlags, work: (tpm: Tpm) => Promise<Value>): Promise<Value> {
  const { openTpm } = await import('../attest/open-tpm.ts');
  const tpm = openTpm(tpmOf(flags) ?? {});
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

/** Seals what `in` or stdin holds. @throws SurfacedError */
export async function runSeal(name: string, flags: SealFlags, signal: AbortSignal): Promise<string> {
  const { boundedText, secretLimits, writeSealed } = await import('../attest/secrets/sealed-file.ts');
  const { readUpdateKey } = await import('../attest/secrets/policy.ts');
  const { seal } = await import('../attest/secrets/secret.ts');
  const { pcrs, updateKey } = flags;
  const pem = updateKey === undefined ? null : await boundedText(updateKey, mostPemBytes);
  const options = {
    text: await inputOf(flags.in ?? null, secretLimits.mostTextBytes),
    pcrs,
    updateKey: pem === null ? null : readUpdateKey(pem, 'public'),
    now: Date.now(),
  };
  const file = await withTpm(flags, (tpm) => seal(tpm, options, signal));
  await writeSealed(name, file, true);
  const empty = pcrs.filter((pcr) => /^0+$/.test(file.sealed.values[pcr] ?? ''));
  const lines = [`${name}: ${options.text.length} bytes, sealed to PCR ${pcrs.join(', ')}`];
  if (empty.length > 0)
    lines.push(
      `warning: nothing was measured into PCR ${empty.join(', ')}: any software that boots this machine opens it`,
    );
  if (pem === null)
    lines.push('warning: no update key: after a change of what is measured it has to be sealed again');
  return `${lines.join('\n')}\n`;
}

/** One byte more than is allowed at most, so that too much is seen. */
async function inputOf(file: string | null, mostBytes: number): Promise<Buffer> {
  const { createReadStream } = await import('node:fs');
  const stream = file === null ? process.stdin : createReadStream(file, { end: mostBytes });
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > mostBytes) break;
    }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new SurfacedError('E_USAGE', `the secret cannot be read: ${reason}`, { cause });
  }
  return Buffer.concat(pieces);
}

/** The secret. @throws SurfacedError */
export async function runOpen(name: string, flags: TpmFlags, signal: AbortSignal): Promise<Uint8Array> {
  const { readSealed } = await import('../attest/secrets/sealed-file.ts');
  const { unseal } = await import('../attest/secrets/secret.ts');
  const file = await readSealed(name);
  return withTpm(flags, (tpm) => unseal(tpm, name, file, signal));
}

/** Adds an approval to the file. @throws SurfacedError */
export async function runApprove(name: string, flags: ApproveFlags): Promise<string> {
  const { boundedText, readSealed, writeSealed } = await import('../attest/secrets/sealed-file.ts');
  const { readUpdateKey } = await import('../attest/secrets/policy.ts');
  const { currentValues, withApproval } = await import('../attest/secrets/secret.ts');
  const { from, pcrValues } = flags;
  if (from === undefined && pcrValues === undefined)
    throw new SurfacedError('E_USAGE', 'secret approve: give --from current or --pcr-values');
  const file = await readSealed(name);
  const privateKey = readUpdateKey(await boundedText(flags.key, mostPemBytes), 'private');
  const values =
    pcrValues === undefined
      ? await withTpm(flags, (tpm) => currentValues(tpm, file.pcrs))
      : await givenValues(pcrValues);
  const approved = withApproval(name, file, { values, privateKey, now: Date.now() });
  await writeSealed(name, approved, false);
  const { approvals } = approved;
  const chosen = file.pcrs.map((pcr) => `PCR ${pcr} ${approvals.at(-1)?.values[pcr]}`);
  return `${name}: opens also with ${chosen.join(', ')}\n`;
}

async function givenValues(name: string) {
  const { boundedText, pcrValuesSchema } = await import('../attest/secrets/sealed-file.ts');
  const text = await boundedText(name, mostPemBytes * 64);
  const schema = z.object({ values: z.object({ sha256: pcrValuesSchema }) });
  try {
    return schema.parse(JSON.parse(text)).values.sha256;
  } catch (cause) {
    throw new SurfacedError('E_USAGE', `${name}: not {"values":{"sha256":{"<PCR>":"<hex>"}}}`, { cause });
  }
}

/** What the file is sealed to. @throws SurfacedError */
export async function runInfo(name: string, flags: TpmFlags & { readonly output: Output }): Promise<string> {
  const { readSealed } = await import('../attest/secrets/sealed-file.ts');
  const { currentValues, differing } = await import('../attest/secrets/secret.ts');
  const file = await readSealed(name);
  const now = await withTpm(flags, (tpm) => currentValues(tpm, file.pcrs)).catch((problem: unknown) => {
    if (problem instanceof SurfacedError && problem.code === 'E_TPM_OPEN') return null;
    throw problem;
  });
  const others = now === null ? null : differing(file, now);
  const { pcrs, sealed, updateKey, approvals } = file;
  if (flags.output === 'json') {
    const states = approvals.map(({ at, values }) => ({ at, values }));
    const values = now === null ? null : { sha256: now };
    const report = { pcrs, updateKey, sealed, approvals: states, values, differing: others };
    return `${JSON.stringify(report, null, 2)}\n`;
  }
  return `${infoLines(file, others).join('\n')}\n`;
}

function infoLines({ pcrs, sealed, updateKey, approvals }: SealedFile, others: readonly number[] | null) {
  const state = ({ at, values }: SealedFile['sealed']) =>
    `${at}  ${pcrs.map((pcr) => `PCR ${pcr} ${values[pcr]}`).join(', ')}`;
  const now =
    others === null
      ? 'not known: the TPM does not answer'
      : others.length === 0
        ? 'the PCRs are as they must be'
        : `it would not open: PCR ${others.join(', ')} ${others.length === 1 ? 'differs' : 'differ'}`;
  return [
    `sealed    ${state(sealed)}`,
    ...approvals.map((approval) => `approved  ${state(approval)}`),
    `updates   ${updateKey === null ? 'no update key' : 'may be approved with its update key'}`,
    `now       ${now}`,
  ];
}
