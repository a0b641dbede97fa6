/** Valid evidence with everything in it, made anew from a draft, so that each test changes one thing. */
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { logDigests, qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import {
  type LogName,
  type LogPart,
  logNames,
  type QuotableBank,
} from '../../../daemon/attest/evidence/evidence.ts';
import { bootAggregate } from '../../../daemon/attest/logs/boot-aggregate.ts';
import { bankBytes, bankDigest, logStart } from '../../../daemon/attest/logs/log.ts';
import { fileMeasurement } from '../../../daemon/attest/logs/measure-log.ts';
import type { Match, Proven, References } from '../../../daemon/attest/policy/types.ts';
import type { Attest } from '../../../daemon/attest/tpm2/index.ts';
import { faultPrefix } from '../../../daemon/attest/verifier/checks.ts';
import type { Case, Rules, WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import {
  type CheckName,
  checkNames,
  firstFailure,
  type Verdict,
} from '../../../daemon/attest/verifier/verdict.ts';
import {
  agileLog,
  binaryEntry,
  boot,
  extension,
  type SampleMeasurement,
  sha,
  text,
} from '../logs/samples.ts';
import {
  attestationKeys,
  attestationOf,
  attestBytes,
  ek,
  encodePublic,
  type PaperKey,
  type Quoting,
  signed,
} from './paper-tpm.ts';

/** Banks that the samples of logs can be made for. */
type SampleBank = Extract<QuotableBank, 'sha256' | 'sha384'>;

export const bytesOf = (seed: string): Buffer => sha('sha256', seed);
export const now = Date.UTC(2027, 5, 1);
export const allPcrs: readonly number[] = Array.from({ length: 16 }, (_, pcr) => pcr);

/** PCRs that are extended like those of a TPM. */
export class Pcrs {
  readonly bank: SampleBank;
  readonly values: Map<number, Buffer>;

  constructor(bank: SampleBank) {
    this.bank = bank;
    this.values = new Map(allPcrs.map((pcr) => [pcr, Buffer.alloc(bankBytes[bank])]));
  }

  extend(pcr: number, digest: Uint8Array): void {
    this.values.set(pcr, bankDigest(this.bank, this.of(pcr), digest));
  }

  of(pcr: number): Buffer {
    return this.values.get(pcr) ?? Buffer.alloc(bankBytes[this.bank]);
  }
}

/** A record of systemd's log. */
export function systemdRecord(pcr: number, bank: SampleBank, digest: Uint8Array, string: string): Buffer {
  const record = {
    pcr,
    digests: [{ hashAlg: bank, digest: Buffer.from(digest).toString('hex') }],
    content_type: 'systemd',
    content: { string, eventType: 'phase' },
  };
  return Buffer.from(`\x1e${JSON.stringify(record)}\n`);
}

/** A record of `surfaced measure`, and what it extends. */
export const fileRecord = (
  path: string,
  content: string,
  at: { pcr: number; recnum: number; bank: SampleBank },
) =>
  fileMeasurement({
    path,
    sha256: bytesOf(content),
    pcr: at.pcr,
    banks: [at.bank],
    recnum: at.recnum,
  });

export const files = { '/opt/surfaced/main.js': 'the program', '/etc/surfaced/device.yaml': 'its config' };

/** The kernel's list for PCRs as they are when it starts. */
export const imaList = (pcrs: Pcrs): SampleMeasurement[] => [
  {
    template: 'ima-ng',
    algorithm: pcrs.bank,
    digest: bootAggregate(pcrs.bank, (pcr) => pcrs.of(pcr)),
    name: text('boot_aggregate'),
  },
  { template: 'ima-ng', algorithm: 'sha256', digest: bytesOf('init'), name: text('/sbin/init') },
  {
    template: 'ima-sig',
    algorithm: 'sha256',
    digest: bytesOf('node'),
    name: text('/usr/bin/node'),
    extra: text('sig'),
  },
];

/** A machine that has measured everything: firmware, then IMA, `surfaced measure` into PCR 14, systemd into PCR 11. */
export function measuredMachine(bank: SampleBank = 'sha256'): { pcrs: Pcrs; logs: WholeLogs } {
  const pcrs = new Pcrs(bank);
  for (const { pcr, type, data, hashed } of boot) if (type !== 3) pcrs.extend(pcr, sha(bank, hashed ?? data));
  const ima = imaList(pcrs);
  for (const entry of ima) pcrs.extend(10, extension(entry, bank));
  const measured = Object.entries(files).map(([path, content], recnum) => {
    const { digests, bytes } = fileRecord(path, content, { pcr: 14, recnum, bank });
    pcrs.extend(14, digests.get(bank) ?? Buffer.alloc(0));
    return bytes;
  });
  const systemd = ['enter-initrd', 'leave-initrd'].map((phase) => {
    pcrs.extend(11, sha(bank, phase));
    return systemdRecord(11, bank, sha(bank, phase), phase);
  });
  const logs = {
    firmware: agileLog([bank], boot),
    ima: Buffer.concat(ima.map(binaryEntry)),
    measured: Buffer.concat(measured),
    systemd: Buffer.concat(systemd),
  };
  return { pcrs, logs };
}

/** Everything that evidence is made of; what is left out is as in {@link measuredMachine}. */
export interface Draft {
  readonly ak?: PaperKey;
  readonly ek?: PaperKey;
  readonly bank?: SampleBank;
  readonly pcrs?: ReadonlyMap<number, Uint8Array>;
  /** Whole logs; those that are not named are as the machine has them. */
  readonly logs?: Partial<WholeLogs>;
  /** What is sent of them; null: all. */
  readonly sent?: Partial<Record<LogName, LogPart | null>>;
  readonly expected?: Partial<Case['expected']>;
  /** What the quote is bound to, where that is not what is expected. */
  readonly bound?: Partial<Case['expected']>;
  readonly quoting?: Partial<Quoting>;
  /** Changes the attestation before it is signed. */
  readonly attest?: (made: Attest) => Attest;
  readonly previous?: Case['previous'];
  readonly isIncremental?: boolean;
  readonly evidence?: Partial<Case['evidence']>;
  readonly claims?: Partial<Case['claims']>;
}

const machines = { sha256: measuredMachine('sha256'), sha384: measuredMachine('sha384') };

/** Evidence, signed. */
export function caseOf(draft: Draft = {}): Case {
  const { bank = 'sha256', ak = attestationKeys['ECDSA P-256']() } = draft;
  const machine = machines[bank];
  const pcrs = draft.pcrs ?? machine.pcrs.values;
  const logs = { ...machine.logs, ...draft.logs };
  const whole = (name: LogName): LogPart | null => logs[name] && { from: logStart, bytes: logs[name] };
  const sent = Object.fromEntries(
    logNames.map((name) => [name, draft.sent?.[name] === undefined ? whole(name) : draft.sent[name]]),
  ) as Record<LogName, LogPart | null>;
  const expected: Case['expected'] = {
    nonce: bytesOf('nonce'),
    keySha256: bytesOf('key'),
    channel: bytesOf('channel'),
    secret: bytesOf('secret'),
    bank,
    pcrs: [...pcrs.keys()],
    sentLogs: logDigests(sent),
    ...draft.expected,
  };
  const bound = { ...expected, ...draft.bound };
  const made = attestationOf(ak, {
    extraData: qualifyingData({ ...bound, logs: bound.sentLogs }),
    bank,
    pcrs,
    clock: 5000n,
    resetCount: 7,
    restartCount: 2,
    isSafe: true,
    firmwareVersion: 0x2019102300163636n,
    ...draft.quoting,
  });
  const bytes = attestBytes(draft.attest?.(made) ?? made);
  return {
    claims: {
      ekPublic: encodePublic((draft.ek ?? ek).area),
      ekCertificate: null,
      ekChain: [],
      akPublic: encodePublic(ak.area),
      ...draft.claims,
    },
    expected,
    evidence: {
      secret: expected.secret,
      attest: bytes,
      signature: signed(ak, bytes),
      pcrs,
      ...draft.evidence,
    },
    logs,
    previous: draft.previous ?? null,
    isIncremental: draft.isIncremental ?? false,
  };
}

/** Stands for the policy: takes all records, matches where the logs are there that it says it covers. */
export function referencesOf(
  covers: Extract<Match, { isMatch: true }>['covers'] = { files: true, firmwareGap: null, ima: true },
  seen: (proven: { [Name in keyof Proven]: unknown }) => void = () => {},
): References {
  return {
    name: 'pi-baseline',
    match(proven) {
      const all = (records: Iterable<unknown> | null) => records && [...records];
      const [firmware, measured, systemd, ima] = [
        all(proven.firmware),
        all(proven.measured),
        all(proven.systemd),
        all(proven.ima),
      ];
      seen({ ...proven, firmware, measured, systemd, ima });
      const missing = [
        ...(covers.firmwareGap === null && firmware === null ? ['no firmware'] : []),
        ...(covers.files && measured === null ? ['no files'] : []),
        ...(covers.ima && ima === null ? ['no ima'] : []),
      ];
      if (missing.length > 0) return { isMatch: false, reasons: missing };
      return {
        isMatch: true,
        reference: { name: 'pi-baseline', version: 3, sha256: 'ab'.repeat(32) },
        covers,
      };
    },
  };
}

export const rulesOf = (changes: Partial<Rules> = {}): Rules => ({
  roots: [],
  certificates: { mayLeafBeExpired: false, mayRootBeIntermediate: false },
  isCertificateRequired: false,
  approvedEkSha256: ekPublicSha256(ek.area),
  now,
  assertedLevel: 3,
  requiredLevel: 3,
  references: referencesOf(),
  ...changes,
});

/** Names of checks with one outcome. */
export const withOutcome = ({ checks }: Verdict, wanted: string): string[] =>
  checks.flatMap(({ name, outcome }) => (outcome === wanted ? [name] : []));

/** Checks that failed by a fault of the verifier itself: never any. */
export const faults = ({ checks }: Verdict): string[] =>
  checks.flatMap(({ reason }) => (reason.startsWith(faultPrefix) ? [reason] : []));

export const digestOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/**
 * That evidence is refused by this check for this reason, and that nothing passed which builds on it: behind a fault in the
 * keys or the quote everything is skipped, behind one in the logs what they would have been compared with.
 */
export function refused(
  t: Test,
  verdict: Verdict,
  check: CheckName,
  reason: RegExp,
  what: string = check,
): void {
  const failure = firstFailure(verdict);
  t.match(failure, { name: check }, `${what}: ${failure?.name}, ${failure?.reason}`);
  t.match(failure?.reason, reason, `${what}: the reason`);
  t.match(verdict, { isTrusted: false, level: null, reference: null }, what);
  t.same(faults(verdict), [], `${what}: no fault of the verifier`);
  const at = checkNames.indexOf(check);
  const first =
    at < checkNames.indexOf('activation')
      ? 'activation'
      : at < logChecksAt
        ? checkNames[at + 1]
        : 'reference';
  const later = verdict.checks.slice(Math.max(at + 1, checkNames.indexOf(first ?? 'level')));
  t.same(
    later.filter(({ outcome }) => outcome !== 'skipped'),
    [],
    `${what}: what builds on it is skipped`,
  );
}
const logChecksAt = checkNames.indexOf('firmware-log');

/** The same bytes with one bit changed. */
export function flipped(bytes: Uint8Array, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
