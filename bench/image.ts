/** The SD-card image beside Debian's own system for the same board, with the same daemon installed by hand, in one emulator. */
import { createInterface } from 'node:readline';
import type { ImageRounds, Start, System } from './parts/image-readings.ts';
import { endProcess, startProgram } from './processes.ts';
import { compare } from './statistics.ts';
import type { Aim, Bench, BenchContext, Findings, Row } from './types.ts';

const rounds = { full: 3, quick: 1 };
const megabyte = 1e6;
/** What the project aims at for the file that is downloaded, MB. */
const mostDownloaded = 170;
const peer = 'Debian 13 for the Raspberry Pi, the package installed by apt';

/** Rows of what was measured. */
export function imageRows({ ours, theirs }: ImageRounds): Row[] {
  const timed = (what: string, pick: (start: Start) => number): Row =>
    row(what, 's', (start) => pick(start) / 1000);
  const row = (what: string, unit: string, pick: (start: Start) => number): Row => ({
    what,
    unit,
    ...compare(ours.starts.map(pick), theirs.starts.map(pick)),
    peer,
    aim: null,
  });
  const fixed = (what: string, unit: string, pick: (system: System) => number, aim: Aim | null): Row => ({
    what,
    unit,
    ...compare([pick(ours.system)], [pick(theirs.system)]),
    peer,
    aim,
  });
  const rows = [
    timed('image in QEMU: kernel start to panel lit', ({ litMs }) => litMs),
    timed('the same: to attested (certificate issued)', ({ attestedMs }) => attestedMs),
    timed('the same: to first scale, a fader moved when the panel is live', ({ scaledMs }) => scaledMs),
    row('the same: memory in use 10 s after the panel is live', 'MiB', ({ memoryUsedMib }) => memoryUsedMib),
    fixed('the same: what is installed of Debian', 'packages', ({ packages }) => packages, null),
    fixed('the same: bytes used on the card', 'MB', ({ usedBytes }) => usedBytes / megabyte, null),
  ];
  const isCompressed = ours.system.xzBytes !== null && theirs.system.xzBytes !== null;
  if (isCompressed)
    rows.push(
      fixed(
        'the same: the card compressed by xz -6',
        'MB',
        ({ xzBytes }) => (xzBytes ?? Number.NaN) / megabyte,
        { oursAtMost: mostDownloaded },
      ),
    );
  return rows;
}

async function run({ isQuick, defer, say }: BenchContext): Promise<Findings> {
  const count = isQuick ? rounds.quick : rounds.full;
  // From source, as the image is built: it finds its files beside its sources.
  const child = startProgram(process.execPath, [
    ...['--import=tsx', 'bench/parts/image-rounds.ts'],
    ...[String(count), isQuick ? 'without-xz' : 'with-xz'],
  ]);
  defer(() => endProcess(child));
  let last = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    last = line;
    say(`  ${line.replace(/^surfaced: /, '')}`);
  });
  let text = '';
  for await (const part of child.stdout!.setEncoding('utf8')) text += part;
  if (text === '') throw new Error(last);
  const measured = JSON.parse(text) as ImageRounds;
  return { rows: imageRows(measured), details: { ...measured } };
}

export const image: Bench = {
  name: 'image',
  title: 'The SD-card image',
  needs: ['qemu-system-aarch64', 'swtpm', 'mmdebstrap', 'update-binfmts', 'ssh', 'kubectl'],
  run,
};
