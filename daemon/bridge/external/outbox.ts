/** What was given to the broker and not confirmed yet: bounded, and failed at once when the connection ends. */
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { MqttLine } from '../wire/mqtt-line.ts';

/** Most that may wait for the broker's confirmation, bytes: all slots of four thousand surfaces. */
const maxPendingBytes = 64 << 20;

interface Pending {
  /** Monotonic milliseconds. */
  readonly since: number;
  fail(error: Error): void;
}

export class Outbox {
  readonly #clock: Clock;
  readonly #pending = new Set<Pending>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long the oldest message has waited, milliseconds; 0: none waits. */
  get oldestMs(): number {
    const [oldest] = this.#pending;
    return oldest === undefined ? 0 : this.#clock.monotonic() - oldest.since;
  }

  /** Resolves when the broker has it (QoS 1) or it was sent. @throws SurfacedError E_BROKER_CONNECT */
  send(
    line: MqttLine,
    topic: string,
    payload: Uint8Array,
    how: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): Promise<void> {
    const bytes = payload.length + topic.length;
    if (this.#bytes + bytes > maxPendingBytes)
      return Promise.reject(
        new SurfacedError('E_BROKER_CONNECT', 'the broker does not take what it is sent'),
      );
    return new Promise((resolve, reject) => {
      const settle = (tell: () => void): void => {
        if (!this.#pending.delete(pending)) return;
        this.#bytes -= bytes;
        tell();
      };
      const pending: Pending = {
        since: this.#clock.monotonic(),
        fail: (error) => settle(() => reject(error)),
      };
      this.#pending.add(pending);
      this.#bytes += bytes;
      line.publish(topic, payload, how, (cause) => {
        if (cause === null) settle(resolve);
        else
          pending.fail(
            new SurfacedError('E_BROKER_CONNECT', `message not confirmed: ${cause.message}`, { cause }),
          );
      });
    });
  }

  /** Nothing of it will be confirmed any more. */
  fail(error: Error): void {
    for (const pending of [...this.#pending]) pending.fail(error);
  }
}
