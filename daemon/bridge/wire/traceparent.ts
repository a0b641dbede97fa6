/** The `traceparent` of W3C Trace Context (level 2, section 3.2), as a command may carry it: from the wire, so not trusted. */
import { randomBytes } from 'node:crypto';

/** A trace and the span in it that what follows belongs to. */
export interface TraceParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly isSampled: boolean;
}

/** Longest text that is looked at; version 00 has 55 characters, later ones may have more behind them. */
export const maxTraceparentLength = 128;

/** Version ff is forbidden, and so are ids of zeros; what later versions add comes behind a dash. */
const pattern =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?$/;

/** Reads one; null for anything else than the specification allows: a new trace is begun then, and nothing is refused. */
export function parseTraceparent(text: string | undefined): TraceParent | null {
  if (text === undefined || text.length > maxTraceparentLength) return null;
  const match = pattern.exec(text);
  if (match === null) return null;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  if (version === '00' && rest !== undefined) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A new trace with its first span; whether it is kept is for the gateway to say, so it is marked as one to keep. */
export function newTraceparent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}
