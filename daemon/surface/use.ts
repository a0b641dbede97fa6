/** Whether a person did something: noise and motors do not keep a surface unlocked. */
import type { ControlEvent, ControlSpec } from './types.ts';

/** A reading of a control. */
export type ControlReading = Exclude<ControlEvent, { type: 'reset' | 'missing' }>;

/** A position that moved by less is noise, not use. */
const useTravel = 0.01;

/** Tells use from noise, by where each fader was when it was last used. */
export class Use {
  readonly #controls: ReadonlyMap<string, ControlSpec>;
  readonly #usedAtPosition = new Map<string, number>();

  constructor(controls: ReadonlyMap<string, ControlSpec>) {
    this.#controls = controls;
  }

  /** Takes a reading; `touched` are the controls that a hand is on. */
  isUse(event: ControlReading, touched: ReadonlySet<string>): boolean {
    if (event.type !== 'position') return true;
    if (this.#controls.get(event.control)?.hasMotor === true) return touched.has(event.control);
    const before = this.#usedAtPosition.get(event.control);
    if (before !== undefined && Math.abs(before - event.value) < useTravel) return false;
    this.#usedAtPosition.set(event.control, event.value);
    return before !== undefined;
  }
}
