/** Boots Debian's kernel in QEMU on this checkout, with two processors, and runs one program in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { programScript, type RigOutcome, type RigProgram } from '../rig/boot.ts';
import { waitFor } from '../rig/guest/wait.ts';
import { ensureGuest } from './kernel/make.mjs';
import { firmwareFolder } from './prepare.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
/** Enough of the kernel's own messages to see why it died. */
const consoleLinesKept = 40;
const tpmTimeoutMs = 5_000;

/** One run of a program in the guest. */
export interface GuestRun extends Omit<RigProgram, 'kernel'> {
  /** More words for the kernel's command line. */
  readonly kernelArguments: readonly string[];
  /** True: UEFI firmware and a TPM 2.0, both of software, begin the boot and measure it. */
  readonly isMeasured: boolean;
}

/**
 * Boots, runs the program, powers off. The guest sees the host's files and cannot change them. Rejects when the guest
 * dies, when the time is over or when the signal fires; nothing of it is left running in any case.
 */
export async function bootGuest(run: GuestRun): Promise<RigOutcome> {
  const exchange = await mkdtemp(path.join(tmpdir(), 'surfaced-qemu-'));
  // Beside the exchange folder, not in it: the guest has no business with them.
  const state = await mkdtemp(path.join(tmpdir(), 'surfaced-qemu-state-'));
  const control = new AbortController();
  const tpm = run.isMeasured ? await startTpm(state, control.signal) : [];
  try {
    await writeFile(path.join(exchange, 'program'), programScript(run));
    const consoleFile = path.join(state, 'console');
    const firmware = run.isMeasured ? await firmwareArguments(state) : [];
    const devices = [...guestArguments(run, exchange, consoleFile), ...firmware, ...tpm];
    const output = await runQemu(run, devices, consoleFile);
    const status = await readFile(path.join(exchange, 'status'), 'utf8').catch(async (cause: unknown) => {
      throw new Error(`The guest ended before the program did:\n${await lastLines(consoleFile)}`, { cause });
    });
    return { exitCode: Number(status), output };
  } finally {
    control.abort();
    await Promise.all([exchange, state].map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

function guestArguments({ kernelArguments }: GuestRun, exchange: string, consoleFile: string): string[] {
  const { kernel, initramfs } = ensureGuest();
  const words = [
    'console=ttyS0',
    'quiet',
    // With -no-reboot a kernel that dies ends QEMU at once.
    'panic=-1',
    `rig.init=${path.join(here, 'init.sh')}`,
    ...kernelArguments,
  ];
  const share = 'security_model=none,multidevs=remap';
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '1024'],
    ...['-kernel', kernel, '-initrd', initramfs, '-append', words.join(' ')],
    ...['-chardev', `file,id=console,path=${consoleFile}`, '-serial', 'chardev:console'],
    ...['-chardev', 'stdio,id=output,signal=off', '-device', 'virtio-serial-pci'],
    ...['-device', 'virtserialport,chardev=output,name=output'],
    ...['-virtfs', `local,path=/,mount_tag=root,readonly=on,${share}`],
    ...['-virtfs', `local,path=${exchange},mount_tag=exchange,${share}`],
  ];
}

/** UEFI firmware, with variables of its own. */
async function firmwareArguments(state: string): Promise<string[]> {
  const variables = path.join(state, 'variables');
  await copyFile(path.join(firmwareFolder, 'OVMF_VARS_4M.fd'), variables);
  const code = path.join(firmwareFolder, 'OVMF_CODE_4M.fd');
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
  ];
}

/** A new TPM, which ends when QEMU lets go of it or the signal fires. */
async function startTpm(state: string, signal: AbortSignal): Promise<string[]> {
  const folder = path.join(state, 'tpm');
  await mkdir(folder);
  const socket = path.join(state, 'tpm.sock');
  const control = ['--ctrl', `type=unixio,path=${socket}`, '--terminate'];
  const child = spawnWithUs('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${folder}`, ...control], signal);
  child.on('error', () => {});
  await once(child, 'spawn');
  await waitFor('The TPM', tpmTimeoutMs, () => (existsSync(socket) ? true : null));
  return [
    ...['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm0'],
  ];
}

/** A child that ends with this process, however that ends. */
function spawnWithUs(command: string, args: readonly string[], signal: AbortSignal): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    // QEMU takes the end of its input for the end of the program's reader, and drops all output.
    stdio: ['pipe', 'pipe', 'pipe'],
    killSignal: 'SIGKILL',
    signal,
  });
}

/** Every line of the program; rejects when QEMU ends in any other way than by the guest's power-off. */
async function runQemu(
  { timeoutMs, onOutput, signal }: GuestRun,
  args: readonly string[],
  consoleFile: string,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const end = signal === null ? timeout : AbortSignal.any([signal, timeout]);
  const child = spawnWithUs('qemu-system-x86_64', args, end);
  const lines: string[] = [];
  const problems: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line);
    onOutput(line);
  });
  createInterface({ input: child.stderr! }).on('line', (line) => problems.push(line));
  const failure = await new Promise<unknown>((resolve) => {
    let cause: unknown = null;
    child.once('error', (error) => {
      cause = error;
    });
    child.once('close', (code) => resolve(cause ?? (code === 0 ? null : `exit code ${code}`)));
  });
  if (failure === null) return lines.join('\n');
  const last = [...lines.slice(-10), await lastLines(consoleFile), ...problems].join('\n');
  const reason = timeout.aborted
    ? `did not end within ${timeoutMs / 1000} s`
    : `was ended early (${String(failure)})`;
  throw new Error(`QEMU ${reason}. The last lines:\n${last}`, { cause: failure });
}

/** The end of what the firmware and the kernel wrote. */
async function lastLines(consoleFile: string): Promise<string> {
  const text = await readFile(consoleFile, 'utf8').catch(() => '');
  return text.replaceAll('\r', '').split('\n').slice(-consoleLinesKept).join('\n');
}
