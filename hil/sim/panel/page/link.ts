/** The page's end of the WebSocket: keeps the last face, sends what the user does, connects anew when lost. */
import type { PanelSpec } from '../../../../daemon/surface/types.ts';
import type { DemoFacts, Face, HealthReport, PageMessage, ServerMessage } from '../messages.ts';

/** All that the page shows. */
export interface PanelView {
  readonly connection: 'connecting' | 'open' | 'lost';
  /** `performance.now()` of the next attempt while the connection is lost. */
  readonly retryAt: number;
  readonly spec: PanelSpec | null;
  readonly face: Face | null;
  readonly facts: DemoFacts | null;
  readonly health: HealthReport | null;
}

const firstDelayMs = 500;
const longestDelayMs = 8_000;
/** The server beats every second; a server that was put to sleep closes nothing. */
const silenceMs = 6_000;

/** One connection after the other to the panel's server. */
export class PanelLink {
  view: PanelView = {
    connection: 'connecting',
    retryAt: 0,
    spec: null,
    face: null,
    facts: null,
    health: null,
  };
  readonly #url: string;
  readonly #onChange: () => void;
  #socket: WebSocket | null = null;
  #delayMs = firstDelayMs;
  #retryTimer = 0;
  #silenceTimer = 0;
  /** The newest position and the sum of turns of each control since the last drawn frame. */
  readonly #pending = new Map<string, PageMessage>();

  constructor(url: string, onChange: () => void) {
    this.#url = url;
    this.#onChange = onChange;
  }

  /** Connects now, whatever the back-off. */
  connect(): void {
    clearTimeout(this.#retryTimer);
    this.#socket?.close();
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(String(data)) as ServerMessage);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lose();
    };
    this.#listenForSilence();
  }

  /** Sends an event at once, after what is pending, so that a touch stays before and after its moves. */
  send(message: PageMessage): void {
    this.#flush();
    this.#write(message);
  }

  /** Sends where a fader is, once per drawn frame. */
  move(control: string, value: number): void {
    this.#queue({ type: 'position', control, value: Math.min(1, Math.max(0, value)) });
  }

  /** Sends turns of an encoder, summed up per drawn frame. */
  turn(control: string, pulses: number): void {
    const before = this.#pending.get(control);
    const sum = pulses + (before?.type === 'turn' ? before.pulses : 0);
    this.#queue({ type: 'turn', control, pulses: Math.min(64, Math.max(-64, sum)) });
  }

  #queue(message: PageMessage): void {
    if (this.#pending.size === 0) requestAnimationFrame(() => this.#flush());
    this.#pending.set(message.control, message);
  }

  #flush(): void {
    for (const message of this.#pending.values()) this.#write(message);
    this.#pending.clear();
  }

  #write(message: PageMessage): void {
    if (this.view.connection === 'open' && this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #take(message: ServerMessage): void {
    this.#listenForSilence();
    switch (message.type) {
      case 'hello':
        this.#delayMs = firstDelayMs;
        this.#change({ connection: 'open', spec: message.spec, face: message.face });
        break;
      case 'frame':
        if (this.view.face) this.#change({ face: { ...this.view.face, ...message.face } });
        break;
      case 'facts':
        this.#change({ facts: message.facts, health: message.health });
        break;
      case 'beat':
        break;
    }
  }

  #listenForSilence(): void {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#lose(), silenceMs);
  }

  #lose(): void {
    clearTimeout(this.#silenceTimer);
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#pending.clear();
    // Half of the delay is random, so that pages left open do not come back all at once.
    const delayMs = this.#delayMs * (0.5 + Math.random() / 2);
    this.#delayMs = Math.min(longestDelayMs, this.#delayMs * 2);
    this.#retryTimer = setTimeout(() => this.connect(), delayMs);
    this.#change({ connection: 'lost', retryAt: performance.now() + delayMs, health: null });
  }

  #change(changed: Partial<PanelView>): void {
    this.view = { ...this.view, ...changed };
    this.#onChange();
  }
}
