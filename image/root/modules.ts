/** Which kernel modules stay, from depmod's list of what needs what. */

/**
 * Paths of the modules, as `modules.dep` (modules.dep(5)) has them, below `kernel/` of which a pattern of `kept` fits,
 * with all that these need. A pattern that fits nothing throws an error: the kernel has changed, and a driver may have
 * moved.
 */
export function modulesToKeep(modulesDep: string, kept: readonly RegExp[]): ReadonlySet<string> {
  const needs = new Map<string, readonly string[]>();
  for (const line of modulesDep.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    needs.set(
      line.slice(0, colon),
      line
        .slice(colon + 1)
        .split(' ')
        .filter((name) => name !== ''),
    );
  }
  const wanted = new Set<string>();
  for (const pattern of kept) {
    const found = [...needs.keys()].filter(
      (name) => name.startsWith('kernel/') && pattern.test(name.slice('kernel/'.length)),
    );
    if (found.length === 0) throw new Error(`The kernel has no module that fits ${pattern.source}`);
    for (const name of found) wanted.add(name);
  }
  // depmod lists what is needed in the second step, too; it is not relied upon. A set takes more while it is read.
  for (const name of wanted) for (const needed of needs.get(name) ?? []) wanted.add(needed);
  return wanted;
}
