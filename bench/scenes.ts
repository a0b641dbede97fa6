/** Pictures as the surface paints them on a matrix, frame by frame, in a time of their own. Pure. */
import { travelOf } from '../daemon/surface/scale.ts';
import { Surface } from '../daemon/surface/surface.ts';
import type {
  Binding,
  Colour,
  PanelSpec,
  PodLight,
  SlotView,
  SurfaceInput,
} from '../daemon/surface/types.ts';

/** What a surface shows for some seconds. */
export interface Scene {
  readonly name: string;
  /** Row-major, three bytes a light: each frame that is handed to the part. */
  readonly frames: readonly Uint8Array[];
  readonly seconds: number;
}

/** As the device asks for frames (daemon/device.ts). */
export const frameMs = 40;
const settling = { settleMs: 150, longestMoveMs: 500, isLockedAtStart: false, lockAfterIdleMs: 0 };
const colours: readonly Colour[] = ['green', 'orange', 'sky', 'purple'];
const max = 12;
/** Pods of each service at the start. */
const podsAtStart = 3;

/** What happens at a time, milliseconds from the start of its scene. */
type Script = readonly (readonly [atMs: number, input: SurfaceInput])[];

/** A surface with four faders, whose time is turned on. */
class Stage {
  readonly #surface: Surface;
  readonly #bindings: readonly Binding[];
  #now = 0;
  #rev = 0;
  #shown: unknown = null;

  constructor(width: number, height: number) {
    const controls = colours.map((_, index) => ({ name: `fader${index + 1}`, kind: 'fader' as const }));
    const panel: PanelSpec = { model: 'bench', controls, matrix: { width, height }, roles: {} };
    this.#surface = new Surface(panel, settling);
    this.#bindings = colours.map((colour, slot) => ({
      slot,
      control: `fader${slot + 1}`,
      bank: 0,
      name: `service${slot}`,
      colour,
      min: 1,
      max,
      step: 1,
      takeover: 'pickup',
      zero: 'never',
      isInverted: false,
    }));
  }

  /** Plays what happens and gives the frames: one an interval while something moves or has changed. */
  play(name: string, seconds: number, script: Script): Scene {
    const start = this.#now;
    const frames: Uint8Array[] = [];
    let next = 0;
    for (; this.#now < start + 1000 * seconds; this.#now += frameMs) {
      for (; next < script.length && script[next]![0] <= this.#now - start; next += 1)
        this.#surface.apply(script[next]![1], this.#now);
      this.#surface.tick(this.#now);
      const frame = this.#surface.frame(this.#now);
      // The same object: nothing has changed and nothing moves.
      if (frame !== this.#shown && frame.matrix !== null) frames.push(frame.matrix.rgb);
      this.#shown = frame;
    }
    return { name, frames, seconds };
  }

  link(state: 'online' | 'offline'): SurfaceInput {
    return { type: 'link', state, detail: '', isAttested: true, fault: null };
  }

  bind(): SurfaceInput {
    return { type: 'bindings', bindings: this.#bindings };
  }

  /** A service with Pods in these states. */
  service(slot: number, lights: readonly PodLight[], desired = lights.length): SurfaceInput {
    this.#rev += 1;
    const { name, colour } = this.#bindings[slot]!;
    const view: SlotView = {
      rev: this.#rev,
      at: this.#rev,
      name,
      colour,
      kind: 'Deployment',
      desired,
      observed: lights.length,
      ready: lights.filter((light) => light === 'ready').length,
      pods: lights.map((light, index) => [`pod${index}`, light]),
      condition: { state: 'ok', reason: '', message: '' },
      owner: null,
    };
    return { type: 'slot', slot, view };
  }

  move(slot: number, replicas: number): SurfaceInput {
    const value = travelOf({ min: 1, max, step: 1 }, replicas);
    return { type: 'position', control: `fader${slot + 1}`, value };
  }
}

const pods = (count: number, light: PodLight): PodLight[] => new Array<PodLight>(count).fill(light);

/** A fader that is pulled up from the number in force, and the Pods that come: each pending, running, ready in turn. */
function scaleUp(stage: Stage, slot: number, to: number): { pull: Script; rollout: Script } {
  const strokeMs = 1500;
  const steps = strokeMs / frameMs;
  const pull = Array.from({ length: steps + 1 }, (_, step) => {
    const replicas = podsAtStart + ((to - podsAtStart) * step) / steps;
    return [step * frameMs, stage.move(slot, replicas)] as const;
  });
  const rollout: (readonly [number, SurfaceInput])[] = [];
  const stateMs = 600;
  for (let count = podsAtStart; count < to; count += 1)
    for (const [index, light] of (['pending', 'running', 'ready'] as const).entries())
      rollout.push([
        (3 * (count - podsAtStart) + index) * stateMs,
        stage.service(slot, [...pods(count, 'ready'), light], to),
      ]);
  return { pull, rollout };
}

/** A panel from its start to its rest, on a matrix of this size. */
export function scenesOf(width: number, height: number): readonly Scene[] {
  const stage = new Stage(width, height);
  const ready = pods(podsAtStart, 'ready');
  const services = colours.map((_, slot) => [0, stage.service(slot, ready)] as const);
  // No more Pods than lights: what does not fit is told by a light that winks for ever.
  const { pull, rollout } = scaleUp(stage, 0, Math.min(width, 8));
  const crash: PodLight[] = ['ready', 'crashed', 'ready'];
  return [
    stage.play('boot picture', 4, []),
    stage.play('pairing code', 8, [[0, { type: 'pairing', code: '4F7K2M' }]]),
    stage.play('all ready', 2, [
      [0, { type: 'pairing', code: null }],
      [0, stage.link('online')],
      [0, stage.bind()],
      ...services,
    ]),
    stage.play('a fader moves', 2, pull),
    stage.play('Pods come one at a time', 10, rollout),
    stage.play('a Pod crashes and comes back', 6, [
      [0, stage.service(1, crash)],
      [4000, stage.service(1, ready)],
    ]),
    stage.play('idle', 10, []),
  ];
}
