import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../structure/source-files.ts';

/** A reason to skip tests that need Python, or false. */
export const noPython: string | false =
  spawnSync('python3', ['--version']).status === 0
    ? false
    : 'python3 is not installed (apt-get install python3)';

export const firmware = path.join(root, 'hil/bench/firmware');
const program = path.join(import.meta.dirname, 'controller.py');

/** One line that the controller said. */
export type Said = readonly unknown[];

/** The firmware's own logic at the end of a pseudo-terminal, on hardware that notes what it is told. */
export class Controller {
  readonly #child: ChildProcess;
  readonly #said: Said[] = [];
  #onSaid: () => void = () => {};
  /** The end for the bench. */
  path = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('it has no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#said.push(JSON.parse(line) as Said);
      this.#onSaid();
    });
  }

  static async start(abilities: string): Promise<Controller> {
    const child = spawn('python3', [program, firmware, abilities], { stdio: ['pipe', 'pipe', 'inherit'] });
    const controller = new Controller(child);
    controller.path = String((await controller.hears('ready'))[1]);
    return controller;
  }

  /** Gives an order, see controller.py; resolves when it is followed. */
  async order(what: string, ...values: readonly (number | string)[]): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify([what, ...values])}\n`);
    await this.hears('done');
  }

  /** Resolves with the next line that begins so; lines before it stay for {@link done}. */
  async hears(word: string): Promise<Said> {
    for (;;) {
      const at = this.#said.findIndex(([first]) => first === word);
      if (at >= 0) return this.#said.splice(at, 1)[0] ?? [];
      await new Promise<void>((resolve) => {
        this.#onSaid = resolve;
      });
    }
  }

  /** What the hardware was told since the last call; what it was told before a reply is in it. */
  async done(): Promise<Said[]> {
    // Its output is a pipe of its own: an order and its answer bring everything before it.
    await this.order('tear', 0);
    const done = this.#said.splice(0).filter(([word]) => word !== 'fault');
    // A greeting that is answered late is sent twice, and done twice.
    return done.filter(([word], index) => word !== 'release' || done[index - 1]?.[0] !== 'release');
  }

  /** Takes the pseudo-terminal away, as a pulled plug does. */
  async unplug(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
