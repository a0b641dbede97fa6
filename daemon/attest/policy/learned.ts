/**
 * What a good surface has measured, gathered through the verifier: it stands where a policy stands, and takes what the
 * quote proves instead of comparing it. So nothing is learned that a verdict would not be made of.
 */
import { isDeepStrictEqual } from 'node:util';
import type { QuotableBank } from '../evidence/evidence.ts';
import { eventText } from '../logs/event-log-text.ts';
import { imaPcr } from '../logs/ima-entry.ts';
import { isFilledWith } from '../logs/log.ts';
import { imaContentsLine } from './ima-contents.ts';
import type { Proven, References } from './types.ts';

/** Digests are hex. */
export interface Learned {
  readonly bank: QuotableBank;
  /** By PCR: digest -> what it is, null where the digest does not cover the text. */
  readonly firmware: ReadonlyMap<number, ReadonlyMap<string, string | null>>;
  /** By path; of the last start of the machine. */
  readonly files: ReadonlyMap<string, ReadonlySet<string>>;
  /** Numbers, from 1, of earlier starts since the TPM was reset that did not measure the same. */
  readonly otherStarts: readonly number[];
  /** PCRs that something extended and no log explains. */
  readonly unexplained: ReadonlyMap<number, string>;
  /** PCRs of systemd's records. */
  readonly systemd: ReadonlySet<number>;
  /** Null: there is no list that the quote proves. */
  readonly ima: {
    readonly lines: readonly Buffer[];
    readonly violations: number;
    /** Hashes of entries that no set can list. */
    readonly refused: ReadonlySet<string>;
  } | null;
}

/** Stands for a policy that everything matches; `learned` is there once it was asked. */
export interface Learner extends References {
  readonly learned: Learned | null;
}

export function createLearner(name: string): Learner {
  let learned: Learned | null = null;
  return {
    name,
    get learned() {
      return learned;
    },
    match(proven) {
      learned = gather(proven);
      return {
        isMatch: true,
        reference: { name, version: 0, sha256: '' },
        covers: { files: false, firmwareGap: 'nothing is compared', ima: false },
      };
    },
  };
}

function gather(proven: Proven): Learned {
  const { bank } = proven;
  const firmware = new Map<number, Map<string, string | null>>();
  let files = new Map<string, Set<string>>();
  const earlier: (typeof files)[] = [];
  const logged = new Set<number>([imaPcr]);
  const systemd = new Set<number>();
  for (const event of proven.firmware ?? []) {
    const digest = event.digests.get(bank);
    if (digest === undefined) continue;
    const { isCovered, text } = eventText(event, bank);
    const known = firmware.get(event.pcr) ?? new Map<string, string | null>();
    firmware.set(event.pcr, known.set(hex(digest), isCovered ? text : null));
    logged.add(event.pcr);
  }
  for (const { pcr, content } of proven.measured ?? []) {
    if (pcr === null || content.kind === 'systemd') continue;
    if (content.kind === 'restart') {
      earlier.push(files);
      files = new Map();
      continue;
    }
    files.set(content.path, (files.get(content.path) ?? new Set()).add(content.sha256));
    logged.add(pcr);
  }
  for (const { pcr } of proven.systemd ?? []) {
    if (pcr === null) continue;
    systemd.add(pcr);
    logged.add(pcr);
  }
  const unexplained = new Map<number, string>();
  for (const [pcr, value] of proven.pcrs)
    if (!logged.has(pcr) && !isFilledWith(value, 0)) unexplained.set(pcr, hex(value));
  const otherStarts = earlier.flatMap((one, index) => (isDeepStrictEqual(one, files) ? [] : [index + 1]));
  return { bank, firmware, files, otherStarts, unexplained, systemd, ima: gatherIma(proven) };
}

function gatherIma({ ima, imaViolations }: Proven): Learned['ima'] {
  if (ima === null) return null;
  const lines = new Map<string, Buffer>();
  const refused = new Set<string>();
  for (const entry of ima) {
    // The first entry is about PCR 0 to 9; a violation has no digest.
    if (entry.start.records === 0 || entry.isViolation) continue;
    const line = imaContentsLine(entry);
    if (line === null) refused.add(entry.file.algorithm);
    else lines.set(line.toString('latin1'), line);
  }
  return { lines: [...lines.values()], violations: imaViolations, refused };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
