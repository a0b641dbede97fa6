/** Bindings sorted into the banks that a panel shows one at a time. */
import type { Channel } from './channel.ts';
import type { ControlSpec } from './types.ts';

/**
 * The channels bank by bank, in the order of the panel's controls; bank numbers without bindings are left out.
 * Bindings of controls that the panel does not have are shown last.
 */
export function banksOf(
  channels: readonly Channel[],
  controls: readonly ControlSpec[],
): readonly (readonly Channel[])[] {
  const order = new Map(controls.map((control, index) => [control.name, index]));
  const place = ({ binding }: Channel): number => order.get(binding.control) ?? order.size;
  const sorted = channels.toSorted((a, b) => place(a) - place(b) || a.binding.slot - b.binding.slot);
  const numbers = [...new Set(channels.map(({ binding }) => binding.bank))].sort((a, b) => a - b);
  return numbers.map((bank) => sorted.filter(({ binding }) => binding.bank === bank));
}

/** The channels of a bank by their controls; of several on one control the first has it. */
export function byControlOf(channels: readonly Channel[]): ReadonlyMap<string, Channel> {
  return new Map(channels.toReversed().map((channel) => [channel.binding.control, channel]));
}
