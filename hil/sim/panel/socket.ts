/** One page's WebSocket: checks what comes in, holds back what the page is too slow for. */
import type { WebSocket } from 'ws';
import type { Log } from '../../../daemon/log.ts';
import { type DemoFacts, type HealthReport, pageMessageSchema, type ServerMessage } from './messages.ts';
import type { PageConnection, PanelPage, SimPanel } from './panel.ts';

/** Ten fingers at 60 events a second each, and then some; a page sends each control once per drawn frame. */
const maxMessagesPerSecond = 1000;

/** With this much unsent, frames are left out until the page has read on. */
const maxBufferedBytes = 256 * 1024;

/** A browser answers pings by itself; one that does not has lost its network, and a key may still be held on it. */
const maxUnansweredBeats = 5;

/** RFC 6455, section 7.4.1. */
const closeCodes = { goingAway: 1001, policy: 1008 } as const;

/** What a page's socket needs. */
export interface PageSocketOptions {
  readonly socket: WebSocket;
  readonly panel: SimPanel;
  readonly log: Log;
  /** Called once, when the page is gone. */
  readonly onGone: () => void;
}

/** A page that shows the panel and moves its controls. */
export class PageSocket implements PanelPage {
  readonly #socket: WebSocket;
  readonly #log: Log;
  readonly #connection: PageConnection;
  /** Messages since the last beat. */
  #messageCount = 0;
  /** Beats since the page last answered one. */
  #unanswered = 0;
  #told = '';

  constructor({ socket, panel, log, onGone }: PageSocketOptions) {
    this.#socket = socket;
    this.#log = log;
    this.#connection = panel.connect(this);
    socket.on('message', (data, isBinary) => this.#receive(String(data), isBinary));
    socket.on('pong', () => {
      this.#unanswered = 0;
    });
    socket.on('error', (error) => log.warn({ err: error }, 'panel: page broke the protocol'));
    socket.on('close', () => {
      // A key that was held when the page went away is let go.
      this.#connection.close();
      onGone();
    });
  }

  send(message: ServerMessage): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    if (this.#socket.bufferedAmount > maxBufferedBytes) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Sends facts and health when they have changed. */
  tell(facts: DemoFacts, health: HealthReport): void {
    const told = JSON.stringify([facts, health]);
    if (told !== this.#told && this.send({ type: 'facts', facts, health })) this.#told = told;
  }

  /** Once a second: sends a sign of life, asks for one, and gives up a page that has long given none. */
  beat(facts: DemoFacts, health: HealthReport): void {
    this.#unanswered += 1;
    if (this.#unanswered > maxUnansweredBeats) {
      this.#socket.terminate();
      return;
    }
    this.#socket.ping();
    this.#messageCount = 0;
    this.tell(facts, health);
    this.#connection.catchUp();
    this.send({ type: 'beat' });
  }

  /** Says goodbye; the page then shows that the panel is gone. */
  end(): void {
    this.#socket.close(closeCodes.goingAway);
    this.#socket.terminate();
  }

  #receive(data: string, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const problem = isBinary ? 'binary message' : this.#take(data);
    if (problem === null) return;
    this.#log.warn({ problem }, 'panel: closed a page that sent what no page sends');
    this.#connection.close();
    this.#socket.close(closeCodes.policy, problem);
  }

  /** Hands one message to the panel; says what is wrong with it, null when nothing. */
  #take(data: string): string | null {
    this.#messageCount += 1;
    if (this.#messageCount > maxMessagesPerSecond) return 'too many messages';
    let json: unknown;
    try {
      json = JSON.parse(data);
    } catch {
      return 'not JSON';
    }
    const message = pageMessageSchema.safeParse(json);
    if (!message.success) return 'not a message of the panel';
    return this.#connection.receive(message.data) ? null : 'no such control';
  }
}
