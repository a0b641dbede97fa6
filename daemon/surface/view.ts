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
  #changesAt: Millis | null = null;
  #last: Frame | null = null;

  constructor(panel: PanelSpec) {
    this.#panel = panel;
    this.matrix = panel.matrix === null ? null : new Matrix(panel, panel.matrix);
  }

  /** Something has changed: the next frame is worked out anew. */
  touch(): void {
    this.#isDirty = true;
  }

  /** When the last frame begins to look otherwise by itself; at once while something moves, null: it does not. */
  get changesAt(): Millis | null {
    return this.#changesAt;
  }

  /** The frame at one instant; the same object as before when nothing has changed or moves. */
  frame(scene: Scene, at: Millis): Frame {
    const last = this.#last;
    if (last !== null && !this.#isDirty && (this.#changesAt === null || at < this.#changesAt)) return last;
    const { arming, isLocked } = scene;
    const link = linkOf(scene);
    const isArming = arming.request !== null;
    const state: MatrixState = {
      link: link.state,
      isLocked,
      picture: this.#pictureOf(scene),
      missing: scene.missing,
      isPanelMissing: this.#isMissing(scene),
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
    this.#changesAt = isArming ? at : (this.matrix?.changesAt(state, at) ?? null);
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
      isAnimated: this.#changesAt !== null,
    };
    this.#isDirty = false;
    this.#last = frame;
    return frame;
  }

  #isMissing({ missing }: Scene): boolean {
    const { controls } = this.#panel;
    return controls.length > 0 && controls.every(({ name }) => missing.has(name));
  }

  #pictureOf(scene: Scene): Picture {
    const { pairingCode, fault } = scene;
    if (pairingCode !== null) return { kind: 'pairing', code: pairingCode };
    if (this.#isMissing(scene)) return { kind: 'fault', fault: 'panel' };
    return fault === null ? { kind: 'boot' } : { kind: 'fault', fault };
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

/** The same that the matrix shows while offline, for displays of text: a code before anything else. */
function linkOf({ link, pairingCode }: Scene): Frame['link'] {
  if (link.state !== 'offline' || pairingCode === null) return link;
  return { ...link, detail: `Code ${pairingCode}, to be approved on the gateway.` };
}
