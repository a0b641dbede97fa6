/** The simulated panel: a `Panel` whose controls and lights are on any number of browser pages. */
import type {
  ControlEvent,
  ControlSpec,
  Frame,
  Panel,
  PanelSpec,
  PanelState,
} from '../../../daemon/surface/types.ts';
import type { ControlShow, Face, PageMessage, ServerMessage } from './messages.ts';
import { simPanelSpec } from './spec.ts';

/** A page as the panel sees it. */
export interface PanelPage {
  /** False when the page is too far behind and the message was not sent. */
  send(message: ServerMessage): boolean;
}

/** The panel's end of one page. */
export interface PageConnection {
  /**
   * Takes one event that the page's user made.
   * @returns false when the panel has no such control or it cannot do this
   */
  receive(message: PageMessage): boolean;
  /** Sends what the page is owed from when it was too far behind. */
  catchUp(): void;
  /** Lets go of everything that the page held; may be called twice. */
  close(): void;
}

/** A panel in the browser. */
export interface SimPanel extends Panel {
  /** Number of pages that show the panel now. */
  readonly pageCount: number;
  connect(page: PanelPage): PageConnection;
  /** Shows a fader where its twin on another panel was moved to; no event comes of it. */
  follow(control: string, value: number): void;
}

const darkFace: Omit<Face, 'positions'> = {
  matrix: null,
  controls: {},
  strips: [],
  bank: { index: 0, count: 1 },
  link: { state: 'offline', detail: 'The panel is off.', isAttested: false },
  isLocked: false,
};

/** Three digits are plenty for a fader and keep echoes of positions small. */
const round = (value: number): number => Math.round(value * 1000) / 1000;

function faceOf(frame: Frame): Omit<Face, 'positions'> {
  const controls: Record<string, ControlShow> = {};
  for (const [name, { ring, light, hint }] of frame.controls) controls[name] = { ring, light, hint };
  return {
    matrix: frame.matrix && {
      width: frame.matrix.width,
      height: frame.matrix.height,
      hex: Buffer.from(frame.matrix.rgb).toString('hex'),
    },
    controls,
    strips: frame.strips,
    bank: frame.bank,
    link: frame.link,
    isLocked: frame.isLocked,
  };
}

/** What must be true of a control for a page to send this about it. */
function canDo(control: ControlSpec, message: PageMessage): boolean {
  switch (message.type) {
    case 'position':
      return control.kind === 'fader';
    case 'touch':
      return control.hasTouch === true;
    case 'turn':
      return control.kind === 'encoder';
    case 'press':
    case 'release':
      return control.kind === 'button';
  }
}

class BrowserPanel implements SimPanel {
  readonly spec: PanelSpec;
  readonly #controls: ReadonlyMap<string, ControlSpec>;
  readonly #positions = new Map<string, number>();
  /** Pages that hold a control, by its name: two hands on one key are one press. */
  readonly #holders = new Map<string, Set<PanelPage>>();
  /** Every page with what was sent to it last, part by part. */
  readonly #pages = new Map<PanelPage, Map<string, string>>();
  #emit: ((event: ControlEvent) => void) | null = null;
  #face: Omit<Face, 'positions'> = darkFace;

  constructor(spec: PanelSpec) {
    this.spec = spec;
    this.#controls = new Map(spec.controls.map((control) => [control.name, control]));
    for (const { name, kind } of this.spec.controls) if (kind === 'fader') this.#positions.set(name, 0);
  }

  get state(): PanelState {
    return { isOpen: this.#emit !== null, problem: null };
  }

  get pageCount(): number {
    return this.#pages.size;
  }

  async start(signal: AbortSignal, emit: (event: ControlEvent) => void): Promise<void> {
    if (signal.aborted) return;
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    this.#emit = emit;
    // As a real converter does: the first reading of every fader says where it stands.
    for (const [control, value] of this.#positions) emit({ type: 'position', control, value });
  }

  show(frame: Frame): void {
    if (!this.#emit) return;
    this.#face = faceOf(frame);
    for (const [name, { position }] of frame.controls) {
      const control = this.#controls.get(name);
      if (position === null || !control?.hasMotor || this.#isHeld(name)) continue;
      this.#positions.set(name, round(Math.min(1, Math.max(0, position))));
    }
    this.#sendAll();
  }

  async stop(): Promise<void> {
    this.#emit = null;
    this.#face = darkFace;
    this.#holders.clear();
    this.#sendAll();
  }

  connect(page: PanelPage): PageConnection {
    page.send({ type: 'hello', spec: this.spec, face: this.#wholeFace() });
    this.#pages.set(page, this.#partsOf());
    return {
      receive: (message) => this.#receive(page, message),
      catchUp: () => this.#sendAll(),
      close: () => {
        this.#pages.delete(page);
        for (const name of this.#holders.keys()) this.#letGo(page, name);
      },
    };
  }

  follow(control: string, value: number): void {
    if (!this.#positions.has(control)) return;
    this.#positions.set(control, round(Math.min(1, Math.max(0, value))));
    this.#sendAll();
  }

  #receive(page: PanelPage, message: PageMessage): boolean {
    const control = this.#controls.get(message.control);
    if (!control || !canDo(control, message)) return false;
    if (!this.#emit) return true;
    switch (message.type) {
      case 'position':
        this.#positions.set(control.name, round(message.value));
        this.#emit({ ...message, value: round(message.value) });
        // The page that moved it hears it too, so that its last word is the panel's when two pages move one.
        this.#sendAll();
        break;
      case 'turn':
        if (message.pulses !== 0) this.#emit(message);
        break;
      case 'touch':
        if (message.isTouched) this.#hold(page, control.name);
        else this.#letGo(page, control.name);
        break;
      case 'press':
        this.#hold(page, control.name);
        break;
      case 'release':
        this.#letGo(page, control.name);
        break;
    }
    return true;
  }

  #isHeld(name: string): boolean {
    return (this.#holders.get(name)?.size ?? 0) > 0;
  }

  #hold(page: PanelPage, name: string): void {
    const holders = this.#holders.get(name) ?? new Set();
    if (holders.has(page)) return;
    this.#holders.set(name, holders.add(page));
    if (holders.size === 1) this.#emitHeld(name, true);
  }

  #letGo(page: PanelPage, name: string): void {
    const holders = this.#holders.get(name);
    if (holders?.delete(page) && holders.size === 0) this.#emitHeld(name, false);
  }

  #emitHeld(name: string, isHeld: boolean): void {
    if (this.#controls.get(name)?.kind === 'button') {
      this.#emit?.({ type: isHeld ? 'press' : 'release', control: name });
      return;
    }
    this.#emit?.({ type: 'touch', control: name, isTouched: isHeld });
    // Where the hand found it: one key pressed or one click is a movement from there, not a first reading.
    const value = this.#positions.get(name);
    if (isHeld && value !== undefined) this.#emit?.({ type: 'position', control: name, value });
  }

  #wholeFace(): Face {
    return { ...this.#face, positions: Object.fromEntries(this.#positions) };
  }

  /** Every part of the face as JSON, to be compared with what a page has. */
  #partsOf(): Map<string, string> {
    return new Map(Object.entries(this.#wholeFace()).map(([part, value]) => [part, JSON.stringify(value)]));
  }

  #sendAll(): void {
    const parts = this.#partsOf();
    const whole: Record<string, unknown> = { ...this.#wholeFace() };
    for (const [page, sent] of this.#pages) {
      const changed = [...parts].filter(([part, json]) => sent.get(part) !== json).map(([part]) => part);
      if (changed.length === 0) continue;
      const face = Object.fromEntries(changed.map((part) => [part, whole[part]])) as Partial<Face>;
      if (page.send({ type: 'frame', face })) this.#pages.set(page, new Map(parts));
    }
  }
}

/** Makes the demo's panel; it is open from `start` on, whether or not a page shows it. */
export function createSimPanel(spec: PanelSpec = simPanelSpec): SimPanel {
  return new BrowserPanel(spec);
}
