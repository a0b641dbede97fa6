/** What goes over the bus next. */
import type { Priority } from './bus.ts';

/** Of each priority: lights that flood keep no hand out. */
const maxWaiting = 256;
/** So many inputs in a row may pass a waiting frame: about 10 ms of short transfers at 400 kHz. */
export const inputsBeforeFrame = 32;

/**
 * Transfers that wait: every input before every frame, each in the order of its coming. After
 * {@link inputsBeforeFrame} inputs that passed a waiting frame, one frame goes first, so that none waits for ever.
 */
export class TransferQueue<Transfer extends { readonly priority: Priority }> {
  readonly #inputs: Transfer[] = [];
  readonly #frames: Transfer[] = [];
  #passed = 0;

  /** Takes the transfer in; false when too many of its priority wait already. */
  push(transfer: Transfer): boolean {
    const waiting = transfer.priority === 'input' ? this.#inputs : this.#frames;
    if (waiting.length >= maxWaiting) return false;
    waiting.push(transfer);
    return true;
  }

  /** The next one to go, or null. */
  take(): Transfer | null {
    const isFrameWaiting = this.#frames.length > 0;
    const isFrameDue = isFrameWaiting && (this.#inputs.length === 0 || this.#passed >= inputsBeforeFrame);
    this.#passed = isFrameWaiting && !isFrameDue ? this.#passed + 1 : 0;
    return (isFrameDue ? this.#frames : this.#inputs).shift() ?? null;
  }

  /** Takes all out. */
  clear(): Transfer[] {
    this.#passed = 0;
    return [...this.#inputs.splice(0), ...this.#frames.splice(0)];
  }
}
