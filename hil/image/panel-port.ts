/** The far end of the serial line of a machine in QEMU, which offers it on a Unix socket. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { PanelPort } from '../../test/e2e/mackie.ts';

/** QEMU makes the socket some time after its start, and says nothing when it does. */
const lookMs = 20;

/** Plugged in: QEMU attaches the adapter to its USB port when somebody is at the socket, and not before. */
export class SocketPort implements PanelPort {
  readonly #socket: Socket;
  readonly #received: number[] = [];
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(...bytes);
      this.#wake();
    });
    // The machine went off, which is told by whoever turned it off.
    socket.on('error', () => socket.destroy());
  }

  /** Waits for the socket; rejects when the signal fires before it is there. */
  static async plug(path: string, signal: AbortSignal): Promise<SocketPort> {
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, 'connect', { signal });
        return new SocketPort(socket);
      } catch (problem) {
        socket.destroy();
        const { code } = problem as NodeJS.ErrnoException;
        if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw problem;
      }
      await pause(lookMs, undefined, { signal });
    }
  }

  send(...bytes: number[]): void {
    this.#socket.write(Uint8Array.from(bytes));
  }

  /** Never resolves after the line has ended. */
  async next(): Promise<readonly number[]> {
    while (this.#received.length === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#received.splice(0);
  }

  async unplug(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }
}
