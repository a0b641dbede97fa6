/**
 * A TCP way that can be cut as a network is: nothing passes and nobody is told. What was sent meanwhile arrives when it is
 * mended, as after TCP's repetitions, unless an end has given up.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Way {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  /** Those that came while it was cut. */
  readonly #waiting = new Set<Socket>();
  #isCut = false;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#come(socket),
    );
  }

  /** Opens a way to a port of this machine. @param port 0: a free one */
  static async open(targetPort: number, port: number): Promise<Way> {
    const way = new Way(targetPort);
    way.#server.listen(port, '127.0.0.1');
    await once(way.#server, 'listening');
    return way;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  mend(): void {
    this.#isCut = false;
    for (const socket of this.#waiting) this.#join(socket);
    this.#waiting.clear();
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.#sockets, ...this.#waiting]) socket.destroy();
  }

  #come(socket: Socket): void {
    if (!this.#isCut) {
      this.#join(socket);
      return;
    }
    this.#waiting.add(socket);
    socket.on('error', () => this.#waiting.delete(socket));
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => {
          if (!this.#isCut) from.resume();
        });
      });
      from.on('end', () => to.end());
      // An end that is gone is gone for the other one, too.
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => this.#sockets.delete(from));
    }
    if (this.#isCut) far.pause();
    else near.resume();
  }
}
