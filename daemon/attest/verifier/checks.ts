/** How checks are made: one after the other, each with one outcome, and none of them can throw its way past a verdict. */
import { SurfacedError } from '../../errors.ts';
import { shown } from '../logs/log.ts';
import { TpmFormatError } from '../tpm2/index.ts';
import { type Check, type CheckName, checkNames, type Outcome } from './verdict.ts';

/** Most characters of a reason, before characters that are not printable are written as escapes. */
const mostReasonCharacters = 600;

/** How the reason begins when judging itself went wrong, whatever the surface sent: a fault of this program. */
export const faultPrefix = 'could not be judged';

/** What one check comes to, and what it found on its way. */
export interface Ruling<Found> {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly found: Found;
}

/** It holds. */
export const passed = <Found>(reason: string, found: Found): Ruling<Found> => ({
  outcome: 'passed',
  reason,
  found,
});
/** It does not hold, and nothing that needs it is looked at. */
export const failed = (reason: string): Ruling<null> => ({ outcome: 'failed', reason, found: null });
/** There is nothing to check. */
export const skipped = (reason: string): Ruling<null> => ({ outcome: 'skipped', reason, found: null });

/** The checks of one verdict as they are made. */
export class Checklist {
  readonly #made = new Map<CheckName, Check>();

  /** Takes over a check that was made elsewhere. */
  add({ name, outcome, reason }: Check): void {
    this.#made.set(name, { name, outcome, reason: shown(reason, mostReasonCharacters) });
  }

  /**
   * Makes a check and gives what it found; null unless it passed. Bytes of the surface that cannot be read fail it with
   * what their reader says. Everything else that is thrown fails it, too: an error is never "trusted".
   */
  judge<Found>(name: CheckName, work: () => Ruling<Found> | Ruling<null>): Found | null {
    const { outcome, reason, found } = tried(work);
    this.add({ name, outcome, reason });
    return outcome === 'passed' ? found : null;
  }

  /** Whether one of the checks so far failed. */
  get hasFailed(): boolean {
    return [...this.#made.values()].some(({ outcome }) => outcome === 'failed');
  }

  /** The checks of these names in the order of `checkNames`; those that were not made are skipped. */
  of(names: readonly CheckName[] = checkNames): Check[] {
    return checkNames
      .filter((name) => names.includes(name))
      .map(
        (name) =>
          this.#made.get(name) ?? { name, outcome: 'skipped', reason: 'a check that it builds on failed' },
      );
  }
}

function tried<Found>(work: () => Ruling<Found> | Ruling<null>): Ruling<Found> | Ruling<null> {
  try {
    return work();
  } catch (problem) {
    if (problem instanceof SurfacedError || problem instanceof TpmFormatError) return failed(problem.message);
    return failed(`${faultPrefix}: ${problem instanceof Error ? problem.message : String(problem)}`);
  }
}
