/** Talks to the controller of a bench: one request at a time, sent again until its reply comes. */
import { randomInt } from 'node:crypto';
import type { OpenPort, Port } from '../../daemon/hw/ports/port.ts';
import {
  decodeLine,
  encodeLine,
  highestNumber,
  LineReader,
  type Message,
  protocolVersion,
} from './protocol.ts';

/** Who is at the other end. */
export interface BenchHello {
  /** Another one after each start of the controller. */
  readonly boot: string;
  /** Commands that it knows, see PROTOCOL.md. */
  readonly abilities: ReadonlySet<string>;
}

/** How to reach a controller. */
export interface BenchClientOptions {
  readonly path: string;
  readonly openPort: OpenPort;
  /** How long a reply may take, beside what the request itself takes, before the request is sent again, milliseconds. */
  readonly replyTimeoutMs: number;
  /** How often a request is sent before the bench is given up. */
  readonly mostAttempts: number;
  /** Takes what the sniffer saw, see {@link I2cTrace}; null: some of it was lost. */
  readonly onSniffed: (bytes: Uint8Array | null) => void;
}

interface Waiting {
  readonly number: number;
  readonly settle: (words: readonly string[]) => void;
  readonly fail: (problem: Error) => void;
}

/** A bench that was greeted. */
export class BenchClient {
  readonly #options: BenchClientOptions;
  readonly #reader = new LineReader();
  #port: Port | null = null;
  /** Begins anywhere, so that no reply to an earlier program is taken for one to this. */
  #number = randomInt(highestNumber);
  #waiting: Waiting | null = null;
  /** Why nothing more can be asked. */
  #gone: Error | null = null;
  /** The end of the last request: a controller does one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #hello: BenchHello | null = null;
  #nextEvent = 0;

  private constructor(options: BenchClientOptions) {
    this.#options = options;
  }

  /**
   * Opens the port and greets the controller, which lets go of all its lines.
   * @throws SurfacedError E_HW_PORT_OPEN, E_HW_PORT_LOST; Error when it does not answer or speaks another version
   */
  static async open(options: BenchClientOptions): Promise<BenchClient> {
    const client = new BenchClient(options);
    client.#port = await options.openPort(options.path, {
      onData: (bytes) => client.#take(bytes),
      onClosed: (problem) => client.#lose(problem),
    });
    try {
      await client.#greet();
    } catch (problem) {
      await client.#port.close();
      throw problem;
    }
    return client;
  }

  /** What the controller said of itself when it was greeted last. */
  get hello(): BenchHello {
    if (this.#hello === null) throw new Error('the controller was not greeted');
    return this.#hello;
  }

  /**
   * Asks for something and waits until it is done; the words of the reply.
   * @param durationMs how long it takes to do
   * @throws SurfacedError E_HW_PORT_LOST; Error when it is refused or the controller is silent, and, from then on, when
   *   the controller was started anew: whoever wants to go on opens the bench again
   */
  async request(words: readonly string[], durationMs: number): Promise<readonly string[]> {
    const asked = this.#last.then(() => this.#request(words, durationMs));
    // Whoever asked is told; the next one asks anyway.
    this.#last = asked.catch(() => {});
    return asked;
  }

  /** Lets go of all lines, where the controller still answers, and of the port; may be called twice. */
  async close(): Promise<void> {
    if (this.#gone === null) {
      // A controller that does not answer cannot be made to let go; its next greeting does it.
      await this.request(['release'], 0).catch(() => {});
      this.#gone ??= new Error(`${this.#options.path}: the bench was closed`);
    }
    await this.#port?.close();
  }

  async #request(words: readonly string[], durationMs: number): Promise<readonly string[]> {
    const reply = await this.#ask(words, durationMs);
    if (reply[0] === 'ok') return reply.slice(1);
    if (reply[1] === 'hello') {
      this.#gone = this.#error(`was started anew before "${words.join(' ')}": all its lines are open again`);
      throw this.#gone;
    }
    throw this.#error(`refused "${words.join(' ')}": ${reply.slice(1).join(' ')}`);
  }

  async #greet(): Promise<void> {
    const reply = await this.#ask(['hello', String(protocolVersion)], 0);
    const [verdict, name, version, boot, ...abilities] = reply;
    if (verdict === 'err' && name === 'version')
      throw this.#error(
        `speaks version ${version} of the protocol, this is version ${protocolVersion}: copy hil/bench/firmware to it`,
      );
    if (verdict !== 'ok' || name !== 'surfaced-bench' || version !== String(protocolVersion) || !boot)
      throw this.#error(`is no bench controller: it said "${reply.join(' ')}"`);
    this.#hello = { boot, abilities: new Set(abilities) };
  }

  /** Sends a request until its reply comes; the controller knows by the number that it is the same one. */
  #ask(words: readonly string[], durationMs: number): Promise<readonly string[]> {
    this.#number = (this.#number % highestNumber) + 1;
    const number = this.#number;
    const line = Buffer.from(encodeLine({ kind: '?', number, words }), 'latin1');
    // What noise left at the other end is a line of its own.
    const fresh = Buffer.concat([Buffer.from('\n'), line]);
    return new Promise((resolve, reject) => {
      if (this.#gone !== null) throw this.#gone;
      let attempts = 0;
      let timer: NodeJS.Timeout | undefined;
      const attempt = () => {
        attempts += 1;
        if (attempts > this.#options.mostAttempts) {
          this.#waiting?.fail(this.#error(`does not answer "${words.join(' ')}"`));
          return;
        }
        this.#port?.write(fresh);
        timer = setTimeout(attempt, durationMs + this.#options.replyTimeoutMs);
      };
      const end = () => {
        clearTimeout(timer);
        this.#waiting = null;
      };
      this.#waiting = {
        number,
        settle: (reply) => {
          end();
          resolve(reply);
        },
        fail: (problem) => {
          end();
          reject(problem);
        },
      };
      attempt();
    });
  }

  #take(bytes: Uint8Array): void {
    for (const line of this.#reader.push(bytes)) {
      const message = decodeLine(line);
      if (message?.kind === '=' && message.number === this.#waiting?.number) this.#settle(message);
      else if (message?.kind === '!' && this.#hello !== null) this.#event(message);
    }
  }

  #settle({ words }: Message): void {
    // Events are counted from the greeting on, and follow its reply in what is read.
    if (words[0] === 'ok' && words[1] === 'surfaced-bench') this.#nextEvent = 0;
    this.#waiting?.settle(words);
  }

  #event({ number, words: [name, data] }: Message): void {
    const isNext = number === this.#nextEvent;
    this.#nextEvent = (number + 1) & highestNumber;
    if (!isNext || name === 'lost') this.#options.onSniffed(null);
    if (name === 'i2c' && data !== undefined) this.#options.onSniffed(Buffer.from(data, 'base64'));
  }

  #lose(problem: Error): void {
    this.#gone = problem;
    this.#waiting?.fail(problem);
  }

  #error(what: string): Error {
    return new Error(`The bench controller at ${this.#options.path} ${what}`);
  }
}
