/** Hands that see what comes of it: they press and move, and wait until the monitor tells it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Rig } from '../../scenarios/rig.ts';
import type { WatchedMonitor } from './watched-monitor.ts';

/** Longest wait for anything; most comes in a fraction of a second. */
export const limitMs = 30_000;
/** How far from its place a fader that rests may be told to be. */
export const tolerance = 0.02;
/** From the opening of a part to its first reading, with a slow bus. */
const firstReadingMs = 400;

/** What hands work on, and where they see it. */
export interface HandsOptions {
  readonly rig: Pick<Rig, 'press' | 'release' | 'move'>;
  readonly monitor: WatchedMonitor;
}

/** Hands on a panel. On a busy machine a bus may be lost for a moment, and with it a press: then they press again. */
export class Hands {
  readonly #options: HandsOptions;

  constructor(options: HandsOptions) {
    this.#options = options;
  }

  /** Presses and lets go; resolves to how often a press and a release were told. */
  async press(control: string, pad: number | null): Promise<{ presses: number; releases: number }> {
    const { rig, monitor } = this.#options;
    for (;;) {
      await monitor.until(`${control}`, limitMs, () => !monitor.missing.includes(control));
      const from = monitor.lines.length;
      const count = (type: string): number =>
        monitor.lines.slice(from).filter((line) => line.type === type && line.control === control).length;
      const isOver = (type: string) => () => count(type) > 0 || this.isReset(control, from);
      await rig.press(control, pad);
      await monitor.until(`a press of ${control}`, limitMs, isOver('press'));
      await rig.release(control, pad);
      await monitor.until(`a release of ${control}`, limitMs, isOver('release'));
      if (!this.isReset(control, from)) return { presses: count('press'), releases: count('release') };
      await pause(firstReadingMs);
    }
  }

  /** Moves a fader; resolves when it is told to be there. */
  async move(fader: string, place: number): Promise<void> {
    const { rig, monitor } = this.#options;
    const from = monitor.lines.length;
    await rig.move(fader, place);
    await monitor.until(`${fader} at ${place}`, limitMs, () => {
      const position = monitor.positions(fader, from).at(-1);
      return position !== undefined && Math.abs(position - place) < tolerance;
    });
  }

  /** The control was lost for a moment, since that index of the monitor's lines. */
  isReset(control: string, from: number): boolean {
    return this.#options.monitor.lines
      .slice(from)
      .some(({ type, controls }) => type === 'reset' && (controls as string[] | null)?.includes(control));
  }
}
