/** Where pins, boxes, wires and texts of a picture are. Pixels from the top left; pure. */
import { kindOf } from './catalogue.ts';
import { headerPins } from './header.ts';
import type { Part, Wire, Wiring } from './types.ts';

/** A point. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** An upright rectangle. */
export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** A text with what it looks like. */
export interface Label extends Point {
  readonly text: string;
  readonly size: number;
  readonly anchor: 'start' | 'middle' | 'end';
  readonly isBold: boolean;
  readonly colour: string;
}

/** From one row of the header to the next. */
export const rowPitch = 22;
const firstRowY = 104;
/** Around the pins of a part. */
const partMargin = 15;

/** The header, as it is drawn: chips with the names of pins at both sides of two columns of pins. */
export const header = { width: 290, chipWidth: 100, chipHeight: 17, rows: 20 } as const;

/** Middle of a row of the header; parts of rows may be asked for. */
export const rowY = (row: number): number => firstRowY + row * rowPitch;

/** The box of the header with room for the title and the USB sockets. */
export function headerBox({ headerX }: Wiring): Box {
  const y = rowY(0) - 40;
  return { x: headerX, y, width: header.width, height: rowY(header.rows - 1) + 58 - y };
}

/** Where the cable to the USB socket ends. */
export const usbPoint = ({ headerX }: Wiring): Point => ({
  x: headerX,
  y: rowY(header.rows) + 8,
});

/** The box of a part. */
export function partBox(part: Part): Box {
  const { pins, width, height } = kindOf(part);
  const rows = Math.max(...pins.map(({ row }) => row));
  const needed = rows * rowPitch + 2 * partMargin;
  return { x: part.x, y: rowY(part.row) - partMargin, width, height: height ?? needed };
}

/** Where a wire ends. @throws Error when there is no such pin */
export function pinPoint(wiring: Wiring, name: string): Point {
  const [owner = '', pin = ''] = name.split('.');
  if (owner === 'pi') {
    if (pin === 'usb') return usbPoint(wiring);
    const number = headerPins.find((one) => String(one.number) === pin)?.number;
    if (number === undefined) throw new Error(`the header has no pin ${pin}`);
    const isOdd = number % 2 === 1;
    return { x: wiring.headerX + (isOdd ? 0 : header.width), y: rowY(Math.floor((number - 1) / 2)) };
  }
  const part = wiring.parts.find(({ id }) => id === owner);
  if (part === undefined) throw new Error(`there is no part ${owner}`);
  const found = kindOf(part).pins.find((one) => one.name === pin);
  if (found === undefined) throw new Error(`${owner} has no pin ${pin}`);
  const { x, width } = partBox(part);
  return { x: found.side === 'left' ? x : x + width, y: rowY(part.row + found.row) };
}

/** The corners of a wire: level at both ends, bends at right angles. */
export function wirePath(wiring: Wiring, { from, to, via }: Wire): readonly Point[] {
  const [start, end] = [pinPoint(wiring, from), pinPoint(wiring, to)];
  const points: Point[] = [start];
  let { x, y } = start;
  for (const [index, at] of via.entries()) {
    if (index % 2 === 0) x = at;
    else y = rowY(at);
    points.push({ x, y });
  }
  if (y !== end.y) points.push({ x, y: end.y });
  points.push(end);
  return points.filter((point, index) => {
    const [before, after] = [points[index - 1], points[index + 1]];
    if (before === undefined || after === undefined) return true;
    const isStraight =
      (before.x === point.x && point.x === after.x) || (before.y === point.y && point.y === after.y);
    return !isStraight;
  });
}

/** Width of a text, on the safe side: letters of common sans-serif fonts are at most so wide on average. */
export const textWidth = ({ text, size, isBold }: Label): number =>
  Array.from(text).length * size * (isBold ? 0.66 : 0.6);

/** The rectangle that a text takes. */
export function labelBox(label: Label): Box {
  const width = textWidth(label);
  const x =
    label.anchor === 'start' ? label.x : label.anchor === 'end' ? label.x - width : label.x - width / 2;
  return { x, y: label.y - label.size * 0.8, width, height: label.size };
}
