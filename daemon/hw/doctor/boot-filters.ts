/**
 * Which lines of config.txt count on a board: its conditional filters. Raspberry Pi documentation, "config.txt",
 * "Conditional filters"; those of boards after the Pi 4 follow the names of their kin. Pure.
 */

/** Boards by the filter that means them, as the device tree names them (/proc/device-tree/model). */
const boards: ReadonlyMap<string, RegExp> = new Map([
  ['pi0', /Pi Zero/],
  ['pi0w', /Pi Zero (?:2 )?W/],
  ['pi02', /Pi Zero 2/],
  ['pi1', /Pi (?:Model [AB]|Compute Module(?! \d))/],
  ['pi2', /Pi 2\b/],
  ['pi3', /Pi (?:3|Compute Module 3)\b/],
  ['pi3+', /Pi 3 Model [AB] Plus/],
  ['pi4', /Pi (?:4|400|Compute Module 4S?)\b/],
  ['pi400', /Pi 400\b/],
  ['pi5', /Pi (?:5|500|Compute Module 5)\b/],
  ['pi500', /Pi 500\b/],
  ['cm1', /Compute Module(?! \d)/],
  ['cm3', /Compute Module 3\b/],
  ['cm3+', /Compute Module 3 Plus/],
  ['cm4', /Compute Module 4\b/],
  ['cm4s', /Compute Module 4S/],
  ['cm5', /Compute Module 5\b/],
]);

/** `unsure`: a filter that files do not tell of, such as `gpio4=1`. */
export type Counts = 'yes' | 'no' | 'unsure';

/** The filters that stand above a line. */
export interface BootSection {
  /** Their names, such as `pi4` or `pi4][gpio4=1`; `all`: none. */
  readonly name: string;
  readonly counts: Counts;
}

/** Follows the filters from line to line. Those of one kind replace each other, others add up, `[all]` ends all. */
export class BootFilters {
  readonly #model: string | null;
  /** Filter by its kind; they are named in this order. */
  readonly #filters = new Map<string, string>();

  /** @param model as the device tree has it; null: not known */
  constructor(model: string | null) {
    this.#model = model?.startsWith('Raspberry Pi') ? model : null;
  }

  /** Takes what stands between the brackets. */
  take(words: string): void {
    const filter = words.trim().toLowerCase();
    if (filter === 'all') this.#filters.clear();
    else this.#filters.set(kindOf(filter), filter);
  }

  get section(): BootSection {
    const filters = [...this.#filters.values()];
    const all = filters.map((filter) => this.#counts(filter));
    return {
      name: filters.length === 0 ? 'all' : filters.join(']['),
      counts: all.includes('no') ? 'no' : all.includes('unsure') ? 'unsure' : 'yes',
    };
  }

  #counts(filter: string): Counts {
    if (filter === 'none') return 'no';
    const board = boards.get(filter);
    if (board === undefined || this.#model === null) return 'unsure';
    return board.test(this.#model) ? 'yes' : 'no';
  }
}

/** `[none]` counts as a board that nobody has. */
function kindOf(filter: string): string {
  if (filter === 'none' || boards.has(filter)) return 'board';
  if (filter.startsWith('0x')) return 'serial number';
  return filter.replace(/[=:].*/, '');
}
