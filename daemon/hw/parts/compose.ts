/** From the config of a panel made of parts to the panel: what it consists of, or everything that is wrong. Pure. */
import type { Finding } from '../../config/findings.ts';
import { type PartsPanelConfig, partBaseSchema } from '../../config/panel.ts';
import type { ControlSpec, PanelSpec, Roles } from '../../surface/types.ts';
import type { PartDriver, PartSpec } from '../chips/driver.ts';
import { hex } from './addresses.ts';
import { addressClashes, type Claimant, claimClashes } from './claims.ts';
import { type ReadEntry, readEntry } from './entry.ts';
import { fitsJoystick, type Joystick, withJoystick } from './joystick.ts';
import { boxOf, layoutFindings, type Placed } from './layout.ts';
import { type PadGrid, padGridOf } from './pad-grid.ts';
import { partsPresets } from './presets.ts';
import { lightsOf, regionAt } from './regions.ts';

/** One part of a panel, ready to be opened. */
export interface ComposedPart {
  /** Its place in `parts` of the config. */
  readonly index: number;
  /** What people call it, e.g. `ads1115 at 0x48 on bus 1`. */
  readonly label: string;
  readonly driver: PartDriver;
  /** The part's own fields, as its driver takes them. */
  readonly config: unknown;
  readonly spec: PartSpec;
  /** Where it is on an I2C bus; null: it is not. */
  readonly wiring: { readonly bus: number; readonly address: number } | null;
  /** GPIO line of its interrupt output; null: not wired. */
  readonly interrupt: number | null;
  /** For each of its lights, which light of the panel's matrix it shows; null when it has none. */
  readonly lights: readonly number[] | null;
  /** Null: its pads count as the part says. */
  readonly pads: PadGrid | null;
}

/** A panel made of parts, ready to be opened. */
export interface ComposedPanel {
  /** What the panel is for the surface: with chords and joystick. */
  readonly spec: PanelSpec;
  /** Controls as the parts declare them. */
  readonly controls: readonly ControlSpec[];
  readonly parts: readonly ComposedPart[];
  readonly joystick: Joystick | null;
  readonly chords: PartsPanelConfig['chords'];
}

/** What became of a config; `panel` is null when there are findings. Their paths begin at the panel. */
export type Composition =
  | { readonly panel: ComposedPanel; readonly findings: readonly [] }
  | { readonly panel: null; readonly findings: readonly Finding[] };

/** Composes a panel from its config and the drivers that there are. */
export function composePanel(config: PartsPanelConfig, drivers: readonly PartDriver[]): Composition {
  const preset = partsPresets[config.preset];
  const wanted = config.parts ?? preset.parts.map((part) => partBaseSchema.parse(part));
  const read = wanted.map((entry, index) => readEntry(entry, index, drivers));
  const entries = read.flatMap(({ entry }) => (entry === null ? [] : [entry]));
  const placed = entries.flatMap(placedOf);
  const findings = [
    ...(wanted.length === 0
      ? [finding(['preset'], 'the preset parts has no parts of its own: `parts` has to list them')]
      : []),
    ...read.flatMap((one) => one.findings),
    ...addressClashes(entries.map(claimantOf)),
    ...claimClashes(entries.map(claimantOf), isHeader(config.gpio.chip)),
    ...layoutFindings(placed),
    ...entries.flatMap(padFindings),
    ...duplicateControls(entries),
  ];
  // Names that a part would have brought would only be called unknown.
  if (findings.length > 0) return { panel: null, findings };
  const controls = entries.flatMap(({ spec }) => spec.controls);
  const joystick =
    preset.joystick !== null && fitsJoystick(preset.joystick, controls) ? preset.joystick : null;
  const shown = withJoystick(joystick, controls);
  const chords = config.chords.map(({ name }): ControlSpec => ({ name, kind: 'button' }));
  const outside = [...shown, ...chords];
  const roles = rolesOf(config, preset.roles, outside);
  const pressed = shown.filter(({ name }) => name !== joystick?.name);
  const later = [
    ...chordFindings(config.chords, shown, pressed),
    ...roleFindings(config.roles ?? {}, outside),
  ];
  if (later.length > 0) return { panel: null, findings: later };
  const box = boxOf(placed);
  const matrix = box === null ? null : { width: box.width, height: box.height };
  const parts = entries.map((entry): ComposedPart => {
    const own = placed.find(({ index }) => index === entry.index)?.region ?? null;
    const region = own === null || box === null ? null : { ...own, x: own.x - box.x, y: own.y - box.y };
    const pads = padGridOf(entry.spec, entry.base.rotate);
    return {
      index: entry.index,
      label: labelOf(entry),
      driver: entry.driver,
      config: entry.config,
      spec: entry.spec,
      wiring: entry.wiring,
      interrupt: entry.base.interrupt ?? null,
      lights: region === null || matrix === null ? null : lightsOf(region, matrix),
      pads: pads === 'impossible' ? null : pads,
    };
  });
  const spec = { model: config.preset, controls: outside, matrix, roles };
  return { panel: { spec, controls, parts, joystick, chords: config.chords }, findings: [] };
}

const finding = (path: readonly (string | number)[], message: string): Finding => ({
  path,
  message,
  isAboutKey: false,
});

/**
 * Whether lines are those of the Pi's header; another chip has no I2C bus on its lines that is known here. By number it is
 * the first chip, and the fifth on a Pi 5 with an older kernel.
 */
const isHeader = (chip: string | undefined): boolean =>
  chip === undefined || chip.startsWith('pinctrl-') || /^(\/dev\/)?gpiochip[04]$/.test(chip);

function claimantOf({ index, driver, wiring, base, needs }: ReadEntry): Claimant {
  return { index, driver, wiring, interrupt: base.interrupt ?? null, needs };
}

function placedOf({ index, driver, base, spec }: ReadEntry): Placed[] {
  if (spec.lights === null) return [];
  return [{ index, part: driver.part, region: regionAt(base.at, spec.lights, base.rotate) }];
}

function labelOf({ driver, wiring, needs }: ReadEntry): string {
  if (wiring !== null) return `${driver.part} at ${hex(wiring.address)} on bus ${wiring.bus}`;
  if (needs.lines.length > 0) return `${driver.part} on GPIO ${needs.lines.join(', ')}`;
  const names = [...needs.inputs, ...needs.files];
  return names.length > 0 ? `${driver.part} on ${names.join(', ')}` : driver.part;
}

function padFindings({ index, driver, base, spec }: ReadEntry): Finding[] {
  if (padGridOf(spec, base.rotate) !== 'impossible') return [];
  return [
    finding(
      ['parts', index, 'rotate'],
      `the keys of ${driver.part} are not as many across as down: it can be turned by 180 only`,
    ),
  ];
}

function duplicateControls(entries: readonly ReadEntry[]): Finding[] {
  const owners = new Map<string, ReadEntry>();
  return entries.flatMap((entry) =>
    entry.spec.controls.flatMap(({ name }) => {
      const owner = owners.get(name);
      owners.set(name, owner ?? entry);
      if (owner === undefined) return [];
      return [
        finding(
          ['parts', entry.index],
          `${entry.driver.part} has a control ${name}, and so has ${owner.driver.part} (parts.${owner.index}): give one another name`,
        ),
      ];
    }),
  );
}

function chordFindings(
  chords: PartsPanelConfig['chords'],
  controls: readonly ControlSpec[],
  pressed: readonly ControlSpec[],
): Finding[] {
  const names = new Set(controls.map(({ name }) => name));
  const kinds = new Map(pressed.map(({ name, kind }) => [name, kind]));
  const members = new Set<string>();
  return chords.flatMap(({ name, of }, index) => {
    const findings: Finding[] = [];
    if (names.has(name)) findings.push(finding(['chords', index, 'name'], `${name} is already taken`));
    names.add(name);
    for (const [place, member] of of.entries()) {
      const path = ['chords', index, 'of', place];
      const kind = kinds.get(member);
      if (kind === undefined) findings.push(finding(path, `the panel has no button ${member}`));
      // An encoder can have a push button under it, which goes by its name.
      else if (kind !== 'button' && kind !== 'encoder')
        findings.push(finding(path, `${member} is no button but of kind ${kind}`));
      else if (of.indexOf(member) !== place) findings.push(finding(path, `${member} is named twice`));
    }
    const all = of.toSorted().join(' ');
    if (members.has(all))
      findings.push(finding(['chords', index, 'of'], 'another chord has the same buttons'));
    members.add(all);
    return findings;
  });
}

/** Roles of the config over those of the preset; the preset's hold only for controls that there are. */
function rolesOf(config: PartsPanelConfig, preset: Roles, controls: readonly ControlSpec[]): Roles {
  const names = new Set(controls.map(({ name }) => name));
  const has = ([, name]: readonly [string, string | undefined]): boolean =>
    name !== undefined && names.has(name);
  return Object.fromEntries([
    ...Object.entries(preset).filter(has),
    ...Object.entries(config.roles ?? {}).filter(([, name]) => name !== undefined),
  ]);
}

function roleFindings(
  roles: NonNullable<PartsPanelConfig['roles']>,
  controls: readonly ControlSpec[],
): Finding[] {
  return Object.entries(roles).flatMap(([role, name]) => {
    if (name === undefined) return [];
    const control = controls.find((one) => one.name === name);
    if (control === undefined) return [finding(['roles', role], `the panel has no control ${name}`)];
    if (control.kind === 'fader')
      return [finding(['roles', role], `${name} is a fader: it cannot be pressed`)];
    return [];
  });
}
