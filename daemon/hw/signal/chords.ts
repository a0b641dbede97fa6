/** Buttons that are pressed together and count as one more button. Pure: time is an argument. */
import type { ControlSpec, Millis } from '../../surface/types.ts';

/** Buttons that go down within this time are pressed together; so long a member's own press may be held back. */
export const chordWindowMs = 60;

/** One chord, as the config names it. */
export interface ChordSpec {
  /** Name of the button that it is. */
  readonly name: string;
  /** Its members, two or more. */
  readonly of: readonly string[];
}

/** A press or a release of a button, or of a chord. */
export interface ButtonEvent {
  readonly type: 'press' | 'release';
  readonly control: string;
}

/** A chord that has been reported, until the last of its members is up. */
interface Sounding {
  readonly chord: ChordSpec;
  /** Members that are down. */
  readonly down: Set<string>;
  isReleased: boolean;
}

const hasPush = ({ kind }: ControlSpec): boolean => kind === 'button' || kind === 'encoder';

/** What is wrong with chords on a panel with these controls, each with its field; empty when nothing is. */
export function chordFaults(chords: readonly ChordSpec[], controls: readonly ControlSpec[]): string[] {
  const membersOf = ({ of }: ChordSpec): string => of.toSorted().join(' ');
  return chords.flatMap((chord, index) => {
    const field = `panel.chords[${index}]`;
    const before = chords.slice(0, index);
    const faults: string[] = [];
    if ([...controls, ...before].some(({ name }) => name === chord.name))
      faults.push(`${field}.name: ${chord.name} is already taken`);
    if (new Set(chord.of).size !== chord.of.length || chord.of.length < 2)
      faults.push(`${field}.of: expected two or more different buttons`);
    if (before.some((other) => membersOf(other) === membersOf(chord)))
      faults.push(`${field}.of: another chord has the same buttons`);
    for (const member of chord.of)
      if (!controls.some((control) => control.name === member && hasPush(control)))
        faults.push(`${field}.of: the panel has no button ${member}`);
    return faults;
  });
}

/**
 * Finds chords in debounced presses. Members of a chord do not act by themselves until all of them are up again. A
 * member that is alone is reported when no chord with it can come about any more, at the latest after `chordWindowMs`.
 * Of chords that share members the longest wins.
 */
export class Chords {
  /** The longest first. */
  readonly #chords: readonly ChordSpec[];
  readonly #members: ReadonlySet<string>;
  /** Members whose press is held back, the oldest first. */
  readonly #waiting = new Map<string, Millis>();
  /** Members that were reported by themselves and are down. */
  readonly #alone = new Set<string>();
  readonly #sounding = new Set<Sounding>();
  #now: Millis = Number.NEGATIVE_INFINITY;

  constructor(chords: readonly ChordSpec[]) {
    this.#chords = chords.toSorted((a, b) => b.of.length - a.of.length);
    this.#members = new Set(chords.flatMap(({ of }) => of));
  }

  /** Takes a press or release of a button. */
  push({ type, control }: ButtonEvent, at: Millis): readonly ButtonEvent[] {
    if (!this.#members.has(control)) return [{ type, control }];
    const events = [...this.tick(at)];
    if (type === 'press') this.#press(control, events);
    else this.#release(control, events);
    return events;
  }

  /** Lets time pass. */
  tick(at: Millis): readonly ButtonEvent[] {
    if (at > this.#now) this.#now = at;
    const events: ButtonEvent[] = [];
    for (const [control, since] of [...this.#waiting])
      if (this.#waiting.has(control) && this.#now >= since + chordWindowMs) this.#decide(control, events);
    if (events.length > 0) this.#settle(events);
    return events;
  }

  /** When `tick` has something to report; null: not before the next press or release. */
  nextWakeAt(): Millis | null {
    const [oldest] = this.#waiting.values();
    return oldest === undefined ? null : oldest + chordWindowMs;
  }

  /**
   * The state of these buttons was lost.
   * @returns the chords that are lost with them
   */
  forget(controls: readonly string[]): readonly string[] {
    for (const control of controls) {
      this.#waiting.delete(control);
      this.#alone.delete(control);
      const sounding = this.#soundingWith(control);
      if (sounding === null) continue;
      // Nobody is told of its release; members that are still down stay silent until they are up.
      sounding.isReleased = true;
      this.#lift(sounding, control);
    }
    return this.#chords
      .filter(({ of }) => of.some((member) => controls.includes(member)))
      .map(({ name }) => name);
  }

  #press(control: string, events: ButtonEvent[]): void {
    if (this.#waiting.has(control) || this.#alone.has(control)) return;
    const sounding = this.#soundingWith(control);
    if (sounding !== null) {
      sounding.down.add(control);
      return;
    }
    this.#waiting.set(control, this.#now);
    this.#settle(events);
  }

  #release(control: string, events: ButtonEvent[]): void {
    // A short tap is over before its time is up.
    if (this.#waiting.has(control)) this.#decide(control, events);
    if (this.#alone.delete(control)) events.push({ type: 'release', control });
    const sounding = this.#soundingWith(control);
    if (sounding?.down.has(control)) {
      if (!sounding.isReleased) events.push({ type: 'release', control: sounding.chord.name });
      sounding.isReleased = true;
      this.#lift(sounding, control);
    }
    this.#settle(events);
  }

  #lift(sounding: Sounding, control: string): void {
    sounding.down.delete(control);
    if (sounding.down.size === 0) this.#sounding.delete(sounding);
  }

  /** Reports what is clear already: chords that no longer one can replace, members that no chord can have. */
  #settle(events: ButtonEvent[]): void {
    for (const chord of this.#chords)
      if (this.#isComplete(chord) && !this.#mayGrow(chord)) this.#sound(chord, events);
    for (const control of [...this.#waiting.keys()])
      if (!this.#chords.some((chord) => chord.of.includes(control) && this.#isPossible(chord)))
        this.#decide(control, events);
  }

  /** Reports the longest chord that a waiting member is in, else its own press. */
  #decide(control: string, events: ButtonEvent[]): void {
    const chord = this.#chords.find((each) => each.of.includes(control) && this.#isComplete(each));
    if (chord !== undefined) {
      this.#sound(chord, events);
      return;
    }
    this.#waiting.delete(control);
    this.#alone.add(control);
    events.push({ type: 'press', control });
  }

  #sound(chord: ChordSpec, events: ButtonEvent[]): void {
    for (const member of chord.of) this.#waiting.delete(member);
    this.#sounding.add({ chord, down: new Set(chord.of), isReleased: false });
    events.push({ type: 'press', control: chord.name });
  }

  #isComplete({ of }: ChordSpec): boolean {
    return of.every((member) => this.#waiting.has(member));
  }

  /** Its members wait or are up. */
  #isPossible({ of }: ChordSpec): boolean {
    return of.every((member) => !this.#alone.has(member) && this.#soundingWith(member) === null);
  }

  /** A longer chord with one of its members can still come about. */
  #mayGrow({ of }: ChordSpec): boolean {
    return this.#chords.some(
      (other) =>
        other.of.length > of.length &&
        other.of.some((member) => of.includes(member)) &&
        this.#isPossible(other),
    );
  }

  #soundingWith(control: string): Sounding | null {
    for (const sounding of this.#sounding) if (sounding.chord.of.includes(control)) return sounding;
    return null;
  }
}
