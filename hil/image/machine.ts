/**
 * A machine that boots a card as a Raspberry Pi does, in QEMU: Debian's U-Boot, the card's own boot script, kernel and
 * slots, a TPM, a panel on a USB serial adapter, a network, a watchdog. All emulated, so it needs no KVM and is slow.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, stat, truncate } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { waitFor } from '../rig/guest/wait.ts';
import { ConsoleLines } from './console-lines.ts';
import { ensureFirmware, writeFlash } from './firmware.ts';
import { ensureTpmModule } from './tpm-module/tpm-module.ts';

const tpmTimeoutMs = 10_000;
const sectorBytes = 512;

/** What a machine is made of. */
export interface MachineOptions {
  readonly toolbox: Toolbox;
  /** Image of the card. */
  readonly card: string;
  /** True: what the machine writes to the card is in the file afterwards. False: it is gone when the machine ends. */
  readonly isCardWritten: boolean;
  readonly tpm: {
    /** Folder of its state, made when it is not there; one machine at a time. */
    readonly folder: string;
    /** Of the image: its driver must be of this kernel. */
    readonly kernelVersion: string;
  } | null;
  /** Path of the Unix socket on which the panel's serial line is offered to one who connects; null: no adapter. */
  readonly serialPanel: string | null;
  /** Image of a USB stick that is plugged in; null: none. */
  readonly usbStick: string | null;
  /** TCP ports of 127.0.0.1 that lead to ports of the machine. From there 10.0.2.2 is this host. */
  readonly hostForwards: readonly { readonly host: number; readonly guest: number }[];
  readonly memoryMiB: number;
  /** What the machine's clock shows at its start, `YYYY-MM-DDTHH:MM:SS`; null: the time of this host. */
  readonly clock: string | null;
  /** File that gets all of the console; null: none. */
  readonly consoleFile: string | null;
  /** Ends the machine. */
  readonly signal: AbortSignal | null;
}

/** A machine that runs. */
export interface Machine {
  /** The console from the start on: U-Boot, kernel, and what is written to /dev/console. */
  readonly console: ConsoleLines;
  /**
   * The first line of the console that matches, from number `from` on. Rejects when it does not come in time or the
   * machine ends.
   */
  waitForLine(
    pattern: RegExp,
    options: { readonly from: number; readonly timeoutMs: number },
  ): Promise<{ readonly line: string; readonly number: number }>;
  /** Writes to the console as a keyboard would. */
  type(text: string): void;
  /** Pulls the plug: nothing is written any more, nobody is told. The next machine with the same card goes on. */
  cutPower(): Promise<void>;
  /** Presses the reset button: the same machine starts anew. */
  reset(): Promise<void>;
  /** As {@link cutPower}, and may be called twice. */
  stop(): Promise<void>;
  /** Resolves when the machine is off, whoever turned it off: with true when its system did. */
  readonly ended: Promise<boolean>;
}

/** Turns a machine on. Rejects with E_IMAGE_STEP when its firmware or driver cannot be had. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { toolbox, tpm, signal } = options;
  const firmware = await ensureFirmware(toolbox);
  const archive = tpm === null ? null : await ensureTpmModule(toolbox, tpm.kernelVersion);
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-machine-'));
  const children: ChildProcess[] = [];
  try {
    const flash = path.join(folder, 'flash');
    const archiveBytes = archive === null ? null : (await stat(archive)).size;
    await writeFlash({ firmware, archiveBytes, output: flash });
    const devices = ['-bios', firmware, '-drive', `if=pflash,index=1,format=raw,file=${flash}`];
    // In this order, so that U-Boot counts the card as the first disk.
    devices.push(...disk('card', options.card, !options.isCardWritten, 1));
    if (archive !== null) {
      const second = path.join(folder, 'archive');
      await copyFile(archive, second);
      await truncate(second, Math.ceil((await stat(second)).size / sectorBytes) * sectorBytes);
      devices.push(...disk('archive', second, true, 2));
    }
    if (tpm !== null) devices.push(...(await startTpm(tpm.folder, folder, children)));
    const monitor = path.join(folder, 'monitor');
    devices.push(
      '-chardev',
      `socket,id=monitor,path=${monitor},server=on,wait=off`,
      '-mon',
      'chardev=monitor',
    );
    const child = spawnWithUs('qemu-system-aarch64', [...boardArguments(options), ...devices]);
    children.push(child);
    return running({ child, children, folder, monitor, consoleFile: options.consoleFile, signal });
  } catch (problem) {
    await endAll(children);
    await rm(folder, { recursive: true, force: true });
    throw problem;
  }
}

/** A disk at a place of its own on the bus. */
function disk(id: string, file: string, isSnapshot: boolean, slot: number): string[] {
  const drive = `if=none,id=${id},format=raw,file=${file},snapshot=${isSnapshot ? 'on' : 'off'}`;
  return ['-drive', drive, '-device', `virtio-blk-pci,drive=${id},addr=${slot}`];
}

function boardArguments({ serialPanel, usbStick, hostForwards, memoryMiB, clock }: MachineOptions): string[] {
  const forwards = hostForwards.map(({ host, guest }) => `,hostfwd=tcp:127.0.0.1:${host}-:${guest}`).join('');
  const panel =
    serialPanel === null
      ? []
      : [
          ...['-chardev', `socket,id=panel,path=${serialPanel},server=on,wait=off`],
          ...['-device', 'usb-serial,chardev=panel'],
        ];
  const stick =
    usbStick === null
      ? []
      : [
          ...['-drive', `if=none,id=stick,format=raw,file=${usbStick}`],
          ...['-device', 'usb-storage,drive=stick,removable=on'],
        ];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...[
      '-machine',
      'virt',
      '-accel',
      // What it has translated before a restart slows down whatever writes to that memory afterwards, by minutes when it is
      // the 1 GB that QEMU keeps otherwise.
      'tcg,thread=multi,tb-size=128',
      '-cpu',
      'cortex-a72',
      '-smp',
      '2',
      '-m',
      String(memoryMiB),
    ],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-netdev', `user,id=net${forwards}`, '-device', 'virtio-net-pci,netdev=net,addr=3,romfile='],
    ...['-device', 'virtio-rng-pci,addr=4'],
    ...['-device', 'i6300esb,addr=6', '-action', 'watchdog=reset'],
    ...(clock === null ? [] : ['-rtc', `base=${clock}`]),
    ...['-device', 'qemu-xhci,addr=5'],
    ...panel,
    ...stick,
  ];
}

async function startTpm(state: string, folder: string, children: ChildProcess[]): Promise<string[]> {
  await mkdir(state, { recursive: true });
  const socket = path.join(folder, 'tpm');
  const control = ['--ctrl', `type=unixio,path=${socket}`, '--terminate'];
  const child = spawnWithUs('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${state}`, ...control]);
  children.push(child);
  await once(child, 'spawn');
  await waitFor('The TPM', tpmTimeoutMs, () => (existsSync(socket) ? true : null));
  return [
    ...['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-tis-device,tpmdev=tpm0'],
  ];
}

/** A child that ends with this process, however that ends. */
const spawnWithUs = (command: string, args: readonly string[]): ChildProcess =>
  spawn('setpriv', ['--pdeathsig', 'KILL', 'nice', command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }),
  );
}

function running(parts: {
  readonly child: ChildProcess;
  readonly children: readonly ChildProcess[];
  readonly folder: string;
  readonly monitor: string;
  readonly consoleFile: string | null;
  readonly signal: AbortSignal | null;
}): Machine {
  const { child, children, folder, monitor, consoleFile, signal } = parts;
  const lines = new ConsoleLines();
  const file = consoleFile === null ? null : createWriteStream(consoleFile);
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    lines.write(text);
    file?.write(text);
  });
  let problems = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    problems = (problems + text).slice(-2_000);
  });
  // What is typed into a machine that is off is lost.
  child.stdin?.on('error', () => undefined);
  const stop = () => endAll(children);
  const onAbort = () => void stop();
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', (error) => lines.end(`QEMU cannot be started: ${error.message}`));
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', onAbort);
      lines.end(`the machine is off (QEMU ended with ${killedBy ?? code}) ${problems.trim()}`.trim());
      file?.end();
      void stop().then(() => rm(folder, { recursive: true, force: true }).then(() => resolve(code === 0)));
    });
  });
  const off = async (): Promise<void> => {
    await stop();
    await ended;
  };
  return {
    console: lines,
    waitForLine: (pattern, { from, timeoutMs }) => lines.waitFor(pattern, { from, timeoutMs, signal }),
    type: (text) => void child.stdin?.write(text),
    cutPower: off,
    reset: () => order(monitor, 'system_reset'),
    stop: off,
    ended,
  };
}

/** One order to QEMU's monitor; it is carried out when the monitor asks for the next one. */
async function order(monitor: string, command: string): Promise<void> {
  const socket = connect(monitor);
  try {
    const prompts = /\(qemu\) /g;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).once('close', () => reject(new Error('QEMU closed its monitor')));
      let sent = false;
      socket.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const count = [...said.matchAll(prompts)].length;
        if (count > 0 && !sent) {
          sent = true;
          said = '';
          socket.write(`${command}\n`);
        } else if (count > 0) resolve();
      });
    });
  } finally {
    socket.destroy();
  }
}
