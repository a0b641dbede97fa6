/** Which light belongs to which Pod: a Pod keeps its place until it is gone. */
import type { PodLight } from './types.ts';

const ordinal = /^\d{1,6}$/;

/** The places of one target's Pods. */
export class PodPlaces {
  #places = new Map<string, number>();
  #lights: readonly (PodLight | null)[] = [];
  #hidden = 0;

  /** What is at each place that has a light; null where no Pod is. */
  get lights(): readonly (PodLight | null)[] {
    return this.#lights;
  }

  /** Pods without a light. */
  get hidden(): number {
    return this.#hidden;
  }

  /**
   * Takes the Pods as they are now. StatefulSet Pods stand at their ordinal, others at the lowest free place;
   * one that found no light moves up when a place falls free, one that has a light never moves.
   * @param capacity number of lights
   */
  update(kind: string, pods: readonly (readonly [key: string, state: PodLight])[], capacity: number): void {
    const lights = new Array<PodLight | null>(capacity).fill(null);
    const places = new Map<string, number>();
    const waiting: (readonly [string, PodLight])[] = [];
    for (const pod of pods) {
      const [key, light] = pod;
      const place = kind === 'StatefulSet' && ordinal.test(key) ? Number(key) : this.#places.get(key);
      if (place === undefined || place >= capacity || lights[place] !== null) {
        waiting.push(pod);
        continue;
      }
      places.set(key, place);
      lights[place] = light;
    }
    let free = 0;
    let hidden = 0;
    for (const [key, light] of waiting) {
      while (free < capacity && lights[free] !== null) free++;
      // An ordinal beyond the lights must not take the place of another one.
      if (free >= capacity || (kind === 'StatefulSet' && ordinal.test(key))) {
        hidden++;
        continue;
      }
      places.set(key, free);
      lights[free] = light;
    }
    this.#places = places;
    this.#lights = lights;
    this.#hidden = hidden;
  }
}
