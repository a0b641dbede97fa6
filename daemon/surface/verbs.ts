/** What the number of a verb means to a control. */
import type { Binding, Verb } from './types.ts';

/** `count`: so many. `switch`: 0 or 1. `momentary`: 0 is what is seen, 1 what is asked for. */
export type NumberKind = 'count' | 'switch' | 'momentary';

const numbers: Readonly<Record<Verb, NumberKind>> = {
  scale: 'count',
  floor: 'count',
  ceiling: 'count',
  restart: 'momentary',
  pause: 'switch',
  suspend: 'switch',
  cordon: 'switch',
  drain: 'switch',
};

/** Of a binding; one without a verb scales. */
export const numberOf = ({ verb }: Pick<Binding, 'verb'>): NumberKind => numbers[verb ?? 'scale'];

/** Zero of what is counted takes something away; for a switch it is one of its two positions. */
export const takesAway = (binding: Pick<Binding, 'verb'>, want: number): boolean =>
  want === 0 && numberOf(binding) === 'count';

/** A switch whose lights tell its position alone, for there are no Pods to show: all bright, or all dim. */
export const isLamp = ({ verb }: Pick<Binding, 'verb'>): boolean =>
  verb === 'pause' || verb === 'suspend' || verb === 'cordon';

/** What a press asks for. */
export const pressedNumber = (binding: Pick<Binding, 'verb'>, standing: number): number =>
  numberOf(binding) === 'momentary' || standing === 0 ? 1 : 0;

/**
 * Whether two bindings mean the same, as far as a surface is told. Gateways number slots each for itself, and one target has
 * one name whatever is done to it.
 */
export const isSameMeaning = (
  one: Pick<Binding, 'name' | 'verb'> | undefined,
  other: Pick<Binding, 'name' | 'verb'> | undefined,
): boolean => one?.name === other?.name && (one?.verb ?? 'scale') === (other?.verb ?? 'scale');
