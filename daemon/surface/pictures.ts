/**
 * Pictures for a surface that has nothing of the cluster to show: starting, waiting to be paired, or at fault. They are
 * told apart at three metres by three cues, each of which is enough: shape, hue, and how often they flash in a period.
 */
import { pulse } from './animation.ts';
import { glyphHeight, glyphWidth, isLitIn } from './font.ts';
import { palette, white } from './palette.ts';
import type { Fault, Millis, Rgb } from './types.ts';

/** What a picture can say is wrong; `panel`: no control of the panel itself is there. */
export type PictureFault = Fault | 'panel';

/** What is shown in place of Pods. */
export type Picture =
  | { readonly kind: 'boot' }
  | { readonly kind: 'pairing'; readonly code: string }
  | { readonly kind: 'fault'; readonly fault: PictureFault };

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
/** Characters of a pairing code: how long some are shown, and of that dark before the next. */
const showMs = 1500;
const gapMs = 200;
/** After the last ones a longer pause: the beginning can be told. */
const pauseMs = 1000;

/** How each fault looks: its hue, its flashes in a period, and its shape on a square from -1 to 1, y down. */
const faults: Readonly<
  Record<PictureFault, { hue: Rgb; flashes: number; isInside: (x: number, y: number) => boolean }>
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
  // A frame with nothing in it.
  panel: {
    hue: palette.purple,
    flashes: 3,
    isInside: (x, y) => Math.max(Math.abs(x), Math.abs(y)) >= 0.7,
  },
  // A full square: the chip that does not answer.
  identity: {
    hue: palette.yellow,
    flashes: 4,
    isInside: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.5,
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

/** When a picture that is shown begins to look otherwise; at once when it moves all the time. */
export function pictureChangesAt(canvas: Omit<Canvas, 'rgb'>, picture: Picture, at: Millis): Millis {
  switch (picture.kind) {
    case 'boot':
      return at;
    case 'pairing':
      return codeChangesAt(canvas, picture.code, at);
    case 'fault':
      return flashChangesAt(picture.fault, at);
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

/** Whether a fault flashes at this instant. */
export function isFlashing(fault: PictureFault, at: Millis): boolean {
  const moment = at % periodMs;
  return moment < faults[fault].flashes * flashMs && moment % flashMs < flashMs / 2;
}

/** When the next flash of a fault begins, or the one that is lit ends. */
export function flashChangesAt(fault: PictureFault, at: Millis): Millis {
  const moment = at % periodMs;
  const intoFlash = moment % flashMs;
  const next = moment - intoFlash + (intoFlash < flashMs / 2 ? flashMs / 2 : flashMs);
  return at - moment + (next < faults[fault].flashes * flashMs ? next : periodMs);
}

function paintFault(canvas: Canvas, fault: PictureFault, at: Millis): void {
  const { hue, isInside } = faults[fault];
  const level = isFlashing(fault, at) ? 1 : restLevel;
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
  const pages = pagesOf(canvas, code);
  const count = pages.length;
  if (count === 0) {
    draw(canvas, white, () => pulse(at, periodMs, 0.05, 0.6));
    return;
  }
  const moment = at % (count * showMs + pauseMs);
  const index = Math.floor(moment / showMs);
  const shown = pages[index];
  if (shown === undefined || moment % showMs >= showMs - gapMs) return;
  const left = Math.floor((width - (shown.length * (glyphWidth + 1) - 1)) / 2);
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

function codeChangesAt(canvas: Omit<Canvas, 'rgb'>, code: string, at: Millis): Millis {
  const pages = pagesOf(canvas, code);
  if (pages.length === 0) return at;
  const shownMs = pages.length * showMs;
  const moment = at % (shownMs + pauseMs);
  const intoShow = moment % showMs;
  const next = moment - intoShow + (intoShow < showMs - gapMs ? showMs - gapMs : showMs);
  return at - moment + (next < shownMs ? next : shownMs + pauseMs);
}

/**
 * What is shown of a code at a time: all of it, or its groups in parts that are about as long as each other. A dash between
 * groups that are not seen together is left out. None: the matrix is too small for a character.
 */
function pagesOf({ width, height }: Omit<Canvas, 'rgb'>, code: string): readonly string[] {
  const atOnce = height < glyphHeight ? 0 : Math.floor((width + 1) / (glyphWidth + 1));
  if (atOnce === 0 || code === '') return [];
  if (code.length <= atOnce) return [code];
  return code.split('-').flatMap((group) => {
    const length = Math.ceil(group.length / Math.ceil(group.length / atOnce));
    return group.match(new RegExp(`.{1,${length}}`, 'g')) ?? [];
  });
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
