/** How much evidence the verifier judges on one core, and with how much memory. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { qualifyingData } from '../daemon/attest/evidence/binding.ts';
import { imaLimits } from '../daemon/attest/logs/ima-entry.ts';
import { decode, publicArea, publicKeyOf } from '../daemon/attest/tpm2/index.ts';
import {
  bareSample,
  bootSample,
  imaSample,
  longImaSample,
  readSample,
  type Sample,
} from './evidence-samples.ts';
import type { MemoryUse } from './memory.ts';
import { Part } from './processes.ts';
import { runShell } from './shell.ts';
import { compare } from './statistics.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

const rounds = { full: 7, quick: 2 };
const forMs = { full: 1000, quick: 300 };
const entries = { full: { some: 20_000, most: imaLimits.mostRecords }, quick: { some: 2000, most: 6000 } };
const boot = { events: 100, files: 30 };
/** A verdict may take so much memory, whatever is sent. */
const mostMib = 64;

/** Evidence a second in one round; those of others do less, see their rows. */
export interface Rates {
  readonly bare: { readonly ours: number; readonly checkquote: number; readonly signature: number };
  readonly ima: { readonly ours: number; readonly evmctl: number; readonly naive: number };
  readonly boot: { readonly ours: number; readonly eventlog: number };
}

/** What one verdict takes, and one replay, each in a process of its own. */
export interface Uses {
  readonly ours: MemoryUse;
  readonly naive: MemoryUse;
}

/** Memory with few entries and with many. */
export interface Memory {
  readonly some: Readonly<Record<Heap, Uses>>;
  readonly most: Readonly<Record<Heap, Uses>>;
}

/**
 * Options of Node. `open`: none, so that garbage lies about as long as Node likes. `capped`: what is not garbage must fit
 * into 64 MiB, else the process ends.
 */
const heaps = {
  open: [],
  capped: ['--max-old-space-size=64', '--max-semi-space-size=4'],
} as const;
type Heap = keyof typeof heaps;

/** Pieces of evidence, by what they hold. */
interface Samples {
  readonly bare: Sample;
  readonly ima: Sample;
  readonly most: Sample;
  readonly boot: Sample;
}

async function startPart<Input>(name: string, input: Input, heap: Heap = 'open'): Promise<Part> {
  const part = new Part(name, ['--expose-gc', ...heaps[heap]]);
  await part.call('start', input);
  return part;
}

/** What programs of others read: key, quote and signature of one; log and PCRs of another. Gives a line of shell for each. */
async function prepareOthers(folder: string, { bare, ima, boot }: Samples) {
  const file = async (name: string, contents: string | Uint8Array) => {
    await writeFile(path.join(folder, name), contents);
    return name;
  };
  const quoted = (await readSample(bare)).subject;
  const { expected } = quoted;
  const nonce = qualifyingData({ ...expected, logs: expected.sentLogs }).toString('hex');
  const key = publicKeyOf(decode('attestation key', publicArea, quoted.claims.akPublic));
  const pem = await file('key.pem', key.export({ type: 'spki', format: 'pem' }));
  const message = await file('message', quoted.evidence.attest);
  const signature = await file('signature', quoted.evidence.signature);
  // evmctl reads a register a line, from the first one on, as the kernel of TPM 1.2 wrote them.
  const { pcrs } = (await readSample(ima)).subject.evidence;
  const line = (pcr: number): string => {
    const hex = Buffer.from(pcrs.get(pcr) ?? new Uint8Array(32))
      .toString('hex')
      .toUpperCase();
    return `PCR-${String(pcr).padStart(2, '0')}: ${hex.replaceAll(/..(?=.)/g, '$& ')}\n`;
  };
  const registers = await file('registers', Array.from({ length: 24 }, (_, pcr) => line(pcr)).join(''));
  return {
    checkquote: `tpm2_checkquote -Q -u ${pem} -m ${message} -s ${signature} -g sha256 -q ${nonce}`,
    evmctl: `evmctl ima_measurement --verify-bank=sha256 --pcrs sha256,${registers} '${ima.logFiles.ima}'`,
    eventlog: `tpm2_eventlog '${boot.logFiles.firmware}'`,
  };
}

/** Runs a line of shell so many times, and gives how often a second. */
async function rateOf(folder: string, line: string, times: number): Promise<number> {
  const from = performance.now();
  await runShell(
    folder,
    Array.from({ length: times }, () => line),
  );
  return (times * 1000) / (performance.now() - from);
}

async function measureRates(context: BenchContext, samples: Samples): Promise<Rates[]> {
  const others = await prepareOthers(context.folder, samples);
  const verifiers = {
    bare: await startPart('judging', samples.bare),
    ima: await startPart('judging', samples.ima),
    boot: await startPart('judging', samples.boot),
  };
  const naive = await startPart('naive-replay', samples.ima.logFiles.ima);
  for (const part of [...Object.values(verifiers), naive]) context.defer(() => part.end());
  await checkNaive(naive, samples.ima);
  const length = context.isQuick ? forMs.quick : forMs.full;
  const ours = (part: Part) => part.call<number>('judge', length);
  // What a process compiles while it runs is compiled before.
  for (const part of Object.values(verifiers)) await ours(part);
  const rates: Rates[] = [];
  for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++)
    rates.push({
      bare: {
        ours: await ours(verifiers.bare),
        checkquote: await rateOf(context.folder, others.checkquote, 20),
        signature: await verifiers.bare.call('bareSignature', length),
      },
      ima: {
        ours: await ours(verifiers.ima),
        evmctl: await rateOf(context.folder, others.evmctl, 5),
        naive: await naive.call('replay', length),
      },
      boot: {
        ours: await ours(verifiers.boot),
        eventlog: await rateOf(context.folder, others.eventlog, 20),
      },
    });
  return rates;
}

/** Two that do not come to the same have not done the same. */
async function checkNaive(naive: Part, sample: Sample): Promise<void> {
  const { pcrs } = (await readSample(sample)).subject.evidence;
  const [found, quoted] = [
    await naive.call<string>('value'),
    Buffer.from(pcrs.get(10) ?? []).toString('hex'),
  ];
  if (found !== quoted) throw new Error(`the naive replay came to ${found}, and the TPM to ${quoted}`);
}

/** One verdict, in a process that has made another one before. */
async function memoryOfVerdict(first: Sample, sample: Sample, heap: Heap): Promise<MemoryUse> {
  const part = await startPart('judging', first, heap);
  try {
    await part.call('judge', 0);
    await part.call('start', sample);
    return await part.call('memory');
  } finally {
    await part.end();
  }
}

async function memoryOfReplay(sample: Sample, heap: Heap): Promise<MemoryUse> {
  const part = await startPart('naive-replay', sample.logFiles.ima, heap);
  try {
    return await part.call('memory');
  } finally {
    await part.end();
  }
}

async function measureMemory({ isQuick }: BenchContext, { bare, ima, most }: Samples): Promise<Memory[]> {
  const uses = async (sample: Sample, heap: Heap): Promise<Uses> => ({
    ours: await memoryOfVerdict(bare, sample, heap),
    naive: await memoryOfReplay(sample, heap),
  });
  const both = async (sample: Sample) => ({
    open: await uses(sample, 'open'),
    capped: await uses(sample, 'capped'),
  });
  const found: Memory[] = [];
  for (let round = 0; round < (isQuick ? rounds.quick : rounds.full); round++)
    found.push({ some: await both(ima), most: await both(most) });
  return found;
}

/** Rows of all that was measured. */
export function verifierRows(
  rates: readonly Rates[],
  memory: readonly Memory[],
  size: { readonly some: number; readonly most: number },
): Row[] {
  const rate = (what: string, peer: string, pick: (rates: Rates) => readonly [number, number]): Row => {
    const pairs = rates.map(pick);
    const sides = compare(
      pairs.map(([ours]) => ours),
      pairs.map(([, theirs]) => theirs),
    );
    return { what, unit: '/s', ...sides, peer, aim: null };
  };
  const mib = (what: string, which: keyof Memory, heap: Heap): Row => {
    const sides = memory.map((round) => round[which][heap]);
    const ours = sides.map((side) => side.ours.residentMib);
    return {
      what,
      unit: 'MiB',
      ...compare(
        ours,
        sides.map(({ naive }) => naive.residentMib),
      ),
      peer: 'naive replay in Node',
      aim: { oursAtMost: mostMib },
      condition: { claim: 'in every round', holds: ours.every((value) => value <= mostMib) },
    };
  };
  const [some, most] = [size.some, size.most].map((count) => count.toLocaleString('en'));
  const { events, files } = boot;
  return [
    rate(
      'verifier on one core, evidence without logs (certificate, credential, quote): verdicts a second',
      'tpm2_checkquote (the quote alone), a process each',
      ({ bare }) => [bare.ours, bare.checkquote],
    ),
    rate('the same', "bare check of the quote's signature", ({ bare }) => [bare.ours, bare.signature]),
    rate(
      `the same with ${some} entries of IMA, each in the policy: verdicts a second`,
      'evmctl ima_measurement (the list alone, no policy), a process each',
      ({ ima }) => [ima.ours, ima.evmctl],
    ),
    rate('the same', 'naive replay in Node (hash chain alone)', ({ ima }) => [ima.ours, ima.naive]),
    rate(
      `verifier on one core, ${events} firmware events and ${files} measured files, each in the policy: verdicts a second`,
      'tpm2_eventlog (the firmware log alone, no policy), a process each',
      ({ boot }) => [boot.ours, boot.eventlog],
    ),
    mib(`verifier, ${some} entries of IMA: resident memory, highest above that before`, 'some', 'open'),
    mib('the same: in a heap of 64 MiB', 'some', 'capped'),
    mib(`verifier, ${most} entries of IMA: resident memory, highest above that before`, 'most', 'open'),
    mib('the same: in a heap of 64 MiB', 'most', 'capped'),
  ];
}

async function run(context: BenchContext): Promise<Findings> {
  const size = context.isQuick ? entries.quick : entries.full;
  context.say('  extending software TPMs with what the logs say');
  const samples = {
    bare: await bareSample(context),
    ima: await imaSample(context, size.some),
    most: await longImaSample(context, size.most),
    boot: await bootSample(context, boot.events, boot.files),
  };
  const rates = await measureRates(context, samples);
  const memory = await measureMemory(context, samples);
  return { rows: verifierRows(rates, memory, size), details: { ...size, ...boot, rates, memory } };
}

export const verifier: Bench = {
  name: 'verifier',
  title: 'Verifier',
  needs: ['swtpm', 'tpm2_checkquote', 'evmctl'],
  run,
};
