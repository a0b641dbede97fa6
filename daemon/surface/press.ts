/** Short and long presses of the controls that act on the whole surface. */
import type { Millis } from './types.ts';

/** From here on a press is long. */
export const longPressMs = 500;

/** Controls that are down, and since when. */
export class Presses {
  readonly #since = new Map<string, Millis>();

  press(control: string, at: Millis): void {
    this.#since.set(control, at);
  }

  /** True when it was a short press; a long one that has acted must not act as a short one as well. */
  release(control: string, at: Millis): boolean {
    const since = this.#since.get(control);
    this.#since.delete(control);
    return since !== undefined && at < since + longPressMs;
  }

  /** True once, when the control has been down for long enough. */
  takeLong(control: string, at: Millis): boolean {
    const wakeAt = this.longAt(control);
    return wakeAt !== null && at >= wakeAt && this.#since.delete(control);
  }

  /** When a press becomes long; null when the control is up. */
  longAt(control: string): Millis | null {
    const since = this.#since.get(control);
    return since === undefined ? null : since + longPressMs;
  }

  /** These controls (null: all) were lost. */
  forget(controls: readonly string[] | null): void {
    if (controls === null) this.#since.clear();
    else for (const control of controls) this.#since.delete(control);
  }
}
