/**
 * The audit log of a gateway: append-only, chained, its head signed. docs/audit.md says what that proves and what not.
 *
 * `openAudit` finds the end of the log (resume.ts), `append` writes records (writer.ts), and the head follows them
 * (head-keeper.ts). verify.ts checks a log without any of these.
 */
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { PartHealth } from '../../health.ts';
import type { Log } from '../../log.ts';
import { makeStateFolder, stateError } from '../state-files.ts';
import { headFile, isSameSigner, signerSha256 } from './head.ts';
import { HeadKeeper, removeUnfinishedHeads } from './head-keeper.ts';
import { eventText, type Link } from './record.ts';
import { findEnd, type LogEnd } from './resume.ts';
import { type Disk, realDisk } from './segments.ts';
import { isMarked, markSigned, removeMark } from './signed-mark.ts';
import type { Signer } from './signers.ts';
import type { Audit, AuditEvent } from './types.ts';
import { LogWriter } from './writer.ts';

/** What a log needs. */
export interface AuditParts {
  /** Made when it is not there; nothing else may be in it. Beside it is the mark of signed-mark.ts. */
  readonly folder: string;
  /** Size from which on a new file is begun, bytes. */
  readonly segmentBytes: number;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

/** An audit log that is open. One process at a time may have it. */
export interface AuditLog extends Audit {
  /** The newest record that is on the disk; `seq` 0: there is none. */
  readonly last: Link;
  /** Record that the newest signed head is for; 0: none is signed yet. */
  readonly signedSeq: number;
  /** Whether records are written and heads are signed. */
  health(): PartHealth;
  /** Ends when all records are written; waits a second at most for the last head. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens a log, or begins one with the first record.
 * @throws SurfacedError E_AUDIT_BROKEN when what is there is not whole; E_STATE_DIR when the folder cannot be used
 */
export const openAudit = (parts: AuditParts): Promise<AuditLog> => openAuditOn(parts, realDisk);

/** The same on another disk. */
export async function openAuditOn(parts: AuditParts, disk: Disk): Promise<AuditLog> {
  const { folder, segmentBytes, signer, clock, log } = parts;
  await makeStateFolder(folder);
  let end: LogEnd;
  try {
    end = await findEnd(folder);
    await removeUnfinishedHeads(folder);
    await checkMark(folder, end, log);
  } catch (problem) {
    throw problem instanceof SurfacedError ? problem : stateError(folder, problem);
  }
  tell(end, signer, log);

  const writer = new LogWriter({
    folder,
    end,
    segmentBytes,
    clock,
    disk,
    signer: () => signer.known,
    onWritten: () => keeper.look(),
  });
  const signedSeq = end.head?.seq ?? 0;
  const keeper = new HeadKeeper({ folder, signer, clock, log, writer, signedSeq });
  keeper.look(); // Whatever a crash left unsigned.
  let isClosed = false;
  return {
    get last() {
      return writer.last;
    },
    get signedSeq() {
      return keeper.signedSeq;
    },
    async append(event) {
      if (isClosed) throw new SurfacedError('E_AUDIT_WRITE', 'the log is closed');
      await writer.append(textOf(event));
    },
    health: () => healthOf(writer, keeper),
    async close() {
      isClosed = true;
      await writer.flushed();
      await keeper.close();
      await writer.close();
    },
  };
}

/** @throws SurfacedError E_AUDIT_BROKEN when there was a head and is none; E_STATE_DIR */
async function checkMark(folder: string, { head, last }: LogEnd, log: Log): Promise<void> {
  if (head !== null) return markSigned(folder);
  if (!(await isMarked(folder))) return;
  if (last.seq > 0)
    throw new SurfacedError(
      'E_AUDIT_BROKEN',
      `${headFile(folder)}: is missing, and the log was signed before`,
    );
  log.warn({ folder }, 'the audit log begins anew: what was in its folder is not there any more');
  await removeMark(folder);
}

/** @throws SurfacedError E_AUDIT_WRITE when the event is not what its type says: it could not be read again */
function textOf(event: AuditEvent): string {
  try {
    return eventText(event);
  } catch (cause) {
    throw new SurfacedError('E_AUDIT_WRITE', `an event of kind ${event.kind} that cannot be written`, {
      cause,
    });
  }
}

function tell({ last, head, tornBytes, signer: logged }: LogEnd, { known }: Signer, log: Log): void {
  if (tornBytes > 0)
    log.warn({ bytes: tornBytes }, 'an incomplete record at the end of the audit log is cut');
  if (last.seq > 0 && head === null) log.warn({ records: last.seq }, 'the audit log has no head yet');
  if (last.seq > (head?.seq ?? 0))
    log.warn({ from: (head?.seq ?? 0) + 1, to: last.seq }, 'audit records were not signed yet');
  if (known === null || isSameSigner(known, logged)) return;
  // To be noted down: who verifies the log compares it.
  log.info({ signer: signerSha256(known) }, 'the audit log is signed with a key that is new to it');
}

function healthOf(writer: LogWriter, keeper: HeadKeeper): PartHealth {
  if (writer.problem !== null)
    return { ok: false, detail: `audit records cannot be written: ${writer.problem.message}` };
  const { seq } = writer.last;
  if (keeper.problem !== null)
    return {
      ok: false,
      detail: `${seq} audit records, ${seq - keeper.signedSeq} of them not signed yet: ${keeper.problem}`,
    };
  return { ok: true, detail: `${seq} audit records` };
}
