/** Finds a log by its path, and reads its records as they stand: whether they are true is for verify.ts to say. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import { linesOf } from './lines.ts';
import { type Envelope, LineError, type LoggedEvent, readEnvelope, readEvent } from './record.ts';
import { type Segment, segmentNumber, segmentsOf } from './segments.ts';

/** Files of a log. */
export interface LogPlace {
  readonly segments: readonly Segment[];
  readonly folder: string;
  /** False when a single file was named. */
  readonly isWhole: boolean;
}

/**
 * The log of a folder, or one of its files.
 * @throws SurfacedError E_USAGE when there is none
 */
export async function logAt(place: string): Promise<LogPlace> {
  try {
    const isFolder = (await stat(place)).isDirectory();
    const number = isFolder ? null : segmentNumber(place);
    const segments: readonly Segment[] = isFolder
      ? await segmentsOf(place)
      : number === null
        ? []
        : [{ number, file: place }];
    if (segments.length > 0)
      return { segments, folder: isFolder ? place : path.dirname(place), isWhole: isFolder };
  } catch (cause) {
    throw new SurfacedError(
      'E_USAGE',
      `${place}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      { cause },
    );
  }
  throw new SurfacedError('E_USAGE', `${place}: there is no file of an audit log, such as 000001.jsonl`);
}

/** One record as it is read. */
export interface LoggedRecord extends Envelope {
  readonly event: LoggedEvent;
  /** As it stands in the log. */
  readonly json: unknown;
}

/**
 * All records, the oldest first; an incomplete line at the end is none.
 * @throws SurfacedError E_USAGE when there is no log at that path, E_AUDIT_BROKEN at a line that is no record
 */
export async function* recordsAt(place: string): AsyncGenerator<LoggedRecord, void, void> {
  for (const { file } of (await logAt(place)).segments) {
    let line = 1;
    try {
      for await (const { bytes, isWhole } of linesOf(file)) {
        if (!isWhole) break;
        const { place: at, json } = readEnvelope(bytes);
        yield { ...at, event: readEvent(json), json };
        line++;
      }
    } catch (cause) {
      if (!(cause instanceof LineError)) throw cause;
      throw new SurfacedError('E_AUDIT_BROKEN', `${file}, line ${line}: ${cause.message}`, { cause });
    }
  }
}
