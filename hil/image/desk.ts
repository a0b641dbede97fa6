/**
 * A machine in its surroundings, as a maker has them on the desk: a panel at its USB port, a TPM, and in the network a
 * gateway with its cluster. Times are those of this process (performance.now()).
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { AttestSite, type Ends } from '../../test/e2e/attest-site.ts';
import { Mackie } from '../../test/e2e/mackie.ts';
import { freePort, kubectl } from '../../test/e2e/processes.ts';
import { type Machine, startMachine } from './machine.ts';
import { SocketPort } from './panel-port.ts';

/** This machine, as one in QEMU's user network sees it. */
const hostAddress = '10.0.2.2';
const sshPort = 22;
/** As a Raspberry Pi 3 and 4 have at least. */
const memoryMiB = 1024;
const mostReplicas = 8;
/** The workload of {@link AttestSite}. */
const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };
/** What the display says, in the 56 characters that it has. */
const shownCode = /Code (\d{4}-\d{4}), to be approved/;

/** Name of the surface in the registry. */
export const surfaceName = 'desk';
/** Where the fader stands for a number of replicas. */
export const placeOf = (count: number): number => 0.02 + (0.96 * (count - 1)) / (mostReplicas - 1);

/** What a desk is made of. */
export interface DeskOptions {
  readonly test: Ends;
  readonly toolbox: Toolbox;
  /** Version of the kernel on the card, for the driver of the TPM. */
  readonly kernelVersion: string;
  /** `policy` of the Gateway file. */
  readonly policy: object;
  /** `updates` of the Gateway file; null: it offers none. */
  readonly updates: object | null;
  readonly certificateTtlSeconds: number;
}

/** Runs until the test is over. */
export class Desk {
  readonly site: AttestSite;
  /** Of 127.0.0.1; leads to the machine's port 22. */
  readonly sshPort: number;
  readonly #options: DeskOptions;
  #panel: Mackie | null = null;
  #machine: Machine | null = null;

  private constructor(site: AttestSite, ssh: number, options: DeskOptions) {
    this.site = site;
    this.sshPort = ssh;
    this.#options = options;
  }

  /** The gateway runs and knows what the surface's fader is for; there is no machine yet. */
  static async make(options: DeskOptions): Promise<Desk> {
    const { test, policy, updates, certificateTtlSeconds } = options;
    const site = await AttestSite.make(test, {
      certificateTtlSeconds,
      hosts: [hostAddress],
      policy,
      updates,
      surfaces: { [surfaceName]: [{ control: 'fader1', target, max: mostReplicas }] },
    });
    await site.startGateway();
    const desk = new Desk(site, await freePort(), options);
    test.teardown(() => desk.powerCut());
    return desk;
  }

  /** What `surfaced enroll config` writes for a surface with a TPM whose panel is at its USB serial adapter. */
  async deviceFile(): Promise<string> {
    const text = await readFile(this.site.gatewayFile, 'utf8');
    const { enrol } = parse(text) as { readonly enrol: { readonly listen: string } };
    const port = enrol.listen.split(':').at(-1);
    return this.site.command(
      ...['enroll', 'config', '--tpm', '--preset', 'mackie-control', '--port-type', 'serial'],
      ...['--port', '/dev/ttyUSB0', '--url', `https://${hostAddress}:${port}`],
    );
  }

  /** The machine that is on. */
  get machine(): Machine {
    if (this.#machine === null) throw new Error('the machine is off');
    return this.#machine;
  }

  /** Its panel. */
  get panel(): Mackie {
    if (this.#panel === null) throw new Error('the machine is off');
    return this.#panel;
  }

  /** All of the console of the machine that was turned on last. */
  get consoleFile(): string {
    return path.join(this.site.folder, 'console');
  }

  /**
   * Turns on a machine with this card, which it writes to; nothing is waited for. The TPM is always the same.
   * @param usbStick image of a stick that is plugged in; null: none
   */
  async powerOn(card: string, usbStick: string | null): Promise<Machine> {
    const { toolbox, kernelVersion } = this.#options;
    const serialPanel = path.join(this.site.folder, 'panel');
    const machine = await startMachine({
      toolbox,
      card,
      isCardWritten: true,
      tpm: { folder: path.join(this.site.folder, 'tpm'), kernelVersion },
      serialPanel,
      usbStick,
      hostForwards: [{ host: this.sshPort, guest: sshPort }],
      memoryMiB,
      clock: null,
      consoleFile: this.consoleFile,
      signal: null,
    });
    this.#machine = machine;
    const isOff = new AbortController();
    void machine.ended.then(() => isOff.abort(new Error('the machine is off')));
    this.#panel = Mackie.at(await SocketPort.plug(serialPanel, isOff.signal));
    return machine;
  }

  /** Everything stops where it is; so does the panel, which gets its power from the USB port. May be called twice. */
  async powerCut(): Promise<void> {
    await this.#panel?.unplug();
    await this.#machine?.stop();
    this.#panel = null;
    this.#machine = null;
  }

  /** Resolves when the display shows anything, with the time of that. */
  async untilLit(): Promise<number> {
    await this.#until(({ said }) => said.length > 0);
    return performance.now();
  }

  /** Resolves with the upper row of the display when it matches. */
  async untilShown(pattern: RegExp): Promise<string> {
    await this.#until(({ top }) => pattern.test(top));
    return this.panel.top;
  }

  /** Waits for the pairing code on the panel and lets the surface in by it; resolves with the code. */
  async approve(...words: readonly string[]): Promise<string> {
    const code = shownCode.exec(await this.untilShown(shownCode))?.[1] ?? '';
    await this.site.waitingCodes();
    await this.site.command('surfaces', 'approve', surfaceName, '--code', code, ...words);
    return code;
  }

  /** Resolves when the panel shows so many replicas, all of them ready, with the time of that. */
  async untilLive(count: number): Promise<number> {
    await this.#until(({ top, bottom }) => top.startsWith('cart ') && bottom.startsWith(`${count}/${count}`));
    return performance.now();
  }

  /** Replicas that the workload is asked to have. */
  async replicas(): Promise<number> {
    const cart = [
      '-n',
      target.namespace,
      'get',
      'deployment',
      target.name,
      '-o',
      'jsonpath={.spec.replicas}',
    ];
    return Number(await kubectl(this.site.cluster.kubeconfigPath, ...cart));
  }

  /** A hand moves the fader from one number of replicas to another; resolves when the cluster was told, with the time. */
  async slide(from: number, to: number): Promise<number> {
    const { gateway } = this.site;
    const before = gateway.logLength;
    this.panel.slide(placeOf(from), placeOf(to));
    await this.#orOff(gateway.loggedFrom(before, 'command ended', {}));
    return performance.now();
  }

  #until(isRight: (panel: Mackie) => boolean): Promise<void> {
    return this.#orOff(this.panel.until(isRight));
  }

  /** What never comes when the machine ends. */
  async #orOff<T>(work: Promise<T>): Promise<T> {
    const { machine, panel } = this;
    const off = machine.ended.then(async (): Promise<never> => {
      const shown = `The machine is off; its panel showed "${panel.top}"`;
      // What the console says of its end.
      const never = machine.waitForLine(/(?!)/, { from: machine.console.lines.length, timeoutMs: 1 });
      throw new Error(shown, { cause: await never.catch((problem: unknown) => problem) });
    });
    return Promise.race([work, off]);
  }
}
