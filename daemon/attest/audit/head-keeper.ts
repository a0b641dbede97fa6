/** Keeps the signed head behind the log: soon after each group, again and again while the signer does not answer. */
import { readdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { writeStateFile } from '../state-files.ts';
import { headFile, headJson, isSameSigner } from './head.ts';
import { markSigned } from './signed-mark.ts';
import type { Signer } from './signers.ts';
import type { LogWriter } from './writer.ts';

/** First and longest pause after a failure, milliseconds. */
const backoff = { firstMs: 1000, longestMs: 60_000 };
/** How long closing waits for the last head, milliseconds: a role must stop soon. */
const lastHeadMs = 1000;

export interface HeadKeeperParts {
  readonly folder: string;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
  readonly writer: LogWriter;
  /** Record that the head on the disk is for; 0: there is none. */
  readonly signedSeq: number;
}

/** Signs the newest record, at most once in the signer's `pauseMs`. */
export class HeadKeeper {
  readonly #parts: HeadKeeperParts;
  readonly #stopping = new AbortController();
  #signedSeq: number;
  #problem: string | null = null;
  #running: Promise<void> | null = null;

  constructor(parts: HeadKeeperParts) {
    this.#parts = parts;
    this.#signedSeq = parts.signedSeq;
  }

  /** Record that the newest head is for. */
  get signedSeq(): number {
    return this.#signedSeq;
  }

  /** Why the newest head could not be signed or written, null: it could. */
  get problem(): string | null {
    return this.#problem;
  }

  /** To be called when there are new records. */
  look(): void {
    if (!this.#stopping.signal.aborted) this.#running ??= this.#run();
  }

  /** Signs what is not signed yet, if that is quickly done. May be called twice. */
  async close(): Promise<void> {
    const isFirst = !this.#stopping.signal.aborted;
    this.#stopping.abort();
    await this.#running;
    if (isFirst && this.#problem === null) await this.#attempt(AbortSignal.timeout(lastHeadMs));
  }

  async #run(): Promise<void> {
    const { signer, writer } = this.#parts;
    const { signal } = this.#stopping;
    let afterFailureMs = backoff.firstMs;
    await Promise.resolve(); // `#running` is set before it is taken back.
    while (!signal.aborted && this.#signedSeq < writer.last.seq) {
      const isSigned = await this.#attempt(signal);
      const waitMs = isSigned ? signer.pauseMs : afterFailureMs;
      afterFailureMs = isSigned ? backoff.firstMs : Math.min(afterFailureMs * 2, backoff.longestMs);
      await pause(waitMs, undefined, { ref: false, signal }).catch(() => {}); // Ends early when it is closed.
    }
    this.#running = null;
  }

  /** Never rejects: records go on without a head, and health says so. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { log } = this.#parts;
    try {
      if (this.#signedSeq < this.#parts.writer.last.seq) await this.#sign(signal);
      if (this.#problem !== null) log.info('the head of the audit log is signed again');
      this.#problem = null;
      return true;
    } catch (error) {
      if (signal === this.#stopping.signal && error === signal.reason) return false; // It is closed meanwhile.
      const message = error instanceof Error ? error.message : String(error);
      if (this.#problem !== message)
        log.warn({ error: message }, 'the head of the audit log cannot be signed');
      this.#problem = message;
      return false;
    }
  }

  async #sign(signal: AbortSignal): Promise<void> {
    const { folder, signer, clock, writer } = this.#parts;
    // The log names a key before that key signs; a TPM's is known once it has signed.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (signer.known !== null && !isSameSigner(signer.known, writer.loggedSigner))
        await writer.append(null);
      const text = { ...writer.last, at: clock.now() };
      const signed = await signer.sign(text, signal);
      if (!isSameSigner(signed.signer, writer.loggedSigner)) continue;
      await writeStateFile(headFile(folder), headJson({ ...text, ...signed }), { isExclusive: false });
      // After the head: a crash between the two must not look like a head that was taken away.
      if (this.#signedSeq === 0) await markSigned(folder);
      this.#signedSeq = text.seq;
      return;
    }
    throw new SurfacedError('E_TPM', 'the TPM signs with another key each time');
  }
}

/** Removes what a crash left of heads that were being written. @throws errors of the file system */
export async function removeUnfinishedHeads(folder: string): Promise<void> {
  const unfinished = /^head\.json\.[0-9a-f]+\.tmp$/;
  for (const name of await readdir(folder)) if (unfinished.test(name)) await unlink(path.join(folder, name));
}
