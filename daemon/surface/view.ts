/** Puts frames together; works only when something has changed or moves. */
import { type Arming, armWindowMs } from './arming.ts';
import type { Channel } from './channel.ts';
import { feedbackOf } from './feedback.ts';
import { Matrix, type MatrixState } from './matrix.ts';
import type { Picture } from './pictures.ts';
import { stripOf } from './strip.ts';
import type { Fault, Frame, Millis, PanelSpec } from './types.ts';

/** What a frame shows, as the surface has it. */
export interface Scene {
  /** Bindings of the current bank, in the order of the panel. */
  readonly channels: readonly Channel[];
  readonly byControl: ReadonlyMap<string, Channel>;
  readonly bank: Frame['bank'];
  readonly link: Frame['link'];
  readonly isLocked: boolean;
  readonly canUndo: boolean;
  readonly arming: Arming;
  /** What is to be compared or typed in while offline; null: nothing. */
  readonly pairingCode: string | null;
  readonly fault: Fault | null;
  /** Controls that are not there now. */
  readonly missing: ReadonlySet<string>;
}

/** The frames of one surface. */
export class View {
  readonly matrix: Matrix | null;
  readonly #panel: PanelSpec;
  #isDirty = true;
  #last: Frame | null = null;

  constructor(panel: PanelSpec) {
    this.#panel = panel;
    this.matrix = panel.matrix === null ? null : new Matrix(panel, panel.matrix);
  }

  /** Something has changed: the next frame is worked out anew. */
  touch(): void {
    this.#isDirty = true;
  }

  /** The frame at one instant; the same object as before when nothing has changed or moves. */
  frame(scene: Scene, at: Millis): Frame {
    const last = this.#last;
    if (last !== null && !this.#isDirty && !last.isAnimated) return last;
    const { arming, link, isLocked } = scene;
    const isArming = arming.request !== null;
    const state: MatrixState = {
      link: link.state,
      isLocked,
      picture: pictureOf(scene),
      missing: scene.missing,
      arming:
        arming.request === null
          ? null
          : {
              slot: arming.request.slot,
              remaining: arming.remainingMs(at) / armWindowMs,
              held: arming.held(at),
            },
    };
    if (this.#isDirty) this.matrix?.lay(scene.channels);
    // Words and controls change with the state, and with time only while something waits to be armed.
    const isSame = !this.#isDirty && !isArming && last !== null;
    const frame: Frame = {
      matrix: this.#paint(state, at),
      controls: isSame ? last.controls : this.#controls(scene, at),
      strips: isSame
        ? last.strips
        : scene.channels.map((channel) => stripOf(channel, arming, scene.missing, at)),
      bank: scene.bank,
      link,
      isLocked,
      isAnimated: isArming || (this.matrix?.isAnimated(state) ?? false),
    };
    this.#isDirty = false;
    this.#last = frame;
    return frame;
  }

  #paint(state: MatrixState, at: Millis): Frame['matrix'] {
    const size = this.#panel.matrix;
    return size === null || this.matrix === null ? null : { ...size, rgb: this.matrix.paint(state, at) };
  }

  #controls(scene: Scene, at: Millis): Frame['controls'] {
    const { arming } = scene;
    return feedbackOf(
      this.#panel,
      scene.byControl,
      {
        link: scene.link.state,
        isLocked: scene.isLocked,
        isArming: arming.request !== null,
        isArmHeld: arming.held(at) > 0,
        canUndo: scene.canUndo,
        bankCount: scene.bank.count,
      },
      at,
    );
  }
}

function pictureOf({ pairingCode, fault }: Scene): Picture {
  if (pairingCode !== null) return { kind: 'pairing', code: pairingCode };
  return fault === null ? { kind: 'boot' } : { kind: 'fault', fault };
}
