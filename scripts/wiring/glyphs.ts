/** Small pictures of parts, so that they are known again on the table. SVG text. */
import type { Box } from './geometry.ts';
import { inks } from './labels.ts';
import type { PartKind } from './types.ts';

const rect = ({ x, y, width, height }: Box, attributes: string): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" ${attributes}/>`;

/** Columns and rows of lights or keys, as large as fits. */
function grid(area: Box, columns: number, rows: number, isKeys: boolean): string[] {
  const pitch = Math.floor(Math.min(area.width / columns, area.height / rows) * 2) / 2;
  const size = pitch * (isKeys ? 0.76 : 0.6);
  const [left, top] = [area.x, area.y + (area.height - rows * pitch) / 2];
  return Array.from({ length: columns * rows }, (_, index) => {
    const box = {
      x: left + (index % columns) * pitch + (pitch - size) / 2,
      y: top + Math.floor(index / columns) * pitch + (pitch - size) / 2,
      width: size,
      height: size,
    };
    const rounded = { ...box, x: round(box.x), y: round(box.y), width: round(size), height: round(size) };
    return rect(rounded, `rx="${isKeys ? 2 : round(size / 2)}" fill="${inks.line}"`);
  });
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** The picture of a part in the room that its texts leave. */
export function glyph(kind: PartKind['glyph'], area: Box, columns: number): string[] {
  const [middleX, middleY] = [round(area.x + area.width / 2), round(area.y + area.height / 2)];
  const stroke = `fill="none" stroke="${inks.line}" stroke-width="2"`;
  switch (kind) {
    case 'board':
      return [
        rect({ x: middleX - 13, y: middleY - 13, width: 26, height: 26 }, `rx="3" fill="${inks.line}"`),
        `<circle cx="${middleX - 7}" cy="${middleY - 7}" r="2" fill="${inks.part}"/>`,
      ];
    case 'fader':
      return [
        rect({ x: area.x, y: middleY - 3, width: area.width, height: 6 }, `rx="3" ${stroke}`),
        rect(
          { x: round(area.x + area.width * 0.6), y: middleY - 9, width: 11, height: 18 },
          `rx="2" fill="${inks.line}"`,
        ),
      ];
    case 'knob': {
      const radius = Math.min(22, Math.floor(area.height / 2) - 1);
      return [
        `<circle cx="${middleX}" cy="${middleY}" r="${radius}" ${stroke}/>`,
        `<path d="M${middleX} ${middleY}L${round(middleX + radius * 0.6)} ${round(middleY - radius * 0.6)}" ${stroke}/>`,
      ];
    }
    case 'matrix':
      return grid(area, columns, 8, false);
    case 'pads':
      return grid(area, columns, columns, true);
    case 'button':
      return [
        `<circle cx="${middleX}" cy="${middleY}" r="13" ${stroke}/>`,
        `<circle cx="${middleX}" cy="${middleY}" r="8" fill="${inks.line}"/>`,
      ];
  }
}
