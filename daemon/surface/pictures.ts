/**
 * Pictures for a surface that has nothing of the cluster to show: starting, waiting to be paired, or at fault. They are
 * told apart at three metres by three cues, each of which is enough: shape, hue, and how often they flash in a period.
 */
import { pulse } from './animation.ts';
import { glyphHeight, glyphWidth, isLitIn } from './font.ts';
import { palette, white } from './palette.ts';
import type { Fault, Millis, Rgb } from './types.ts';

/** What is shown in place of Pods. */
export type Picture =
  | { readonly kind: 'boot' }
  | { readonly kind: 'pairing'; readonly code: string }
  | { readonly kind: 'fault'; readonly fault: Fault };

/** A matrix to draw on. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** Row-major, three bytes a light; dark when handed over. */
  readonly rgb: Uint8Array;
}

/** One round of flashes and the pause after them. */
const periodMs = 3000;
const flashMs = 450;
/** Between flashes the shape stays faintly visible. */
const restLevel = 0.12;

/** How each fault looks: its hue, its flashes in a period, and its shape on a square from -1 to 1, y down. */
const faults: Readonly<
  Record<Fault, { hue: Rgb; flashes: number; isInside: (x: number, y: number) => boolean }>
> = {
  // A line that is cut in the middle.
  network: {
    hue: palette.sky,
    flashes: 1,
    isInside: (x, y) => Math.abs(y) <= 0.3 && Math.abs(x) >= 0.3,
  },
  // A cross.
  refused: {
    hue: palette.vermilion,
    flashes: 2,
    isInside: (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= 0.2,
  },
};

/** Draws a picture at one instant; it changes with time. */
export function paintPicture(canvas: Canvas, picture: Picture, at: Millis): void {
  switch (picture.kind) {
    case 'boot':
      paintBoot(canvas, at);
      break;
    case 'pairing':
      paintCode(canvas, picture.code, at);
      break;
    case 'fault':
      paintFault(canvas, picture.fault, at);
      break;
  }
}

/** A ring that grows from the middle, white: something is on its way. */
function paintBoot(canvas: Canvas, at: Millis): void {
  const roundMs = 1600;
  const radius = ((at % roundMs) / roundMs) * 1.3;
  draw(canvas, white, (x, y) => {
    const distance = Math.abs(Math.max(Math.abs(x), Math.abs(y)) - radius);
    return Math.max(0.02, 0.5 * Math.max(0, 1 - distance * 3));
  });
}

function paintFault(canvas: Canvas, fault: Fault, at: Millis): void {
  const { hue, flashes, isInside } = faults[fault];
  const moment = at % periodMs;
  const isFlash = moment < flashes * flashMs && moment % flashMs < flashMs / 2;
  const level = isFlash ? 1 : restLevel;
  // On a strip of lights no shape can be told: all of it flashes.
  const isStrip = Math.min(canvas.width, canvas.height) < 4;
  draw(canvas, hue, (x, y) => (isStrip || isInside(x, y) ? level : 0));
}

/**
 * As many characters at once as there is room for, the next ones after a moment; dots on the bottom row tell which of
 * them it is. A matrix too small for a character shows a slow white pulse: the code is to be read elsewhere.
 */
function paintCode(canvas: Canvas, code: string, at: Millis): void {
  const { width, height } = canvas;
  const atOnce = Math.floor((width + 1) / (glyphWidth + 1));
  if (atOnce === 0 || height < glyphHeight || code === '') {
    draw(canvas, white, () => pulse(at, periodMs, 0.05, 0.6));
    return;
  }
  const showMs = 1500;
  const gapMs = 200;
  const count = Math.ceil(code.length / atOnce);
  // After the last ones a longer pause: the beginning can be told.
  const moment = at % (count * showMs + 1000);
  const index = Math.floor(moment / showMs);
  if (index >= count || moment % showMs > showMs - gapMs) return;
  const shown = code.slice(index * atOnce, (index + 1) * atOnce);
  const left = Math.floor((width - (atOnce * (glyphWidth + 1) - 1)) / 2);
  const top = Math.floor((height - glyphHeight) / 2);
  for (let place = 0; place < shown.length; place++) {
    for (let row = 0; row < glyphHeight; row++) {
      for (let column = 0; column < glyphWidth; column++) {
        if (!isLitIn(shown[place] ?? '', column, row)) continue;
        setLight(canvas, left + place * (glyphWidth + 1) + column, top + row, white, 0.8);
      }
    }
  }
  if (height > glyphHeight + 1 && count <= width) setLight(canvas, index, height - 1, palette.sky, 0.6);
}

/** Every light by where its middle is on a square from -1 to 1. */
function draw(canvas: Canvas, hue: Rgb, levelAt: (x: number, y: number) => number): void {
  const { width, height } = canvas;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const level = levelAt(((column + 0.5) / width) * 2 - 1, ((row + 0.5) / height) * 2 - 1);
      setLight(canvas, column, row, hue, level);
    }
  }
}

function setLight({ width, rgb }: Canvas, column: number, row: number, hue: Rgb, level: number): void {
  const index = (row * width + column) * 3;
  for (let part = 0; part < 3; part++) rgb[index + part] = Math.round(hue[part as 0 | 1 | 2] * level);
}
