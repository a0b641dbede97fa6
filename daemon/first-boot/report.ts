/**
 * `surfaced-report.txt` on the boot partition: what a maker reads after putting the card into a computer. Plain words, lines
 * as Windows ends them, no secrets. It is written when it says something new, not at each start.
 */
import path from 'node:path';
import { type Disk, doing, mostOwnBytes, onCard, replaceFile } from './disk.ts';
import type { FileOutcome, Status } from './outcome.ts';

/** Its name. */
export const reportName = 'surfaced-report.txt';

/** What is told beside what came of the files. */
export interface Facts {
  readonly version: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly isClockSynchronized: boolean;
  readonly hostname: string;
  /** Such as `192.168.1.20 (wlan0)`; null: it is too early to tell, which is nothing new. */
  readonly addresses: readonly string[] | null;
  readonly hasTpm: boolean;
  /** Null: not known. */
  readonly panel: { readonly name: string; readonly where: string; readonly isThere: boolean } | null;
  /** What the daemon waits to be let in with; null: it does not, or it is too early to tell. */
  readonly pairingCode: string | null;
  /** How the surface proves itself; null: not known. */
  readonly identity: 'tpm' | 'token' | null;
}

/** Lines that do not count when reports are compared: of every start, or dear to find out. */
const unsteady = /^(?:Written| {2}endorsement key) .*$/gm;
/** Lines that an early report does not know yet. */
const late = /^Network: .*\n|^ {2}pairing code .*\n/gm;

/** The code in what the daemon says of itself to systemd; null: it waits for nobody. */
export const pairingCodeIn = (status: string): string | null =>
  /waits to be let in with the code (\d{4}-\d{4})(?:;|$)/.exec(status)?.[1] ?? null;

/**
 * Writes the report, if it says something new.
 * @param options.ekSha256 finds out the hash of the endorsement key; null: it cannot be told. Asked only when it is needed
 * @returns whether it was written
 * @throws SurfacedError E_FIRST_BOOT
 */
export async function writeReport(options: {
  readonly disk: Disk;
  readonly folder: string;
  readonly status: Status;
  readonly facts: Facts;
  readonly ekSha256: () => Promise<string | null>;
  readonly whileWritable: <T>(work: () => Promise<T>) => Promise<T>;
}): Promise<boolean> {
  const { disk, folder, status, facts, ekSha256, whileWritable } = options;
  const file = path.join(folder, reportName);
  const before = await doing(file, () => disk.read(file, mostOwnBytes));
  const steady = (text: string): string => {
    const rest = text.replaceAll('\r', '').replaceAll(unsteady, '');
    return facts.addresses === null ? rest.replaceAll(late, '') : rest;
  };
  if (before !== null && steady(before.toString('utf8')) === steady(reportText(status, facts, '-')))
    return false;
  const text = reportText(status, facts, facts.hasTpm ? await ekSha256() : null);
  await whileWritable(() => replaceFile(disk, file, text.replaceAll('\n', '\r\n'), onCard));
  return true;
}

/** The report, with lines as Unix ends them. */
export function reportText(status: Status, facts: Facts, ekSha256: string | null): string {
  const { version, at, isClockSynchronized, hostname, addresses, hasTpm, panel, pairingCode } = facts;
  const clock = isClockSynchronized
    ? 'set by a time server'
    : 'not set by a time server yet: the time may be wrong';
  const time = new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  const panelLine =
    panel === null
      ? 'Panel: not known'
      : `Panel: ${panel.name} at ${panel.where}: ${panel.isThere ? 'there' : 'NOT THERE'}`;
  return `${[
    `surfaced ${version}`,
    `Written ${time} UTC, clock ${clock}`,
    '',
    ...fileLines('surfaced.yaml', status.device, status.isConfigured),
    ...fileLines('rpi-preseed.toml', status.preseed, null),
    ...status.notes.flatMap((note) => noteLines(note)),
    '',
    `Network: ${networkOf(addresses)}`,
    `  name ${hostname}`,
    hasTpm ? 'TPM: there' : 'TPM: none found',
    ...(hasTpm ? [`  endorsement key ${ekSha256 ?? 'not asked'}`] : []),
    ...(pairingCode === null ? [] : [`  pairing code ${pairingCode}, when this was written`]),
    panelLine,
    '',
    ...(status.problem === null ? [] : [`${status.problem.code} ${status.problem.title}`]),
    `Next: ${nextStep(status, facts)}`,
    '',
    'docs/first-boot.md says more.',
  ].join('\n')}\n`;
}

function networkOf(addresses: Facts['addresses']): string {
  if (addresses === null) return 'not looked at yet';
  return addresses.length === 0 ? 'no address yet' : addresses.join(', ');
}

function fileLines(usual: string, outcome: FileOutcome | null, isInForce: boolean | null): string[] {
  const name = outcome?.name ?? usual;
  return [`${name}: ${stateOf(outcome, isInForce)}`, ...(outcome?.notes ?? []).flatMap(noteLines)];
}

function stateOf(outcome: FileOutcome | null, isInForce: boolean | null): string {
  switch (outcome?.state) {
    case 'taken over':
      return isInForce === null ? 'taken over, and erased' : 'in force';
    case 'partly':
      return 'taken over but for what is refused below; it stays here, with what is secret in it';
    case 'refused':
      return isInForce === true ? 'REFUSED; the one before stays in force' : 'REFUSED';
    case undefined:
      return isInForce === true ? 'in force' : 'none';
  }
}

function noteLines({ kind, text, remedy }: FileOutcome['notes'][number]): string[] {
  const line = `  ${kind}: ${oneLine(text)}`;
  return remedy === null ? [line] : [line, `    ${oneLine(remedy)}`];
}

/** Names come from files of anybody. */
const oneLine = (text: string): string => text.replaceAll(/\p{Cc}/gu, ' ').slice(0, 400);

function nextStep({ problem, isConfigured, preseed }: Status, { identity, addresses }: Facts): string {
  switch (problem?.code) {
    case 'E1':
    case 'E2':
      return 'correct what is refused above, on this partition, and start again.';
    case 'E3':
      return 'put a surfaced.yaml here: `surfaced enroll config` on the gateway makes it, or see surfaced.yaml.example.';
    case 'E4':
      return 'look after the card: it cannot be written. Another card is the surest way.';
    case 'E5':
      return 'put a surfaced.yaml here that this version understands; the messages say what has changed.';
    case 'E6':
      return 'put a surfaced.yaml with a new token here: `surfaced enroll config` on the gateway makes it.';
    case undefined:
      break;
  }
  if (preseed?.state === 'refused' || preseed?.state === 'partly')
    return 'correct what is refused above, on this partition, and start again.';
  if (isConfigured && addresses?.length === 0)
    return 'wait for an address, or look after cable and Wi-Fi; the messages above may say why.';
  if (identity === 'tpm')
    return 'compare the code on the panel with `surfaced surfaces list` on the gateway, then `surfaced surfaces approve NAME --code CODE`. Where no panel can show it: `surfaced surfaces approve NAME --ek KEY` with the endorsement key above, if nobody else has had this card. Nothing, if that is done.';
  return 'nothing. If the panel stays dark, see `surfaced doctor`.';
}
