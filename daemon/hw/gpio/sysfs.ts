import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { loadPackage } from '../ports/descriptor-port.ts';
import { headerLabels } from './chip.ts';
import type { LineGroup, LineHandlers, LineRequest, OpenLines } from './lines.ts';

/** The parts of the optional package `onoff` that are used. */
export type OnoffPackage = Pick<typeof import('onoff'), 'Gpio'>;
type Gpio = InstanceType<OnoffPackage['Gpio']>;

/** What lines of the old interface are opened with. */
export interface SysfsOptions {
  /** Loads the optional package. */
  readonly loadOnoff: () => Promise<OnoffPackage>;
  /** `/sys/class/gpio`, but for tests; the package itself knows only that one. */
  readonly folder: string;
  readonly log: Log;
}

/**
 * Lines through the kernel's old interface, /sys/class/gpio, for kernels without the character device of version 2. It
 * loses edges without a trace: it only wakes who waits, and the level is read afterwards, so that of two edges that come
 * close together one level remains. Pulls cannot be set (`gpio=17=pu` in config.txt does), and nothing is debounced:
 * the `debounceTimeout` of the package waits until a line has been quiet and then reports one level for all edges
 * before, which an encoder cannot be counted from; times of switches are the business of hw/signal.
 * A line that a crashed program left exported is taken over. Reading levels takes the notice of edges that wait.
 */
export function openSysfsLines(options: SysfsOptions): OpenLines {
  let isWarned = false;
  return async (request, handlers) => {
    const { Gpio } = await loadPackage('onoff', options.loadOnoff);
    const base = findBase(options.folder, request.chip);
    if (!isWarned) options.log.warn('GPIO lines through sysfs: edges are lost silently, pulls are not set');
    isWarned = true;
    const taken: Gpio[] = [];
    try {
      for (const line of request.lines) taken.push(takeLine(Gpio, base + line, request.isActiveLow));
    } catch (cause) {
      for (const gpio of taken) gpio.unexport();
      const words = cause instanceof Error ? cause.message : String(cause);
      const message = `GPIO line ${request.lines[taken.length]} (${base} + ${request.lines[taken.length]}): ${words}`;
      throw new SurfacedError('E_HW_GPIO', message, { cause });
    }
    return new SysfsLines(request, taken, handlers);
  };
}

/** Number of the chip's first line: 0 on old kernels, 512 on those of today; null: the header of the Pi. */
function findBase(folder: string, chip: string | null): number {
  const labels = chip === null ? headerLabels : [chip];
  const seen: string[] = [];
  try {
    for (const name of readdirSync(folder).filter((entry) => /^gpiochip\d+$/.test(entry))) {
      const label = readFileSync(path.join(folder, name, 'label'), 'utf8').trim();
      if (labels.includes(label)) return Number(readFileSync(path.join(folder, name, 'base'), 'utf8'));
      seen.push(label);
    }
  } catch (cause) {
    throw new SurfacedError('E_HW_GPIO', `${folder}: ${String(cause)}`, { cause });
  }
  const found = seen.length === 0 ? 'there are none' : `there are ${seen.join(', ')}`;
  throw new SurfacedError('E_HW_GPIO', `no chip in ${folder} has the label ${labels.join(' or ')}: ${found}`);
}

function takeLine(Gpio: OnoffPackage['Gpio'], number: number, activeLow: boolean): Gpio {
  const gpio = new Gpio(number, 'in', 'both', { activeLow });
  // On a line that was exported before, the package goes on when settings are refused.
  if (gpio.direction() === 'in' && gpio.edge() === 'both' && gpio.activeLow() === activeLow) return gpio;
  gpio.unexport();
  throw new Error('it was exported by another program, which does not let it be set up');
}

/** Lines that are held. */
class SysfsLines implements LineGroup {
  readonly #lines: readonly number[];
  readonly #taken: readonly Gpio[];
  #isClosed = false;

  constructor({ lines }: LineRequest, taken: readonly Gpio[], handlers: LineHandlers) {
    this.#lines = lines;
    this.#taken = taken;
    for (const [index, gpio] of taken.entries()) {
      const line = lines[index]!;
      gpio.watch((error, value) => {
        if (this.#isClosed) return;
        if (error === null || error === undefined) {
          handlers.onEdges([{ line, isHigh: value === 1, at: performance.now() }]);
        } else {
          this.#release();
          handlers.onLost(this.#error(error));
        }
      });
    }
  }

  levels(): readonly boolean[] {
    try {
      return this.#taken.map((gpio) => gpio.readSync() === 1);
    } catch (cause) {
      throw this.#error(cause);
    }
  }

  async close(): Promise<void> {
    this.#release();
  }

  #release(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const gpio of this.#taken) gpio.unexport();
  }

  #error(cause: unknown): SurfacedError {
    const words = cause instanceof Error ? cause.message : String(cause);
    return new SurfacedError('E_HW_GPIO', `GPIO line ${this.#lines.join(', ')}: ${words}`, { cause });
  }
}
