/**
 * Keys that are lights: a part whose rows of pads are as many as its rows of lights, each as long. Turned with the
 * lights, so that the row that a hand sees is the row that counts. Pure.
 */
import type { ControlSpec } from '../../surface/types.ts';
import type { LightsSpec, PartSpec, RawInput } from '../chips/driver.ts';
import { type Rotation, turnedPlace } from './regions.ts';

/** The rows of pads of a part that is mounted turned. */
export interface PadGrid {
  /** Names of the rows, from the top as the part itself counts. */
  readonly rows: readonly string[];
  readonly lights: LightsSpec;
  readonly rotate: Rotation;
}

/**
 * The grid of a part that is turned; null when nothing is to be done.
 * @returns `impossible` when the rows would change their number by turning
 */
export function padGridOf({ controls, lights }: PartSpec, rotate: Rotation): PadGrid | null | 'impossible' {
  if (lights === null || rotate === 0) return null;
  const rows = controls.filter((control: ControlSpec) => control.kind === 'pads');
  const areLights = rows.length === lights.height && rows.every(({ steps }) => steps === lights.width);
  if (!areLights) return null;
  if (rotate !== 180 && lights.width !== lights.height) return 'impossible';
  return { rows: rows.map(({ name }) => name), lights, rotate };
}

/** A reading with its pad where it is as mounted. */
export function turnedInput(grid: PadGrid | null, input: RawInput): RawInput {
  if (grid === null) return input;
  const { rows, lights, rotate } = grid;
  if (input.type === 'unsure') {
    // One row of the part is in every row as mounted, or in another one.
    const isHit = input.controls.some((name) => rows.includes(name));
    return isHit ? { ...input, controls: [...new Set([...input.controls, ...rows])] } : input;
  }
  if (input.type !== 'switch' || input.index === undefined) return input;
  const row = rows.indexOf(input.control);
  if (row < 0) return input;
  const [index, turnedRow] = turnedPlace(lights, rotate, input.index, row);
  return { ...input, control: rows[turnedRow] ?? input.control, index };
}
