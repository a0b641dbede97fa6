/** What the demo's controls are bound to on the simulated cluster; the workloads are those of `sim/cluster`. */

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

/** Bindings for the first controls of a panel, in the order of the wishes. */
export function demoBindings(controls: readonly string[]): readonly unknown[] {
  return controls.slice(0, wishes.length).map((control, index) => ({ control, ...wishes[index] }));
}
