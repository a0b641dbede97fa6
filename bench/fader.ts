/** A fader and a key with a cable: MIDI messages of three bytes on a pseudo-terminal. */
import { travelOf } from '../daemon/surface/scale.ts';
import type { PseudoTerminal } from './pseudo-terminal.ts';
import type { Stack } from './stack.ts';

const controller = 7;
const controlChange = 0xb0;
const key = 60;
const noteOn = 0x90;
const noteOff = 0x80;
const velocity = 64;

/** The panel of a Device file with one fader, and a key that takes the last command back. */
export const faderPanel = {
  preset: 'generic-midi',
  controls: [
    { name: 'fader1', type: 'fader', cc: controller },
    { name: 'undo1', type: 'button', note: key },
  ],
  roles: { undo: 'undo1' },
};

/** A fader that is bound to a Deployment with 1 to `max` replicas. */
export class Fader {
  readonly #terminal: PseudoTerminal;
  readonly #max: number;

  constructor(terminal: PseudoTerminal, max: number) {
    this.#terminal = terminal;
    this.#max = max;
  }

  /** Moves to a position of 0 to 127. */
  move(position: number): void {
    this.#terminal.write(controlChange, controller, position);
  }

  /** Presses the key; it acts when it is released. */
  pressUndo(): void {
    this.#terminal.write(noteOn, key, velocity);
  }

  releaseUndo(): void {
    this.#terminal.write(noteOff, key, velocity);
  }

  /** The position that stands for a number of replicas. */
  positionOf(replicas: number): number {
    return Math.round(travelOf({ min: 1, max: this.#max, step: 1 }, replicas) * 127);
  }

  /** Picks up the value in force and moves off it, until the first command arrives: then the device is online. */
  async takeOver(stack: Stack, from: number, to: number): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      await stack.clear();
      this.move(this.positionOf(from));
      await new Promise((resolve) => setTimeout(resolve, 50));
      this.move(this.positionOf(to));
      const passed = await stack.passings('write', 1, 1000);
      if (passed.some(({ what }) => what === 'write')) return;
    }
    throw new Error('no command from the fader reached the API server');
  }
}
