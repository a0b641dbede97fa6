/**
 * The commands for one target: one at a time asks the API server, the rest wait; of those of one slot only the
 * newest counts.
 */
import { type Command, type End, endOf } from './command.ts';
import type { Changer } from './follow.ts';

/** How a command ends whose place a newer one of the same slot took. */
export const superseded = (now: number | null): End =>
  endOf('reverted', 'Superseded', 'A newer command of the same control took its place.', now);

const isSameSlot = (one: Command, other: Command): boolean =>
  one.surface === other.surface && one.message.slot === other.message.slot;

export class TargetLine {
  /** Does one command up to `accepted` or its end; must not reject. */
  readonly #perform: (command: Command, line: TargetLine) => Promise<void>;
  readonly #onEmpty: () => void;
  readonly #waiting: Command[] = [];
  readonly #followed = new Set<Command>();
  #acting: Command | null = null;
  #lastAccepted: Command | null = null;

  constructor(perform: (command: Command, line: TargetLine) => Promise<void>, onEmpty: () => void) {
    this.#perform = perform;
    this.#onEmpty = onEmpty;
  }

  /** Adds a command; older ones of its slot that have not acted yet end. */
  add(command: Command): void {
    for (const older of [...this.#waiting]) if (isSameSlot(older, command)) this.#drop(older);
    this.#waiting.push(command);
    this.#next();
  }

  /** Whether a newer command of the same slot waits, so that this one need not act any more. */
  isOutdated(command: Command): boolean {
    return this.#waiting.some((other) => isSameSlot(other, command));
  }

  /** The target has taken this command's number: older ones of its slot are over. */
  accepted(command: Command): void {
    this.#lastAccepted = command;
    for (const older of [...this.#followed])
      if (isSameSlot(older, command)) older.end(superseded(command.message.want));
    this.#followed.add(command);
    command.signal.addEventListener('abort', () => {
      this.#followed.delete(command);
      this.#checkEmpty();
    });
  }

  /** Names the command of this gateway that set the target to `now` after `command` did, if there is one. */
  setBy(command: Command, now: number): Changer | null {
    const setter = [this.#acting, this.#lastAccepted].find(
      (other) => other && other !== command && other.hasPut && other.message.want === now,
    );
    if (!setter) return null;
    if (isSameSlot(setter, command))
      return { code: 'Superseded', words: 'a newer command of the same control' };
    return {
      code: 'ByOtherSurface',
      words:
        setter.surface === command.surface ? 'another control of this surface' : `surface ${setter.surface}`,
    };
  }

  #drop(command: Command): void {
    this.#waiting.splice(this.#waiting.indexOf(command), 1);
    command.end(superseded(null));
  }

  #next(): void {
    if (this.#acting) return;
    const command = this.#waiting.shift();
    if (!command) {
      this.#checkEmpty();
      return;
    }
    this.#acting = command;
    void this.#perform(command, this).finally(() => {
      this.#acting = null;
      this.#next();
    });
  }

  #checkEmpty(): void {
    if (!this.#acting && this.#waiting.length === 0 && this.#followed.size === 0) this.#onEmpty();
  }
}
