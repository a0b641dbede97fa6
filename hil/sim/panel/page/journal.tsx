/** The last ends of commands, kept on the page after the strips have forgotten them. */
import type { Strip } from '../../../../daemon/surface/types.ts';
import { rgbOf } from './colour.ts';
import { type Line, lineOfNotice } from './words.ts';

const journalLength = 4;

interface Entry {
  readonly id: number;
  readonly time: string;
  readonly name: string;
  readonly rgb: string;
  readonly line: Line;
}

/** Collects notices as they come up on the strips. */
export class Journal {
  entries: readonly Entry[] = [];
  #id = 0;
  /** What each slot said last, so that a notice counts once however long it stands. */
  readonly #said = new Map<number, string>();

  read(strips: readonly Strip[]): void {
    for (const { slot, name, hue, notice } of strips) {
      const words = notice === null ? '' : JSON.stringify(notice);
      if (words === (this.#said.get(slot) ?? '')) continue;
      this.#said.set(slot, words);
      if (notice === null) continue;
      this.#id += 1;
      const time = new Date().toTimeString().slice(0, 8);
      const entry = { id: this.#id, time, name, rgb: rgbOf(hue).rgb, line: lineOfNotice(notice) };
      this.entries = [entry, ...this.entries].slice(0, journalLength);
    }
  }
}

/** The journal on its display, newest first. */
export function JournalDisplay({ journal }: { journal: Journal }) {
  return (
    <section class="journal" aria-labelledby="journal-title">
      <h2 id="journal-title" class="silk">
        What became of it
      </h2>
      <div role="log">
        <ol>
          {journal.entries.length === 0 && <li class="none">Move a fader or turn a knob.</li>}
          {journal.entries.map(({ id, time, name, rgb, line }) => (
            <li key={id} title={line.full}>
              <time>{time}</time>
              <strong style={{ '--rgb': rgb }}>{name}</strong>
              <span class={`tone ${line.tone}`}>{line.full}</span>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
