/** Every text of a picture: what is drawn, and what is checked for room, are the same list. */
import { kindOf } from './catalogue.ts';
import { type Box, header, headerBox, type Label, partBox, rowY, usbPoint } from './geometry.ts';
import { headerPins, isCovered, tpmLines, tpmPins } from './header.ts';
import type { Part, WireColour, Wiring } from './types.ts';

/** Colours of the picture, all of them on its own light ground: pages may be dark. */
export const inks = {
  ground: '#fcfcf9',
  text: '#1d2329',
  faint: '#5c646b',
  line: '#9aa3aa',
  board: '#eef3ee',
  part: '#ffffff',
  chip: '#e4e7e3',
  tpm: '#00695c',
} as const;

/** How a wire is drawn. */
export const wireInks: Readonly<Record<WireColour, string>> = {
  red: '#c62828',
  black: '#23272b',
  blue: '#1565c0',
  yellow: '#d9a400',
  green: '#2e7d32',
  orange: '#d35400',
  purple: '#7b3fa0',
  grey: '#6c757d',
};

const text = (label: Partial<Label> & Pick<Label, 'text' | 'x' | 'y'>): Label => ({
  size: 12,
  anchor: 'start',
  isBold: false,
  colour: inks.text,
  ...label,
});

/** Colour of the wire at a pin of the header; the TPM's where that uses it; null: nothing is there. */
export function chipInk({ wires }: Wiring, number: number): string | null {
  const wire = wires.find(({ from, to }) => [from, to].includes(`pi.${number}`));
  if (wire !== undefined) return wireInks[wire.colour];
  const pin = headerPins[number - 1];
  if (!isCovered(number) || pin === undefined) return null;
  if (pin.kind === 'ground') return wireInks.black;
  if (pin.kind === 'supply') return wireInks.red;
  return tpmLines.includes(pin.gpio ?? -1) ? inks.tpm : null;
}

/** The chip with the name of a pin. */
export function chipBox({ headerX }: Wiring, number: number): Box {
  const isOdd = number % 2 === 1;
  return {
    x: headerX + (isOdd ? 8 : header.width - 8 - header.chipWidth),
    y: rowY(Math.floor((number - 1) / 2)) - header.chipHeight / 2,
    width: header.chipWidth,
    height: header.chipHeight,
  };
}

/** Middle of a pin of the header. */
export function dotX({ headerX }: Wiring, number: number): number {
  return headerX + header.width / 2 + (number % 2 === 1 ? -11 : 11);
}

function headerLabels(wiring: Wiring): Label[] {
  const { x, y, height } = headerBox(wiring);
  const middle = x + header.width / 2;
  const pins = headerPins.flatMap(({ number, label }): Label[] => {
    const chip = chipBox(wiring, number);
    const ink = chipInk(wiring, number);
    const onChip = ink === null ? inks.faint : ink === wireInks.yellow ? inks.text : '#ffffff';
    const baseline = chip.y + chip.height / 2 + 4;
    return [
      text({
        text: label,
        x: chip.x + chip.width / 2,
        y: baseline,
        anchor: 'middle',
        size: 11,
        isBold: ink !== null,
        colour: onChip,
      }),
      text({
        text: String(number),
        x: dotX(wiring, number) + (number % 2 === 1 ? -9 : 9),
        y: baseline - 1,
        anchor: number % 2 === 1 ? 'end' : 'start',
        size: 9,
        colour: inks.faint,
      }),
    ];
  });
  const isUsbUsed = wiring.wires.some(({ from }) => from === 'pi.usb');
  const usb = usbPoint(wiring);
  return [
    text({ text: 'Raspberry Pi', x: middle, y: y + 20, anchor: 'middle', size: 14, isBold: true }),
    ...pins,
    isUsbUsed
      ? text({ text: 'USB', x: usb.x + 16, y: usb.y + 4, isBold: true })
      : text({ text: 'USB sockets at this end', x: middle, y: y + height - 14, anchor: 'middle' }),
    text({
      text: 'TPM board',
      x: x + header.width + 18,
      y: rowY(9.6),
      isBold: true,
      size: 13,
      colour: inks.tpm,
    }),
    text({
      text: `on pins ${tpmPins.first} to ${tpmPins.last}`,
      x: x + header.width + 18,
      y: rowY(10.4),
      size: 11,
      colour: inks.tpm,
    }),
  ];
}

/** Where the texts and the picture of a part begin: beside the names of its left pins. */
export const innerX = (part: Part): number =>
  part.x + (kindOf(part).pins.some(({ side }) => side === 'left') ? 46 : 12);

function partLabels(part: Part): Label[] {
  const box = partBox(part);
  const { pins } = kindOf(part);
  const x = innerX(part);
  return [
    text({ text: part.title, x, y: box.y + 21, isBold: true, size: 13 }),
    ...(part.note === null
      ? []
      : [text({ text: part.note, x, y: box.y + 37, size: 11, colour: inks.faint })]),
    ...pins.map(({ name, side, row }) =>
      text({
        text: name.replace(/(?<=[A-Z]{3})2$/, ''),
        x: side === 'left' ? box.x + 9 : box.x + box.width - 9,
        y: rowY(part.row + row) + 4,
        anchor: side === 'left' ? 'start' : 'end',
        size: 11,
      }),
    ),
  ];
}

/** All texts of a picture. */
export function labelsOf(wiring: Wiring): Label[] {
  return [
    text({ text: wiring.title, x: 24, y: 34, size: 18, isBold: true }),
    ...headerLabels(wiring),
    ...wiring.parts.flatMap(partLabels),
  ];
}
