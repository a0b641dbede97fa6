/** A machine that is a surface: a folder as its card, a software TPM at the end of a link, `surfaced device`. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { openTpm } from '../../daemon/attest/open-tpm.ts';
import { statusOf, type TpmStatus } from '../../daemon/attest/tpm2/index.ts';
import { SoftwareTpm } from '../../hil/software-tpm.ts';
import type { AttestSite } from './attest-site.ts';
import { Surfaced, surfaced } from './processes.ts';

/** Runs until the test is over, if its power is not cut before. */
export class Machine {
  /** All that is kept while the power is off, as on an SD card. */
  readonly folder: string;
  readonly deviceFile: string;
  /** Where its panel is plugged in. */
  readonly panelPort: string;
  readonly #test: Test;
  #chip: SoftwareTpm;
  #device: Surfaced | null = null;

  private constructor(test: Test, folder: string, chip: SoftwareTpm) {
    this.#test = test;
    this.folder = folder;
    this.deviceFile = path.join(folder, 'surfaced.yaml');
    this.panelPort = path.join(folder, 'panel');
    this.#chip = chip;
  }

  /** A new machine with a new TPM, whose Device file is the one that `surfaced enroll config` makes. */
  static async assemble(test: Test, site: AttestSite, name: string): Promise<Machine> {
    const machine = await Machine.withCard(test, path.join(site.folder, name));
    const panel = ['--preset', 'mackie-control', '--port-type', 'pty', '--port', machine.panelPort];
    const text = await site.command('enroll', 'config', '--tpm', ...panel, '-o', 'json');
    const device = JSON.parse(text) as object;
    const none = path.join(machine.folder, 'none');
    const tpm = {
      swtpm: machine.socket,
      firmwareLog: none,
      imaLog: none,
      measuredLog: machine.measuredLog,
      systemdLog: none,
    };
    await writeFile(machine.deviceFile, stringify({ ...device, identity: { tpm } }));
    return machine;
  }

  /** A machine with a TPM of its own around a folder, which may be there already. */
  static async withCard(test: Test, folder: string): Promise<Machine> {
    await mkdir(folder, { recursive: true });
    const machine = new Machine(test, folder, await newChip(test));
    await machine.#connectChip();
    return machine;
  }

  /** Where its TPM answers. */
  get socket(): string {
    return path.join(this.folder, 'tpm');
  }

  /** Log of `surfaced measure`; on a Pi it is in memory. */
  get measuredLog(): string {
    return path.join(this.folder, 'measure.log');
  }

  /** The copy of that log that is kept. */
  get savedLog(): string {
    return path.join(this.folder, 'saved/measure.log');
  }

  /** The running device. */
  get device(): Surfaced {
    if (this.#device === null) throw new Error('the machine is off');
    return this.#device;
  }

  /** What the TPM says of itself. Only while the device is off: a software TPM takes one connection at a time. */
  async tpmStatus(): Promise<TpmStatus> {
    const tpm = openTpm({ swtpm: this.socket });
    try {
      return await tpm.scope((scope) => statusOf(scope));
    } finally {
      await tpm.close();
    }
  }

  /** `surfaced measure` of the Device file and these files, as a unit does it before the device starts. */
  async measure(...files: readonly string[]): Promise<void> {
    await surfaced('measure', '--config', this.deviceFile, '--saved', this.savedLog, ...files);
  }

  startDevice(): Surfaced {
    const device = new Surfaced(path.basename(this.folder), ['device', '--config', this.deviceFile]);
    this.#test.teardown(() => device.end('SIGKILL'));
    this.#device = device;
    return device;
  }

  /** Everything stops where it is; what is in memory is gone. */
  async cutPower(): Promise<void> {
    await Promise.all([this.#chip.cutPower(), this.#device?.end('SIGKILL')]);
    this.#device = null;
    await rm(this.measuredLog, { force: true });
  }

  /** The machine is started anew by software, and its TPM is not reset: on a Pi's header it has no line for that. */
  async restart(): Promise<void> {
    await this.#device?.end('SIGKILL');
    this.#device = null;
    await rm(this.measuredLog, { force: true });
  }

  /** The TPM has power again; nothing runs yet. */
  async powerOn(): Promise<void> {
    await this.#chip.start();
  }

  /** Puts another TPM in, and gives the one that was there; the machine must be off, and stays off. */
  async exchangeChip(chip: SoftwareTpm | null): Promise<SoftwareTpm> {
    const before = this.#chip;
    this.#chip = chip ?? (await newChip(this.#test));
    if (chip === null) await this.#chip.cutPower();
    await this.#connectChip();
    return before;
  }

  async #connectChip(): Promise<void> {
    await rm(this.socket, { force: true });
    await symlink(this.#chip.path, this.socket);
  }
}

async function newChip(test: Test): Promise<SoftwareTpm> {
  const chip = await SoftwareTpm.begin({ state: null });
  test.teardown(() => chip.end());
  return chip;
}
