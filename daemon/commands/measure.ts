/** `surfaced measure`: extends a PCR of the TPM with files and writes the matching log. */
import { access } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Measured } from '../attest/measure/measure.ts';
import type { TpmConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { type CommandLine, type Output, output, wholeNumber } from './cli.ts';
import { runOnce } from './run.ts';
import { type TpmFlags, tpmOf, withTpmOptions } from './tpm-options.ts';

const defaultPcr = 14;
const defaultLog = '/run/surfaced/measure.log';
/** A folder of its own: that of the daemon, /var/lib/surfaced, belongs to another user. On the SD-card image it is bound from the data partition. */
const defaultSaved = '/var/lib/surfaced-measure/measure.log';

interface MeasureFlags extends TpmFlags {
  readonly pcr: number;
  readonly self?: true;
  readonly config?: string;
  readonly log?: string;
  readonly saved?: string;
  readonly atStart?: true;
  readonly dryRun?: true;
  readonly output: Output;
}

/** Declares it. */
export function addMeasureCommands(program: Command, { print }: CommandLine): void {
  const command = program
    .command('measure [files...]')
    .description('extends a PCR of the TPM with files and folders, and writes the log that explains it')
    .option('--pcr <number>', 'PCR: 8, 9 or 11 to 15', wholeNumber(0, 23), defaultPcr)
    .option('--self', 'measure this program too: Node, its files, its packages and its systemd units')
    .option('--config <file>', 'Device file: is measured too, and names the TPM and the log')
    .option('--at-start', 'for units: waits for the TPM of the config, and does nothing when it names none')
    .option('--log <file>', `log; left out: that of the config, else ${defaultLog}`)
    .option(
      '--saved <file>',
      `copy of the log that survives restarts; left out: ${defaultSaved} for ${defaultLog}, none for others`,
    );
  withTpmOptions(command)
    .option('--dry-run', 'read the files and tell what the PCR would be; needs no TPM and changes nothing')
    .addOption(output())
    .addHelpText(
      'after',
      `
Each file and each folder is one record; what the PCR has already is not measured again. docs/measure.md says more.

Examples:
  surfaced measure --self --config /etc/surfaced/device.yaml
  surfaced measure --pcr 15 /opt/panel/firmware.bin /opt/panel/effects/
  surfaced measure --dry-run -o json /opt/panel/effects/`,
    )
    .action(async (files: string[], flags: MeasureFlags) => {
      await runOnce(async (signal) => {
        print(await runMeasure(files, flags, signal));
        return 0;
      });
    });
}

/** Measures, and gives what is to be printed. @throws SurfacedError */
export async function runMeasure(
  files: readonly string[],
  flags: MeasureFlags,
  signal: AbortSignal,
): Promise<string> {
  const { pcr, config } = flags;
  const { ownFiles, unitFolders } = await import('../attest/measure/self.ts');
  const { checkPcr, measure, predictPcr, readContents } = await import('../attest/measure/measure.ts');
  const { openTpm } = await import('../attest/open-tpm.ts');
  checkPcr(pcr);
  const own = flags.self === true ? await ownFiles(unitFolders) : [];
  const names = [...own, ...(config === undefined ? [] : [config]), ...files];
  if (names.length === 0)
    throw new SurfacedError('E_USAGE', 'measure: name files, or give --self or --config');
  if (flags.dryRun === true) {
    const contents = await readContents(names, signal);
    const records = contents.map((content) => ({ ...content, isNew: true }));
    return printed({ records, completed: 0, carried: 0, values: predictPcr(contents, pcr) }, flags, null);
  }
  const configured = config === undefined ? null : await configuredTpm(config);
  const named = tpmOf(flags) ?? configured?.tpm ?? null;
  if (flags.atStart === true) {
    if (named === null) return 'measure: nothing is measured, no TPM is configured\n';
    await waitForDevice(named, signal);
  }
  const log = flags.log ?? configured?.log ?? defaultLog;
  const saved = flags.saved ?? (log === defaultLog ? defaultSaved : null);
  const tpm = openTpm(named ?? {});
  try {
    return printed(await measure({ names, pcr, log, saved, tpm }, signal), flags, log);
  } finally {
    await tpm.close();
  }
}

/** Drivers are loaded while services start; a TPM that is not there after this time is an error, milliseconds. */
const deviceWaitMs = 20_000;
const lookEveryMs = 200;

/** Waits for the device file of a TPM; what is wrong with it is told by whoever opens it. */
async function waitForDevice({ swtpm, mssim, device }: TpmConfig, signal: AbortSignal): Promise<void> {
  if (swtpm !== undefined || mssim !== undefined) return;
  const { defaultDevice } = await import('../attest/tpm2/index.ts');
  const limit = performance.now() + deviceWaitMs;
  const isMissing = () =>
    access(device ?? defaultDevice).then(
      () => false,
      () => true,
    );
  while ((await isMissing()) && performance.now() < limit) await pause(lookEveryMs, undefined, { signal });
}

/** What a Device file says of its TPM; null: nothing. */
async function configuredTpm(
  file: string,
): Promise<{ readonly tpm: TpmConfig; readonly log: string } | null> {
  const { loadDevice } = await import('./load-device.ts');
  const tpm = (await loadDevice(file)).identity?.tpm;
  if (tpm === undefined) return null;
  return { tpm: tpmOf(tpm) ?? {}, log: tpm.measuredLog };
}

function printed(
  { records, completed, carried, values }: Measured,
  { pcr, output: form, dryRun }: MeasureFlags,
  log: string | null,
): string {
  const files = records.map(({ path, sha256, isNew }) => ({ path, sha256: sha256.toString('hex'), isNew }));
  const ofBanks = [...values].map(([bank, value]) => [bank, Buffer.from(value).toString('hex')] as const);
  if (form === 'json') {
    const byBank = Object.fromEntries(ofBanks.map(([bank, value]) => [bank, { [pcr]: value }]));
    return `${JSON.stringify({ pcr, log, records: files, completed, carried, values: byBank }, null, 2)}\n`;
  }
  const lines = files.map(({ path, sha256, isNew }) => `${isNew ? 'new  ' : 'known'}  ${sha256}  ${path}`);
  if (completed > 0) lines.push(`${completed} records of an interrupted call were completed`);
  if (carried > 0)
    lines.push(`${carried} records are of earlier starts, as the TPM was not reset with the machine`);
  const verb = dryRun === true ? 'would be, after a restart,' : 'is';
  return [...lines, ...ofBanks.map(([bank, value]) => `PCR ${pcr} ${verb} ${bank}:${value}`), ''].join('\n');
}
