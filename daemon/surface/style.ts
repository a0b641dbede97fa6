/** How readings of a control are taken. */
import type { Binding, ControlSpec } from './types.ts';
import { numberOf } from './verbs.ts';

/** How the control of a binding takes part. */
export type Style = 'pickup' | 'jump' | 'motor' | 'turns' | 'pads' | 'press' | 'none';

/** Whether readings act, are only shown (locked), or do nothing (not online). */
export type Mode = 'act' | 'rehearse' | 'ignore';

/** The style of a binding on this control; null: the panel has no such control. */
export function styleOf(binding: Binding, control: ControlSpec | null): Style {
  if (control?.kind === 'encoder') return 'turns';
  if (control?.kind === 'pads') return 'pads';
  if (control?.kind === 'button' && numberOf(binding) !== 'count') return 'press';
  if (control?.kind !== 'fader') return 'none';
  if (binding.takeover === 'motor' && control.hasMotor === true) return 'motor';
  // Whatever else is asked of a fader, pickup is what never surprises.
  return binding.takeover === 'jump' ? 'jump' : 'pickup';
}
