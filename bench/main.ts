/** `npm run bench`: runs the benches, prints the table, keeps the numbers. Started by scripts/bench.mjs in the root. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { brokers } from './brokers.ts';
import { faderSweep } from './fader-sweep.ts';
import { frameBytes } from './frame-bytes.ts';
import { gpioEdges } from './gpio-edges.ts';
import { idleLink } from './idle-link.ts';
import { idlePanel } from './idle-panel.ts';
import { image } from './image.ts';
import { midiToPut } from './midi-to-put.ts';
import { podToLight } from './pod-to-light.ts';
import { powerOn } from './power-on.ts';
import { mergedResults, readReport, writeReport } from './saved.ts';
import { scale } from './scale.ts';
import { planTable } from './scale-plan.ts';
import { headlines, markdownTable, withTable } from './table.ts';
import { touchToIntent } from './touch-to-intent.ts';
import { tpmEnrol } from './tpm-enrol.ts';
import type { Bench, BenchResult, Making } from './types.ts';
import { verifier } from './verifier.ts';
import { watchMemory } from './watch-memory.ts';

const benches: readonly Bench[] = [
  midiToPut,
  faderSweep,
  podToLight,
  brokers,
  watchMemory,
  idleLink,
  gpioEdges,
  touchToIntent,
  frameBytes,
  idlePanel,
  tpmEnrol,
  verifier,
  powerOn,
  scale,
  image,
];

/** Folders of benches under way; removed at the latest when the process ends. */
const folders = new Set<string>();
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const say = (text: string): void => {
  process.stderr.write(`bench: ${text}\n`);
};

/** Runs one bench and ends everything that it started. */
async function runOne(bench: Bench, making: Making): Promise<BenchResult> {
  const { name, title } = bench;
  const { isQuick } = making;
  const startedAt = performance.now();
  const ends: (() => Promise<unknown> | unknown)[] = [];
  const result = (findings: BenchResult['findings'], problem: string | null): BenchResult => ({
    name,
    title,
    ...making,
    tookSeconds: Math.round((performance.now() - startedAt) / 100) / 10,
    findings,
    problem,
  });
  const missing = bench.needs.filter((program) => spawnSync(program, ['--help']).error !== undefined);
  if (missing.length > 0) return result(null, `${missing.join(', ')} is not installed`);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'surfaced-bench-'));
  folders.add(folder);
  ends.push(() => rm(folder, { recursive: true, force: true }));
  try {
    const findings = await bench.run({ isQuick, folder, defer: (end) => void ends.push(end), say });
    return result(findings, null);
  } catch (error) {
    say(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    return result(null, error instanceof Error ? error.message : String(error));
  } finally {
    for (const end of ends.reverse()) {
      try {
        await end();
      } catch (error) {
        say(`${name}: something did not end: ${String(error)}`);
      }
    }
  }
}

/** First line that a program says of itself. */
const firstLine = (command: string, ...args: string[]): string => {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return stdout?.split('\n')[0]?.trim() ?? '';
};

function machine(): Making['machine'] {
  const [cpu] = os.cpus();
  return {
    CPU: `${os.cpus().length} x ${cpu?.model.trim() ?? os.arch()}`,
    Node: process.versions.node,
    // The version; what follows it names somebody's own build.
    system: `${os.type()} ${os.release().replace(/[^\d.].*/, '')}`,
    mosquitto: /version (\S+)/.exec(firstLine('mosquitto', '-h'))?.[1] ?? 'none',
    swtpm: /version ([\d.]+)/.exec(firstLine('swtpm', '--version'))?.[1] ?? 'none',
    'tpm2-tools': /version="([\d.]+)/.exec(firstLine('tpm2_quote', '--version'))?.[1] ?? 'none',
    qemu: /version ([\d.]+)/.exec(firstLine('qemu-system-aarch64', '--version'))?.[1] ?? 'none',
    kubectl: /v[\d.]+/.exec(firstLine('kubectl', 'version', '--client'))?.[0] ?? 'none',
    'load before': (os.loadavg()[0] ?? 0).toFixed(1),
  };
}

interface Flags {
  readonly only?: string;
  readonly quick?: true;
  readonly save?: true;
  readonly readme?: true;
}

/** Kept from run to run, so that a run of one bench leaves the rows of the others where they are. */
const savedFile = path.join('docs', 'bench.json');
const latestFile = path.join('bench', 'results', 'latest.json');

const pointer = `The first row of each bench and what misses its aim; all rows and how they were measured: [bench/README.md](bench/README.md).`;

async function putTable(file: string, table: string): Promise<void> {
  const text = withTable(await readFile(file, 'utf8'), table);
  if (text === null) throw new Error(`${file} has no <!-- bench --> and <!-- /bench -->`);
  await writeFile(file, text);
}

async function main({ only, quick, save, readme }: Flags): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the benches read /proc: they run on Linux only');
  const chosen = benches.filter(({ name }) => only === undefined || name === only);
  const making = { madeAt: new Date().toISOString(), isQuick: quick === true, machine: machine() };
  const results: BenchResult[] = [];
  for (const bench of chosen) {
    say(bench.title);
    const result = await runOne(bench, making);
    say(`  ${result.problem ?? 'done'} after ${result.tookSeconds} s`);
    results.push(result);
  }
  process.stdout.write(`${markdownTable({ results })}\n`);
  await writeReport(latestFile, { results });
  const names = benches.map(({ name }) => name);
  const all = { results: mergedResults(names, (await readReport(savedFile)).results, results) };
  if (save) await writeReport(savedFile, all);
  if (readme) {
    await putTable('README.md', `${markdownTable(headlines(all))}\n\n${pointer}`);
    await putTable(path.join('bench', 'README.md'), markdownTable(all));
    await putTable(path.join('docs', 'scale.md'), planTable(all));
  }
  if (results.some(({ problem }) => problem !== null)) process.exitCode = 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const program = new Command('npm run bench --')
  .description('Measures surfaced beside its peers; prints a table and writes bench/results/latest.json.')
  .addOption(new Option('--only <name>', 'run one bench').choices(benches.map(({ name }) => name)))
  .option('--quick', 'fewer rounds: to see that it works, not to quote')
  .option('--save', 'keep the numbers in docs/bench.json too, beside those of benches that did not run')
  .option('--readme', 'put the tables into README.md, bench/README.md and docs/scale.md')
  .action(main);
await program.parseAsync();
