/**
 * Between the parts and the surface: raw readings become steady control events. Pure: time is an argument, and never
 * runs back.
 */
import type { Calibration } from '../../config/calibration.ts';
import { SurfacedError } from '../../errors.ts';
import type { ControlEvent, ControlSpec, Millis } from '../../surface/types.ts';
import type { RawInput } from '../chips/driver.ts';
import { eventBufferMax } from '../gpio/uapi.ts';
import { Debounce, type SwitchChange } from './button.ts';
import { type ChordSpec, Chords, chordFaults } from './chords.ts';
import { FaderChain } from './fader.ts';
import { JumpWatch } from './jumps.ts';

/** As many as the deepest queue of edges holds; a part that says more in one reading cannot be believed. */
export const mostPulses = eventBufferMax;

/** What a signal stage is made of. */
export interface SignalOptions {
  /** All controls of the parts. */
  readonly controls: readonly ControlSpec[];
  /** Ends of the faders; those that are not in it use the whole scale. */
  readonly calibration: Calibration;
  readonly chords: readonly ChordSpec[];
  /** Buttons and chords whose presses count only when they have come to rest, see `deferredControls`. */
  readonly deferred: ReadonlySet<string>;
}

/** One fader. */
interface Fader {
  readonly chain: FaderChain;
  readonly watch: JumpWatch;
}

interface Switch {
  readonly control: string;
  /** Pad in a row of pads; null: the control has one switch. */
  readonly index: number | null;
  readonly debounce: Debounce;
}

const keyOf = (control: string, index: number | null): string => `${control} ${index ?? ''}`;

/** The signal stage of one panel. */
export class SignalStage {
  /** The chords, as buttons of the panel. */
  readonly virtualControls: readonly ControlSpec[];
  readonly #controls: ReadonlyMap<string, ControlSpec>;
  readonly #faders = new Map<string, Fader>();
  readonly #switches = new Map<string, Switch>();
  readonly #chords: Chords;
  #now: Millis = Number.NEGATIVE_INFINITY;
  #ignored = 0;

  /** @throws SurfacedError E_CFG_INVALID with everything that is wrong with the chords */
  constructor({ controls, calibration, chords, deferred }: SignalOptions) {
    const faults = chordFaults(chords, controls);
    if (faults.length > 0) throw new SurfacedError('E_CFG_INVALID', faults.join('; '));
    this.#controls = new Map(controls.map((control) => [control.name, control]));
    this.#chords = new Chords(chords);
    this.virtualControls = chords.map(({ name }) => ({ name, kind: 'button' }));
    // A chord rests when all of its members do.
    const resting = new Set([
      ...deferred,
      ...chords.filter(({ name }) => deferred.has(name)).flatMap(({ of }) => of),
    ]);
    for (const { name, kind, steps = 0 } of controls) {
      if (kind === 'fader') {
        const chain = new FaderChain(calibration.get(name) ?? null);
        this.#faders.set(name, { chain, watch: new JumpWatch() });
        continue;
      }
      const indices = kind === 'pads' ? Array.from({ length: steps }, (_, index) => index) : [null];
      for (const index of indices) {
        const debounce = new Debounce(resting.has(name));
        this.#switches.set(keyOf(name, index), { control: name, index, debounce });
      }
    }
  }

  /** Readings that no control of the panel can have made, since the start: a fault of a part or of its driver. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Faders whose readings jump: nothing of them is reported until they rest. */
  get jumping(): readonly string[] {
    return [...this.#faders].flatMap(([name, { watch }]) => (watch.isJumping ? [name] : []));
  }

  /**
   * Takes readings in the order in which a part reported them.
   * @param at now; readings that claim to be later count as of now
   */
  push(inputs: readonly RawInput[], at: Millis): ControlEvent[] {
    const events: ControlEvent[] = [];
    const now = at > this.#now ? at : this.#now;
    for (const input of inputs) {
      // What ran out before this reading counts before it.
      this.#advance(Math.min(input.at, now), events);
      this.#read(input, events);
    }
    this.#advance(now, events);
    return events;
  }

  /** Lets time pass: switches come to rest, chords are decided. */
  tick(at: Millis): ControlEvent[] {
    const events: ControlEvent[] = [];
    this.#advance(at, events);
    return events;
  }

  /** When `tick` has something to do; null: not before the next readings. */
  nextWakeAt(): Millis | null {
    let wakeAt = this.#chords.nextWakeAt();
    for (const { debounce } of this.#switches.values()) {
      const at = debounce.nextWakeAt();
      if (at !== null && (wakeAt === null || at < wakeAt)) wakeAt = at;
    }
    return wakeAt;
  }

  /**
   * These controls were lost: what comes next is a first reading. No release is reported for what was down; the surface
   * forgets it with the reset.
   */
  lost(controls: readonly string[]): ControlEvent[] {
    const known = [...new Set(controls)].filter((name) => this.#controls.has(name));
    if (known.length === 0) return [];
    for (const name of known) {
      const fader = this.#faders.get(name);
      fader?.chain.reset();
      fader?.watch.reset();
    }
    for (const { control, debounce } of this.#switches.values())
      if (known.includes(control)) debounce.reset();
    return [{ type: 'reset', controls: [...known, ...this.#chords.forget(known)] }];
  }

  #read(input: RawInput, events: ControlEvent[]): void {
    switch (input.type) {
      case 'level':
        this.#readLevel(input.control, input.value, events);
        return;
      case 'switch': {
        const found = this.#switches.get(keyOf(input.control, input.index ?? null));
        if (found === undefined) this.#ignored++;
        else this.#report(found, found.debounce.push(input.isDown, this.#now), events);
        return;
      }
      case 'turn':
        this.#readTurn(input.control, input.pulses, events);
        return;
      case 'unsure':
        events.push(...this.lost(input.controls));
    }
  }

  #readLevel(control: string, value: number, events: ControlEvent[]): void {
    const fader = this.#faders.get(control);
    if (fader === undefined || !Number.isFinite(value)) {
      this.#ignored++;
      return;
    }
    const { chain, watch } = fader;
    const wasJumping = watch.isJumping;
    watch.push(value, this.#now);
    if (watch.isJumping) {
      // What it said last may be wrong already: what comes next is a first reading.
      chain.reset();
      if (!wasJumping) events.push({ type: 'reset', controls: [control] });
      return;
    }
    const position = chain.push(value);
    if (position !== null) events.push({ type: 'position', control, value: position });
  }

  #readTurn(control: string, pulses: number, events: ControlEvent[]): void {
    const kind = this.#controls.get(control)?.kind;
    const canTurn = kind === 'encoder' || kind === 'pads';
    if (!canTurn || !Number.isInteger(pulses) || Math.abs(pulses) > mostPulses) this.#ignored++;
    else if (pulses !== 0) events.push({ type: 'turn', control, pulses });
  }

  /** Runs all timers up to a time, in the order in which they run out. */
  #advance(at: Millis, events: ControlEvent[]): void {
    const end = at > this.#now ? at : this.#now;
    for (let wakeAt = this.nextWakeAt(); wakeAt !== null && wakeAt <= end; wakeAt = this.nextWakeAt()) {
      this.#now = Math.max(this.#now, wakeAt);
      for (const each of this.#switches.values()) this.#report(each, each.debounce.tick(this.#now), events);
      events.push(...this.#chords.tick(this.#now));
    }
    this.#now = end;
  }

  #report({ control, index }: Switch, changes: readonly SwitchChange[], events: ControlEvent[]): void {
    for (const type of changes) {
      if (index === null) events.push(...this.#chords.push({ type, control }, this.#now));
      else events.push({ type, control, index });
    }
  }
}
