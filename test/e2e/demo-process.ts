import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Strip } from '../../daemon/surface/types.ts';
import type {
  DemoFacts,
  Face,
  HealthReport,
  PageMessage,
  ServerMessage,
} from '../../hil/sim/panel/messages.ts';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { Surfaced } from './processes.ts';

/** `surfaced demo` as a process, and what its banner says. */
export interface RunningDemo {
  readonly process: Surfaced;
  /** With a slash at the end. */
  readonly url: string;
  /** The path that the banner gives to kubectl; empty when it gives none. */
  readonly kubeconfig: string;
  readonly banner: string;
}

/** Starts the demo on a free port; resolves when it has printed its banner. */
export async function startDemoProcess(...args: readonly string[]): Promise<RunningDemo> {
  // Where there is no software TPM, tests of all else run all the same.
  const identity = withoutSwtpm === false ? [] : ['--identity', 'token'];
  const process = new Surfaced('demo', ['demo', '--port', '0', ...identity, ...args]);
  const [banner] = await process.printed(/^surfaced demo\n[\s\S]*Ctrl-C.*\n/m);
  const url = /^ +panel +(\S+)$/m.exec(banner)?.[1];
  if (url === undefined) throw new Error(`no address in:\n${banner}`);
  const kubeconfig = /kubectl --kubeconfig (\S+)/.exec(banner)?.[1] ?? '';
  return { process, url, kubeconfig, banner };
}

/** What `/healthz` says, with its status. */
export async function healthz(url: string): Promise<{ status: number; report: HealthReport }> {
  const response = await fetch(`${url}healthz`);
  return { status: response.status, report: (await response.json()) as HealthReport };
}

/** A page of the demo without a browser: sends what hands would do, and knows what it would show. */
export class PageClient {
  readonly #socket: WebSocket;
  readonly #waiting = new Set<() => void>();
  #face: Face | null = null;
  #facts: DemoFacts | null = null;
  #health: HealthReport | null = null;
  /** Every notice that a strip has shown, in its order, as `name phase code: text`. */
  readonly notices: string[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data) => this.#take(JSON.parse(String(data)) as ServerMessage));
  }

  static async open(url: string): Promise<PageClient> {
    const { origin, host } = new URL(url);
    const page = new PageClient(new WebSocket(`ws://${host}/ws`, { origin }));
    await page.until(() => page.#face !== null);
    return page;
  }

  get face(): Face {
    if (this.#face === null) throw new Error('no face yet');
    return this.#face;
  }

  get facts(): DemoFacts | null {
    return this.#facts;
  }

  get health(): HealthReport | null {
    return this.#health;
  }

  /** The strip of a binding, by the name that it shows. */
  strip(name: string): Strip | undefined {
    return this.face.strips.find((strip) => strip.name === name);
  }

  send(message: PageMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** Resolves when the surface is online and shows what the cluster says about a binding. */
  async live(name: string): Promise<void> {
    await this.until(
      () => this.face.link.state === 'online' && this.strip(name)?.condition.state !== 'unknown',
    );
  }

  /** Moves a fader with a motor as a hand does. */
  moveMotor(control: string, value: number): void {
    this.send({ type: 'touch', control, isTouched: true });
    this.send({ type: 'position', control, value });
    this.send({ type: 'touch', control, isTouched: false });
  }

  /** Resolves as soon as the condition holds; it is looked at after every message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Waits for a notice on a strip; ends that were shown before count too. */
  async notice(pattern: RegExp): Promise<string> {
    await this.until(() => this.notices.some((text) => pattern.test(text)));
    return this.notices.find((text) => pattern.test(text)) ?? '';
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.terminate();
    await closed;
  }

  #take(message: ServerMessage): void {
    if (message.type === 'hello') this.#face = message.face;
    if (message.type === 'frame' && this.#face !== null) this.#face = { ...this.#face, ...message.face };
    if (message.type === 'facts') [this.#facts, this.#health] = [message.facts, message.health];
    for (const { name, notice } of this.#face?.strips ?? []) {
      if (notice === null) continue;
      const words = `${name} ${notice.phase} ${notice.code}: ${notice.text}`;
      if (!this.notices.includes(words)) this.notices.push(words);
    }
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
