/**
 * A card in its surroundings, as a maker has them on the desk: the machine that it is in, a panel at its USB port, a gateway
 * and its cluster in the network. Time is this machine's (performance.now()).
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { AttestSite, type Ends } from '../../test/e2e/attest-site.ts';
import { Mackie } from '../../test/e2e/mackie.ts';
import { kubectl } from '../../test/e2e/processes.ts';

/** This machine, as one in QEMU's user network sees it. */
export const hostAddress = '10.0.2.2';
/** Name of the surface. */
export const surfaceName = 'desk';
const mostReplicas = 8;
/** The workload of {@link AttestSite}. */
const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };
/** Where the fader stands for a number of replicas. */
export const placeOf = (count: number): number => 0.02 + (0.96 * (count - 1)) / (mostReplicas - 1);
const shownCode = /Code (\d{4}-\d{4}), to be approved/;

/** A machine that runs, as far as a desk needs to know it. */
export interface DeskMachine {
  /** Everything stops where it is. Resolves when the machine is gone; may be called twice. */
  powerCut(): Promise<void>;
}

/** What a machine on the desk is plugged to. */
export interface Plugs {
  /** The pseudo-terminal that is the far end of its USB serial adapter. */
  readonly panel: string;
}

/** What a desk is made of. */
export interface DeskOptions {
  readonly test: Ends;
  /** Turns the machine on. */
  readonly power: (plugs: Plugs) => Promise<DeskMachine>;
  /** `policy` of the Gateway file. */
  readonly policy: object;
  readonly certificateTtlSeconds: number;
}

/** Runs until the test is over. */
export class Desk {
  readonly site: AttestSite;
  readonly #power: DeskOptions['power'];
  #panel: Mackie | null = null;
  #machine: DeskMachine | null = null;

  private constructor(site: AttestSite, power: DeskOptions['power']) {
    this.site = site;
    this.#power = power;
  }

  /** The gateway runs and knows what the surface's fader is for; the machine is off. */
  static async make({ test, policy, certificateTtlSeconds, power }: DeskOptions): Promise<Desk> {
    const site = await AttestSite.make(test, {
      certificateTtlSeconds,
      hosts: [hostAddress],
      policy,
      surfaces: { [surfaceName]: [{ control: 'fader1', target, max: mostReplicas }] },
    });
    await site.startGateway();
    const desk = new Desk(site, power);
    test.teardown(() => desk.powerCut());
    return desk;
  }

  /** What `surfaced enroll config` writes for a surface with a TPM whose panel is at its USB serial port. */
  async deviceFile(): Promise<string> {
    const text = await readFile(this.site.gatewayFile, 'utf8');
    const { enrol } = parse(text) as { readonly enrol: { readonly listen: string } };
    const port = enrol.listen.split(':').at(-1);
    return this.site.command(
      ...['enroll', 'config', '--tpm', '--preset', 'mackie-control', '--port-type', 'serial'],
      ...['--port', '/dev/ttyUSB0', '--url', `https://${hostAddress}:${port}`],
    );
  }

  /** The panel of the machine that is on. */
  get panel(): Mackie {
    if (this.#panel === null) throw new Error('the machine is off');
    return this.#panel;
  }

  /** Turns it on; nothing is waited for. */
  async powerOn(): Promise<void> {
    const link = path.join(this.site.folder, 'panel');
    this.#panel = await Mackie.plug(link);
    this.#machine = await this.#power({ panel: link });
  }

  /** Everything stops where it is. */
  async powerCut(): Promise<void> {
    await this.#machine?.powerCut();
    this.#machine = null;
    // With its power, which comes from the USB port.
    await this.#panel?.unplug();
    this.#panel = null;
  }

  /** Resolves when the display shows anything, with the time of that. */
  async untilLit(): Promise<number> {
    const { panel } = this;
    await panel.until(({ said }) => said.length > 0);
    return performance.now();
  }

  /** Waits for the pairing code on the panel and lets the surface in by it; resolves with the code. */
  async approve(...words: readonly string[]): Promise<string> {
    await this.panel.until(({ top }) => shownCode.test(top));
    const code = shownCode.exec(this.panel.top)?.[1] ?? '';
    await this.site.command('surfaces', 'approve', surfaceName, '--code', code, ...words);
    return code;
  }

  /** Resolves when the panel shows the workload as it is now, with the time of that. */
  async untilLive(): Promise<number> {
    const { panel } = this;
    const count = await this.replicas();
    await panel.until(({ top, bottom }) => top.startsWith('cart ') && bottom.startsWith(`${count}/${count}`));
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
    await gateway.loggedFrom(before, 'command ended', {});
    return performance.now();
  }
}
