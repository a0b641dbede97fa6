/**
 * The picture of a problem: its code in red letters, such as `E1`, where there are lights enough, else as many red flashes as
 * its number says. Nothing else on a surface has red letters: a pairing code is white, and what is at fault while it works
 * is a shape. Pure.
 */
import type { Problem } from '../first-boot/outcome.ts';
import { glyphHeight, glyphWidth, isLitIn } from '../surface/font.ts';
import type { ControlFeedback, Frame, PanelSpec, Rgb } from '../surface/types.ts';

const red: Rgb = [255, 0, 0];
const dark: Rgb = [0, 0, 0];
/** The letters are lit for the first part of each round: a picture that stands still may be of before. */
const roundMs = 3000;
const litMs = 2400;
const flashMs = 500;
/** Dark after the last flash, so that the first is known. */
const pauseMs = 1500;

/** What the panel shows at one instant, and for how long, milliseconds. */
export function problemFrame(
  panel: PanelSpec,
  { code, title, detail }: Pick<Problem, 'code' | 'title' | 'detail'>,
  at: number,
): { readonly frame: Frame; readonly untilMs: number } {
  const { matrix } = panel;
  const width = code.length * (glyphWidth + 1) - 1;
  const hasLetters = matrix !== null && matrix.width >= width && matrix.height >= glyphHeight;
  const number = Number(code.slice(1));
  const flashes = flashAt(number, at);
  const letters = { isLit: at % roundMs < litMs, untilMs: at % roundMs < litMs ? litMs : roundMs };
  const letterMs = letters.untilMs - (at % roundMs);
  const controls = new Map<string, ControlFeedback>();
  for (const { name } of panel.controls)
    controls.set(name, { position: null, ring: null, light: flashes.isLit ? red : dark, hint: null });
  const frame: Frame = {
    matrix:
      matrix === null
        ? null
        : {
            ...matrix,
            rgb: hasLetters ? lettersOf(matrix, code, letters.isLit) : allOf(matrix, flashes.isLit),
          },
    controls,
    strips: [],
    bank: { index: 0, count: 1 },
    link: { state: 'offline', detail: `${code} ${title}: ${detail}`, isAttested: false },
    isLocked: false,
    isAnimated: true,
  };
  return { frame, untilMs: hasLetters ? Math.min(letterMs, flashes.untilMs) : flashes.untilMs };
}

function flashAt(count: number, at: number): { readonly isLit: boolean; readonly untilMs: number } {
  const moment = at % (count * flashMs + pauseMs);
  if (moment >= count * flashMs) return { isLit: false, untilMs: count * flashMs + pauseMs - moment };
  const half = flashMs / 2;
  return { isLit: moment % flashMs < half, untilMs: half - (moment % half) };
}

function allOf({ width, height }: { readonly width: number; readonly height: number }, isLit: boolean) {
  const rgb = new Uint8Array(width * height * 3);
  for (let light = 0; isLit && light < width * height; light++) rgb.set(red, light * 3);
  return rgb;
}

function lettersOf(
  { width, height }: { readonly width: number; readonly height: number },
  code: string,
  isLit: boolean,
): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  if (!isLit) return rgb;
  const left = Math.floor((width - (code.length * (glyphWidth + 1) - 1)) / 2);
  const top = Math.floor((height - glyphHeight) / 2);
  for (let place = 0; place < code.length; place++)
    for (let row = 0; row < glyphHeight; row++)
      for (let column = 0; column < glyphWidth; column++)
        if (isLitIn(code[place] ?? '', column, row))
          rgb.set(red, ((top + row) * width + left + place * (glyphWidth + 1) + column) * 3);
  return rgb;
}
