/** `surfaced policy learn`: a reference set of what a known-good surface has measured. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { parseCase, readCase } from '../attest/policy/evidence-file.ts';
import { learn } from '../attest/policy/learn.ts';
import { readSigningKey } from '../attest/policy/signature.ts';
import { openPolicies } from '../attest/policy/store.ts';
import type { Case } from '../attest/verifier/types.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { signPolicies, writeNew } from './policy-sign.ts';
import { showEvidence } from './surfaces.ts';

export interface LearnOptions {
  readonly gatewayConfigPath: string | null;
  /** Whose last evidence of the gateway is taken; null: that of `evidence`. */
  readonly surface: string | null;
  readonly evidence: string | null;
  readonly name: string;
  /** Null: one more than the gateway has, else 1. */
  readonly version: number | null;
  readonly days: number;
  /** Null: the set is what is printed. */
  readonly out: string | null;
  /** Private key that signs; null: nobody does. */
  readonly key: string | null;
}

/** What is to be printed, and what the set does not hold. @throws SurfacedError */
export async function learnPolicy(
  options: LearnOptions,
): Promise<{ readonly text: string; readonly notes: readonly string[] }> {
  const { name, days, out, key } = options;
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    throw new SurfacedError('E_USAGE', `name: expected a name of a-z, 0-9 and dashes, got "${name}"`);
  if (key !== null && out === null)
    throw new SurfacedError('E_USAGE', '--key needs --out: only a file is signed');
  // A key that cannot be used is told before anything is written.
  if (key !== null) await readSigningKey(key);
  const subject = await evidenceOf(options);
  const version = options.version ?? (await nextVersion(options));
  const { text, list, notes } = learn(subject, { name, version, days, now: systemClock.now() });
  if (out === null) {
    if (list === null) return { text, notes };
    throw new SurfacedError('E_USAGE', 'the list of IMA is a second file: say with --out where both go');
  }
  await writeNew(out, text, 0o644);
  const files = [out];
  if (list !== null) {
    const file = path.join(path.dirname(out), list.name);
    files.push(file);
    // The set would be of no use without it, and in the way of the next attempt.
    await writeNew(file, list.bytes, 0o644).catch((error: unknown) =>
      rm(out).then(() => {
        throw error;
      }),
    );
  }
  const signed = key === null ? '' : await signPolicies({ files: [out], key, output: 'text' });
  return { text: `${files.map((file) => `${file} written\n`).join('')}${signed}`, notes };
}

async function evidenceOf({ gatewayConfigPath, surface, evidence }: LearnOptions): Promise<Case> {
  if (evidence !== null) return readCase(evidence);
  if (surface === null || gatewayConfigPath === null)
    throw new SurfacedError(
      'E_USAGE',
      'name a file with --evidence, or a surface with --config and --surface',
    );
  return parseCase(await showEvidence(gatewayConfigPath, surface), surface);
}

async function nextVersion({ gatewayConfigPath, name }: LearnOptions): Promise<number> {
  if (gatewayConfigPath === null) return 1;
  const { references, signers, acceptUnsigned } = (await loadConfig('Gateway', gatewayConfigPath)).policy;
  const folder = references ?? null;
  const store = await openPolicies({ folder, signers, acceptUnsigned, clock: systemClock, log: silentLog });
  await store.close();
  return 1 + Math.max(0, ...store.list().flatMap((set) => (set.name === name ? [set.version] : [])));
}
