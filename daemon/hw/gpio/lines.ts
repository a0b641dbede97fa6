/** The contract of GPIO lines, whichever kernel interface they come through. */

/** What the lines are wired like. */
export interface LineRequest {
  /** Label (`pinctrl-bcm2711`), name (`gpiochip0`) or path of the chip; null: the header of the Pi. */
  readonly chip: string | null;
  /** Offsets on the chip; on a Pi's header these are the BCM numbers. At most 64. */
  readonly lines: readonly number[];
  /** Bias of the inputs. */
  readonly bias: 'pull-up' | 'pull-down' | 'none';
  /** True turns levels around: a button to ground reads as high while pressed. */
  readonly isActiveLow: boolean;
  /** The kernel leaves out pulses shorter than this, milliseconds; null: none are left out. */
  readonly debounceMs: number | null;
  /** Who holds the lines, as `gpioinfo` shows it. */
  readonly consumer: string;
}

/** One change of one line. */
export interface LineEdge {
  readonly line: number;
  /** The level after the edge, with `isActiveLow` taken into account. */
  readonly isHigh: boolean;
  /** When the kernel saw it, in milliseconds of `performance.now()`. */
  readonly at: number;
}

/** What lines report. */
export interface LineHandlers {
  /** Edges in the order in which the kernel saw them, all lines of the request together. */
  readonly onEdges: (edges: readonly LineEdge[]) => void;
  /**
   * Edges were lost (a gap in the kernel's sequence numbers), `lostCount` of them that were not told of before. `levels`,
   * in the order of the request, are those from which the next edges go on; null: not known until the line's next edge.
   * Who counts starts over from them, and counts nothing for what was missed. Called again with the levels now, and a
   * count of 0, when the edges that followed did not tell all of them.
   */
  readonly onMissed: (levels: readonly (boolean | null)[], lostCount: number) => void;
  /** The chip went away. Called at most once, and not after `close`. */
  readonly onLost: (problem: Error) => void;
}

/** Lines that are held. */
export interface LineGroup {
  /** The levels now, in the order of the request. @throws SurfacedError E_HW_GPIO */
  levels(): readonly boolean[];
  /** Gives the lines back; may be called twice. */
  close(): Promise<void>;
}

/** Takes lines as inputs with both edges; rejects with E_HW_GPIO (busy, absent, not allowed) or E_HW_PACKAGE. */
export type OpenLines = (request: LineRequest, handlers: LineHandlers) => Promise<LineGroup>;
