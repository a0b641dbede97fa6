/** Which endorsement key is approved under which name, as the registry says it; one key is one surface. */
import type { ControlSurface } from '../../config/schema.ts';
import type { Level } from '../types.ts';

/** What an operator has said about a surface with a TPM. */
export interface Binding {
  readonly surface: string;
  readonly ekSha256: string;
  /** Name of its reference sets; null: none. */
  readonly policy: string | null;
  readonly assertedLevel: Level;
  readonly isRevoked: boolean;
  /** Other surfaces with the same endorsement key, by name: while there are any, none of them is trusted. */
  readonly rivals: readonly string[];
}

/** All surfaces with a TPM, by name and by key. */
export interface Book {
  readonly bySurface: ReadonlyMap<string, Binding>;
  readonly byKey: ReadonlyMap<string, readonly Binding[]>;
}

/** Reads the book from the surfaces of the registry. Those without a TPM are not in it. */
export function readBook(surfaces: readonly ControlSurface[]): Book {
  const names = new Map<string, string[]>();
  for (const { metadata, spec } of surfaces)
    if (spec.tpm) names.set(spec.tpm.ekSha256, [...(names.get(spec.tpm.ekSha256) ?? []), metadata.name]);
  const bySurface = new Map<string, Binding>();
  const byKey = new Map<string, Binding[]>();
  for (const { metadata, spec } of surfaces) {
    if (!spec.tpm) continue;
    const { ekSha256, assertedLevel } = spec.tpm;
    const binding: Binding = {
      surface: metadata.name,
      ekSha256,
      policy: spec.policy ?? null,
      assertedLevel: assertedLevel as Level,
      isRevoked: spec.isRevoked,
      rivals: (names.get(ekSha256) ?? []).filter((name) => name !== metadata.name).sort(),
    };
    bySurface.set(binding.surface, binding);
    byKey.set(ekSha256, [...(byKey.get(ekSha256) ?? []), binding]);
  }
  return { bySurface, byKey };
}

/** Why nobody with a contested key is let in, naming all who claim it. */
export const contestedReason = ({ surface, rivals }: Binding): string =>
  `the same endorsement key is approved for ${[surface, ...rivals]
    .sort()
    .map((name) => `"${name}"`)
    .join(' and ')}; one key is one surface`;

/** Whether evidence must be judged anew because of what the operator changed. */
export const haveRulesChanged = (before: Binding, after: Binding): boolean =>
  before.policy !== after.policy || before.assertedLevel !== after.assertedLevel;
