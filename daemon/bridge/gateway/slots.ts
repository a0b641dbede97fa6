/** Which slot number stands for which binding, and what a surface is told about its bindings. */
import type { BindingConfig, TargetRef } from '../../config/schema.ts';
import { rangeOf, verbShapes } from '../../config/verbs.ts';
import type { Binding, Colour, ControlKind, Takeover } from '../../surface/types.ts';
import { maxSlots } from '../wire/topics.ts';

/** A slot in use. */
export interface Slot {
  readonly slot: number;
  readonly binding: BindingConfig;
  /** When this number last came to stand for another target, Unix milliseconds; 0 when it never has. */
  readonly since: number;
}

/** One key for one object, whatever version of its API it is named by. */
export function targetKey({ apiVersion, kind, namespace, name }: TargetRef): string {
  const slash = apiVersion.indexOf('/');
  return `${slash < 0 ? '' : apiVersion.slice(0, slash)}/${kind}/${namespace}/${name}`;
}

/** One key for what is done to one object: commands of one key wait for each other. */
export const bindingKey = ({ verb, target }: Pick<BindingConfig, 'verb' | 'target'>): string =>
  verb === 'scale' ? targetKey(target) : `${targetKey(target)}#${verb}`;

/**
 * Gives each binding of one surface a slot number. A number keeps its target as long as it can: a command that
 * was on its way while the bindings changed then meets an empty slot, never another target.
 */
export class SlotTable {
  /** By slot number; `key` names control, bank and target. */
  readonly #uses = new Map<number, { key: string; since: number; isUsed: boolean; freedAt: number }>();

  /**
   * @param bindings of the surface, in the order of its file
   * @param now Unix milliseconds
   */
  assign(bindings: readonly BindingConfig[], now: number): readonly Slot[] {
    const keys = bindings.map((one) => `${one.bank}/${one.control}/${bindingKey(one)}`);
    for (const use of this.#uses.values()) {
      if (use.isUsed && !keys.includes(use.key)) {
        use.isUsed = false;
        use.freedAt = now;
      }
    }
    return bindings.slice(0, maxSlots).map((binding, index) => {
      const slot = this.#slotFor(keys[index] ?? '', index, now);
      return { slot, binding, since: this.#uses.get(slot)?.since ?? 0 };
    });
  }

  #slotFor(key: string, index: number, now: number): number {
    for (const [slot, use] of this.#uses)
      if (use.key === key) {
        use.isUsed = true;
        return slot;
      }
    const fresh = [index, ...Array(maxSlots).keys()].find((slot) => !this.#uses.has(slot));
    const oldest = [...this.#uses]
      .filter(([, use]) => !use.isUsed)
      .sort((a, b) => a[1].freedAt - b[1].freedAt)[0];
    const slot = fresh ?? oldest?.[0] ?? index;
    this.#uses.set(slot, { key, since: fresh === undefined ? now : 0, isUsed: true, freedAt: 0 });
    return slot;
  }
}

/** Order in which colours are given out. */
export const palette: readonly Colour[] = [
  'blue',
  'orange',
  'green',
  'yellow',
  'sky',
  'vermilion',
  'purple',
  'white',
];

/** Hue of each slot: what the operator named, else the next free one, the same for the same target. */
export function coloursOf(slots: readonly Slot[]): ReadonlyMap<number, Colour> {
  const named = new Set(slots.flatMap(({ binding }) => binding.colour ?? []));
  const free = palette.filter((colour) => !named.has(colour));
  const order = free.length > 0 ? free : palette;
  const byTarget = new Map<string, Colour>();
  for (const { binding } of slots)
    if (binding.colour) byTarget.set(targetKey(binding.target), binding.colour);
  const colours = new Map<number, Colour>();
  let given = 0;
  for (const { slot, binding } of slots) {
    const key = targetKey(binding.target);
    const colour = binding.colour ?? byTarget.get(key) ?? order[given++ % order.length] ?? 'blue';
    if (!byTarget.has(key)) byTarget.set(key, colour);
    colours.set(slot, colour);
  }
  return colours;
}

/** A control as the birth of a surface names it. */
export interface BornControl {
  readonly name: string;
  readonly kind: ControlKind;
  readonly hasMotor?: boolean | undefined;
}

/** What a surface is told, and what is wrong with the rest. */
export interface ResolvedBindings {
  readonly bindings: readonly Binding[];
  readonly problems: readonly string[];
}

/** Fills in what the operator left out, by what the panel has. */
export function resolveBindings(slots: readonly Slot[], controls: readonly BornControl[]): ResolvedBindings {
  const colours = coloursOf(slots);
  const bindings: Binding[] = [];
  const problems: string[] = [];
  const taken = new Set<string>();
  for (const { slot, binding } of slots) {
    const { control, bank } = binding;
    const place = `${control} on bank ${bank}`;
    const born = controls.find(({ name }) => name === control);
    const misfit =
      born === undefined ? 'the panel has no control of this name' : misfitOf(binding, born.kind);
    if (born === undefined || misfit !== null) problems.push(`${place}: ${misfit}`);
    else if (taken.has(`${bank}/${control}`))
      problems.push(`${place}: is bound twice; the first binding counts`);
    else {
      taken.add(`${bank}/${control}`);
      bindings.push({
        slot,
        control,
        bank,
        name: nameOf(binding),
        colour: colours.get(slot) ?? 'blue',
        ...rangeOf(binding),
        step: isCount(binding) ? binding.step : 1,
        takeover: binding.takeover ?? defaultTakeover(born),
        zero: isCount(binding) ? binding.zero : 'arm',
        ...(binding.verb !== 'scale' && { verb: binding.verb }),
        isInverted: binding.invert,
      });
    }
  }
  return { bindings, problems };
}

const isCount = ({ verb }: BindingConfig): boolean => verbShapes[verb].number === 'count';

/** Why a verb cannot be on a control of this kind; null: it can. */
function misfitOf({ verb }: BindingConfig, kind: ControlKind): string | null {
  const { number } = verbShapes[verb];
  if (kind === 'button' && number === 'count')
    return `a button has no value for ${verb}; bind a fader, encoder or pads`;
  if (number === 'momentary' && kind !== 'button' && kind !== 'pads')
    return `${verb} is asked for by a press; bind a button or pads`;
  return null;
}

/** What displays call a binding; the wire takes 63 characters. */
export const nameOf = (binding: BindingConfig): string => (binding.name ?? binding.target.name).slice(0, 63);

const defaultTakeover = ({ kind, hasMotor }: BornControl): Takeover =>
  kind !== 'fader' ? 'relative' : hasMotor ? 'motor' : 'pickup';
