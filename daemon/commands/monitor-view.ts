/** What `surfaced monitor` makes of events: a table for a terminal, and lights for what is touched. Pure. */
import type { ControlEvent, ControlFeedback, ControlSpec, Frame, PanelSpec, Rgb } from '../surface/types.ts';

/** A control counts as just touched for so long, milliseconds. */
const litMs = 600;
const barWidth = 24;
const dark: Rgb = [0, 0, 0];
const lit: Rgb = [255, 255, 255];

/** What has been seen of one control. */
interface Seen {
  readonly spec: ControlSpec;
  /** Last position of a fader, 0..1. */
  position: number | null;
  /** Pulses so far, clockwise positive. */
  pulses: number;
  presses: number;
  /** Pads that are down; 0 for a button. */
  readonly down: Set<number>;
  isTouched: boolean;
  isMissing: boolean;
  lastAt: number;
}

/** Collects events of a panel and shows them. */
export class MonitorView {
  readonly #panel: PanelSpec;
  readonly #seen: ReadonlyMap<string, Seen>;

  constructor(panel: PanelSpec) {
    this.#panel = panel;
    this.#seen = new Map(panel.controls.map((spec) => [spec.name, newSeen(spec)]));
  }

  /** Takes an event at a time in milliseconds. */
  take(event: ControlEvent, at: number): void {
    if (event.type === 'reset') {
      for (const seen of this.#seen.values())
        if (event.controls === null || event.controls.includes(seen.spec.name)) forget(seen);
    } else if (event.type === 'missing') {
      for (const seen of this.#seen.values()) seen.isMissing = event.controls.includes(seen.spec.name);
    } else {
      const seen = this.#seen.get(event.control);
      if (seen !== undefined) note(seen, event, at);
    }
  }

  /** The table, one line a control, the header first. */
  lines(at: number): string[] {
    const width = Math.max(7, ...this.#panel.controls.map(({ name }) => name.length));
    const rows = [...this.#seen.values()].map((seen) => {
      const mark = seen.isMissing ? '?' : isLit(seen, at) ? '*' : ' ';
      return `${mark} ${seen.spec.name.padEnd(width)}  ${seen.spec.kind.padEnd(7)}  ${stateOf(seen)}`.trimEnd();
    });
    return [`  ${'control'.padEnd(width)}  kind     state`, ...rows];
  }

  /** What the panel shows: each control lights while it is touched. */
  frame(at: number): Frame {
    const controls = new Map<string, ControlFeedback>();
    for (const [name, seen] of this.#seen) {
      const ring = ringOf(seen);
      controls.set(name, { position: null, ring, light: isLit(seen, at) ? lit : dark, hint: null });
    }
    const { matrix } = this.#panel;
    return {
      matrix: matrix === null ? null : { ...matrix, rgb: this.#paint(matrix.width, matrix.height, at) },
      controls,
      strips: [],
      bank: { index: 0, count: 1 },
      link: { state: 'online', detail: '', isAttested: false },
      isLocked: false,
      isAnimated: [...this.#seen.values()].some((seen) => isLit(seen, at)),
    };
  }

  /** A row of lights for each control, from the top; what does not fit begins again at the top. */
  #paint(width: number, height: number, at: number): Uint8Array {
    const rgb = new Uint8Array(width * height * 3);
    const light = (row: number, column: number): void => {
      rgb.fill(255, (row * width + column) * 3, (row * width + column) * 3 + 3);
    };
    [...this.#seen.values()].forEach((seen, index) => {
      if (!isLit(seen, at)) return;
      const row = index % height;
      if (seen.spec.kind === 'fader') {
        const count = Math.round((seen.position ?? 0) * width);
        for (let column = 0; column < count; column++) light(row, column);
      } else if (seen.spec.kind === 'encoder' && seen.down.size === 0) {
        light(row, ((detents(seen) % width) + width) % width);
      } else if (seen.spec.kind === 'pads') {
        for (const pad of seen.down) if (pad < width) light(row, pad);
      } else {
        for (let column = 0; column < width; column++) light(row, column);
      }
    });
    return rgb;
  }
}

function newSeen(spec: ControlSpec): Seen {
  return {
    spec,
    position: null,
    pulses: 0,
    presses: 0,
    down: new Set(),
    isTouched: false,
    isMissing: false,
    lastAt: Number.NEGATIVE_INFINITY,
  };
}

type Reading = Exclude<ControlEvent, { type: 'reset' | 'missing' }>;

function note(seen: Seen, event: Reading, at: number): void {
  seen.lastAt = at;
  switch (event.type) {
    case 'position':
      seen.position = Math.min(1, Math.max(0, Number.isFinite(event.value) ? event.value : 0));
      break;
    case 'touch':
      seen.isTouched = event.isTouched;
      break;
    case 'turn':
      seen.pulses += event.pulses;
      break;
    case 'press':
      seen.presses++;
      seen.down.add(event.index ?? 0);
      break;
    case 'release':
      seen.down.delete(event.index ?? 0);
      break;
  }
}

function forget(seen: Seen): void {
  seen.position = null;
  seen.down.clear();
  seen.isTouched = false;
}

function isLit(seen: Seen, at: number): boolean {
  return seen.down.size > 0 || seen.isTouched || at - seen.lastAt < litMs;
}

function detents({ pulses, spec }: Seen): number {
  return Math.trunc(pulses / (spec.pulsesPerDetent ?? 1));
}

function ringOf(seen: Seen): number | null {
  if (seen.spec.kind === 'fader') return seen.position;
  if (seen.spec.kind !== 'encoder') return null;
  return Math.min(1, Math.max(0, detents(seen) / 20));
}

function stateOf(seen: Seen): string {
  if (seen.isMissing) return 'missing: its part does not answer, or it jumps';
  const parts: string[] = [];
  if (seen.spec.kind === 'fader') {
    if (seen.position === null) parts.push('not moved yet');
    else {
      const filled = Math.round(seen.position * barWidth);
      const bar = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`;
      parts.push(`[${bar}] ${(seen.position * 100).toFixed(1)} %`);
    }
  }
  if (seen.spec.kind === 'encoder' || seen.pulses !== 0)
    parts.push(`${detents(seen)} detents (${seen.pulses} pulses)`);
  if (seen.down.size > 0) {
    const pads = [...seen.down].sort((a, b) => a - b).map((pad) => pad + 1);
    parts.push(seen.spec.kind === 'pads' ? `down: ${pads.join(', ')}` : 'down');
  }
  if (seen.isTouched) parts.push('touched');
  if (seen.presses > 0) parts.push(`pressed ${seen.presses} times`);
  return parts.length === 0 ? '-' : parts.join(', ');
}
