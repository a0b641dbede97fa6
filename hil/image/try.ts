/**
 * `npm run image:try -- CARD`: a machine for people. It boots the card in QEMU with a TPM of its own, and has its panel in
 * this terminal. What the machine writes is on the card afterwards, and the TPM stays the same, in a folder beside it.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureToolbox } from '../../image/toolbox/toolbox.ts';
import { MackieDesk, words } from '../sim/panel/mackie-desk.ts';
import { builtCard } from './built-card.ts';
import { startMachine } from './machine.ts';
import { SocketPort } from './panel-port.ts';

/** As a Raspberry Pi 3 and 4 have at least. */
const memoryMiB = 1024;
/** What files that xz has compressed begin with (The .xz File Format, section 2.1.1.1). */
const xzMagic = Buffer.from('fd377a585a00', 'hex');
/** Texts that follow each other closely are shown as one. */
const restMs = 300;

const help = `What you can say to the panel, a Mackie Control at the machine's /dev/ttyUSB0:

${words}
off                pulls the plug, as Ctrl-C does; the card stays as it is
help               this text
`;
const tell = (text: string): void => void process.stdout.write(`${text}\n`);

/** The version of the kernel on a card is told by the file beside the image that it was copied from. */
async function tryCard(card: string): Promise<void> {
  if (!existsSync(card))
    throw new Error(`${card}: no such file; docs/build-a-surface.md says how it is made`);
  const isCompressed = (await beginning(card, xzMagic.length)).equals(xzMagic);
  if (isCompressed) throw new Error(`${card}: it is compressed; xz -dc makes a card of it`);
  const toolbox = await ensureToolbox();
  const { info } = builtCard();
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-try-'));
  const serialPanel = path.join(folder, 'panel');
  const consoleFile = `${card}.console`;
  const machine = await startMachine({
    toolbox,
    card,
    isCardWritten: true,
    tpm: { folder: `${card}.tpm`, kernelVersion: info.kernel },
    serialPanel,
    usbStick: null,
    hostForwards: [],
    memoryMiB,
    clock: null,
    consoleFile,
    signal: null,
  });
  const isOff = new AbortController();
  const gone = machine.ended.then(async () => {
    isOff.abort();
    await rm(folder, { recursive: true, force: true });
  });
  process.once('SIGTERM', () => void machine.cutPower());
  tell(
    `The machine is on; its console is in ${consoleFile}. Its panel is dark for the first minutes.\n\n${help}`,
  );

  const input = createInterface({ input: process.stdin, output: process.stdout });
  const port = await SocketPort.plug(serialPanel, isOff.signal);
  const desk = new MackieDesk();
  let work = Promise.resolve();
  input.on('line', (line) => {
    if (line.trim() === 'off') return void machine.cutPower();
    if (line.trim() === '') return;
    const moves = line.trim() === 'help' ? null : desk.hands(line);
    if (moves === null) return tell(line.trim() === 'help' ? help : `"${line}" is nothing to do; say help`);
    work = work.then(async () => {
      for (const { bytes, restMs: rest } of moves) {
        port.send(...bytes);
        await pause(rest);
      }
    });
  });
  input.once('SIGINT', () => void machine.cutPower());
  void showDisplay(port, desk);
  await gone;
  input.close();
  process.stdin.destroy();
  tell('The machine is off.');
}

async function beginning(file: string, bytes: number): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Writes the display whenever it has another text; until the machine is off. */
async function showDisplay(port: SocketPort, desk: MackieDesk): Promise<never> {
  let shown = '';
  let timer: NodeJS.Timeout | null = null;
  const show = (): void => {
    timer = null;
    const text = desk.rows.map((row) => `  | ${row} |`).join('\n');
    if (text === shown) return;
    shown = text;
    tell(`\n${text}`);
  };
  for (;;) {
    desk.take(await port.next());
    timer ??= setTimeout(show, restMs);
    timer.unref();
  }
}

const [card] = process.argv.slice(2);
try {
  if (card === undefined) throw new Error('name the card');
  await tryCard(path.resolve(card));
} catch (error) {
  process.stderr.write(`surfaced: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
