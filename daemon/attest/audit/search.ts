/**
 * Looks through the log from its end, a bounded number of bytes at a time, however long it is: for people who read, and for
 * nobody who must know that it is true (verify.ts).
 */
import { open } from 'node:fs/promises';
import { LineError, type LoggedEvent, mostLineBytes, readEnvelope, readEvent } from './record.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** Most bytes that one search reads. */
export const mostSearchBytes = 16 << 20;
const chunkBytes = 256 << 10;

/** Where a search goes on: at the byte before which nothing has been looked at. */
export interface SearchPlace {
  readonly segment: number;
  readonly end: number;
}

/** A record that fits. */
export interface FoundRecord {
  readonly seq: number;
  readonly at: number;
  readonly event: LoggedEvent;
}

export interface SearchOptions {
  readonly folder: string;
  /** Null: from the end of the log. */
  readonly before: SearchPlace | null;
  /** A quick look at a line before it is read; true: it may fit. */
  readonly mayFit: (line: Buffer) => boolean;
  readonly fits: (record: FoundRecord) => boolean;
  /** True: nothing older can fit. */
  readonly isOver: (record: FoundRecord) => boolean;
  readonly most: number;
  readonly mostBytes: number;
}

/** What was found, the newest first. */
export interface SearchResult {
  readonly records: readonly FoundRecord[];
  /** Null: that was the beginning, or nothing older can fit. */
  readonly next: SearchPlace | null;
  readonly isCutShort: boolean;
  readonly bytesRead: number;
  readonly unreadable: number;
}

/** A whole line, or a piece of one that is longer than any record may be. */
interface BackLine {
  readonly bytes: Buffer;
  /** Where it begins in its file. */
  readonly start: number;
  readonly isRecord: boolean;
}

/** Searches. @throws errors of the file system */
export async function searchAudit(options: SearchOptions): Promise<SearchResult> {
  const { folder, before, mayFit, fits, isOver, most, mostBytes } = options;
  const records: FoundRecord[] = [];
  let bytesRead = 0;
  let unreadable = 0;
  const done = (next: SearchPlace | null, isCutShort: boolean): SearchResult => ({
    ...{ records, next, isCutShort, bytesRead, unreadable },
  });
  const segments = (await segmentsOf(folder)).filter(
    ({ number }) => before === null || number <= before.segment,
  );
  for (const segment of segments.toReversed()) {
    const end = segment.number === before?.segment ? before.end : null;
    for await (const { bytes, start, isRecord } of linesBackwards(segment, end)) {
      bytesRead += bytes.length + 1;
      const next = { segment: segment.number, end: start };
      if (!isRecord) unreadable++;
      else if (mayFit(bytes)) {
        const record = readRecord(bytes);
        if (record === null) unreadable++;
        else {
          if (isOver(record)) return done(null, false);
          if (fits(record)) records.push(record);
        }
      }
      if (records.length >= most) return done(next, false);
      if (bytesRead >= mostBytes) return done(next, true);
    }
  }
  return done(null, false);
}

function readRecord(bytes: Buffer): FoundRecord | null {
  try {
    const { place, json } = readEnvelope(bytes);
    return { seq: place.seq, at: place.at, event: readEvent(json) };
  } catch (error) {
    if (error instanceof LineError) return null;
    throw error;
  }
}

/**
 * Lines of a file from an end backwards, in constant memory. What stands behind the last newline is being written, and is none.
 * @param end null: the end of the file
 */
async function* linesBackwards({ file }: Segment, end: number | null): AsyncGenerator<BackLine, void, void> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    let at = Math.min(end ?? size, size);
    /** What lies between `at` and the newest newline that was seen: the end of a line whose beginning is not read yet. */
    let tail: Buffer = Buffer.alloc(0);
    /** False until the newline behind the last whole line has been seen. */
    let isWhole = false;
    while (at > 0) {
      const length = Math.min(chunkBytes, at);
      const chunk = Buffer.alloc(length);
      const { bytesRead } = await handle.read(chunk, 0, length, at - length);
      if (bytesRead < length) return;
      at -= length;
      let rest = Buffer.concat([chunk, tail]);
      for (let newline = rest.lastIndexOf(10); newline >= 0; newline = rest.lastIndexOf(10)) {
        const bytes = rest.subarray(newline + 1);
        if (isWhole) yield lineOf(bytes, at + newline + 1);
        isWhole = true;
        rest = rest.subarray(0, newline);
      }
      tail = rest;
      if (tail.length <= mostLineBytes) continue;
      // Its beginning may be far away: it is told of once, and passed over.
      yield { bytes: tail, start: at, isRecord: false };
      tail = Buffer.alloc(0);
      isWhole = false;
    }
    if (isWhole && tail.length > 0) yield lineOf(tail, 0);
  } finally {
    await handle.close();
  }
}

const lineOf = (bytes: Buffer, start: number): BackLine => ({
  bytes,
  start,
  isRecord: bytes.length <= mostLineBytes,
});
