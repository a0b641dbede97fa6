/** What a proof takes at the TPM: our prover beside tpm2-tools in a script, on the same swtpm. */
import path from 'node:path';
import type { Evidence } from '../daemon/attest/evidence/evidence.ts';
import { openProver } from '../daemon/attest/evidence/tpm-prover.ts';
import { algorithm, pcrsCommands, swtpm, Tpm } from '../daemon/attest/tpm2/index.ts';
import type { ClockState } from '../daemon/attest/verifier/verdict.ts';
import { silentLog } from '../daemon/log.ts';
import { type Asked, accepted, ask, caseOf, noLogs, rulesOf } from './proofs.ts';
import { compare } from './statistics.ts';
import { type Chip, type EkKind, ekKinds, makeChip } from './tpm-maker.ts';
import { ToolScript, toolsNeed } from './tpm-tools.ts';
import { CountingSocket, exchangeBare } from './tpm-wire.ts';
import type { Bench, BenchContext, Findings, Row } from './types.ts';

const rounds = { full: 15, quick: 3 };
const kinds: readonly EkKind[] = ['ecc', 'rsa'];
/** Readings of PCRs in a round, by one process and by as many. */
const readings = { one: 1000, many: 20 };
const readPcrs = [0, 1, 2, 3, 4, 5, 6, 7];
const { signal } = new AbortController();

/** Milliseconds of the two proofs of a surface. */
export interface Proofs {
  /** Keys, certificate, activation, quote. */
  readonly enrolment: number;
  /** Quote with keys that are known. */
  readonly renewal: number;
}

/** All about one kind of key. */
export interface Measured {
  readonly kind: EkKind;
  readonly ours: readonly Proofs[];
  readonly theirs: readonly Proofs[];
  /** Commands that the TPM was sent. */
  readonly commands: { readonly ours: Proofs; readonly theirs: Proofs };
}

/** Commands a second on one connection. */
export interface Readings {
  readonly client: number;
  readonly bare: number;
  readonly tools: number;
}

/** Gives what became of it, and what it took. */
type Meter = (work: () => Promise<unknown>) => Promise<number>;

const stopwatch: Meter = async (work) => {
  const from = performance.now();
  await work();
  return performance.now() - from;
};
const commandsOn =
  (counting: CountingSocket): Meter =>
  async (work) => {
    counting.take();
    await work();
    return counting.take();
  };

/** There is no such file: a machine without logs. */
const logsIn = (folder: string) => {
  const none = path.join(folder, 'no-such-log');
  return { firmware: none, ima: none, measured: none, systemd: none };
};

/** One enrolment and one renewal by our prover. The gateway's part in between is not measured, its verdict must be good. */
async function proveByUs(
  context: BenchContext,
  chip: Chip,
  socketPath: string,
  meter: Meter,
): Promise<Proofs> {
  const prover = openProver({
    tpm: new Tpm({ transport: swtpm({ path: socketPath }) }),
    logs: logsIn(context.folder),
    log: silentLog,
    random: Math.random,
  });
  try {
    const known = await measured(meter, () => prover.claims(signal));
    const prove = (asked: Asked) => measured(meter, () => prover.prove(asked.challenge, asked.bound, signal));
    const asked = { first: ask(known.value, true), second: ask(known.value, false) };
    const first = await prove(asked.first);
    const clock = judge(asked.first, chip, first.value, null);
    const second = await prove(asked.second);
    judge(asked.second, chip, second.value, clock);
    return { enrolment: known.cost + first.cost, renewal: second.cost };
  } finally {
    await prover.close();
  }
}

/** The same by tpm2-tools. */
async function proveByTools(script: ToolScript, chip: Chip, meter: Meter): Promise<Proofs> {
  const keys = await meter(() => script.makeKeys());
  const claims = await script.claims();
  const prove = async (asked: Asked, clock: ClockState | null) => {
    await script.receive(asked);
    const cost = await meter(() => script.prove(asked));
    return { cost, clock: judge(asked, chip, await script.evidence(asked), clock) };
  };
  const first = await prove(ask(claims, true), null);
  const second = await prove(ask(claims, false), first.clock);
  return { enrolment: keys + first.cost, renewal: second.cost };
}

/** @param before clock of the evidence that this one goes on from; null: there is none */
function judge(
  asked: Asked,
  { root }: Chip,
  evidence: Evidence,
  before: ClockState | null,
): ClockState | null {
  const subject = caseOf(asked, evidence, before && { logs: noLogs, clock: before });
  return accepted(subject, rulesOf(asked.claims, { root, references: null, level: 0 })).clock;
}

async function measured<Value>(
  meter: Meter,
  work: () => Promise<Value>,
): Promise<{ readonly cost: number; readonly value: Value }> {
  const values: Value[] = [];
  const cost = await meter(async () => values.push(await work()));
  return { cost, value: values[0] as Value };
}

async function measureKind(context: BenchContext, kind: EkKind): Promise<Measured> {
  const chip = await makeChip(context, kind);
  const { path: socketPath } = chip.software;
  const script = await ToolScript.in(path.join(context.folder, kind), { kind, socketPath });
  const counted = await countBoth(context, chip);
  const ours: Proofs[] = [];
  const theirs: Proofs[] = [];
  for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++) {
    ours.push(await proveByUs(context, chip, socketPath, stopwatch));
    theirs.push(await proveByTools(script, chip, stopwatch));
  }
  return { kind, ours, theirs, commands: counted };
}

/** Through a socket that counts, which takes time: nothing else is measured there. */
async function countBoth(context: BenchContext, chip: Chip): Promise<Measured['commands']> {
  const { kind, software } = chip;
  const counting = await CountingSocket.open(path.join(context.folder, `${kind}.sock`), software.path);
  try {
    const { path: socketPath } = counting;
    const script = await ToolScript.in(path.join(context.folder, `${kind}-counted`), { kind, socketPath });
    const ours = await proveByUs(context, chip, socketPath, commandsOn(counting));
    return { ours, theirs: await proveByTools(script, chip, commandsOn(counting)) };
  } finally {
    await counting.close();
  }
}

/** Reads eight PCRs again and again. */
async function measureReadings(context: BenchContext): Promise<Readings[]> {
  const { software } = await makeChip(context, 'ecc');
  const script = await ToolScript.in(path.join(context.folder, 'readings'), {
    kind: 'ecc',
    socketPath: software.path,
  });
  const command = {
    handles: {},
    parameters: { pcrSelectionIn: [{ hash: algorithm.sha256, pcrs: readPcrs }] },
  };
  // TPM2_PCR_Read of the same registers (TPM 2.0 Part 3, section 22.4): one selection, SHA-256, three bytes of bits.
  const bytes = Buffer.from('8001000000140000017e00000001000b03ff0000', 'hex');
  const found: Readings[] = [];
  for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++) {
    const tpm = new Tpm({ transport: swtpm(software.address) });
    const client = await stopwatch(async () => {
      for (let times = 0; times < readings.one; times++) await tpm.execute(pcrsCommands.pcrRead, command);
    });
    await tpm.close();
    const bare = await stopwatch(() => exchangeBare(software.path, bytes, readings.one));
    const line = `tpm2_pcrread -Q sha256:${readPcrs.join(',')}`;
    const tools = await stopwatch(() => script.run(...Array.from({ length: readings.many }, () => line)));
    const rate = (times: number, milliseconds: number) => (times * 1000) / milliseconds;
    found.push({
      client: rate(readings.one, client),
      bare: rate(readings.one, bare),
      tools: rate(readings.many, tools),
    });
  }
  return found;
}

/** Rows of a kind of key: time, round trips, and commands a second of both proofs. */
export function proofRows({ kind, ours, theirs, commands }: Measured): Row[] {
  const peer = 'tpm2-tools in a script';
  const { words } = ekKinds[kind];
  const proofs = [
    ['enrolment', `enrolment proof, ${words} EK (keys, certificate, activation, quote): wall time`],
    ['renewal', `renewal proof, ${words} EK (quote by keys that are known): wall time`],
  ] as const;
  return proofs.flatMap(([proof, what]) => {
    const times = [ours, theirs].map((all) => all.map((one) => one[proof])) as [number[], number[]];
    const trips = [commands.ours[proof], commands.theirs[proof]] as const;
    const rates = times.map((all, side) => all.map((time) => ((trips[side] ?? 0) * 1000) / time));
    return [
      { what, unit: 'ms', ...compare(...times), peer, aim: null },
      {
        what: 'the same: round trips',
        unit: 'commands',
        ...compare([trips[0]], [trips[1]]),
        peer,
        aim: null,
      },
      {
        what: 'the same: commands a second',
        unit: '/s',
        ...compare(rates[0] ?? [], rates[1] ?? []),
        peer,
        aim: null,
      },
    ];
  });
}

/** Rows of single commands. */
export function readingRows(found: readonly Readings[]): Row[] {
  const ours = found.map(({ client }) => client);
  const row = (what: string, peer: string, theirs: readonly number[]): Row => ({
    what,
    unit: '/s',
    ...compare(ours, theirs),
    peer,
    aim: null,
  });
  return [
    row(
      'eight PCRs read again and again: commands a second',
      'bare socket with the same bytes, nothing decoded',
      found.map(({ bare }) => bare),
    ),
    row(
      'the same',
      'tpm2_pcrread, a process a command',
      found.map(({ tools }) => tools),
    ),
  ];
}

async function run(context: BenchContext): Promise<Findings> {
  const all: Measured[] = [];
  for (const kind of kinds) all.push(await measureKind(context, kind));
  const found = await measureReadings(context);
  return {
    rows: [...all.flatMap(proofRows), ...readingRows(found)],
    details: { proofs: all, readings: found },
  };
}

export const tpmEnrol: Bench = {
  name: 'tpm-enrol',
  title: 'Proofs by a TPM',
  needs: ['swtpm', toolsNeed],
  run,
};
