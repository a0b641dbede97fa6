/** What keys and evidence are judged by: the gateway's file and what the registry says about the surface. */
import type { GatewayConfig } from '../../config/schema.ts';
import type { Certificate } from '../certificates/certificate.ts';
import type { PolicyStore, References } from '../policy/types.ts';
import type { Level } from '../types.ts';
import type { KeyRules, Rules } from '../verifier/types.ts';
import type { Binding } from './book.ts';

interface RuleSources {
  readonly config: GatewayConfig;
  readonly policies: PolicyStore;
  readonly roots: readonly Certificate[];
}

/** @param approvedEkSha256 hex of the key that is approved under some name; null: it is approved under none */
export function keyRules(sources: RuleSources, approvedEkSha256: string | null, now: number): KeyRules {
  const { policy } = sources.config;
  return {
    roots: sources.roots,
    // Whatever CA the operator has put into the folder of roots is one.
    certificates: { mayLeafBeExpired: policy.mayEkCertificateBeExpired, mayRootBeIntermediate: true },
    isCertificateRequired: policy.ekCertificate === 'required',
    approvedEkSha256,
    now,
  };
}

/** The rules for the evidence of one surface, as they are now. */
export function evidenceRules(sources: RuleSources, binding: Binding, now: number): Rules {
  return {
    ...keyRules(sources, binding.ekSha256, now),
    assertedLevel: binding.assertedLevel,
    requiredLevel: sources.config.policy.requiredLevel as Level,
    references:
      binding.policy === null
        ? null
        : (sources.policies.references(binding.policy) ?? missingReferences(binding.policy)),
  };
}

/** A name without sets is no wish for none: nothing matches. */
const missingReferences = (name: string): References => ({
  name,
  match: () => ({ isMatch: false, reasons: [`there is no reference set named "${name}"`] }),
});
