/**
 * Who may send a body with evidence. It is some hundred times larger than any other request, so it is let in only on a
 * connection that has begun with a TPM which somebody approved, and only a few at a time. Decided by the header alone,
 * before any of the body is kept.
 *
 * Keys of TPMs are no secrets: whoever knows one can begin with it. So surfaces that show their certificate have places of
 * their own, nobody else takes all that are left from one network, and who hardly sends makes room for who waits.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { networkOf } from '../network.ts';
import { maxRequestBytes } from './messages.ts';
import type { Sessions } from './sessions.ts';

/** Places. With the texts and bytes that are made of it, a body takes about four times its size in memory. */
const most = { certified: 2, others: 4, othersOfNetwork: 2 } as const;
/** Whoever has sent less than this after that time is not waited for when somebody else comes. */
const slow = { afterMs: 5000, bytesPerSecond: 65_536 } as const;

export interface Uploads {
  /**
   * Lets a request pass whose body is small, or is evidence that may come now.
   * @throws SurfacedError E_ENROL_REQUEST without a length or for a large body that is no evidence, E_ENROL_SESSION,
   *   E_ENROL_BUSY
   */
  admit(request: IncomingMessage, response: ServerResponse): void;
}

interface Upload {
  readonly ekSha256: string;
  readonly isCertified: boolean;
  readonly network: string;
  readonly request: IncomingMessage;
  /** Monotonic milliseconds. */
  readonly beganAt: number;
  /** Bytes that had come over the connection before. */
  readonly readBefore: number;
}

/**
 * @param parts.sessions what connections have begun
 * @param parts.isCertified whether the connection shows a valid certificate of the TPM with this endorsement key
 */
export function createUploads(parts: {
  readonly sessions: Sessions;
  readonly isCertified: (socket: Socket, ekSha256: string) => boolean;
  readonly clock: Clock;
}): Uploads {
  const { sessions, isCertified, clock } = parts;
  const underWay = new Set<Upload>();

  /** Those in whose way another one is; none: there is a place. */
  function rivalsOf(next: Upload): readonly Upload[] {
    const alike = [...underWay].filter((one) => one.isCertified === next.isCertified);
    const neighbours = alike.filter((one) => next.isCertified || one.network === next.network);
    // One for each TPM, but who knows its key from elsewhere does not keep it out.
    const twins = neighbours.filter((one) => one.ekSha256 === next.ekSha256);
    if (twins.length > 0) return twins;
    if (!next.isCertified && neighbours.length >= most.othersOfNetwork) return neighbours;
    return alike.length >= (next.isCertified ? most.certified : most.others) ? alike : [];
  }
  const isSlow = ({ request, beganAt, readBefore }: Upload): boolean => {
    const passedMs = clock.monotonic() - beganAt;
    const read = request.socket.bytesRead - readBefore;
    // Who has sent everything waits for us.
    return !request.complete && passedMs > slow.afterMs && read / passedMs < slow.bytesPerSecond / 1000;
  };

  return {
    admit: (request, response) => {
      const length = request.headers['content-length'];
      // A body in chunks does not say how long it will be.
      if (length === undefined) throw new SurfacedError('E_ENROL_REQUEST', 'content-length: missing');
      if (Number(length) <= maxRequestBytes) return;
      const { socket } = request;
      const session = sessions.current(socket);
      if (!session)
        throw new SurfacedError('E_ENROL_SESSION', 'begin anew: nothing is begun on this connection');
      if (session.proving.kind !== 'tpm')
        throw new SurfacedError('E_ENROL_REQUEST', `request: larger than ${maxRequestBytes} bytes`);
      const { ekSha256 } = session.proving.begun;
      const upload: Upload = {
        ekSha256,
        isCertified: isCertified(socket, ekSha256),
        network: networkOf(socket.remoteAddress ?? ''),
        request,
        beganAt: clock.monotonic(),
        readBefore: socket.bytesRead,
      };
      const rivals = rivalsOf(upload);
      const halting = rivals.find(isSlow);
      if (rivals.length > 0 && !halting)
        throw new SurfacedError('E_ENROL_BUSY', 'as much evidence as can be taken at a time is on its way');
      if (halting) {
        underWay.delete(halting);
        halting.request.socket.destroy();
      }
      underWay.add(upload);
      // After the answer, and when the connection goes before it.
      response.once('close', () => underWay.delete(upload));
    },
  };
}
