/** What the demo's controls are bound to: the words of `--bind`, or the workloads of `sim/cluster`. */
import { SurfacedError } from '../daemon/errors.ts';
import type { PanelSpec } from '../daemon/surface/types.ts';
import type { BindWord } from './bind.ts';

/** As many as one ControlSurface may have. */
const mostBindings = 64;

const workload = (kind: string, namespace: string, name: string) => ({
  apiVersion: 'apps/v1',
  kind,
  namespace,
  name,
});

const wishes = [
  { target: workload('Deployment', 'shop', 'cart'), min: 0, max: 8, zero: 'arm' },
  { target: workload('Deployment', 'shop', 'web'), max: 8 },
  { target: workload('Deployment', 'shop', 'checkout'), max: 8 },
  { target: workload('Deployment', 'shop', 'search'), max: 8 },
  { target: workload('StatefulSet', 'shop', 'db'), max: 6 },
  { target: workload('Deployment', 'shop', 'reports'), max: 6 },
  { target: workload('Deployment', 'shop', 'flaky'), max: 8 },
  { target: workload('Deployment', 'tight', 'batch'), max: 8 },
];

/** Controls in the order in which targets get them: what shows its value by its place comes first. */
function bindable(panel: PanelSpec): readonly string[] {
  const absolute = panel.controls.filter(({ kind }) => kind === 'fader' || kind === 'pads');
  const relative = panel.controls.filter(({ kind }) => kind === 'encoder');
  return [...absolute, ...relative].map(({ name }) => name);
}

/** Bindings for the first controls of a panel, in the order of the wishes. */
export function demoBindings(panel: PanelSpec): readonly unknown[] {
  return bindable(panel)
    .slice(0, wishes.length)
    .map((control, index) => ({ control, ...wishes[index] }));
}

/**
 * Bindings for what `--bind` names: one control after the other, then the next bank.
 * @throws SurfacedError E_USAGE when the panel has no place for all of them
 */
export function boundTo(words: readonly BindWord[], panel: PanelSpec): readonly unknown[] {
  const controls = bindable(panel);
  const places = panel.roles.bankNext === undefined ? controls.length : controls.length * mostBindings;
  const most = Math.min(places, mostBindings);
  if (words.length > most) {
    throw new SurfacedError(
      'E_USAGE',
      `--bind: the panel has place for ${most} targets, got ${words.length}`,
    );
  }
  return words.map((word, index) => ({
    control: controls[index % controls.length],
    bank: Math.floor(index / controls.length),
    ...word,
  }));
}
