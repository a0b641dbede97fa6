/** The light matrix behind its glass, and what its lights mean. */
import type { Face } from '../messages.ts';
import { rgbOf } from './colour.ts';
import { sentenceOf } from './words.ts';

/** One light: its colour at full strength, and how strong it is. */
function Light({ hex, row, column }: { hex: string; row: number; column: number }) {
  const { rgb, strength } = rgbOf([
    Number.parseInt(hex.slice(0, 2), 16),
    Number.parseInt(hex.slice(2, 4), 16),
    Number.parseInt(hex.slice(4, 6), 16),
  ]);
  return (
    <i
      class="light"
      data-hex={hex}
      style={{ '--rgb': rgb, '--strength': strength, gridArea: `${row} / ${column}` }}
    />
  );
}

const legend = [
  ['ready', 'ready'],
  ['running', 'started, not ready'],
  ['pending', 'waiting to start'],
  ['crashed', 'crashing'],
  ['terminating', 'going away'],
  ['hollow', 'wanted, not there yet'],
  ['setting', 'what you are setting'],
  ['overflow', 'more than fits'],
] as const;

/** What the states of a light mean, shown by lights that do it. */
export function Legend() {
  return (
    <section class="legend" aria-labelledby="legend-title">
      <h2 id="legend-title" class="silk">
        One light a Pod, one colour a workload
      </h2>
      <ul>
        {legend.map(([state, text]) => (
          <li key={state}>
            <i class={`sample ${state}`} aria-hidden="true" />
            {text}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The matrix; people who cannot see it hear the strips instead. */
export function Matrix({ face, width, height }: { face: Face; width: number; height: number }) {
  const hex = face.matrix?.hex ?? '';
  const cells = Array.from({ length: width * height }, (_, cell) => hex.slice(cell * 6, cell * 6 + 6));
  const label = face.strips.length === 0 ? 'All lights are off.' : face.strips.map(sentenceOf).join('. ');
  // The surface gives each target of the bank the same number of whole rows, from the top.
  const rows = Math.max(1, Math.floor(height / Math.max(1, face.strips.length)));
  return (
    <div class="matrix" role="img" aria-label={`Light matrix. ${label}`} style={{ '--columns': width }}>
      {face.strips.slice(0, height).map((strip, index) => (
        <span
          key={strip.slot}
          class="row-name"
          style={{ '--rgb': rgbOf(strip.hue).rgb, gridRow: `${index * rows + 1} / span ${rows}` }}
        >
          {strip.name}
        </span>
      ))}
      {cells.map((cell, index) => (
        <Light
          key={index}
          hex={cell === '' ? '000000' : cell}
          row={Math.floor(index / width) + 1}
          column={(index % width) + 2}
        />
      ))}
    </div>
  );
}
