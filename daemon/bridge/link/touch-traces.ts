/**
 * Traces of touches: a surface begins one for each command while its gateway follows traces. Gateways that know nothing of
 * that would refuse a command with a field more, so it is not sent before they have asked for it.
 */
import { newTraceparent } from '../wire/traceparent.ts';

export class TouchTraces {
  #isWanted = false;

  /** The gateway follows traces, until it or another one sends bindings again. */
  want(): void {
    this.#isWanted = true;
  }

  /** Another gateway may speak from here on. */
  forget(): void {
    this.#isWanted = false;
  }

  /** For the next command; null: without a trace. */
  next(): string | null {
    return this.#isWanted ? newTraceparent() : null;
  }
}
