/** Serves buses of chip models over a Unix socket, to the I2C adapters of the rig; frames as in `frames.ts`. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { type BusResult, type SimBus, timeoutErrno } from './bus.ts';
import { encodeReply, type Request, RequestParser } from './frames.ts';

/** There is no such bus, or it was pulled (ENXIO). */
export const noBusErrno = -6;

/** How long an adapter of the kernel holds the bus before it gives up, milliseconds. */
const timeoutMs = 100;

/** How a connection ends that somebody closed, in between or at its end. */
const ordinaryEnds: readonly unknown[] = ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ABORT_ERR'];

/** The server; one connection an open adapter, requests of a connection are answered in their order. */
export class ChipServer {
  /** What no adapter should have sent, and what failed in a model; a test fails when it is not empty at its end. */
  readonly protocolErrors: string[] = [];
  readonly #buses: ReadonlyMap<number, SimBus>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #closing = new AbortController();
  /** The end of the last transfer of each bus: a bus that is held makes everybody wait. */
  readonly #free = new WeakMap<SimBus, Promise<unknown>>();

  /** @param buses by their numbers; the caller may take one away or put one in at any time */
  constructor(buses: ReadonlyMap<number, SimBus>) {
    this.#buses = buses;
    // An adapter that has said its last request still wants the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
  }

  /** Listens; rejects when the path is taken or cannot be made. */
  async listen(path: string): Promise<void> {
    this.#server.listen(path);
    await once(this.#server, 'listening');
  }

  /** Ends all connections and takes the socket away. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    const parser = new RequestParser();
    const answer = (request: Request) => this.#answer(request);
    try {
      await pipeline(
        socket,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            for (const request of parser.push(chunk)) yield encodeReply(await answer(request));
          }
        },
        socket,
      );
    } catch (error) {
      const isOrdinary = error instanceof Error && 'code' in error && ordinaryEnds.includes(error.code);
      if (!isOrdinary) this.protocolErrors.push(String(error));
    } finally {
      socket.destroy();
      this.#sockets.delete(socket);
    }
  }

  async #answer({ bus: number, address, messages }: Request): Promise<BusResult> {
    const bus = this.#buses.get(number);
    if (bus === undefined) return { errno: noBusErrno };
    const before = this.#free.get(bus);
    const done = Promise.resolve(before).then(async () => {
      const stretchMs = bus.stretchMs(address);
      const result = bus.transfer(address, messages);
      const isTimeout = 'errno' in result && result.errno === timeoutErrno;
      const heldMs = isTimeout ? timeoutMs : stretchMs;
      if (heldMs > 0) await wait(heldMs, undefined, { signal: this.#closing.signal });
      return result;
    });
    this.#free.set(
      bus,
      done.catch(() => {}),
    );
    return done;
  }
}
