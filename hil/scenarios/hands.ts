/** Hands on a rig's panel, with an eye on `surfaced monitor`: what was touched is told, once, and nothing else. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import type { ComposedPanel, ComposedPart } from '../../daemon/hw/parts/compose.ts';
import { isWhole, type Monitor, type MonitorLine, missingIn, pulsesOf } from './open-rig.ts';
import type { Rig } from './rig.ts';
import {
  controlsOf,
  heldLights,
  type Switch,
  switchesOf,
  switchFor,
  untilAnyLit,
  untilLit,
} from './wired-parts.ts';

/** Where faders rest, and how far off they may be told. */
const rest = 0.2;
const tolerance = 0.02;
const detentsPerSecond = 25;
/** What is touched before its first reading is not told, and of a first reading only faders tell: it is over by then. */
const firstReadingMs = 500;
/** A machine that stands still for too long makes the program believe that a bus is stuck; the gesture is made again. */
const mostTries = 4;

/** What hands need. */
export interface HandsOptions {
  readonly rig: Rig;
  readonly panel: ComposedPanel;
  readonly monitor: Monitor;
  /** Takes words about what had to be done again. */
  readonly say: (text: string) => void;
}

/** Puts all faders where {@link Hands} expects them. */
export async function restFaders(rig: Rig, panel: ComposedPanel): Promise<void> {
  for (const { name } of panel.parts.flatMap((part) => controlsOf(part, 'fader'))) await rig.move(name, rest);
}

const positionOf = (lines: readonly MonitorLine[], control: string): number =>
  Number(lines.findLast((line) => line.type === 'position' && line.control === control)?.value);
const isReset = (lines: readonly MonitorLine[], control: string): boolean =>
  lines.some(({ type, controls }) => type === 'reset' && (controls as string[]).includes(control));
const told = (lines: readonly MonitorLine[], type: string, { control, pad }: Switch): number =>
  lines.filter((line) => line.type === type && line.control === control && line.index === (pad ?? undefined))
    .length;

/** Two hands. */
export class Hands {
  readonly #options: HandsOptions;
  /** What was told of clean gestures, by switch or encoder. */
  readonly #presses = new Map<string, { readonly one: Switch; count: number }>();
  readonly #pulses = new Map<string, number>();
  /** Controls that were read anew while they were touched: how often they were told is not known. */
  readonly #unsure = new Set<string>();

  constructor(options: HandsOptions) {
    this.#options = options;
  }

  /** Resolves with all that was told when every control was read once and nothing is missing. */
  async ready(): Promise<readonly MonitorLine[]> {
    const { monitor, panel } = this.#options;
    await monitor.until(
      (lines) => isWhole(lines) && panel.controls.every(({ name }) => isReset(lines, name)),
    );
    await pause(firstReadingMs);
    return monitor.lines;
  }

  /** Does it until the control was told of, again when it was read anew meanwhile. */
  async #until(
    control: string,
    act: () => Promise<void>,
    isTold: (lines: readonly MonitorLine[]) => boolean,
    undo: () => Promise<void>,
  ): Promise<void> {
    const { monitor, say } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const from = monitor.lines.length;
      await act();
      const lines = await monitor.until((lines) => isTold(lines) || isReset(lines, control), from);
      if (!isReset(lines, control)) return;
      this.#unsure.add(control);
      if (isTold(lines)) return;
      if (attempt === mostTries) throw new Error(`${control} was read anew at each of ${mostTries} tries`);
      say(`${control} was read anew while it was touched: once more`);
      await undo();
      await monitor.until((lines) => !missingIn(lines).includes(control));
      await pause(firstReadingMs);
    }
  }

  /** Presses and keeps down. */
  async press(one: Switch): Promise<void> {
    const { rig } = this.#options;
    const [down, up] = [
      () => rig.press(one.control, one.pad),
      () => rig.release(one.control, one.pad),
    ] as const;
    await this.#until(one.control, down, (lines) => told(lines, 'press', one) > 0, up);
    const key = `${one.control} ${one.pad}`;
    this.#presses.set(key, { one, count: (this.#presses.get(key)?.count ?? 0) + 1 });
  }

  async release(one: Switch): Promise<void> {
    const { rig, monitor } = this.#options;
    const from = monitor.lines.length;
    await rig.release(one.control, one.pad);
    // One that was read anew while it was down has nothing to let go of.
    await monitor.until(
      (lines) =>
        told(lines, 'release', one) > 0 || this.#unsure.has(one.control) || isReset(lines, one.control),
      from,
    );
    if (isReset(monitor.lines.slice(from), one.control)) this.#unsure.add(one.control);
  }

  async turn(control: string, detents: number, pulsesPerDetent: number): Promise<void> {
    const wanted = detents * pulsesPerDetent;
    await this.#until(
      control,
      () => this.#options.rig.turn(control, detents, detentsPerSecond),
      (lines) => Math.abs(pulsesOf(lines, control)) >= Math.abs(wanted),
      async () => {},
    );
    this.#pulses.set(control, (this.#pulses.get(control) ?? 0) + wanted);
  }

  async move(control: string, position: number): Promise<void> {
    const { rig, monitor } = this.#options;
    const from = monitor.lines.length;
    await rig.move(control, position);
    // A first reading says the position too.
    await monitor.until((lines) => Math.abs(positionOf(lines, control) - position) < tolerance, from);
  }

  /** Everything that can be done to a part, or one thing of each kind; what is told meanwhile is about it alone. */
  async touch(t: Test, part: ComposedPart, extent: 'all' | 'one'): Promise<void> {
    const { monitor } = this.#options;
    const from = monitor.lines.length;
    const some = <One>(list: readonly One[]): readonly One[] => (extent === 'all' ? list : list.slice(0, 1));
    for (const { name } of some(controlsOf(part, 'fader'))) {
      await this.move(name, 0.8);
      await this.move(name, rest);
    }
    for (const { name, pulsesPerDetent = 1 } of some(controlsOf(part, 'encoder'))) {
      await this.turn(name, 10, pulsesPerDetent);
      await this.turn(name, -4, pulsesPerDetent);
    }
    for (const one of some(switchesOf(part))) {
      await this.press(one);
      await this.release(one);
    }
    const own = new Set(part.spec.controls.map(({ name }) => name));
    // A fader at rest may still settle, or be read for the first time.
    const others = monitor.lines
      .slice(from)
      .filter(({ control }) => control !== undefined && !own.has(String(control)))
      .filter(({ type, value }) => type !== 'position' || Math.abs(Number(value) - rest) > tolerance);
    t.same(others, [], `${part.label}: touched, and nothing else`);
  }

  /** Touches something until the lights of the part show that and nothing else; they go out after it. */
  async light(t: Test, part: ComposedPart): Promise<void> {
    const { rig, monitor, say } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const from = monitor.lines.length;
      const problem = await this.#lit(part);
      if (problem === null) break;
      const isSpoilt =
        missingIn(monitor.lines).length > 0 || monitor.lines.slice(from).some(({ type }) => type === 'reset');
      if (!isSpoilt || attempt === mostTries) throw problem;
      say(`${problem.message}; something was missing or read anew: once more`);
      await pause(firstReadingMs);
    }
    await untilLit(rig, part, null);
    t.pass(`${part.label}: lit, and dark again`);
  }

  /** Touches until all of these parts have lights on, and stays there. */
  async lightAll(parts: readonly ComposedPart[]): Promise<void> {
    const { rig, panel } = this.#options;
    const isFader = (part: ComposedPart): boolean => controlsOf(part, 'fader').length > 0;
    // A fader cannot be held, and is lit for a moment only.
    for (const part of [...parts.filter((one) => !isFader(one)), ...parts.filter(isFader)]) {
      const [fader] = controlsOf(part, 'fader');
      if (fader === undefined) {
        const held = switchFor(panel, part, []);
        if (held !== null) await rig.press(held.control, held.pad);
      } else await rig.move(fader.name, 0.45);
      await untilAnyLit(rig, part);
    }
  }

  /** Why it did not come to pass; null: it did. */
  async #lit(part: ComposedPart): Promise<Error | null> {
    const { rig, panel, monitor } = this.#options;
    const [fader] = controlsOf(part, 'fader');
    // A fader cannot be held: two of its four lights are on for a moment.
    if (fader !== undefined) {
      await this.move(fader.name, 0.45);
      const problem = await problemOf(untilLit(rig, part, [true, true, false, false]));
      await this.move(fader.name, rest);
      return problem;
    }
    const held = switchFor(panel, part, missingIn(monitor.lines));
    if (held === null) return new Error(`no button of the panel lights ${part.label}`);
    await this.press(held);
    const problem = await problemOf(untilLit(rig, part, heldLights(panel, part, held)));
    await this.release(held);
    return problem;
  }

  /** All that was touched was told as often as it was touched, to this moment. */
  assertToldOnce(t: Test): void {
    const { lines } = this.#options.monitor;
    for (const { one, count } of this.#presses.values()) {
      if (this.#unsure.has(one.control)) continue;
      const name = one.pad === null ? one.control : `pad ${one.pad} of ${one.control}`;
      t.equal(told(lines, 'press', one), count, `presses of ${name}`);
      t.equal(told(lines, 'release', one), count, `releases of ${name}`);
    }
    for (const [control, pulses] of this.#pulses)
      if (!this.#unsure.has(control)) t.equal(pulsesOf(lines, control), pulses, `pulses of ${control}`);
    if (this.#unsure.size > 0)
      t.comment(`read anew while they were touched: ${[...this.#unsure].join(', ')}`);
  }
}

const problemOf = (work: Promise<void>): Promise<Error | null> =>
  work.then(
    () => null,
    (error: Error) => error,
  );
