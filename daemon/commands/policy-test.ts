/** `surfaced policy test`: judges evidence by reference sets, offline, with the gateway's own verifier. */
import { readCase } from '../attest/policy/evidence-file.ts';
import { ownKeyRules } from '../attest/policy/learn.ts';
import { createReferences } from '../attest/policy/match.ts';
import { type Reference, readReference } from '../attest/policy/reference-set.ts';
import { readSigners } from '../attest/policy/signature.ts';
import type { Level } from '../attest/types.ts';
import { levelSentences, type Verdict } from '../attest/verifier/verdict.ts';
import { verify } from '../attest/verifier/verify.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { SurfacedError } from '../errors.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';

export interface PolicyTestOptions {
  /** Versions of one policy. */
  readonly files: readonly string[];
  readonly evidence: string;
  /** Its signers and level count; null: signatures are not checked. */
  readonly gatewayConfigPath: string | null;
  readonly assertedLevel: Level;
  /** Null: that of the Gateway file, else 0. */
  readonly requiredLevel: Level | null;
  readonly output: Output;
}

/**
 * The verdict for a person or a program. The key of the evidence counts as approved: it is not what is tested.
 * @throws SurfacedError
 */
export async function testPolicy(
  options: PolicyTestOptions,
): Promise<{ readonly text: string; readonly isTrusted: boolean }> {
  const { files, evidence, gatewayConfigPath, assertedLevel, output } = options;
  const policy = gatewayConfigPath === null ? null : (await loadConfig('Gateway', gatewayConfigPath)).policy;
  const signing = policy && {
    signers: await readSigners(policy.signers),
    acceptUnsigned: policy.acceptUnsigned,
  };
  const versions: Reference[] = [];
  for (const file of files) versions.push(await readReference(file, signing));
  const names = [...new Set(versions.map(({ name }) => name))];
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new SurfacedError('E_USAGE', `expected versions of one policy, got ${names.join(', ') || 'none'}`);
  const subject = await readCase(evidence);
  const now = systemClock.now();
  const verdict = verify(subject, {
    ...ownKeyRules(subject, now),
    assertedLevel,
    requiredLevel: options.requiredLevel ?? ((policy?.requiredLevel ?? 0) as Level),
    references: createReferences(name, versions),
  });
  const text = output === 'json' ? `${JSON.stringify(verdict, null, 2)}\n` : verdictText(verdict);
  return { text, isTrusted: verdict.isTrusted };
}

function verdictText(verdict: Verdict): string {
  const { checks, isTrusted, level, ekSha256 } = verdict;
  const rows = checks.map(({ name, outcome, reason }) => [name, outcome, reason]);
  const conclusion =
    isTrusted && level !== null ? `Trusted, level ${level}. ${levelSentences[level]}` : 'Not trusted.';
  return `${columns([['CHECK', 'OUTCOME', 'REASON'], ...rows])}
Endorsement key: ${ekSha256 ?? 'none that can be read'}
${conclusion}
`;
}
