/**
 * Judges the logs: whether each replays to the PCRs that were quoted.
 *
 * A log that is not there is no failure, and neither is a PCR that no log explains: a policy that needs them does not match
 * without. A log that is sent and does not replay is one, whatever the level. What a log says of PCRs that are not quoted
 * counts for nothing.
 *
 * Of two logs that extend one PCR:
 * - The firmware comes before `surfaced measure`, which goes on from its values; both are proven.
 * - It comes before systemd, too. But whoever sends both logs can say of an event that it is a record, and the other way
 *   round: of that PCR neither is proven.
 * - The order of `surfaced measure`, systemd and IMA among each other is not known: refused.
 */
import type { LogName } from '../evidence/evidence.ts';
import { asBuffer, isFilledWith, isSameBytes } from '../logs/log.ts';
import type { PcrValues } from '../logs/replay.ts';
import type { Proven } from '../policy/types.ts';
import type { Level } from '../types.ts';
import { type Checklist, failed, passed, type Ruling, skipped } from './checks.ts';
import { imaRuling, provenEntries } from './ima.ts';
import {
  provenEvents,
  provenRecords,
  type QuotedPcrs,
  type Replayed,
  replayFirmware,
  replayUserspace,
  type UserspaceLog,
} from './replays.ts';
import type { WholeLogs } from './types.ts';
import type { Measured } from './verdict.ts';

/** What the logs came to. */
export interface LogFindings {
  readonly proven: Proven;
  readonly measured: Measured;
}

/** PCRs of the firmware (PC Client Platform Firmware Profile, section 3.3.4). */
const firmwarePcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Gives what a computation gave, or throws what it threw, each time it is asked. */
type Outcome<Value> = () => Value;

/** Makes the checks `firmware-log`, `measured-log`, `systemd-log` and `ima-list`. */
export function judgeLogs(
  checks: Checklist,
  logs: WholeLogs,
  quoted: QuotedPcrs & { readonly assertedLevel: Level },
): LogFindings {
  const firmware = outcome(() => logs.firmware && replayFirmware(logs.firmware, quoted));
  const start = settled(firmware)?.values ?? new Map();
  const userspace = (name: UserspaceLog) =>
    outcome(() => logs[name] && replayUserspace(name, logs[name], { ...quoted, start }));
  const [measured, systemd] = [userspace('measured'), userspace('systemd')];
  const others = { measured: touchedBy(systemd), systemd: touchedBy(measured) };
  const later = new Set([...others.measured, ...others.systemd]);
  const firmwareQuoted = { ...quoted, pcrs: without(quoted.pcrs, others.measured) };

  const events = checks.judge('firmware-log', () => {
    const replayed = firmware();
    const unexplained = unexplainedPcrs(firmwareQuoted.pcrs, quoted.pcrs, replayed);
    const note = unexplained.length === 0 ? '' : `; no event of the firmware explains ${named(unexplained)}`;
    if (note !== '' && quoted.assertedLevel === 3)
      return failed(`logs, firmware: no event explains ${named(unexplained)}, which level 3 needs`);
    return replayRuling('firmware', replayed, { quoted, later, shared: [], note });
  });
  const userspaceRuling = (name: UserspaceLog, log: Outcome<Replayed | null>) => {
    const replayed = log();
    const shared = [...(replayed?.touched ?? [])].filter((pcr) => others[name].has(pcr));
    return replayRuling(name, replayed, { quoted, later: new Set(), shared, note: '' });
  };
  const files = checks.judge('measured-log', () => userspaceRuling('measured', measured));
  const records = checks.judge('systemd-log', () => userspaceRuling('systemd', systemd));
  const ima = checks.judge('ima-list', () =>
    imaRuling(logs.ima, { ...quoted, touched: new Set([...later, ...touchedBy(firmware)]), beforeUserspace }),
  );

  /** What a PCR was when the kernel started: what userspace has extended since is known, as its logs replay. */
  function beforeUserspace(pcr: number): Uint8Array | null {
    const now = quoted.pcrs.get(pcr) ?? null;
    return now !== null && later.has(pcr) ? (start.get(pcr) ?? new Uint8Array(now.length)) : now;
  }
  return {
    proven: {
      bank: quoted.bank,
      pcrs: quoted.pcrs,
      firmware: events && logs.firmware && provenEvents(logs.firmware, firmwareQuoted),
      measured: files && logs.measured && provenRecords(logs.measured, quoted),
      systemd:
        records &&
        logs.systemd &&
        provenRecords(logs.systemd, { ...quoted, pcrs: without(quoted.pcrs, touchedBy(firmware)) }),
      ima: ima && logs.ima && provenEntries(logs.ima, ima),
      imaViolations: ima?.violations ?? 0,
    },
    measured: {
      firmwareEvents: recordsOf(events, firmwareQuoted.pcrs),
      files: recordsOf(files, quoted.pcrs),
      systemdRecords: recordsOf(records, quoted.pcrs),
      imaEntries: ima?.entries ?? 0,
      imaViolations: ima?.violations ?? 0,
    },
  };
}

const recordsOf = (replayed: Replayed | null, pcrs: PcrValues): number =>
  [...(replayed?.quoted ?? [])].reduce((sum, [pcr, records]) => (pcrs.has(pcr) ? sum + records : sum), 0);

const without = (values: PcrValues, pcrs: ReadonlySet<number>): PcrValues =>
  new Map([...values].filter(([pcr]) => !pcrs.has(pcr)));

/** Whether the quoted PCRs that a log touches are as it says. */
function replayRuling(
  name: LogName,
  replayed: Replayed | null,
  {
    quoted: { pcrs },
    later,
    shared,
    note,
  }: {
    readonly quoted: QuotedPcrs;
    /** PCRs that a later log has extended: that one is compared. */
    readonly later: ReadonlySet<number>;
    /** PCRs that a log extends whose order is not known. */
    readonly shared: readonly number[];
    readonly note: string;
  },
): Ruling<Replayed> | Ruling<null> {
  if (replayed === null || replayed.records === 0)
    return skipped(`logs, ${name}: ${replayed === null ? 'was not sent' : 'is empty'}${note}`);
  if (shared.length > 0)
    return failed(
      `logs, ${name}: ${named(shared)} extended by another log, too, in an order that is not known`,
    );
  const touched = [...replayed.touched].sort((one, other) => one - other);
  for (const pcr of touched.filter((one) => !later.has(one))) {
    const [quoted, value] = [pcrs.get(pcr), replayed.values.get(pcr)];
    if (quoted !== undefined && (value === undefined || !isSameBytes(quoted, value)))
      return failed(`logs, ${name}: PCR ${pcr} is ${hex(quoted)}, and ${hex(value)} by the log`);
  }
  const aside = touched.filter((pcr) => !pcrs.has(pcr));
  const asideText = aside.length === 0 ? '' : `; ${named(aside)} not quoted and counts for nothing`;
  if (replayed.quoted.size === 0)
    return skipped(`logs, ${name}: none of its records is of a quoted PCR${asideText}${note}`);
  const proven = touched.filter((pcr) => pcrs.has(pcr));
  const { restarts } = replayed;
  const over = restarts === 0 ? '' : `, over ${restarts} restarts of the machine without a reset of the TPM`;
  return passed(`logs, ${name}: replays to ${named(proven)}${over}${asideText}${note}`, replayed);
}

/** PCRs of the firmware that something has extended, and its log does not prove what. */
const unexplainedPcrs = (provable: PcrValues, pcrs: PcrValues, replayed: Replayed | null): number[] =>
  firmwarePcrs.filter((pcr) => {
    const value = pcrs.get(pcr);
    const isExplained = provable.has(pcr) && replayed?.touched.has(pcr) === true;
    return value !== undefined && !isFilledWith(value, 0) && !isExplained;
  });

function outcome<Value>(work: () => Value): Outcome<Value> {
  try {
    const value = work();
    return () => value;
  } catch (problem) {
    return () => {
      throw problem;
    };
  }
}

/** What it gave; null when it threw, which the check of that log tells. */
function settled<Value>(log: Outcome<Value>): Value | null {
  try {
    return log();
  } catch {
    return null;
  }
}

const touchedBy = (log: Outcome<Replayed | null>): ReadonlySet<number> =>
  settled(log)?.touched ?? new Set<number>();

const named = (pcrs: readonly number[]): string => `PCR ${pcrs.join(', ')}`;
const hex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? 'not touched' : asBuffer(bytes).toString('hex');
