/** What the schema cannot say about a surface, found by looking at its bindings together. */
import type { Finding } from '../../config/findings.ts';
import type { ControlSurface } from '../../config/schema.ts';

/** Everything that is wrong with a surface although each field is right; empty when all is well. */
export function checkSurface(surface: ControlSurface): Finding[] {
  const findings: Finding[] = [];
  const firstUse = new Map<string, number>();
  for (const [index, { control, bank }] of surface.spec.bindings.entries()) {
    const place = `${control} in bank ${bank}`;
    const first = firstUse.get(place);
    if (first === undefined) firstUse.set(place, index);
    else {
      findings.push({
        path: ['spec', 'bindings', index, 'control'],
        message: `${place} is already bound by spec.bindings.${first}`,
        isAboutKey: false,
      });
    }
  }
  return findings;
}
