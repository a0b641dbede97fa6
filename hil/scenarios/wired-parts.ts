/** The parts of a rig's panel as scenarios see them: what can be touched on each, and what its lights then show. */
import { setTimeout as pause } from 'node:timers/promises';
import { loadDevice } from '../../daemon/commands/load-device.ts';
import { partDrivers } from '../../daemon/hw/chips/table.ts';
import { isMidi } from '../../daemon/hw/panels.ts';
import { type ComposedPanel, type ComposedPart, composePanel } from '../../daemon/hw/parts/compose.ts';
import type { ControlSpec } from '../../daemon/surface/types.ts';
import { partName } from '../bench/lights.ts';
import type { ShownLights } from '../sim/chips/model.ts';
import type { Rig } from './rig.ts';

/** Between two looks at lights, which nobody announces. */
const lookMs = 10;
/** On a busy machine; lights follow within a tenth of a second else. */
const lightsTimeoutMs = 10_000;

/** One switch of a control: the button itself or its push (null), or a pad. */
export interface Switch {
  readonly control: string;
  readonly pad: number | null;
}

/** The panel that a rig's Device file describes. */
export async function panelOf(rig: Rig): Promise<ComposedPanel> {
  const { panel: config } = await loadDevice(rig.deviceConfig);
  if (isMidi(config)) throw new Error(`${rig.deviceConfig}: expected a panel made of parts`);
  const { panel, findings } = composePanel(config, partDrivers);
  if (panel === null) throw new Error(`${rig.deviceConfig}: ${findings[0]?.message}`);
  return panel;
}

/** The switches of a part; encoders have one where their config or their board says so. */
export function switchesOf({ driver, config, spec }: ComposedPart): readonly Switch[] {
  const hasPush = driver.part.startsWith('seesaw-') || (config as { push?: unknown }).push !== undefined;
  return spec.controls.flatMap(({ name: control, kind, steps = 0 }): Switch[] => {
    if (kind === 'pads') return Array.from({ length: steps }, (_, pad) => ({ control, pad }));
    return kind === 'button' || (kind === 'encoder' && hasPush) ? [{ control, pad: null }] : [];
  });
}

/** Controls of a part that are of a kind. */
export const controlsOf = ({ spec }: ComposedPart, kind: ControlSpec['kind']): readonly ControlSpec[] =>
  spec.controls.filter((control) => control.kind === kind);

/** How the rig calls the part, or how people do when it is on no bus. */
export const nameOf = (part: ComposedPart): string => partName(part) ?? part.label;

/** Whether the part has lights, in the matrix of the panel or of its own controls. */
export const hasLights = ({ driver, spec }: ComposedPart): boolean =>
  spec.lights !== null || driver.part.startsWith('seesaw-') || driver.part === 'neoslider';

/**
 * Which lights of a part `surfaced monitor` has on while one switch is held: the row of its control, counted over all
 * controls and begun anew at the top, and in rows of pads the pad alone; or the light of the control.
 */
export function heldLights(panel: ComposedPanel, part: ComposedPart, held: Switch): readonly boolean[] {
  const { matrix, controls } = panel.spec;
  if (part.lights === null || matrix === null)
    return part.spec.controls.map(({ name }) => name === held.control);
  const row = controls.findIndex(({ name }) => name === held.control) % matrix.height;
  return part.lights.map((light) => {
    const isInRow = Math.floor(light / matrix.width) === row;
    return isInRow && (held.pad === null || light % matrix.width === held.pad);
  });
}

/**
 * A switch of the panel that lights something of this part, of the part itself where it can; null when there is none.
 * @param missing names of controls that cannot be touched now
 */
export function switchFor(
  panel: ComposedPanel,
  part: ComposedPart,
  missing: readonly string[],
): Switch | null {
  const all = [part, ...panel.parts].flatMap(switchesOf).filter(({ control }) => !missing.includes(control));
  return all.find((one) => heldLights(panel, part, one).includes(true)) ?? null;
}

/** Which lights are on, in any colour. */
export const litOf = ({ rgb }: ShownLights): readonly boolean[] =>
  Array.from({ length: rgb.length / 3 }, (_, light) =>
    rgb.subarray(3 * light, 3 * light + 3).some((level) => level > 0),
  );

/** Resolves when a part shows these lights and no other, none for null; rejects with what it shows instead. */
export async function untilLit(
  rig: Rig,
  part: ComposedPart,
  wanted: readonly boolean[] | null,
): Promise<void> {
  const deadline = performance.now() + lightsTimeoutMs;
  for (;;) {
    const lit = litOf(await rig.lights(nameOf(part)));
    const expected = wanted ?? lit.map(() => false);
    if (lit.join() === expected.join()) return;
    if (performance.now() > deadline)
      throw new Error(`${part.label} shows ${drawn(lit)}, expected ${drawn(expected)}`);
    await pause(lookMs);
  }
}

/** Resolves when any light of a part is on; rejects when none is. */
export async function untilAnyLit(rig: Rig, part: ComposedPart): Promise<void> {
  const deadline = performance.now() + lightsTimeoutMs;
  while (!litOf(await rig.lights(nameOf(part))).includes(true)) {
    if (performance.now() > deadline) throw new Error(`${part.label} is dark`);
    await pause(lookMs);
  }
}

const drawn = (lit: readonly boolean[]): string => lit.map((isOn) => (isOn ? '#' : '.')).join('');
