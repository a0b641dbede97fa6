/** What the steps of attestation share. */
import type { Registry } from '../../bridge/registry/types.ts';
import type { Clock } from '../../clock.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import type { Audit } from '../audit/types.ts';
import type { Certificate } from '../certificates/certificate.ts';
import type { KeyClaims } from '../evidence/evidence.ts';
import type { PolicyStore } from '../policy/types.ts';
import type { KeyJudgement } from '../verifier/keys.ts';
import type { Case, KeyRules, Rules } from '../verifier/types.ts';
import type { Verdict } from '../verifier/verdict.ts';
import type { Book } from './book.ts';
import type { Dossiers } from './dossiers.ts';
import type { Ledger } from './ledger.ts';
import type { Quarantine } from './quarantine.ts';
import type { Turns } from './turns.ts';

/** The verifier, as far as it is needed. Neither throws for what a surface sends. */
export interface Verifier {
  judgeKeys(claims: KeyClaims, rules: KeyRules): KeyJudgement;
  verify(subject: Case, rules: Rules): Verdict;
}

export interface TrustOptions {
  readonly config: GatewayConfig;
  readonly registry: Registry;
  readonly policies: PolicyStore;
  readonly audit: Audit;
  readonly verifier: Verifier;
  /** CA certificates of TPM vendors, those of `policy.roots`. */
  readonly roots: readonly Certificate[];
  /** Pin of the gateway's CA: pairing codes are bound to it. */
  readonly caPin: string;
  readonly clock: Clock;
  readonly random: (bytes: number) => Buffer;
  readonly log: Log;
}

/** Everything that is open while the gateway runs. */
export interface TrustParts extends TrustOptions {
  readonly ledger: Ledger;
  readonly dossiers: Dossiers;
  readonly quarantine: Quarantine;
  /** By endorsement key. */
  readonly turns: Turns;
  /** The registry as it is now. */
  book(): Book;
  /** Another number whenever the reference sets have changed. */
  policyNumber(): number;
}

/** Changes whenever evidence of this surface would have to be judged anew. */
export const rulesMark = ({ ledger, policyNumber }: TrustParts, surface: string): string =>
  `${policyNumber()}/${ledger.get(surface)?.rulesNumber ?? 'gone'}`;
