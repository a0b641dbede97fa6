/** A watch's body, one JSON document a line (Kubernetes API concepts, Efficient detection of changes), as events. */
import type { Readable } from 'node:stream';
import { failureOfEvent } from './failure.ts';
import { type Fields, fields, text } from './read.ts';

/** One event as far as it is understood. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: Fields;
}

/** The stream is no longer trustworthy: everything must be listed again. */
export class ResyncError extends Error {
  override readonly name = 'ResyncError';
}

const lineFeed = 0x0a;

function parseLine(line: Buffer): WatchEvent | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.toString());
  } catch (cause) {
    throw new ResyncError('a line of the watch is not JSON', { cause });
  }
  const event = fields(parsed);
  const type = text(event.type, 16);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object: fields(event.object) };
    case 'ERROR':
      throw failureOfEvent(event.object);
    default:
      throw new ResyncError(`the watch sent an event of unknown type ${JSON.stringify(type)}`);
  }
}

/**
 * Events in the portions in which they came, so that a burst is told once.
 * @throws KubeError for an ERROR event, ResyncError for what cannot be read, other errors of the stream
 */
export async function* watchEvents(
  body: Readable,
  maxLineBytes: number,
): AsyncGenerator<readonly WatchEvent[]> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const events: WatchEvent[] = [];
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      pending.push(chunk.subarray(start, end));
      const line = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
      start = end + 1;
      const event = line.length === 0 ? null : parseLine(line);
      if (event !== null) events.push(event);
    }
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
    }
    if (pendingBytes > maxLineBytes)
      throw new ResyncError(`a line of the watch is longer than ${maxLineBytes} bytes`);
    if (events.length > 0) yield events;
  }
}
