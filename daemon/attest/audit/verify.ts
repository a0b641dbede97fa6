/**
 * Verifies an audit log offline: the chain, the signed head, and what each verdict rests on. Reads it once from its start,
 * with memory for a line and for each surface. Changes nothing, and may be run beside a gateway that writes.
 */
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import type { ClockInfo } from '../tpm2/index.ts';
import { checkHead, type Head, headFile, isSameSigner, readHead, signerSha256 } from './head.ts';
import { type Line, linesOf } from './lines.ts';
import { logAt } from './read.ts';
import { Recheck } from './recheck.ts';
import {
  chainStart,
  follow,
  LineError,
  type Link,
  type LoggedEvent,
  readEnvelope,
  readEvent,
  type SignerPublic,
} from './record.ts';
import { type AuditReport, type Place, Remarks } from './report.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** What is known from outside the log; null: nothing. */
export interface VerifyOptions {
  /** Folder of a log, or one of its files. */
  readonly path: string;
  /** Hash of the record before the first, where older files were moved away. */
  readonly startHash: string | null;
  /** Hash of a record that was published earlier: it must be in the log. */
  readonly publishedHash: string | null;
  /** `signerSha256` of the key that must have signed the head. */
  readonly signer: string | null;
  /** Told how many bytes are done, and waited for; what it throws ends the work. Left out: it is done in one go. */
  readonly progress?: (bytesDone: number) => Promise<void>;
}

/** How often progress is told, bytes. */
const stepBytes = 1 << 18;

/**
 * Verifies a log. What is wrong with it is in the report.
 * @throws SurfacedError E_USAGE when there is no log at that path
 */
export async function verifyAudit(options: VerifyOptions): Promise<AuditReport> {
  const { segments, folder, isWhole } = await logAt(options.path);
  const work = new Verification(options);
  // First the head, then the log: one that grows meanwhile is never behind its head.
  await work.readHead(folder);
  await work.read(segments, isWhole);
  work.judgeHead(isWhole, isWhole || (await isNewest(folder, segments)));
  return work.report();
}

async function isNewest(folder: string, segments: readonly Segment[]): Promise<boolean> {
  return (await segmentsOf(folder)).at(-1)?.number === segments.at(-1)?.number;
}

const wholeLog = { file: null, line: null, seq: null };

class Verification {
  readonly #options: VerifyOptions;
  readonly #faults = new Remarks();
  readonly #notes = new Remarks();
  readonly #kinds: Record<string, number> = {};
  #recheck = new Recheck(false);
  #head: Head | null = null;
  #headClock: ClockInfo | null = null;
  #files = 0;
  #bytesDone = 0;
  #last: Link | null = null;
  #firstPlace: AuditReport['first'] = null;
  #lastAt = 0;
  /** The key that signs heads, as the log says where the reading is. */
  #signer: SignerPublic | null = null;
  #isHeadReached = false;
  #isPublishedSeen = false;
  /** A record that does not chain: nothing behind it means anything. */
  #isCutShort = false;
  #unproven = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  async readHead(folder: string): Promise<void> {
    const place = { ...wholeLog, file: path.basename(headFile(folder)) };
    try {
      const head = await readHead(folder);
      if (head === null) return;
      const check = checkHead(head);
      if (check.isGood) {
        this.#head = head;
        this.#headClock = check.clock;
      } else this.#faults.add({ ...place, seq: head.seq }, check.problem);
    } catch (problem) {
      if (!(problem instanceof SurfacedError)) throw problem;
      this.#faults.add(place, problem.message);
    }
  }

  async read(segments: readonly Segment[], isWhole: boolean): Promise<void> {
    const first = segments[0];
    if (first?.number === 1) this.#last = chainStart;
    else this.#recheck = new Recheck(true);
    let due = first?.number ?? 1;
    for (const segment of segments) {
      const file = path.basename(segment.file);
      if (segment.number !== due)
        return this.#stop(
          { file, line: null, seq: null },
          `file ${due} should be before it, and is not here`,
        );
      due++;
      await this.#segment(segment, isWhole && segment !== segments.at(-1));
      if (this.#isCutShort) return;
    }
  }

  async #segment({ number, file }: Segment, hasNewer: boolean): Promise<void> {
    this.#files++;
    const name = path.basename(file);
    let place: Place = { file: name, line: 1, seq: null };
    const before = this.#bytesDone;
    let toldAt = 0;
    try {
      for await (const line of linesOf(file)) {
        this.#bytesDone = before + line.end;
        if (line.end - toldAt >= stepBytes) {
          toldAt = line.end;
          await this.#options.progress?.(this.#bytesDone);
        }
        place = { file: name, line: line.number, seq: null };
        if (!line.isWhole) {
          if (hasNewer) throw new LineError('it is incomplete, and there is a newer file');
          return this.#notes.add(
            place,
            `an incomplete line of ${line.bytes.length} bytes, which is no record yet`,
          );
        }
        const { place: at, json } = readEnvelope(line.bytes);
        place = { ...place, seq: at.seq };
        this.#chain(place, line, at);
        const event = readEvent(json);
        this.#about(place, line, event, number);
        place = { file: name, line: line.number + 1, seq: null };
      }
    } catch (problem) {
      if (!(problem instanceof LineError)) throw problem;
      this.#stop(place, problem.message);
    }
  }

  /** @throws LineError */
  #chain(place: Place, { bytes }: Line, at: ReturnType<typeof readEnvelope>['place']): void {
    const { startHash, publishedHash } = this.#options;
    const isFirst = this.#firstPlace === null;
    if (isFirst && startHash !== null && at.prev !== startHash)
      throw new LineError('`prev` is not the hash that the log should go on from');
    const link = follow(this.#last, at, bytes);
    if (isFirst) {
      this.#firstPlace = { seq: at.seq, at: at.at };
      if (at.seq > 1 && startHash === null)
        this.#notes.add(
          place,
          `records before it are not here; taken as it says, the one before has hash ${at.prev}`,
        );
    } else if (at.at < this.#lastAt)
      this.#notes.add(place, `the clock of the gateway went back by ${this.#lastAt - at.at} ms`);
    this.#last = link;
    this.#lastAt = at.at;
    this.#isPublishedSeen ||= link.hash === publishedHash;
    if (link.seq === this.#head?.seq && link.hash !== this.#head.hash)
      throw new LineError('it is not the record that the head was signed for');
  }

  /** @throws LineError */
  #about(place: Place, { number }: Line, event: LoggedEvent, segment: number): void {
    this.#kinds[event.kind] = (this.#kinds[event.kind] ?? 0) + 1;
    if ((number === 1) !== (event.kind === 'segment'))
      throw new LineError('the first record of a file, and no other, says which file it is');
    if (event.kind === 'segment' && event.segment !== segment)
      throw new LineError(`it says that it is in file ${event.segment}`);
    if (event.kind === 'segment' || event.kind === 'signer') this.#signedBy(place, event.signer);
    if (event.kind === 'recovered') {
      const missing = event.isHeadMissing
        ? '; the signed head was missing: what is before this record could be another past'
        : '';
      this.#notes.add(place, `at a start, ${event.bytes} bytes of an incomplete record were cut${missing}`);
    }
    if (place.seq === this.#head?.seq) this.#judgeSigner(place);
    for (const { is, what } of this.#recheck.look(event)) {
      if (is === 'unproven') this.#unproven++;
      else (is === 'fault' ? this.#faults : this.#notes).add(place, what);
    }
  }

  #signedBy(place: Place, signer: SignerPublic | null): void {
    if (signer !== null && !isSameSigner(signer, this.#signer))
      this.#notes.add(place, `from here on heads are signed by ${signer.type} ${signerSha256(signer)}`);
    this.#signer = signer;
  }

  #judgeSigner(place: Place): void {
    this.#isHeadReached = true;
    if (this.#head !== null && !isSameSigner(this.#head.signer, this.#signer))
      this.#faults.add(place, 'the head is not signed by the key that the log names');
  }

  #stop(place: Place, what: string): void {
    this.#isCutShort = true;
    this.#faults.add({ file: place.file, line: place.line, seq: place.seq }, what);
  }

  judgeHead(isWhole: boolean, isNewestHere: boolean): void {
    const head = this.#head;
    const { signer, publishedHash } = this.#options;
    if (head !== null && signer !== null && signerSha256(head.signer) !== signer)
      this.#faults.add(wholeLog, `the head is signed by ${signerSha256(head.signer)}`);
    if (this.#isCutShort) return;
    if (publishedHash !== null && !this.#isPublishedSeen)
      this.#faults.add(
        wholeLog,
        'no record has the hash that was published: this is another log, or an older copy',
      );
    if (head === null) {
      if (this.#faults.count > 0) return; // It is there, and said to be bad.
      const what = 'there is no signed head (head.json)';
      if (isWhole && !this.#isPublishedSeen) this.#faults.add(wholeLog, what);
      else this.#notes.add(wholeLog, what);
      return;
    }
    const last = this.#last ?? chainStart;
    if (head.seq > last.seq && isNewestHere)
      this.#faults.add(
        { ...wholeLog, seq: head.seq },
        `the log ends with record ${last.seq}, and the head was signed for ${head.seq}: ${head.seq - last.seq} records are missing`,
      );
    else if (isWhole && head.seq < (this.#firstPlace?.seq ?? 0))
      this.#faults.add(
        { ...wholeLog, seq: head.seq },
        `the head was signed for record ${head.seq}, and the log begins with record ${this.#firstPlace?.seq}: nothing of it is signed`,
      );
    else if (!this.#isHeadReached)
      this.#notes.add({ ...wholeLog, seq: head.seq }, 'the signed head is for a record in another file');
  }

  report(): AuditReport {
    const head = this.#head;
    const last = this.#last === null || this.#last.seq === 0 ? null : { ...this.#last, at: this.#lastAt };
    const first = this.#firstPlace;
    const records = first === null || last === null ? 0 : last.seq - first.seq + 1;
    return {
      isSound: this.#faults.count === 0,
      path: this.#options.path,
      files: this.#files,
      records,
      kinds: this.#kinds,
      first,
      last,
      head: head && {
        seq: head.seq,
        hash: head.hash,
        at: head.at,
        signerType: head.signer.type,
        signer: signerSha256(head.signer),
        clock: this.#headClock && { ...this.#headClock, clock: `${this.#headClock.clock}` },
      },
      unsigned: last === null ? 0 : Math.min(records, Math.max(0, last.seq - (head?.seq ?? 0))),
      quotes: this.#recheck.counts,
      unproven: this.#unproven,
      faults: this.#faults.listed,
      faultCount: this.#faults.count,
      notes: this.#notes.listed,
      noteCount: this.#notes.count,
    };
  }
}
