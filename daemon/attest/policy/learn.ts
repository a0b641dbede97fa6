/** Makes a reference set from the evidence of a surface that is known to be good. A person reads it and signs it. */
import { createHash } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import { shown } from '../logs/log.ts';
import { judgeKeys } from '../verifier/keys.ts';
import type { Case, KeyRules } from '../verifier/types.ts';
import { firstFailure } from '../verifier/verdict.ts';
import { verify } from '../verifier/verify.ts';
import { parseImaContents } from './ima-contents.ts';
import { createLearner, type Learned } from './learned.ts';
import { parseReferenceSet } from './reference-set.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** A new set, not signed yet. */
export interface NewSet {
  readonly text: string;
  /** The list of IMA that must lie beside it, null: it has none. */
  readonly list: { readonly name: string; readonly bytes: Buffer } | null;
  /** What the set does not hold, and why; for the person who signs it. */
  readonly notes: readonly string[];
}

/** Rules for keys where nobody is there to approve: the key of the evidence counts as approved, certificates do not. */
export function ownKeyRules(subject: Case, now: number): KeyRules {
  const rules: KeyRules = {
    roots: [],
    certificates: { mayLeafBeExpired: true, mayRootBeIntermediate: true },
    isCertificateRequired: false,
    approvedEkSha256: null,
    now,
  };
  return { ...rules, approvedEkSha256: judgeKeys(subject.claims, rules).ekSha256 };
}

/**
 * Learns from evidence.
 * @param options.days how long the set is to count
 * @param options.now Unix milliseconds
 * @throws SurfacedError E_POLICY_SET when the evidence does not hold or says nothing
 */
export function learn(
  subject: Case,
  options: { readonly name: string; readonly version: number; readonly days: number; readonly now: number },
): NewSet {
  const { name, version, days, now } = options;
  const learner = createLearner(name);
  const verdict = verify(subject, {
    ...ownKeyRules(subject, now),
    assertedLevel: 0,
    requiredLevel: 0,
    references: learner,
  });
  const failure = firstFailure(verdict);
  if (failure !== null || learner.learned === null)
    throw new SurfacedError(
      'E_POLICY_SET',
      `nothing is learned from evidence that does not hold: ${failure ? `${failure.name}: ${failure.reason}` : 'no verdict'}`,
    );
  const { learned } = learner;
  const notes: string[] = [];
  const list = imaList(learned, `${name}-${version}.ima`, notes);
  if (learned.systemd.size > 0)
    notes.push(`PCR ${[...learned.systemd].join(', ')}: systemd measured there, which no set compares`);
  if (learned.otherStarts.length > 0)
    notes.push(
      `start ${learned.otherStarts.join(', ')} of the machine since its TPM was reset measured something else than the last one, of which the files are: until its power is cut, the surface matches only where another set takes that`,
    );
  for (const pcr of learned.unexplained.keys())
    notes.push(`PCR ${pcr}: no log says what extended it, so its value is listed as it is`);
  const parts = [
    ...fixedLines(learned),
    ...firmwareLines(learned),
    ...fileLines(learned),
    ...imaLines(learned, list),
  ];
  if (parts.length === 0)
    throw new SurfacedError('E_POLICY_SET', 'nothing was measured, so there is nothing to compare with');
  const text = [
    `# Learned ${new Date(now).toISOString()} from the surface with the endorsement key`,
    `# ${verdict.ekSha256}.`,
    '# Whatever ran there is good from now on: read it before you sign it.',
    'apiVersion: surfaced.dev/v1alpha1',
    'kind: ReferenceSet',
    'metadata:',
    `  name: ${name}`,
    `  version: ${version}`,
    'spec:',
    `  notAfter: "${new Date(now + days * dayMs).toISOString()}"`,
    `  bank: ${learned.bank}`,
    ...parts,
  ];
  const set = `${text.join('\n')}\n`;
  // What was made here is read by the rules for everybody's sets.
  parseReferenceSet(Buffer.from(set), `${name}-${version}.yaml`);
  return { text: set, list, notes };
}

function fixedLines({ unexplained }: Learned): string[] {
  if (unexplained.size === 0) return [];
  const lines = [...unexplained].map(([pcr, value]) => `    - { pcr: ${pcr}, values: ["${value}"] }`);
  return ['  pcrs:', ...lines];
}

function firmwareLines({ firmware }: Learned): string[] {
  if (firmware.size === 0) return [];
  const inOrder = [...firmware].sort(([one], [other]) => one - other);
  const lines = inOrder.flatMap(([pcr, digests]) => [
    `    - pcr: ${pcr}`,
    '      digests:',
    ...[...digests].map(([digest, text]) => `        - "${digest}"${text === null ? '' : ` # ${text}`}`),
  ]);
  return ['  firmware:', ...lines];
}

function fileLines({ files }: Learned): string[] {
  if (files.size === 0) return [];
  const lines = [...files].map(
    ([path, sha256]) => `    - { path: ${quoted(path)}, sha256: ${JSON.stringify([...sha256])} }`,
  );
  return ['  files:', ...lines];
}

/** JSON strings are YAML strings, whatever is in a path; what a terminal would act on is escaped, too. */
const quoted = (path: string): string =>
  JSON.stringify(path).replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

function imaLines({ ima }: Learned, list: NewSet['list']): string[] {
  if (ima === null || list === null) return [];
  return [
    '  ima:',
    `    list: ${list.name}`,
    `    listSha256: "${createHash('sha256').update(list.bytes).digest('hex')}"`,
    `    mostViolations: ${ima.violations}`,
  ];
}

function imaList({ ima }: Learned, name: string, notes: string[]): NewSet['list'] {
  if (ima === null) return null;
  if (ima.refused.size > 0) {
    const hashes = [...ima.refused].map((hash) => shown(hash)).join(', ');
    notes.push(`IMA is left out: its list has digests of ${hashes}; start the kernel with ima_hash=sha256`);
    return null;
  }
  const bytes = Buffer.concat(ima.lines);
  parseImaContents(bytes, { name, isPathCompared: false });
  return { name, bytes };
}
