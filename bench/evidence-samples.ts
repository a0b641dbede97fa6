/** Evidence to be judged: each of a software TPM that was extended with what its logs say, as its prover made it. */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type LogName, logNames } from '../daemon/attest/evidence/evidence.ts';
import { openProver } from '../daemon/attest/evidence/tpm-prover.ts';
import { measure } from '../daemon/attest/measure/measure.ts';
import { caseText, readCase } from '../daemon/attest/policy/evidence-file.ts';
import { learn } from '../daemon/attest/policy/learn.ts';
import { createReferences } from '../daemon/attest/policy/match.ts';
import { readReference } from '../daemon/attest/policy/reference-set.ts';
import { algorithm, extendPcr, swtpm, Tpm } from '../daemon/attest/tpm2/index.ts';
import { allFromStart, logEnds } from '../daemon/attest/trust/log-ends.ts';
import type { Level } from '../daemon/attest/types.ts';
import type { Case, Rules, WholeLogs } from '../daemon/attest/verifier/types.ts';
import { silentLog } from '../daemon/log.ts';
import { type Entry, firmwareLog, imaFiles, imaList, joined } from './measured-logs.ts';
import { accepted, ask, caseOf, noLogs, rulesOf } from './proofs.ts';
import { makeChip } from './tpm-maker.ts';
import type { BenchContext } from './types.ts';

/** Files of one piece of evidence; the verifier accepts it at this level. */
export interface Sample {
  /** The case, without its logs. */
  readonly caseFile: string;
  /** Null: there is no such log. */
  readonly logFiles: Readonly<Record<LogName, string | null>>;
  /** Null: no policy is asked for. */
  readonly referenceFile: string | null;
  readonly rootFile: string;
  readonly level: Level;
}

const policyName = 'bench';
const measuredPcr = 14;
const { signal } = new AbortController();

/** What a machine has measured. */
interface Measuring {
  readonly level: Level;
  /** Extends the TPM, and writes logs into the paths. */
  work(tpm: Tpm, paths: Readonly<Record<LogName, string>>): Promise<void>;
  /** Goes on, for a second message; null: there is one. */
  readonly more: Measuring['work'] | null;
}

/** Nothing measured: keys, certificate, credential and quote. */
export const bareSample = (context: BenchContext): Promise<Sample> =>
  makeSample(context, 'bare', { level: 0, work: async () => {}, more: null });

/** A list of IMA with so many entries, and a policy that knows each of them. */
export const imaSample = (context: BenchContext, entries: number): Promise<Sample> =>
  makeSample(context, `ima-${entries}`, {
    level: 1,
    work: async (tpm, { ima }) => {
      const list = imaList(entries);
      await extend(tpm, list);
      await writeFile(ima, joined(list));
    },
    more: null,
  });

/** The same in two messages, as one would be too large; the policy knows the files of both. */
export function longImaSample(context: BenchContext, entries: number): Promise<Sample> {
  const half = Math.floor(entries / 2);
  const first = imaList(half);
  return makeSample(context, `ima-${entries}`, {
    level: 1,
    work: async (tpm, { ima }) => {
      await extend(tpm, first);
      await writeFile(ima, joined(first));
    },
    more: async (tpm, { ima }) => {
      const second = imaFiles(half, entries - half);
      await extend(tpm, second);
      await appendFile(ima, joined(second));
    },
  });
}

/** So many events of a firmware, and so many files of `surfaced measure`; all of them in the policy. */
export const bootSample = (context: BenchContext, events: number, files: number): Promise<Sample> =>
  makeSample(context, 'boot', {
    level: 3,
    work: async (tpm, { firmware, measured }) => {
      const log = firmwareLog(events);
      await extend(tpm, log.events);
      await writeFile(firmware, joined(log.events, log.head));
      const names = Array.from({ length: files }, (_, index) => path.join(context.folder, `file-${index}`));
      for (const name of names) await writeFile(name, `content of ${name}`);
      await measure({ names, pcr: measuredPcr, log: measured, saved: null, tpm }, signal);
    },
    more: null,
  });

async function extend(tpm: Tpm, entries: readonly Entry[]): Promise<void> {
  for (const { pcr, digest } of entries) await extendPcr(tpm, pcr, [{ hash: algorithm.sha256, digest }]);
}

async function makeSample(context: BenchContext, name: string, measuring: Measuring): Promise<Sample> {
  const { level, work, more } = measuring;
  const folder = path.join(context.folder, name);
  await mkdir(folder);
  const file = (base: string): string => path.join(folder, base);
  const paths = {
    firmware: file('firmware'),
    ima: file('ima'),
    measured: file('measured'),
    systemd: file('systemd'),
  };
  const { software, root } = await makeChip(context, 'ecc');
  const tpm = new Tpm({ transport: swtpm(software.address) });
  const prover = openProver({ tpm, logs: paths, log: silentLog, random: Math.random });
  try {
    const claims = await prover.claims(signal);
    const proveNow = async (earlier: Parameters<typeof caseOf>[2]): Promise<Case> => {
      const ends = earlier ? logEnds(earlier.logs, allFromStart) : allFromStart;
      const asked = ask(claims, earlier === null, ends);
      return caseOf(asked, await prover.prove(asked.challenge, asked.bound, signal), earlier);
    };
    await work(tpm, paths);
    let subject = await proveNow(null);
    if (more !== null) {
      const { clock } = accepted(subject, rulesOf(claims, { root, references: null, level: 0 }));
      await more(tpm, paths);
      subject = await proveNow(clock && { logs: subject.logs, clock });
    }
    return await filed(subject, { root, level, folder });
  } finally {
    await prover.close();
    await software.end();
  }
}

/** Writes it down with a policy that was learned from it, and sees that it is accepted by that. */
async function filed(
  subject: Case,
  { root, level, folder }: { readonly root: Uint8Array; readonly level: Level; readonly folder: string },
): Promise<Sample> {
  const write = async (base: string, contents: string | Uint8Array): Promise<string> => {
    const file = path.join(folder, base);
    await writeFile(file, contents);
    return file;
  };
  let referenceFile: string | null = null;
  if (level > 0) {
    const set = learn(subject, { name: policyName, version: 1, days: 1, now: Date.now() });
    referenceFile = await write('reference.yaml', set.text);
    if (set.list !== null) await write(set.list.name, set.list.bytes);
  }
  const logFiles: Partial<Record<LogName, string | null>> = {};
  for (const name of logNames) {
    const log = subject.logs[name];
    logFiles[name] = log && (await write(`${name}.log`, log));
  }
  const sample = {
    caseFile: await write('case.json', caseText({ ...subject, logs: noLogs })),
    logFiles: logFiles as Sample['logFiles'],
    referenceFile,
    rootFile: await write('root.der', root),
    level,
  };
  const read = await readSample(sample);
  accepted(read.subject, read.rules);
  return sample;
}

/** Reads what a verifier is given. */
export async function readSample(sample: Sample): Promise<{ readonly subject: Case; readonly rules: Rules }> {
  const { caseFile, logFiles, referenceFile, rootFile, level } = sample;
  const bare = await readCase(caseFile);
  const logs: Partial<Record<LogName, Uint8Array | null>> = {};
  for (const name of logNames) {
    const file = logFiles[name];
    logs[name] = file === null ? null : await readFile(file);
  }
  const references =
    referenceFile === null ? null : createReferences(policyName, [await readReference(referenceFile, null)]);
  const rules = rulesOf(bare.claims, { root: await readFile(rootFile), references, level });
  return { subject: { ...bare, logs: logs as WholeLogs }, rules };
}
