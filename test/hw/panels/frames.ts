import type { ControlFeedback, Frame, Rgb, Strip } from '../../../daemon/surface/types.ts';

/** A frame in the short form of transcripts: only what differs from a dark, online, attested panel. */
export interface ShortFrame {
  /** Colour by `row,column`. */
  readonly matrix?: Record<string, Rgb>;
  readonly controls?: Record<string, Partial<ControlFeedback>>;
  readonly strips?: readonly Partial<Strip>[];
  readonly link?: Partial<Frame['link']>;
}

const matrixSize = 8;

const dark: ControlFeedback = { position: null, ring: null, light: [0, 0, 0], hint: null };

const strip: Strip = {
  slot: 0,
  control: 'fader1',
  name: 'cart',
  kind: 'Deployment',
  hue: [0, 158, 115],
  min: 1,
  max: 20,
  desired: 3,
  observed: 3,
  ready: 3,
  wanted: null,
  hint: null,
  condition: { state: 'ok', reason: '', message: '' },
  owner: null,
  isControlMissing: false,
  arming: null,
  notice: null,
};

/** The whole frame. */
export function frameOf(short: ShortFrame): Frame {
  const rgb = new Uint8Array(3 * matrixSize * matrixSize);
  for (const [place, colour] of Object.entries(short.matrix ?? {})) {
    const [row = 0, column = 0] = place.split(',').map(Number);
    rgb.set(colour, 3 * (row * matrixSize + column));
  }
  return {
    matrix: { width: matrixSize, height: matrixSize, rgb },
    controls: new Map(
      Object.entries(short.controls ?? {}).map(([name, feedback]) => [name, { ...dark, ...feedback }]),
    ),
    strips: (short.strips ?? []).map((part) => ({ ...strip, ...part })),
    bank: { index: 0, count: 1 },
    link: { state: 'online', detail: '', isAttested: true, ...short.link },
    isLocked: false,
    isAnimated: false,
  };
}
