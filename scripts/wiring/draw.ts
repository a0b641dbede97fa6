/** A wiring as SVG: the same input gives the same bytes. */
import { kindOf } from './catalogue.ts';
import { type Box, headerBox, type Label, partBox, pinPoint, rowY, usbPoint, wirePath } from './geometry.ts';
import { glyph } from './glyphs.ts';
import { headerPins, isCovered, tpmPins } from './header.ts';
import { chipBox, chipInk, dotX, inks, innerX, labelsOf, wireInks } from './labels.ts';
import { junctions, type Net, netsOf } from './nets.ts';
import type { Part, Wiring } from './types.ts';

const wireWidth = 3;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const rect = ({ x, y, width, height }: Box, attributes: string): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" ${attributes}/>`;

function drawLabel({ text, x, y, size, anchor, isBold, colour }: Label): string {
  const weight = isBold ? ' font-weight="bold"' : '';
  const placed = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${x}" y="${y}" font-size="${size}"${weight}${placed} fill="${colour}">${escaped(text)}</text>`;
}

function drawHeader(wiring: Wiring): string[] {
  const box = headerBox(wiring);
  const covered = { first: Math.floor((tpmPins.first - 1) / 2), last: Math.floor((tpmPins.last - 1) / 2) };
  const region = {
    x: box.x + 4,
    y: rowY(covered.first) - 11,
    width: box.width - 8,
    height: rowY(covered.last) - rowY(covered.first) + 22,
  };
  const pins = headerPins.flatMap(({ number }) => {
    const ink = chipInk(wiring, number) ?? inks.chip;
    const y = rowY(Math.floor((number - 1) / 2));
    const x = dotX(wiring, number);
    return [
      rect(chipBox(wiring, number), `rx="4" fill="${ink}"`),
      // Pin 1 is the square one, as on the board.
      number === 1
        ? rect({ x: x - 5, y: y - 5, width: 10, height: 10 }, `fill="${inks.text}"`)
        : `<circle cx="${x}" cy="${y}" r="5" fill="${isCovered(number) ? inks.tpm : inks.text}"/>`,
    ];
  });
  const label = { x: region.x + region.width, y: rowY(10) };
  const usb = usbPoint(wiring);
  const isUsbUsed = wiring.wires.some(({ from }) => from === 'pi.usb');
  return [
    rect(box, `rx="12" fill="${inks.board}" stroke="${inks.line}" stroke-width="1.5"`),
    rect(region, `rx="6" fill="${inks.tpm}" fill-opacity="0.12" stroke="${inks.tpm}" stroke-width="1.5"`),
    `<path d="M${label.x} ${label.y}H${box.x + box.width + 12}" stroke="${inks.tpm}" stroke-width="1.5"/>`,
    ...pins,
    ...(isUsbUsed
      ? [
          rect(
            { x: usb.x, y: usb.y - 14, width: 62, height: 28 },
            `rx="3" fill="${inks.chip}" stroke="${inks.line}"`,
          ),
        ]
      : []),
  ];
}

function drawPart(part: Part): string[] {
  const box = partBox(part);
  const { glyph: kind, pins } = kindOf(part);
  const hasRight = pins.some(({ side }) => side === 'right');
  const top = box.y + (part.note === null ? 30 : 46);
  const x = innerX(part);
  const right = box.x + box.width - (hasRight ? 60 : 12);
  const area =
    kind === 'button'
      ? { x: right - 32, y: box.y + 8, width: 32, height: box.height - 16 }
      : { x, y: top, width: right - x, height: box.y + box.height - 8 - top };
  const columns =
    part.kind === 'controller' ? 8 : part.kind === 'neotrellis' ? 4 : part.title.includes('16x8') ? 16 : 8;
  return [
    rect(box, `rx="8" fill="${inks.part}" stroke="${inks.line}" stroke-width="1.5"`),
    ...glyph(kind, area, columns),
    ...pins.map(({ side, row }) => {
      const edge = side === 'left' ? box.x : box.x + box.width;
      return `<circle cx="${edge}" cy="${rowY(part.row + row)}" r="3.5" fill="${inks.part}" stroke="${inks.text}" stroke-width="1.5"/>`;
    }),
  ];
}

/** A net after all others before it: where it crosses them it goes over a gap in them. */
function drawNet(wiring: Wiring, net: Net): string[] {
  const paths = net.wires.map((wire) => {
    const [first, ...rest] = wirePath(wiring, wire);
    return `M${first?.x} ${first?.y}${rest.map(({ x, y }) => `L${x} ${y}`).join('')}`;
  });
  const lines = [...new Set(paths)].join('');
  const ends = net.pins.map((name) => ({ name, ...pinPoint(wiring, name) }));
  // Inside the board a wire goes on to the chip of its pin.
  const stubs = ends
    .filter(({ name }) => name.startsWith('pi.') && name !== 'pi.usb')
    .map(({ x, y }) => `M${x} ${y}h${x === wiring.headerX ? 8 : -8}`)
    .join('');
  const ink = wireInks[net.colour];
  const width = net.pins.includes('pi.usb') ? 7 : wireWidth;
  const stroke = 'fill="none" stroke-linejoin="round"';
  return [
    `<path d="${lines}" ${stroke} stroke="${inks.ground}" stroke-width="${width + 5}"/>`,
    `<path d="${lines}${stubs}" ${stroke} stroke="${ink}" stroke-width="${width}"/>`,
    ...junctions(wiring, net).map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="5" fill="${ink}"/>`),
    ...ends
      .filter(({ name }) => !name.startsWith('pi.'))
      .map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="4" fill="${ink}"/>`),
  ];
}

/** The picture as the text of an SVG file. */
export function draw(wiring: Wiring): string {
  const { width, height, title } = wiring;
  const nets = netsOf(wiring, false);
  const wires = nets.map(({ pins }) => pins.join(' with ')).join('; ');
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="desc">${escaped(`Wires: ${wires}.`)}</desc>`,
    `<!-- Made by scripts/wiring.ts; changes here are lost. -->`,
    rect(
      { x: 1, y: 1, width: width - 2, height: height - 2 },
      `rx="14" fill="${inks.ground}" stroke="${inks.line}"`,
    ),
    ...drawHeader(wiring),
    ...wiring.parts.flatMap(drawPart),
    ...nets.flatMap((net) => drawNet(wiring, net)),
    ...labelsOf(wiring).map(drawLabel),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}
