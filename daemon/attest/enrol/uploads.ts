/**
 * Who may send a body with evidence. It is some hundred times larger than any other request, so it is let in only on a
 * connection that has begun with a TPM which somebody approved, and only a few at a time. Decided by the header alone,
 * before any of the body is kept.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SurfacedError } from '../../errors.ts';
import { maxRequestBytes } from './messages.ts';
import type { Sessions } from './sessions.ts';

/** With the texts and bytes that are made of it, a body takes about four times its size in memory. */
const mostUploads = 4;

export interface Uploads {
  /**
   * Lets a request pass whose body is small, or is evidence that may come now.
   * @throws SurfacedError E_ENROL_REQUEST without a length or for a large body that is no evidence, E_ENROL_SESSION,
   *   E_ENROL_BUSY
   */
  admit(request: IncomingMessage, response: ServerResponse): void;
}

/** @param sessions what connections have begun */
export function createUploads(sessions: Sessions): Uploads {
  /** Endorsement keys whose evidence is under way; one each, so that nobody takes all places with one known key. */
  const underWay = new Set<string>();
  return {
    admit: (request, response) => {
      const length = request.headers['content-length'];
      // A body in chunks does not say how long it will be.
      if (length === undefined) throw new SurfacedError('E_ENROL_REQUEST', 'content-length: missing');
      if (Number(length) <= maxRequestBytes) return;
      const session = sessions.current(request.socket);
      if (!session)
        throw new SurfacedError('E_ENROL_SESSION', 'begin anew: nothing is begun on this connection');
      if (session.proving.kind !== 'tpm')
        throw new SurfacedError('E_ENROL_REQUEST', `request: larger than ${maxRequestBytes} bytes`);
      const { ekSha256 } = session.proving.begun;
      if (underWay.size >= mostUploads || underWay.has(ekSha256))
        throw new SurfacedError('E_ENROL_BUSY', 'as much evidence as can be taken at a time is on its way');
      underWay.add(ekSha256);
      // After the answer, and when the connection goes before it.
      response.once('close', () => underWay.delete(ekSha256));
    },
  };
}
