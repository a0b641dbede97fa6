/** The audit log for the pages: search, and one verification at a time that lets the gateway breathe. */

import { stat } from 'node:fs/promises';
import { setImmediate as breathe } from 'node:timers/promises';
import { logAt } from '../attest/audit/read.ts';
import { mostSearchBytes, type SearchPlace, searchAudit } from '../attest/audit/search.ts';
import { verifyAudit } from '../attest/audit/verify.ts';
import { said, surfaceOf } from '../attest/audit/words.ts';
import type { Clock } from '../clock.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AuditLine, AuditQuery, PageSources, Verification } from '../web/sources.ts';

/** Searches that run at a time: each reads some megabytes. */
const mostSearches = 4;
const mostWords = 600;

const kinds = [
  'command',
  'verdict',
  'certificate',
  'trust',
  'operator',
  'update',
  'gateway',
  'segment',
  'signer',
  'recovered',
] as const;

export interface AuditReader {
  readonly sources: Pick<PageSources, 'searchAudit' | 'auditKinds' | 'verification' | 'verify'>;
  /** Resolves when no verification runs. */
  idle(): Promise<void>;
}

export function createAuditReader(options: {
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): AuditReader {
  const { folder, clock, log, signal } = options;
  let searches = 0;
  let verification: Verification | null = null;
  let running: Promise<void> = Promise.resolve();

  const work = async (begun: Pick<Verification, 'startedAt' | 'startedBy'>): Promise<void> => {
    const say = (change: Omit<Verification, 'startedAt' | 'startedBy'>): void => {
      verification = { ...begun, ...change };
    };
    let bytesInAll = 0;
    let bytesDone = 0;
    try {
      for (const { file } of (await logAt(folder)).segments) bytesInAll += (await stat(file)).size;
      const report = await verifyAudit({
        ...{ path: folder, startHash: null, publishedHash: null, signer: null },
        progress: async (done) => {
          bytesDone = done;
          say({ bytesDone, bytesInAll: Math.max(bytesInAll, done), outcome: null });
          signal.throwIfAborted();
          // Commands come first.
          await breathe();
        },
      });
      log.info({ isSound: report.isSound, records: report.records }, 'audit log was verified from the pages');
      say({ bytesDone: bytesInAll, bytesInAll, outcome: { at: clock.now(), report } });
    } catch (error) {
      if (!(error instanceof SurfacedError) && !signal.aborted)
        log.error({ err: error }, 'audit log could not be verified');
      say({ bytesDone, bytesInAll, outcome: { problem: (error as Error).message } });
    }
  };

  return {
    idle: () => running,
    sources: {
      auditKinds: kinds,
      verification: () => verification,
      verify: ({ name }) => {
        if (verification?.outcome === null) return;
        const begun = { startedAt: clock.now(), startedBy: name };
        verification = { ...begun, bytesDone: 0, bytesInAll: 0, outcome: null };
        running = work(begun);
      },
      searchAudit: async (query) => {
        if (searches >= mostSearches)
          throw new SurfacedError('E_PAGES_REFUSED', 'too many searches at a time: try again in a moment');
        searches++;
        try {
          const found = await searchAudit({ folder, ...conditionsOf(query) });
          return {
            lines: found.records.map(lineOf),
            next: found.next && `${found.next.segment}-${found.next.end}`,
            isCutShort: found.isCutShort,
            bytesRead: found.bytesRead,
            unreadable: found.unreadable,
          };
        } finally {
          searches--;
        }
      },
    },
  };
}

type Found = Awaited<ReturnType<typeof searchAudit>>['records'][number];

function lineOf({ seq, at, event }: Found): AuditLine {
  return {
    ...{ seq, at, kind: event.kind, surface: surfaceOf(event) },
    words: said(event).slice(0, mostWords),
    command:
      event.kind === 'command'
        ? ({ ...event.command, verb: event.command.verb ?? null } as AuditLine['command'])
        : null,
  };
}

function conditionsOf(query: AuditQuery): Omit<Parameters<typeof searchAudit>[0], 'folder'> {
  const { surface, kind, from, to, text, before, most } = query;
  const wanted = text?.toLowerCase() ?? null;
  // Names and kinds stand in a line as they are: most lines need not be read to know that they do not fit.
  const marks = [surface, kind].flatMap((word) => (word === null ? [] : [Buffer.from(JSON.stringify(word))]));
  return {
    before: placeOf(before),
    most,
    mostBytes: mostSearchBytes,
    mayFit: (line) =>
      marks.every((mark) => line.includes(mark)) &&
      (wanted === null || line.toString('utf8').toLowerCase().includes(wanted)),
    fits: ({ at, event }) =>
      (kind === null || event.kind === kind) &&
      (surface === null || surfaceOf(event) === surface) &&
      (from === null || at >= from) &&
      (to === null || at <= to),
    // A clock that went back for less than a day hides nothing.
    isOver: ({ at }) => from !== null && at < from - 86_400_000,
  };
}

/** A place that an address named; null: none, or one that cannot be. */
export function placeOf(text: string | null): SearchPlace | null {
  const [, segment, end] = /^(\d{1,9})-(\d{1,15})$/.exec(text ?? '') ?? [];
  return segment === undefined || end === undefined ? null : { segment: Number(segment), end: Number(end) };
}
