/** A connection on which a request is one write, and of whose replies the length is known from their first bytes. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { TpmTransportError } from '../transport.ts';

/** Where a TPM listens. */
export type StreamAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** How long a connection may take, milliseconds. */
const connectMs = 5_000;

/** E.g. `127.0.0.1:2321`. */
export const nameOf = (address: StreamAddress): string =>
  'path' in address ? address.path : `${address.host}:${address.port}`;

/**
 * Bytes that a reply has in all, once its beginning is known; null: more of it is needed.
 * @throws TpmTransportError when no reply begins so
 */
export type ReplyLength = (received: Buffer) => number | null;

/** A connection that is opened when it is needed, and closed after every failure. */
export class Stream {
  readonly #address: StreamAddress;
  #socket: Socket | null = null;

  constructor(address: StreamAddress) {
    this.#address = address;
  }

  /**
   * One write, one reply.
   * @throws TpmTransportError
   */
  async request(bytes: Uint8Array, replyLength: ReplyLength, mostMs: number): Promise<Buffer> {
    this.#socket ??= await this.#connect();
    const socket = this.#socket;
    return new Promise<Buffer>((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      const finish = (problem: Error | null): void => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on('error', () => {});
        if (problem === null) {
          this.#watch(socket);
          resolve(received);
        } else {
          this.close();
          reject(problem);
        }
      };
      const fail = (text: string, cause: unknown) =>
        finish(new TpmTransportError(`${nameOf(this.#address)}: ${text}`, { cause }));
      const timer = setTimeout(() => fail(`no answer within ${mostMs} ms`, undefined), mostMs);
      socket.removeAllListeners();
      socket.on('error', (problem) => fail(problem.message, problem));
      socket.on('close', () => fail('the connection was closed', undefined));
      socket.on('data', (data) => {
        received = Buffer.concat([received, data]);
        try {
          const length = replyLength(received);
          if (length === null || received.length < length) return;
          if (received.length > length) fail(`${received.length - length} bytes after the reply`, undefined);
          else finish(null);
        } catch (problem) {
          fail(problem instanceof Error ? problem.message : String(problem), problem);
        }
      });
      socket.write(bytes);
    });
  }

  /** May be called twice. */
  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  /** Between requests nothing may come: what does belongs to nobody. */
  #watch(socket: Socket): void {
    const drop = () => {
      if (this.#socket === socket) this.close();
    };
    socket.on('data', drop);
    socket.on('close', drop);
  }

  #connect(): Promise<Socket> {
    const address = this.#address;
    return new Promise((resolve, reject) => {
      const options: NetConnectOpts =
        'path' in address ? { path: address.path } : { ...address, noDelay: true };
      const socket = connect(options);
      const fail = (text: string, cause: unknown) => {
        socket.destroy();
        reject(new TpmTransportError(`${nameOf(address)}: ${text}`, { cause }));
      };
      const timer = setTimeout(() => fail(`no connection within ${connectMs} ms`, undefined), connectMs);
      socket.once('error', (problem) => {
        clearTimeout(timer);
        fail(problem.message, problem);
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(socket);
      });
    });
  }
}
