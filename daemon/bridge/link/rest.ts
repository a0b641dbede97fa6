/** Whether nobody uses a panel just now. Pure: time is given. */
import type { Millis, SurfaceInput } from '../../surface/types.ts';

/** Without any input for so long, milliseconds, a panel is not in use. */
export const quietMs = 10_000;

export class Rest {
  #usedAt: Millis = Number.NEGATIVE_INFINITY;
  /** Controls that a hand is on, pads each for itself. */
  readonly #held = new Set<string>();

  /** Takes whatever happens to the surface; only what a person does counts. */
  take(input: SurfaceInput, at: Millis): void {
    switch (input.type) {
      case 'position':
      case 'turn':
        break;
      case 'touch':
        this.#hold(`${input.control} touch`, input.isTouched);
        break;
      case 'press':
      case 'release':
        this.#hold(`${input.control} ${input.index ?? ''}`, input.type === 'press');
        break;
      case 'reset':
        // What was held is not known any more, and will not be told.
        for (const held of this.#held)
          if (input.controls === null || input.controls.includes(held.split(' ')[0] ?? ''))
            this.#held.delete(held);
        return;
      default:
        return;
    }
    this.#usedAt = at;
  }

  /** No control is held, and nothing was moved for {@link quietMs}. */
  isQuiet(at: Millis): boolean {
    return this.#held.size === 0 && at - this.#usedAt >= quietMs;
  }

  #hold(control: string, isHeld: boolean): void {
    if (isHeld) this.#held.add(control);
    else this.#held.delete(control);
  }
}
