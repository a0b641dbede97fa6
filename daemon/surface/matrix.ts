/** The light matrix: which rows belong to which target, and the bytes of one instant. */
import {
  blink,
  blinkChangesAt,
  changesAt,
  newLevels,
  pulse,
  setLevels,
  setStillLevels,
} from './animation.ts';
import { cell, setCells } from './cells.ts';
import type { Channel } from './channel.ts';
import { noArmControl } from './notice.ts';
import { amber, palette, white } from './palette.ts';
import { flashChangesAt, isFlashing, type Picture, paintPicture, pictureChangesAt } from './pictures.ts';
import { PodPlaces } from './pod-places.ts';
import { earliest } from './timers.ts';
import type { LinkState, Millis, PanelSpec, Rgb } from './types.ts';
import { isSameMeaning } from './verbs.ts';

/** What changes the look of the whole matrix or of one row. */
export interface MatrixState {
  readonly link: LinkState;
  readonly isLocked: boolean;
  /** Shown while offline. */
  readonly picture: Picture;
  /** Controls that are not there now. */
  readonly missing: ReadonlySet<string>;
  /** All of them are. */
  readonly isPanelMissing: boolean;
  /** The slot that waits for the arm control: how much of its time is left and of the hold is done, 0..1. */
  readonly arming: { readonly slot: number; readonly remaining: number; readonly held: number } | null;
}

/** The rows of one target. */
interface Block {
  readonly channel: Channel;
  readonly places: PodPlaces;
  /** First row; null when there are more targets than rows. */
  readonly top: number | null;
  readonly codes: Uint8Array;
}

const lockedLevel = 0.4;
const staleLevel = 0.2;
const unreachableLevel = 0.3;

/** Rows of each binding of one bank; null: none left. */
export function rowsOf(
  panel: PanelSpec,
  matrix: NonNullable<PanelSpec['matrix']>,
  channels: readonly Channel[],
): readonly (readonly [top: number | null, height: number])[] {
  const padRows = panel.controls.filter((control) => control.kind === 'pads');
  const areLightsPads =
    padRows.length === matrix.height && padRows.every((control) => control.steps === matrix.width);
  if (!areLightsPads) {
    const height = Math.max(1, Math.floor(matrix.height / Math.max(1, channels.length)));
    return channels.map((_, index) => [
      (index + 1) * height <= matrix.height ? index * height : null,
      height,
    ]);
  }
  // Pads that are lights themselves: a target is shown on the very row that sets it.
  const rows = channels.map(({ binding }) => padRows.findIndex((pads) => pads.name === binding.control));
  const free = padRows.map((_, row) => row).filter((row) => !rows.includes(row));
  return rows.map((row) => [row >= 0 ? row : (free.shift() ?? null), 1]);
}

/** Draws the Pods of the bindings on the lights of a panel. */
export class Matrix {
  readonly #panel: PanelSpec;
  readonly #size: NonNullable<PanelSpec['matrix']>;
  readonly #levels = newLevels();
  #blocks = new Map<number, Block>();
  #shown: readonly Block[] = [];
  /** Kinds of the lights that are shown. */
  readonly #codes = new Set<number>();

  constructor(panel: PanelSpec, size: NonNullable<PanelSpec['matrix']>) {
    this.#panel = panel;
    this.#size = size;
  }

  /** Takes the bindings, bank by bank; Pods keep their places where the binding stays. */
  bind(banks: readonly (readonly Channel[])[]): void {
    const blocks = new Map<number, Block>();
    for (const channels of banks) {
      const rows = rowsOf(this.#panel, this.#size, channels);
      channels.forEach((channel, index) => {
        const [top, height] = rows[index] ?? [null, 1];
        const before = this.#blocks.get(channel.binding.slot);
        const isSame = isSameMeaning(before?.channel.binding, channel.binding);
        const places = isSame && before !== undefined ? before.places : new PodPlaces();
        const codes = new Uint8Array(height * this.#size.width);
        blocks.set(channel.binding.slot, { channel, places, top, codes });
        this.#place({ channel, places, top, codes });
      });
    }
    this.#blocks = blocks;
  }

  /** A target has a new view: its Pods find their places, shown or not. */
  observe(slot: number): void {
    const block = this.#blocks.get(slot);
    if (block !== undefined) this.#place(block);
  }

  /** Works out what every light of these channels stands for; needed after anything has changed. */
  lay(channels: readonly Channel[]): void {
    const shown: Block[] = [];
    this.#codes.clear();
    for (const { binding, view, desired, wanted } of channels) {
      const block = this.#blocks.get(binding.slot);
      if (block === undefined || block.top === null) continue;
      setCells(block.codes, { view, places: block.places, desired: desired.value, wanted, binding });
      for (const code of block.codes) this.#codes.add(code);
      shown.push(block);
    }
    this.#shown = shown;
  }

  /** When the lights change next by themselves: at once while something moves; null: they do not. */
  changesAt(state: MatrixState, at: Millis): Millis | null {
    if (state.link === 'offline') return pictureChangesAt(this.#size, state.picture, at);
    if (state.link === 'stale' || state.arming !== null) return at;
    return earliest(
      ...[...this.#codes].map((code) => changesAt(code, at)),
      state.isLocked ? winkChangesAt(at) : null,
      state.isPanelMissing ? flashChangesAt('panel', at) : null,
      this.#isMarked(state) ? markChangesAt(at) : null,
    );
  }

  /** The bytes of one instant, row-major, three a light. */
  paint(state: MatrixState, at: Millis): Uint8Array {
    const { width, height } = this.#size;
    const rgb = new Uint8Array(width * height * 3);
    if (state.link === 'offline') {
      paintPicture({ width, height, rgb }, state.picture, at);
      return rgb;
    }
    const isStale = state.link === 'stale';
    if (isStale) setStillLevels(this.#levels);
    else setLevels(this.#levels, at);
    const level = isStale ? staleLevel : state.isLocked ? lockedLevel : 1;
    for (const block of this.#shown) {
      const offset = (block.top ?? 0) * width * 3;
      this.#paintBlock(rgb, offset, block, level);
      if (state.arming?.slot === block.channel.binding.slot)
        paintArming(rgb, offset, block.codes.length, state.arming, at);
      if (!state.isPanelMissing) this.#paintMarks(rgb, offset, block, state, at);
    }
    // The corners belong to the whole surface: amber breathing is stale, white winking is locked, purple flashing lacks a
    // control that acts on all of it.
    if (isStale) setLight(rgb, width - 1, amber, pulse(at, 4000, 0.1, 0.6));
    if (state.isLocked && isWinking(at)) setLight(rgb, width * height - 1, white, 0.6);
    if (this.#lacksRole(state) && !state.isPanelMissing)
      setLight(rgb, width * (height - 1), palette.purple, isMarkLit(at) ? 1 : 0);
    // Between its flashes, what the cluster does can be seen all the same.
    if (state.isPanelMissing && isFlashing('panel', at)) {
      rgb.fill(0);
      paintPicture({ width, height, rgb }, { kind: 'fault', fault: 'panel' }, at);
    }
    return rgb;
  }

  #lacksRole({ missing }: MatrixState): boolean {
    return Object.values(this.#panel.roles).some((control) => missing.has(control));
  }

  #isMarked(state: MatrixState): boolean {
    if (this.#lacksRole(state)) return true;
    return this.#shown.some(
      ({ channel }) => isRefused(channel) || state.missing.has(channel.binding.control),
    );
  }

  #paintMarks(rgb: Uint8Array, offset: number, block: Block, { missing }: MatrixState, at: Millis): void {
    const { channel, codes } = block;
    if (isRefused(channel) && isMarkLit(at))
      for (let index = 0; index < codes.length; index++)
        setLight(rgb.subarray(offset), index, palette.purple, 1);
    if (missing.has(channel.binding.control)) paintMissing(rgb, offset, this.#size.width, at);
  }

  #place(block: Block): void {
    const { view } = block.channel;
    if (view !== null) block.places.update(view.kind, view.pods, block.codes.length);
  }

  #paintBlock(rgb: Uint8Array, offset: number, block: Block, level: number): void {
    const hue = palette[block.channel.binding.colour];
    const state = block.channel.view?.condition.state;
    const blockLevel = state === 'unreachable' ? level * unreachableLevel : level;
    for (let index = 0; index < block.codes.length; index++) {
      const code = block.codes[index] ?? cell.empty;
      if (code === cell.empty) continue;
      const brightness = (this.#levels[code] ?? 0) * blockLevel;
      const whiteness = whitenessOf(code);
      const at = offset + index * 3;
      for (let part = 0; part < 3; part++) {
        const value = hue[part as 0 | 1 | 2];
        rgb[at + part] = Math.round((value + (255 - value) * whiteness) * brightness);
      }
    }
  }
}

/** What no Pod stands behind is pale or white. */
function whitenessOf(code: number): number {
  if (code === cell.ghostMore || code === cell.overflow) return 1;
  return code === cell.hollow || code === cell.hollowBlocked ? 0.5 : 0;
}

function setLight(rgb: Uint8Array, index: number, hue: Rgb, level: number): void {
  for (let part = 0; part < 3; part++) rgb[index * 3 + part] = Math.round(hue[part as 0 | 1 | 2] * level);
}

/** All of the row flashes in the hue of a missing control: the one that it needed, to confirm, was not there. */
function isRefused({ notice }: Channel): boolean {
  return notice?.shown.code === noArmControl;
}

const isMarkLit = (at: Millis): boolean => blink(at, 1000, 0.3);
const markChangesAt = (at: Millis): Millis => blinkChangesAt(at, 1000, 0.3);

/** Twice, then a pause. */
const isWinking = (at: Millis): boolean => at % 3000 < 300 && blink(at, 200);
const winkChangesAt = (at: Millis): Millis =>
  at - (at % 3000) + (at % 3000 < 300 ? 100 * Math.floor((at % 3000) / 100) + 100 : 3000);

/** The control of a row is not there: both ends of its first row of lights flash in the hue of that fault. */
function paintMissing(rgb: Uint8Array, offset: number, width: number, at: Millis): void {
  const level = isMarkLit(at) ? 1 : 0;
  setLight(rgb.subarray(offset), 0, palette.purple, level);
  setLight(rgb.subarray(offset), width - 1, palette.purple, level);
}

/** The row blinks: every other moment it counts down in white, or fills while the arm control is held. */
function paintArming(
  rgb: Uint8Array,
  offset: number,
  lights: number,
  arming: NonNullable<MatrixState['arming']>,
  at: Millis,
): void {
  const isHeld = arming.held > 0;
  if (!isHeld && blink(at, 500)) return;
  const lit = Math.ceil((isHeld ? arming.held : arming.remaining) * lights);
  rgb.fill(0, offset, offset + lights * 3);
  for (let index = 0; index < lit; index++) setLight(rgb.subarray(offset), index, white, isHeld ? 0.9 : 0.4);
}
