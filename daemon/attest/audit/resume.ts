/** Where a log ends, found when it is opened: everything since its signed head is read again. Nothing is written here. */
import { SurfacedError } from '../../errors.ts';
import { checkHead, type Head, headFile, readHead } from './head.ts';
import { linesOf } from './lines.ts';
import {
  chainStart,
  follow,
  LineError,
  type Link,
  readEnvelope,
  readEvent,
  type SignerPublic,
} from './record.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** The end of a log. */
export interface LogEnd {
  /** Number of the newest segment; 1 for a log that is not there yet. */
  readonly segment: number;
  /** Bytes of it that are whole records. */
  readonly bytes: number;
  /** Bytes behind them, without a newline: a write that a crash cut short. Never a record that was acknowledged. */
  readonly tornBytes: number;
  readonly last: Link;
  /** The key that signs heads, as the log itself says; null: it does not say yet. */
  readonly signer: SignerPublic | null;
  readonly head: Head | null;
}

/**
 * Reads the end of a log: the segment that the head is in and all newer ones.
 * @throws SurfacedError E_AUDIT_BROKEN naming file, line and record; E_STATE_DIR when the folder cannot be read
 */
export async function findEnd(folder: string): Promise<LogEnd> {
  const head = await readHead(folder);
  if (head !== null) {
    const check = checkHead(head);
    if (!check.isGood) throw broken(headFile(folder), null, null, check.problem);
  }
  const segments = await segmentsOf(folder);
  const start = await firstToRead(segments, head);
  const reading = new Reading(segments[start]?.number === 1 ? chainStart : null, head);
  for (const segment of segments.slice(start)) await reading.segment(segment, segment === segments.at(-1));
  return reading.end(folder);
}

/** Index of the newest segment that begins at the head or before it, and with a whole record. */
async function firstToRead(segments: readonly Segment[], head: Head | null): Promise<number> {
  for (let index = segments.length - 1; index > 0; index--) {
    const seq = await firstSeq(segments[index]!);
    if (seq !== null && (head === null || seq <= head.seq)) return index;
  }
  return 0;
}

/** Null: there is no whole record in it. */
async function firstSeq({ file }: Segment): Promise<number | null> {
  try {
    for await (const { bytes, isWhole } of linesOf(file))
      return isWhole ? readEnvelope(bytes).place.seq : null;
    return null;
  } catch (problem) {
    throw problem instanceof LineError ? broken(file, 1, null, problem.message) : problem;
  }
}

class Reading {
  #last: Link | null;
  #signer: SignerPublic | null = null;
  #number = 1;
  #bytes = 0;
  #tornBytes = 0;
  /** Number of the first record that was read. */
  #firstSeq: number | null = null;
  readonly #head: Head | null;

  constructor(last: Link | null, head: Head | null) {
    this.#last = last;
    this.#head = head;
  }

  /** @throws SurfacedError E_AUDIT_BROKEN */
  async segment({ number, file }: Segment, isNewest: boolean): Promise<void> {
    this.#number = number;
    this.#bytes = 0;
    let line = 1;
    let seq: number | null = null;
    try {
      for await (const { bytes, end, isWhole, number: at } of linesOf(file)) {
        if (!isWhole) {
          if (!isNewest) throw new LineError('it is incomplete, and there is a newer file');
          this.#tornBytes = bytes.length;
          return;
        }
        const { place, json } = readEnvelope(bytes);
        ({ seq } = place);
        this.#last = follow(this.#last, place, bytes);
        this.#firstSeq ??= place.seq;
        this.#see(this.#last, place.kind, json);
        if ((line === 1) !== (place.kind === 'segment'))
          throw new LineError('only the first record of a file names it');
        this.#bytes = end;
        seq = null;
        line = at + 1;
      }
    } catch (problem) {
      if (problem instanceof LineError) throw broken(file, line, seq, problem.message, problem);
      throw problem;
    }
  }

  #see(link: Link, kind: string, json: unknown): void {
    if (link.seq === this.#head?.seq && link.hash !== this.#head.hash)
      throw new LineError('it is not the record that the head was signed for');
    if (kind !== 'segment' && kind !== 'signer') return;
    const event = readEvent(json);
    if (event.kind === 'segment' && event.segment !== this.#number)
      throw new LineError(`it says that it is in file ${event.segment}`);
    if (event.kind === 'segment' || event.kind === 'signer') this.#signer = event.signer;
  }

  /** @throws SurfacedError E_AUDIT_BROKEN */
  end(folder: string): LogEnd {
    const head = this.#head;
    // A newest file without a record follows one that is not there any more: nobody knows the hash to go on from.
    if (this.#last === null && this.#number > 1)
      throw broken(folder, null, null, `file ${this.#number} has no record, and the one before is not there`);
    const last = this.#last ?? chainStart;
    if (head !== null && head.seq > last.seq)
      throw broken(
        folder,
        null,
        head.seq,
        `the log ends with record ${last.seq}, and the head was signed for ${head.seq}`,
      );
    if (head !== null && head.seq < (this.#firstSeq ?? 0))
      throw broken(
        folder,
        null,
        this.#firstSeq,
        `the log begins with it, and the head was signed for ${head.seq}: nothing of the log is signed`,
      );
    const signer = this.#signer;
    return { segment: this.#number, bytes: this.#bytes, tornBytes: this.#tornBytes, last, signer, head };
  }
}

function broken(
  file: string,
  line: number | null,
  seq: number | null,
  what: string,
  cause?: Error,
): SurfacedError {
  const place = `${file}${line === null ? '' : `, line ${line}`}${seq === null ? '' : `, record ${seq}`}`;
  return new SurfacedError('E_AUDIT_BROKEN', `${place}: ${what}`, cause === undefined ? {} : { cause });
}
