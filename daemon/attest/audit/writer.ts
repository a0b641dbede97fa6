/** Writes records: those that wait share one write and one fsync, and are acknowledged in order once it is done. */
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { isSameSigner } from './head.ts';
import { eventText, type Link, lineOf, mostLineBytes, type OwnEvent, type SignerPublic } from './record.ts';
import type { LogEnd } from './resume.ts';
import { type Disk, type SegmentFile, segmentFile } from './segments.ts';

/** Room for `seq`, `at` and `prev` in a line. */
const placeBytes = 160;
/** Most bytes that are written at once, unless one line is longer. */
const mostGroupBytes = 1_048_576;
/** Most records that wait: a disk that hangs must not fill the memory. */
const mostWaiting = 10_000;

interface Waiting {
  /** Middle of the line; null: only what is due shall be written. */
  readonly text: string | null;
  readonly resolve: () => void;
  readonly reject: (error: SurfacedError) => void;
}

export interface WriterParts {
  readonly folder: string;
  readonly end: LogEnd;
  readonly segmentBytes: number;
  readonly clock: Clock;
  readonly disk: Disk;
  /** The key that signs heads now; null: not known yet. */
  readonly signer: () => SignerPublic | null;
  /** Called after each group that is on the disk. */
  readonly onWritten: () => void;
}

/** What has been written so far; replaced as a whole when a group is on the disk. */
interface Written {
  readonly segment: number;
  readonly bytes: number;
  readonly last: Link;
  readonly signer: SignerPublic | null;
  /** Not null: what a crash left behind the last record, which the next group writes over and tells. */
  readonly recovered: Extract<OwnEvent, { kind: 'recovered' }> | null;
}

/** The end of a log that grows. */
export class LogWriter {
  readonly #parts: WriterParts;
  #waiting: Waiting[] = [];
  #written: Written;
  /** Bytes behind the last record of a segment that are nobody's. */
  #stray: { readonly segment: number; readonly bytes: number };
  /** Open since the first group; null again after a failure. */
  #file: SegmentFile | null = null;
  /** The write under way, for whoever closes. */
  #writing: Promise<void> | null = null;
  #isClosed = false;
  #problem: SurfacedError | null = null;

  constructor(parts: WriterParts) {
    const { segment, bytes, last, signer, head, tornBytes } = parts.end;
    this.#parts = parts;
    const isHeadMissing = head === null && last.seq > 0;
    const recovered =
      tornBytes > 0 || isHeadMissing
        ? ({ kind: 'recovered', bytes: tornBytes, isHeadMissing } as const)
        : null;
    this.#written = { segment, bytes, last, signer, recovered };
    this.#stray = { segment, bytes: tornBytes };
  }

  /** The newest record on the disk. */
  get last(): Link {
    return this.#written.last;
  }

  /** The key that signs heads, as the log says by now. */
  get loggedSigner(): SignerPublic | null {
    return this.#written.signer;
  }

  /** Why the last group was not written; null: it was. */
  get problem(): SurfacedError | null {
    return this.#problem;
  }

  /**
   * Writes a record whose text `eventText` made; null: only what is due, if anything is.
   * @throws SurfacedError E_AUDIT_WRITE
   */
  append(text: string | null): Promise<void> {
    if (this.#isClosed) return Promise.reject(writeError('the log is closed'));
    if (this.#waiting.length >= mostWaiting)
      return Promise.reject(writeError(`${mostWaiting} records wait for the disk`));
    const bytes = text === null ? 0 : Buffer.byteLength(text) + placeBytes;
    if (bytes > mostLineBytes)
      return Promise.reject(writeError(`a record of ${bytes} bytes, at most ${mostLineBytes} are allowed`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /** Resolves when all that waits now is written or refused; whoever appended it is told which. */
  async flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  /** Ends when all that waits is written or refused; later appends are refused. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flushed();
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #drain(): Promise<void> {
    // Whoever appends in this turn of the event loop is in the first group.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        await this.#commit(group);
        this.#problem = null;
        for (const { resolve } of group) resolve();
        this.#parts.onWritten();
      } catch (cause) {
        const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
        const error =
          cause instanceof SurfacedError ? cause : writeError(`${this.#parts.folder}: ${reason}`, { cause });
        this.#problem = error;
        for (const { reject } of group) reject(error);
      }
    }
    this.#writing = null;
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    const next = this.#waiting.findIndex(({ text }, index) => {
      bytes += (text?.length ?? 0) + placeBytes;
      return bytes > mostGroupBytes && index > 0;
    });
    return this.#waiting.splice(0, next < 0 ? this.#waiting.length : next);
  }

  /** Writes a group behind the last record, or leaves the log as it was. */
  async #commit(group: readonly Waiting[]): Promise<void> {
    const before = this.#written;
    // What a crash left must be gone before nobody writes to a file any more.
    const isFull = before.bytes >= this.#parts.segmentBytes && this.#strayBytes(before) === 0;
    const from: Written = isFull ? { ...before, segment: before.segment + 1, bytes: 0 } : before;
    const { bytes, after } = this.#group(from, group);
    if (bytes.length === 0) return;
    if (isFull) await this.#closeFile();
    const file = await this.#openFile(from);
    try {
      await file.write(bytes, from.bytes);
      if (this.#strayBytes(from) > bytes.length) await file.truncate(after.bytes);
      await file.sync();
    } catch (problem) {
      await this.#repair(file, from);
      throw problem;
    }
    this.#stray = { segment: from.segment, bytes: 0 };
    this.#written = after;
  }

  #strayBytes({ segment }: Written): number {
    return this.#stray.segment === segment ? this.#stray.bytes : 0;
  }

  /** The lines of a group, and what is written when they are. */
  #group(from: Written, group: readonly Waiting[]): { readonly bytes: Buffer; readonly after: Written } {
    const { clock, signer } = this.#parts;
    const known = signer() ?? from.signer;
    const texts: string[] = [];
    if (from.bytes === 0)
      texts.push(eventText({ kind: 'segment', v: 1, segment: from.segment, signer: known }));
    else if (known !== null && !isSameSigner(known, from.signer))
      texts.push(eventText({ kind: 'signer', signer: known }));
    if (from.recovered !== null) texts.push(eventText(from.recovered));
    for (const { text } of group) if (text !== null) texts.push(text);

    let { last } = from;
    const lines = texts.map((text) => {
      const line = lineOf(last, clock.now(), text);
      last = line.link;
      return line.bytes;
    });
    const bytes = Buffer.concat(lines);
    const after = { ...from, bytes: from.bytes + bytes.length, last, signer: known, recovered: null };
    return { bytes, after };
  }

  /** @throws SurfacedError E_AUDIT_WRITE when the file is not as it was left */
  async #openFile(from: Written): Promise<SegmentFile> {
    const path = segmentFile(this.#parts.folder, from.segment);
    this.#file ??= await this.#parts.disk.open(path);
    const size = await this.#file.size();
    const expected = from.bytes + this.#strayBytes(from);
    if (size === expected) return this.#file;
    throw writeError(`${path}: has ${size} bytes, not ${expected}: somebody else writes to it, or moved it`);
  }

  /** Cuts what a failed write has left, and opens the file anew next time: after a failed fsync nothing else is sure. */
  async #repair(file: SegmentFile, { segment, bytes }: Written): Promise<void> {
    try {
      await file.truncate(bytes);
      this.#stray = { segment, bytes: 0 };
    } catch {
      // The write has failed and says so; the next one writes over what is there.
      const size = await file.size().catch(() => bytes);
      this.#stray = { segment, bytes: Math.max(0, size - bytes) };
    }
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    // All that counts in it is synced.
    await file?.close().catch(() => {});
  }
}

const writeError = (what: string, options?: ErrorOptions): SurfacedError =>
  new SurfacedError('E_AUDIT_WRITE', what, options);
