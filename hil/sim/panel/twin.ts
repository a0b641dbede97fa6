/** A real panel with its twin in the browser: both show the same frames, and either can be used. */
import type { ControlEvent, ControlSpec, Panel, PanelSpec } from '../../../daemon/surface/types.ts';
import type { SimPanel } from './panel.ts';

type Side = 'real' | 'page';

/**
 * What the page shows of a panel: the buttons and those controls that do something, so that a large panel fits on a
 * screen. The page has no rows of pads, but knobs, which pads can be turned like.
 * @param bound names of the controls that are bound on any bank; with none bound, all are shown
 */
export function pageSpecOf(spec: PanelSpec, bound: ReadonlySet<string>): PanelSpec {
  const isShown = ({ name, kind }: ControlSpec): boolean =>
    bound.size === 0 || kind === 'button' || bound.has(name);
  const onPage = (control: ControlSpec): ControlSpec =>
    control.kind === 'pads' ? { name: control.name, kind: 'encoder', pulsesPerDetent: 1 } : control;
  return { ...spec, controls: spec.controls.filter(isShown).map(onPage) };
}

/** Events of two panels as those of one. */
class Merge {
  readonly #real: Panel;
  readonly #page: SimPanel;
  readonly #emit: (event: ControlEvent) => void;
  /** Who holds a key, a pad or a touched fader. */
  readonly #holders = new Map<string, Set<Side>>();
  /** Who moved a fader last. */
  readonly #movers = new Map<string, Side>();
  readonly #motors: ReadonlySet<string>;

  constructor(real: Panel, page: SimPanel, emit: (event: ControlEvent) => void) {
    this.#real = real;
    this.#page = page;
    this.#emit = emit;
    this.#motors = new Set(real.spec.controls.filter(({ hasMotor }) => hasMotor).map(({ name }) => name));
  }

  take(event: ControlEvent, side: Side): void {
    switch (event.type) {
      case 'position':
        this.#move(event.control, event.value, side);
        break;
      case 'touch':
        if (this.#hold(event.control, side, event.isTouched)) return;
        break;
      case 'press':
      case 'release':
        if (this.#hold(`${event.control} ${event.index ?? ''}`, side, event.type === 'press')) return;
        break;
      case 'reset':
        // What was held on a panel that went away is not held any more.
        for (const holders of this.#holders.values()) holders.delete('real');
        break;
      case 'turn':
      case 'missing':
        break;
    }
    this.#emit(event);
  }

  /** A fader without a motor stands in two places: going from one to the other is not a movement. */
  #move(control: string, value: number, side: Side): void {
    const before = this.#movers.get(control);
    this.#movers.set(control, side);
    if (side === 'real') this.#page.follow(control, value);
    if (before === undefined || before === side || this.#motors.has(control)) return;
    this.#emit({ type: 'reset', controls: [control] });
  }

  /** Notes a hold or its end; true when the other hand makes it no news. */
  #hold(key: string, side: Side, isHeld: boolean): boolean {
    const holders = this.#holders.get(key) ?? new Set<Side>();
    this.#holders.set(key, holders);
    if (isHeld) holders.add(side);
    else holders.delete(side);
    return isHeld ? holders.size > 1 : holders.size > 0;
  }

  async start(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#real.start(signal, (event) => this.take(event, 'real')),
      this.#page.start(signal, (event) => this.take(event, 'page')),
    ]);
  }
}

/**
 * One panel out of two that have the same controls.
 * @param real the one on the desk; it decides whether the panel counts as open
 * @param page the one in the browser, made with `pageSpecOf` the real one
 */
export function twinPanel(real: Panel, page: SimPanel): Panel {
  return {
    spec: real.spec,
    get state() {
      return real.state;
    },
    start: (signal, emit) => new Merge(real, page, emit).start(signal),
    show: (frame) => {
      real.show(frame);
      page.show(frame);
    },
    stop: async () => {
      await Promise.all([real.stop(), page.stop()]);
    },
  };
}
