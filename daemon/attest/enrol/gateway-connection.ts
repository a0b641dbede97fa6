/** One TLS connection to the gateway that the pin names, and JSON requests over it: never over another. */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { z } from 'zod';
import { type ErrorCode, errorTable, SurfacedError } from '../../errors.ts';
import { channelBinding } from '../evidence/binding.ts';
import { errorAnswer, maxAnswerBytes } from './messages.ts';
import { connectPinned, type GatewayAddress } from './pinned-gateway.ts';

/** E_ENROL_QUARANTINE, with what the pairing code is made of. */
export class QuarantineError extends SurfacedError {
  readonly salt: Uint8Array;

  constructor(message: string, salt: Uint8Array) {
    super('E_ENROL_QUARANTINE', message);
    this.salt = salt;
  }
}

/** A connection to the gateway. */
export interface GatewayConnection {
  /** CA of the gateway, PEM. */
  readonly caPem: string;
  /** 32 bytes that only the two ends of this connection know (RFC 9266). */
  channel(): Buffer;
  /**
   * One request, after the one before.
   * @param timeoutMs until the whole answer is there, milliseconds
   * @throws SurfacedError E_GATEWAY_UNREACHABLE, E_GATEWAY_ANSWER, E_ENROL_SESSION when the connection ended since the
   *   request before, QuarantineError, and what the gateway refuses with; the reason of the signal
   */
  post<T extends z.ZodType>(path: string, body: object, schema: T, timeoutMs: number): Promise<z.output<T>>;
  close(): void;
}

/** Connects; parameters and errors are those of {@link connectPinned}. */
export async function openGateway(options: {
  readonly address: GatewayAddress;
  readonly pin: string;
  readonly certificate: { readonly certificatePem: string; readonly privateKeyPem: string } | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): Promise<GatewayConnection> {
  const { address, signal } = options;
  const { socket, caPem } = await connectPinned({ ...options, now: null });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let isTaken = false;
  agent.createConnection = (_options, onCreated) => {
    // Never a second one: it would not be the one that was checked, nor the one that evidence is bound to.
    if (isTaken) onCreated?.(new Error('the connection has ended'), socket);
    else onCreated?.(null, socket);
    isTaken = true;
    return undefined;
  };

  const send = (path: string, body: string, timeoutMs: number): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const { host, port } = address;
      const outgoing = request({ agent, host, port, path, method: 'POST', headers, signal });
      const giveUp = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      outgoing.once('error', reject);
      outgoing.once('close', () => clearTimeout(giveUp));
      outgoing.once('response', (response) => {
        readBody(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
      });
      outgoing.end(body);
    });

  return {
    caPem,
    channel: () => socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0)),
    post: async (path, body, schema, timeoutMs) => {
      signal.throwIfAborted();
      if (isTaken && !socket.writable)
        throw new SurfacedError('E_ENROL_SESSION', 'the connection ended before enrolment was finished');
      let answer: Answer;
      try {
        answer = await send(path, JSON.stringify(body), timeoutMs);
      } catch (cause) {
        signal.throwIfAborted();
        const { message } = cause as Error;
        throw new SurfacedError('E_GATEWAY_UNREACHABLE', `${address.host}:${address.port}: ${message}`, {
          cause,
        });
      }
      return readAnswer(answer, schema);
    },
    close: () => {
      agent.destroy();
      socket.destroy();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readAnswer<T extends z.ZodType>(answer: Answer, schema: T): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(answer.text);
  } catch (cause) {
    throw new SurfacedError('E_GATEWAY_ANSWER', `status ${answer.status} and no JSON`, { cause });
  }
  const refused = errorAnswer.safeParse(json);
  if (refused.success) throw refusal(refused.data);
  const result = schema.safeParse(json);
  if (answer.status === 200 && result.success) return result.data;
  const detail = result.success ? '' : `, ${result.error.issues[0]?.path.join('.')} is not as expected`;
  throw new SurfacedError('E_GATEWAY_ANSWER', `status ${answer.status}${detail}`);
}

function refusal({ error: { code, message }, pairing }: z.output<typeof errorAnswer>): SurfacedError {
  if (code === 'E_ENROL_QUARANTINE' && pairing)
    return new QuarantineError(message, Buffer.from(pairing.salt, 'hex'));
  return new SurfacedError(
    Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'E_GATEWAY_ANSWER',
    message,
  );
}
