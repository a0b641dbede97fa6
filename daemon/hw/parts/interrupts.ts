/**
 * Interrupt lines of parts. Outputs that are open drain may be wired together: such a line is opened once, and an edge on
 * it concerns every part on it.
 */
import type { LineGroup, LineHandlers, OpenLines } from '../gpio/lines.ts';

/** A line that is open or being opened, and who is on it. */
interface SharedLine {
  readonly group: Promise<LineGroup>;
  readonly parts: Set<LineHandlers>;
}

/** All interrupt lines of a panel. */
export class InterruptLines {
  readonly #openLines: OpenLines;
  readonly #lines = new Map<number, SharedLine>();

  constructor(openLines: OpenLines) {
    this.#openLines = openLines;
  }

  /** Takes part in a line, which is closed with the last part on it; rejects as {@link OpenLines} does. */
  async open(line: number, handlers: LineHandlers): Promise<LineGroup> {
    const shared = this.#lines.get(line) ?? this.#openLine(line);
    shared.parts.add(handlers);
    const group = await shared.group;
    return { levels: () => group.levels(), close: () => this.#leave(line, shared, handlers) };
  }

  #openLine(line: number): SharedLine {
    const parts = new Set<LineHandlers>();
    // Whoever is told may leave: told are those that are on the line now.
    const tell = (what: (handlers: LineHandlers) => void): void => {
      for (const handlers of [...parts]) what(handlers);
    };
    const group = this.#openLines(
      {
        chip: null,
        lines: [line],
        // Interrupt outputs are open drain, active low; most boards have no pull-up of their own.
        bias: 'pull-up',
        isActiveLow: false,
        debounceMs: null,
        consumer: 'surfaced',
      },
      {
        onEdges: (edges) => tell(({ onEdges }) => onEdges(edges)),
        onMissed: (levels, lostCount) => tell(({ onMissed }) => onMissed(levels, lostCount)),
        onLost: (problem) => {
          this.#forget(line, shared);
          tell(({ onLost }) => onLost(problem));
        },
      },
    );
    const shared: SharedLine = { group, parts };
    this.#lines.set(line, shared);
    // The next part that wants it tries again; whoever waits for it is told by the same promise.
    group.catch(() => this.#forget(line, shared));
    return shared;
  }

  #forget(line: number, shared: SharedLine): void {
    if (this.#lines.get(line) === shared) this.#lines.delete(line);
  }

  async #leave(line: number, shared: SharedLine, handlers: LineHandlers): Promise<void> {
    if (!shared.parts.delete(handlers) || shared.parts.size > 0) return;
    this.#forget(line, shared);
    await (await shared.group).close();
  }
}
