/** Between clients and a software TPM: a way in that counts commands, and a client that knows nothing of them. */
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Tag, size and code of a message (TPM 2.0 Part 1, section 18.1). */
const headerBytes = 10;

/** Finds where messages end in a stream, by the size in their headers. */
export class MessageCounter {
  count = 0;
  /** Bytes of a message whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0);

  take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= headerBytes) {
      const size = Math.max(headerBytes, this.#rest.readUInt32BE(2));
      if (this.#rest.length < size) return;
      this.#rest = this.#rest.subarray(size);
      this.count++;
    }
  }
}

/** A second socket of a software TPM, on which commands are counted. */
export class CountingSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #commands = 0;

  /** Commands since it was last asked: one is one round trip. */
  take(): number {
    const commands = this.#commands;
    this.#commands = 0;
    return commands;
  }

  private constructor(path: string, target: string) {
    this.path = path;
    this.#server = createServer((client) => {
      const tpm = connect(target);
      const counter = new MessageCounter();
      for (const socket of [client, tpm]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.once('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          tpm.destroy();
        });
      }
      client.on('data', (bytes: Buffer) => {
        const before = counter.count;
        counter.take(bytes);
        this.#commands += counter.count - before;
        tpm.write(bytes);
      });
      tpm.pipe(client);
    });
  }

  /** @param target the data socket of a swtpm, whose control channel is at the same with `.ctrl` */
  static async open(path: string, target: string): Promise<CountingSocket> {
    // tpm2-tools look for it there.
    await symlink(`${target}.ctrl`, `${path}.ctrl`);
    const counting = new CountingSocket(path, target);
    counting.#server.listen(path);
    await once(counting.#server, 'listening');
    return counting;
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Writes the same bytes again and again, and waits for as many bytes as an answer says that it has. */
export async function exchangeBare(path: string, command: Uint8Array, times: number): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  const answers = new MessageCounter();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.on('data', (bytes: Buffer) => {
        const before = answers.count;
        answers.take(bytes);
        if (answers.count >= times) resolve();
        else if (answers.count > before) socket.write(command);
      });
      socket.write(command);
    });
  } finally {
    socket.destroy();
  }
}
