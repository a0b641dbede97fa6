/** Panels, bindings and views for the tests of the surface, and a surface with a clock that is turned by hand. */
import { Surface, type SurfaceOptions } from '../../daemon/surface/surface.ts';
import type {
  Ack,
  AckPhase,
  Binding,
  ControlSpec,
  Frame,
  Guard,
  Intent,
  PanelSpec,
  PodLight,
  SlotView,
  Strip,
  SurfaceInput,
} from '../../daemon/surface/types.ts';

const buttons: ControlSpec[] = ['arm', 'undo', 'next', 'previous', 'lock'].map((name) => ({
  name,
  kind: 'button',
}));

export const roles = { arm: 'arm', undo: 'undo', bankNext: 'next', bankPrevious: 'previous', lock: 'lock' };

/** One of each kind of control, and all roles. */
export const desk: PanelSpec = {
  model: 'desk',
  controls: [
    { name: 'fader', kind: 'fader' },
    { name: 'motor', kind: 'fader', hasMotor: true, hasTouch: true },
    { name: 'encoder', kind: 'encoder', pulsesPerDetent: 4 },
    { name: 'pads', kind: 'pads', steps: 8 },
    ...buttons,
  ],
  matrix: { width: 8, height: 8 },
  roles,
};

/** Only faders, no matrix, no roles. */
export const bare: PanelSpec = {
  model: 'bare',
  controls: [
    { name: 'fader', kind: 'fader' },
    { name: 'motor', kind: 'fader', hasMotor: true },
  ],
  matrix: null,
  roles: {},
};

/** Rows of pads that are the lights themselves. */
export const grid: PanelSpec = {
  model: 'grid',
  controls: [
    ...[1, 2, 3, 4].map((row): ControlSpec => ({ name: `row${row}`, kind: 'pads', steps: 5 })),
    ...buttons,
  ],
  matrix: { width: 5, height: 4 },
  roles,
};

export const options: SurfaceOptions = {
  settleMs: 150,
  longestMoveMs: 500,
  isLockedAtStart: false,
  lockAfterIdleMs: 0,
};

export function binding(part: Partial<Binding> = {}): Binding {
  return {
    slot: 0,
    control: 'fader',
    bank: 0,
    name: 'cart',
    colour: 'green',
    min: 1,
    max: 11,
    step: 1,
    takeover: 'pickup',
    zero: 'never',
    isInverted: false,
    ...part,
  };
}

let rev = 0;

export function view(desired: number | null, part: Partial<SlotView> = {}): SlotView {
  rev++;
  return {
    rev,
    at: rev,
    name: 'cart',
    colour: 'green',
    kind: 'Deployment',
    desired,
    observed: desired ?? 0,
    ready: desired ?? 0,
    pods: pods(desired ?? 0),
    condition: { state: 'ok', reason: '', message: '' },
    owner: null,
    ...part,
  };
}

export function pods(count: number, light: PodLight = 'ready'): [string, PodLight][] {
  return Array.from({ length: count }, (_, index) => [`p${index}`, light]);
}

/** Position of a fader of `binding()` for a number. */
export function travel(count: number, min = 1, max = 11): number {
  return 0.02 + ((count - min) / (max - min)) * 0.96;
}

/** A surface at a time that the test sets. */
export class Rig {
  readonly surface: Surface;
  at = 1000;
  sent: Intent[] = [];

  constructor(panel: PanelSpec, bindings: readonly Binding[], part: Partial<SurfaceOptions> = {}) {
    this.surface = new Surface(panel, { ...options, ...part });
    this.apply({ type: 'bindings', bindings });
    this.link('online');
  }

  apply(input: SurfaceInput): void {
    this.sent.push(...this.surface.apply(input, this.at));
  }

  /** Lets time pass and wakes the surface whenever it asks for it. */
  wait(ms: number): void {
    const end = this.at + ms;
    for (;;) {
      const wakeAt = this.surface.nextWakeAt();
      if (wakeAt === null || wakeAt > end) break;
      this.at = Math.max(this.at, wakeAt);
      this.sent.push(...this.surface.tick(this.at));
    }
    this.at = end;
  }

  /** What was sent since the last call, as `want<saw` or with the guards that were armed. */
  take(): string[] {
    const sent = this.sent.map(({ want, saw, arm }) => `${want}<${saw}${arm.map((g) => `+${g}`).join('')}`);
    this.sent = [];
    return sent;
  }

  link(state: 'online' | 'stale' | 'offline'): void {
    this.apply({ type: 'link', state, detail: state, isAttested: true, fault: null });
  }

  slot(desired: number | null, part: Partial<SlotView> = {}, slot = 0): void {
    this.apply({ type: 'slot', slot, view: view(desired, part) });
  }

  position(value: number, control = 'fader'): void {
    this.apply({ type: 'position', control, value });
  }

  touch(isTouched: boolean, control = 'motor'): void {
    this.apply({ type: 'touch', control, isTouched });
  }

  turn(pulses: number, control = 'encoder'): void {
    this.apply({ type: 'turn', control, pulses });
  }

  press(control: string, index?: number): void {
    this.apply(index === undefined ? { type: 'press', control } : { type: 'press', control, index });
  }

  release(control: string, index?: number): void {
    this.apply(index === undefined ? { type: 'release', control } : { type: 'release', control, index });
  }

  hold(control: string, ms: number): void {
    this.press(control);
    this.wait(ms);
    this.release(control);
  }

  ack(seq: number, phase: AckPhase, part: Partial<Ack> & { readonly guards?: readonly Guard[] } = {}): void {
    this.apply({
      type: 'ack',
      ack: { seq, phase, code: '', now: null, detail: '', guards: [], ...part },
    });
  }

  get frame(): Frame {
    return this.surface.frame(this.at);
  }

  strip(slot = 0): Strip {
    const strip = this.frame.strips.find((candidate) => candidate.slot === slot);
    if (strip === undefined) throw new Error(`no strip for slot ${slot}`);
    return strip;
  }

  /** Red, green and blue of one light. */
  light(x: number, y = 0): number[] {
    const { matrix } = this.frame;
    if (matrix === null) throw new Error('no matrix');
    const start = (y * matrix.width + x) * 3;
    return [...matrix.rgb.subarray(start, start + 3)];
  }
}
