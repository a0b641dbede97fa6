/** The verdict on evidence, as data: what was checked, what failed, what follows. Fit for the audit log and for a page. */
import type { Level } from '../types.ts';

/** Every check there is, in the order in which they are made. */
export const checkNames = [
  // the keys
  'ek-public',
  'ek-certificate',
  'ek-approved',
  'ak-public',
  'activation',
  // the quote
  'signature',
  'attest',
  'binding',
  'signer',
  'selection',
  'pcr-values',
  'clock',
  // the logs
  'firmware-log',
  'measured-log',
  'systemd-log',
  'ima-list',
  // what they say
  'reference',
  'level',
] as const;
export type CheckName = (typeof checkNames)[number];

/** `skipped`: there was nothing to check, or an earlier check failed; never counted as passed. */
export type Outcome = 'passed' | 'failed' | 'skipped';

export interface Check {
  readonly name: CheckName;
  readonly outcome: Outcome;
  /** One sentence for a person, safe on a terminal; names field, PCR or entry. */
  readonly reason: string;
}

/** TPMS_CLOCK_INFO and firmware version of a quote, kept to judge the next one (TPM 2.0 Part 2, section 10.11.1). */
export interface ClockState {
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds that the TPM has been powered, decimal: more than a double holds. */
  readonly clock: string;
  readonly isSafe: boolean;
  readonly firmwareVersion: string;
}

/** Which reference set the measurements matched. */
export interface MatchedReference {
  readonly name: string;
  readonly version: number;
  /** Hex of SHA-256 of the file of the set. */
  readonly sha256: string;
}

/** What the logs told, in numbers. */
export interface Measured {
  readonly firmwareEvents: number;
  readonly files: number;
  readonly systemdRecords: number;
  readonly imaEntries: number;
  readonly imaViolations: number;
}

/** Judgement on one piece of evidence. Everything but `isTrusted: true` is "not trusted". */
export interface Verdict {
  readonly v: 1;
  /** True only when no check failed and `level` is at least what policy demands. */
  readonly isTrusted: boolean;
  /** The level that the operator asserted and the evidence supports; null when not trusted. */
  readonly level: Level | null;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo; null when no key could be read. */
  readonly ekSha256: string | null;
  /** Hex of the attestation key's Name. */
  readonly akName: string | null;
  /** Whether the endorsement key's certificate leads to one of the operator's roots. */
  readonly hasTrustedCertificate: boolean;
  /** All of {@link checkNames}, in that order. */
  readonly checks: readonly Check[];
  readonly clock: ClockState | null;
  /** `new`: the TPM was reset or restarted since the last evidence, so all logs must be whole; `first`: there was none. */
  readonly epoch: 'first' | 'same' | 'new' | null;
  readonly reference: MatchedReference | null;
  readonly measured: Measured;
}

/** The first check that failed, null when none did. */
export const firstFailure = (verdict: Verdict): Check | null =>
  verdict.checks.find(({ outcome }) => outcome === 'failed') ?? null;

/** What may be printed for a level, and no more (docs/threat-model.md). */
export const levelSentences: Readonly<Record<Level, string>> = {
  0: 'This TPM answered a fresh challenge for this credential. Nothing about the software is proven.',
  1: 'This TPM answered a fresh challenge, and since its last reset the host reported measurements that match the policy. A host that was modified before it began to measure can report anything.',
  2: 'As level 1, and the operator asserts that the code that measures is signature-checked by the boot ROM, which the TPM cannot prove.',
  3: 'This TPM answered a fresh challenge, and boot components from the first measuring stage on were measured into it before they ran, and match the policy. Stages before it are trusted, not measured.',
};
