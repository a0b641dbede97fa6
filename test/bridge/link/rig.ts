/** A link under test, what it told its surface, and a gateway that says what a test wants. */
import pino from 'pino';
import type { Test } from 'tap';
import type { Credentials } from '../../../daemon/attest/types.ts';
import type { Broker } from '../../../daemon/bridge/broker/broker.ts';
import { createLink, type Link } from '../../../daemon/bridge/link/link.ts';
import type { LinkTiming } from '../../../daemon/bridge/link/timing.ts';
import { encode, type GatewayStatusMessage } from '../../../daemon/bridge/wire/messages.ts';
import type { Ack, LinkState, SurfaceInput } from '../../../daemon/surface/types.ts';
import { MovableClock } from '../broker/bed.ts';
import { FixedCredentials } from '../pki.ts';

/** Quick enough for tests; beats are far apart so that only a test makes a surface stale. */
export const quick: Partial<LinkTiming> = { backOffMinMs: 20, backOffMaxMs: 200, tickMs: 10 };

export interface Rig {
  readonly link: Link;
  readonly source: FixedCredentials;
  readonly clock: MovableClock;
  readonly inputs: SurfaceInput[];
  readonly lines: { msg: string; problem?: string; what?: string }[];
  readonly states: () => LinkState[];
  readonly acks: () => Ack[];
  /** Resolves when `isTrue` is; looked at after every input and every few milliseconds. */
  until(isTrue: () => boolean): Promise<void>;
}

export function startLink(t: Test, credentials: Credentials, timing: Partial<LinkTiming> = {}): Rig {
  const source = new FixedCredentials(credentials);
  const clock = new MovableClock();
  const inputs: SurfaceInput[] = [];
  const lines: Rig['lines'] = [];
  const link = createLink({
    credentials: source,
    birth: { model: 'test', firmware: '1.2.3', controls: [{ name: 'fader1', kind: 'fader' }] },
    clock,
    log: pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    random: () => 0.5,
    timing: { ...quick, ...timing },
  });
  link.onInput((input) => inputs.push(input));
  const ending = new AbortController();
  t.teardown(() => link.stop());
  link.start(ending.signal);
  return {
    link,
    source,
    clock,
    inputs,
    lines,
    states: () => inputs.flatMap((each) => (each.type === 'link' ? [each.state] : [])),
    acks: () => inputs.flatMap((each) => (each.type === 'ack' ? [each.ack] : [])),
    until: (isTrue) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (isTrue()) resolve();
          else setTimeout(look, 5);
        };
        look();
      }),
  };
}

/** A gateway's voice on a bus. */
export class Gateway {
  session: string;
  seq = 0;
  /** How far its clock is from ours. */
  aheadMs = 0;
  readonly #publish: (topic: string, payload: Buffer, isRetained: boolean) => Promise<void>;

  constructor(
    publish: (topic: string, payload: Buffer, isRetained: boolean) => Promise<void>,
    session: string,
  ) {
    this.#publish = publish;
    this.session = session;
  }

  static on(broker: Broker, session = 'gateway-1'): Gateway {
    return new Gateway(
      (topic, payload, isRetained) => broker.publish(topic, payload, { qos: 1, isRetained }),
      session,
    );
  }

  beat(fields: Partial<GatewayStatusMessage> = {}): Promise<void> {
    this.seq += 1;
    const message: GatewayStatusMessage = {
      v: 1,
      state: 'online',
      session: this.session,
      seq: this.seq,
      at: Date.now() + this.aheadMs,
      apiHealthy: true,
      detail: '',
      ...fields,
    };
    return this.say('_gw/gw/status', message, true);
  }

  ack(id: string, phase: string, surface = 'desk'): Promise<void> {
    return this.say(`${surface}/down/ack`, { v: 1, id, phase, code: '', now: 3, detail: '', guards: [] });
  }

  say(leaf: string, message: unknown, isRetained = false): Promise<void> {
    const payload =
      typeof message === 'string' ? Buffer.from(message) : encode(message as { readonly v: number });
    return this.#publish(`surfaced/v1/site/${leaf}`, payload, isRetained);
  }
}
