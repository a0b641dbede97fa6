/** What the scale bench measures of one site, and its rows. Pure. */
import type { KnobReport } from './parts/knob-ledger.ts';
import type { Cpu, SiteBroker } from './scale-site.ts';
import { compare, quantile } from './statistics.ts';
import type { Row } from './types.ts';

/** How long it took until so many surfaces had it, seconds; Infinity: so many did not have it in time. */
export interface Spread {
  readonly half: number;
  readonly most: number;
  readonly all: number;
}

/** Of `count` surfaces, by the times of those that had it, milliseconds. */
export function spreadOf(at: readonly number[], from: number, count: number): Spread {
  const sorted = [...at].sort((a, b) => a - b);
  const seconds = (part: number): number =>
    ((sorted[Math.ceil(part * count) - 1] ?? Number.POSITIVE_INFINITY) - from) / 1000;
  return { half: seconds(0.5), most: seconds(0.95), all: seconds(1) };
}

/** Knobs that were turned for a while. */
export interface Knobs {
  readonly perSecond: number;
  readonly sent: number;
  readonly held: number;
  readonly lost: number;
  /** Two ends of one command, or a number that was set without a command that was accepted. */
  readonly doubled: number;
  readonly ends: KnobReport['ends'];
  readonly acceptedMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly convergedMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly cpu: Cpu;
}

const percentiles = (values: readonly number[]) => ({
  p50: quantile(values, 0.5),
  p95: quantile(values, 0.95),
  p99: quantile(values, 0.99),
});

/** Commands whose number was set although the gateway did not hear so: their ends say that nobody knows. */
const maybeSet = (ends: KnobReport['ends']): number => ends['expired AnswerLost'] ?? 0;

/** @param writes numbers that the API server has set meanwhile */
export function knobsOf(reports: readonly KnobReport[], writes: number, cpu: Cpu): Knobs {
  const sum = (pick: (report: KnobReport) => number): number =>
    reports.reduce((all, report) => all + pick(report), 0);
  const ends: Record<string, number> = {};
  for (const report of reports)
    for (const [end, times] of Object.entries(report.ends)) ends[end] = (ends[end] ?? 0) + times;
  const acceptedMs = reports.flatMap((report) => report.acceptedMs);
  const sent = sum((report) => report.sent);
  return {
    perSecond: sent / Math.max(...reports.map(({ seconds }) => seconds)),
    sent,
    held: sum((report) => report.held),
    lost: sum((report) => report.lost),
    doubled: sum((report) => report.doubled) + Math.max(0, writes - acceptedMs.length - maybeSet(ends)),
    ends,
    acceptedMs: percentiles(acceptedMs),
    convergedMs: percentiles(reports.flatMap((report) => report.convergedMs)),
    cpu,
  };
}

/** All Pods of the shared targets change. */
export interface FanOut {
  readonly pods: number;
  /** Until surfaces showed it, from the change on. */
  readonly shown: Spread;
  /** From the last event that the API server sent to the last surface, seconds. */
  readonly afterLastEvent: number;
  readonly podEvents: number;
  readonly slotMessages: number;
  readonly cpu: Cpu;
}

/** From the signal until surfaces are served again. */
export interface Restart {
  readonly served: Spread;
  /** Until the new gateway listens, seconds. */
  readonly up: number;
  readonly failures: number;
  readonly cpu: Cpu;
}

/** One site with one broker. */
export interface SiteFigures {
  readonly broker: SiteBroker;
  readonly surfaces: number;
  readonly watches: number;
  readonly storm: { readonly served: Spread; readonly failures: number; readonly cpu: Cpu };
  readonly idle: { readonly seconds: number; readonly cpu: Cpu };
  /** Of gateway and broker, before the first surface and at rest after the storm. */
  readonly memoryMib: { readonly empty: number; readonly full: number };
  readonly knobs: Knobs;
  /** Pods become unready, and ready again. */
  readonly fanOut: readonly FanOut[];
  readonly stopped: Restart;
  readonly killed: Restart;
}

const serverSeconds = ({ gateway, broker }: Cpu): number => gateway + broker;

/** CPU of gateway and broker in the storm, milliseconds a surface. */
const stormCpu = ({ storm, surfaces }: SiteFigures): number => (serverSeconds(storm.cpu) * 1000) / surfaces;
const memoryKib = ({ memoryMib, surfaces }: SiteFigures): number =>
  ((memoryMib.full - memoryMib.empty) * 1024) / surfaces;
/** Microseconds of CPU a surface and second. */
const idleCpu = ({ idle, surfaces }: SiteFigures): number =>
  (serverSeconds(idle.cpu) * 1e6) / idle.seconds / surfaces;
const commandCpu = ({ knobs }: SiteFigures): number => (serverSeconds(knobs.cpu) * 1000) / knobs.sent;
const slowest = (figures: SiteFigures, pick: (fanOut: FanOut) => number): number =>
  Math.max(...figures.fanOut.map(pick));
const slotCpu = ({ fanOut }: SiteFigures): number =>
  (fanOut.reduce((sum, { cpu }) => sum + serverSeconds(cpu), 0) * 1e6) /
  fanOut.reduce((sum, { slotMessages }) => sum + slotMessages, 0);

type Pick = (figures: SiteFigures) => number;

/** Unit of what may not be, however many surfaces there are. */
const never = 'commands';

const lines: readonly (readonly [what: string, unit: string, pick: Pick])[] = [
  ['all connect at once: until the last is served', 's', ({ storm }) => storm.served.all],
  ['the same: until 95 % are served', 's', ({ storm }) => storm.served.most],
  ['the same: CPU of gateway and broker, a surface', 'ms', stormCpu],
  ['memory of gateway and broker, a surface', 'KiB', memoryKib],
  ['at rest: CPU of gateway and broker, a surface and second', 'µs', idleCpu],
  ['knobs: command to accepted, median', 'ms', ({ knobs }) => knobs.acceptedMs.p50],
  ['knobs: command to accepted, 99 %', 'ms', ({ knobs }) => knobs.acceptedMs.p99],
  ['knobs: command to its end, 99 %', 'ms', ({ knobs }) => knobs.convergedMs.p99],
  ['knobs: CPU of gateway and broker, a command', 'ms', commandCpu],
  ['knobs: commands lost or doubled', never, ({ knobs }) => knobs.lost + knobs.doubled],
  ['all Pods change: until the last surface shows it', 's', (all) => slowest(all, ({ shown }) => shown.all)],
  [
    'the same, from the last event of the API server',
    's',
    (all) => slowest(all, (one) => one.afterLastEvent),
  ],
  ['the same: CPU of gateway and broker, a message', 'µs', slotCpu],
  ['gateway stopped and started: until all are served again', 's', ({ stopped }) => stopped.served.all],
  ['gateway killed and started: until all are served again', 's', ({ killed }) => killed.served.all],
];

/** How a figure grows with the number of surfaces. */
const growing: readonly (readonly [what: string, unit: string, pick: Pick])[] = [
  ['all connect at once: CPU, a surface', 'ms', stormCpu],
  ['memory, a surface', 'KiB', memoryKib],
  ['at rest: CPU, a surface and second', 'µs', idleCpu],
  ['CPU, a command', 'ms', commandCpu],
  ['all Pods change: CPU, a message', 'µs', slotCpu],
];

const number = (value: number): string => value.toLocaleString('en');

/**
 * Embedded broker beside mosquitto for each number of surfaces, the largest first, and the largest beside the others. What
 * one broker alone has is not a row.
 */
export function scaleRows(all: readonly SiteFigures[]): Row[] {
  const of = (broker: SiteBroker, surfaces: number): SiteFigures | undefined =>
    all.find((figures) => figures.broker === broker && figures.surfaces === surfaces);
  const sizes = [...new Set(all.map(({ surfaces }) => surfaces))].sort((a, b) => b - a);
  const sideBySide = sizes.flatMap((size) => {
    const [ours, theirs] = [of('embedded', size), of('mosquitto', size)];
    if (ours === undefined || theirs === undefined) return [];
    return lines.map(
      ([what, unit, pick]): Row => ({
        what: what.startsWith('the same') ? what : `${number(size)} surfaces, ${what}`,
        unit,
        ...compare([pick(ours)], [pick(theirs)]),
        peer: 'the same gateway on mosquitto',
        aim: unit === never ? { oursAtMost: 0 } : null,
      }),
    );
  });
  const [most = 0, ...fewer] = sizes;
  const growth = growing.flatMap(([what, unit, pick]) =>
    fewer.flatMap((size): Row[] => {
      const [large, small] = [of('embedded', most), of('embedded', size)];
      if (large === undefined || small === undefined) return [];
      const peer = `with ${number(size)} surfaces`;
      const subject = `growth to ${number(most)} surfaces, ${what}`;
      return [{ what: subject, unit, ...compare([pick(large)], [pick(small)]), peer, aim: null }];
    }),
  );
  return [...sideBySide, ...growth];
}
