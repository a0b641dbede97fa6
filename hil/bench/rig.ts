/** A real bench as a rig: hands, cables and eyes over the controller that is wired to the panel. */
import { setTimeout as pause } from 'node:timers/promises';
import { loadDevice } from '../../daemon/commands/load-device.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { partDrivers } from '../../daemon/hw/chips/table.ts';
import { isMidi } from '../../daemon/hw/panels.ts';
import { type ComposedPart, composePanel } from '../../daemon/hw/parts/compose.ts';
import { portOpener } from '../../daemon/hw/ports/open.ts';
import { shellQuote } from '../rig/boot.ts';
import type { Ability, PartFault, Rig } from '../scenarios/rig.ts';
import type { ShownLights } from '../sim/chips/model.ts';
import { BenchClient } from './client.ts';
import { argumentsWord, type BenchConfig, loadBench } from './config.ts';
import { canFollow, LightsListener, partName } from './lights.ts';

/** How long a request waits for its reply before it is sent again, and how often that is done. */
const patience = { replyTimeoutMs: 500, mostAttempts: 5 };
/** A USB line of any speed; its driver asks for a number. */
const baudRate = 115_200;
/** Ten times the time constant of the filter of a fader, 10 kOhm and 1 uF. */
const faderMs = 100;
/** Until a switched part has no charge left, or has started. */
const powerMs = 200;
/** Of a bounce and its end: twice 0.2 ms, as the controller does it. */
const bounceMs = 0.4;
/** Edges a second that the controller can be asked for. */
const mostEdgesPerSecond = 20_000;

/**
 * Opens the bench that a file describes. All contacts are open then, all parts are powered, all faders are at the bottom.
 * @throws SurfacedError E_CFG_READ, E_CFG_INVALID, E_HW_PORT_OPEN; Error when the controller does not do
 */
export async function openBench(file: string): Promise<Rig> {
  return openBenchOf(await loadBench(file), file, patience);
}

/** The same for a bench that was read already, with other patience. */
export async function openBenchOf(
  config: BenchConfig,
  file: string,
  { replyTimeoutMs, mostAttempts }: typeof patience,
): Promise<BenchRig> {
  const parts = await partsOf(config, file);
  const lights = new LightsListener(
    parts.filter((part) => part.spec.lights !== null && canFollow(part, config.sniffer?.bus ?? -1)),
  );
  const { path, type } = config.port;
  const client = await BenchClient.open({
    path,
    openPort: portOpener({ type, path, baudRate }),
    replyTimeoutMs,
    mostAttempts,
    onSniffed: (records) => lights.push(records),
  });
  try {
    const canSniff = client.hello.abilities.has('sniff');
    if (config.sniffer !== undefined && canSniff) await client.request(['sniff', `${config.sniffer.sda}`], 0);
    const rig = new BenchRig({ config, client, lights, abilities: abilitiesOf(config, parts, canSniff) });
    for (const control of Object.keys(config.faders)) await rig.move(control, 0);
    return rig;
  } catch (problem) {
    await client.close();
    throw problem;
  }
}

/** The parts of the panel on the bench; a bench file that names a control or a part that is not there is wrong. */
async function partsOf(config: BenchConfig, file: string): Promise<readonly ComposedPart[]> {
  const { panel: panelConfig } = await loadDevice(config.device.config);
  if (isMidi(panelConfig)) throw misfit(file, 'device.config: expected a panel made of parts');
  const { panel } = composePanel(panelConfig, partDrivers);
  const parts = panel?.parts ?? [];
  const controls = new Map(
    parts.flatMap(({ spec }) => spec.controls.map(({ name, kind }) => [name, kind] as const)),
  );
  const wanted = { encoders: 'encoder', buttons: 'button', pads: 'pads', faders: 'fader' } as const;
  const faults: string[] = [];
  for (const group of ['encoders', 'buttons', 'pads', 'faders'] as const)
    for (const control of Object.keys(config[group])) {
      const kind = controls.get(control);
      if (kind === undefined) faults.push(`${group}.${control}: ${config.device.config} has no such control`);
      else if (kind !== wanted[group])
        faults.push(`${group}.${control}: it is a ${kind} in ${config.device.config}`);
    }
  for (const part of Object.keys(config.power))
    if (!parts.some((one) => partName(one) === part))
      faults.push(`power.${part}: ${config.device.config} has no such part`);
  if (faults.length > 0) throw misfit(file, ...faults);
  return parts;
}

const misfit = (file: string, ...faults: readonly string[]): SurfacedError =>
  new SurfacedError('E_CFG_INVALID', faults.map((fault) => `${file}: ${fault}`).join('\n'));

/** What the bench can do for every part of the panel, so that a scenario may take any of them. */
function abilitiesOf(
  { power, sniffer }: BenchConfig,
  parts: readonly ComposedPart[],
  canSniff: boolean,
): ReadonlySet<Ability> {
  const abilities = new Set<Ability>();
  const onBuses = parts.map(partName).filter((name) => name !== null);
  if (onBuses.length > 0 && onBuses.every((name) => power[name] !== undefined)) abilities.add('unplug-part');
  const lit = parts.filter(({ spec }) => spec.lights !== null);
  const { bus } = sniffer ?? { bus: -1 };
  if (canSniff && lit.length > 0 && lit.every((part) => canFollow(part, bus))) abilities.add('lights');
  return abilities;
}

interface BenchRigOptions {
  readonly config: BenchConfig;
  readonly client: BenchClient;
  readonly lights: LightsListener;
  readonly abilities: ReadonlySet<Ability>;
}

/** What the file of the bench says, by control. */
type Wires<T> = Readonly<Record<string, T>>;

interface Contact {
  readonly line: number;
  readonly closes: 'low' | 'high';
  readonly bounces: number;
}

/** See {@link openBench}. */
export class BenchRig implements Rig {
  readonly name = 'bench';
  readonly abilities: ReadonlySet<Ability>;
  readonly deviceConfig: string;
  readonly panelConfig: string;
  readonly #config: BenchConfig;
  readonly #client: BenchClient;
  readonly #lights: LightsListener;

  constructor({ config, client, lights, abilities }: BenchRigOptions) {
    this.abilities = abilities;
    this.deviceConfig = config.device.config;
    this.panelConfig = config.device.panelConfig;
    this.#config = config;
    this.#client = client;
    this.#lights = lights;
  }

  surfaced(...args: readonly string[]): readonly string[] {
    const quoted = args.map(shellQuote).join(' ');
    return this.#config.device.command.map((word) => word.replaceAll(argumentsWord, () => quoted));
  }

  async turn(control: string, detents: number, detentsPerSecond: number): Promise<void> {
    const { a, b, edgesPerDetent, invert } = this.#wired('encoders', this.#config.encoders, control);
    const edges = Math.round(detents * edgesPerDetent) * (invert ? -1 : 1);
    const wanted = Math.round(detentsPerSecond * edgesPerDetent);
    const rate = Math.min(mostEdgesPerSecond, Math.max(1, wanted));
    await this.#client.request(
      ['quad', `${a}`, `${b}`, `${edges}`, `${rate}`],
      (1000 * Math.abs(edges)) / rate,
    );
  }

  async press(control: string, pad: number | null): Promise<void> {
    const { line, closes, bounces } = this.#contact(control, pad);
    await this.#set(line, closes, bounces);
  }

  async release(control: string, pad: number | null): Promise<void> {
    const { line, bounces } = this.#contact(control, pad);
    await this.#set(line, 'free', bounces);
  }

  async move(control: string, position: number): Promise<void> {
    const { line, low, high } = this.#wired('faders', this.#config.faders, control);
    const upper = Math.min(1, Math.max(0, position));
    const part = low * (1 - upper) + high * upper;
    await this.#client.request(['fader', `${line}`, `${Math.round(part * 0xffff)}`], 0);
    await pause(faderMs);
  }

  async unplug(part: string): Promise<void> {
    const line = this.#power(part);
    await this.#set(line, 'low', 0);
    await pause(powerMs);
    await this.#heard();
    this.#lights.reset(part);
  }

  async plug(part: string): Promise<void> {
    const line = this.#power(part);
    await this.#set(line, 'free', 0);
    await pause(powerMs);
  }

  fault(_part: string, _fault: PartFault): Promise<void> {
    return Promise.reject(cannot('make parts answer wrongly'));
  }

  unplugBus(_bus: number): Promise<void> {
    return Promise.reject(cannot('unplug a bus'));
  }

  plugBus(_bus: number): Promise<void> {
    return Promise.reject(cannot('plug a bus in'));
  }

  async lights(part: string): Promise<ShownLights> {
    if (!this.abilities.has('lights')) throw cannot('see lights');
    await this.#heard();
    return this.#lights.lights(part);
  }

  async protocolErrors(): Promise<readonly string[]> {
    await this.#heard();
    return this.#lights.protocolErrors;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Resolves when all that was on the bus before is known here. */
  async #heard(): Promise<void> {
    if (this.#config.sniffer !== undefined) await this.#client.request(['sync'], 0);
  }

  async #set(line: number, level: 'low' | 'high' | 'free', bounces: number): Promise<void> {
    await this.#client.request(['line', `${line}`, level, `${bounces}`], bounces * bounceMs);
  }

  #wired<T>(group: 'encoders' | 'buttons' | 'pads' | 'faders', wires: Wires<T>, control: string): T {
    const wire = wires[control];
    if (wire === undefined) throw new Error(`${control} is not under ${group} in the file of the bench`);
    return wire;
  }

  #contact(control: string, pad: number | null): Contact {
    if (pad === null) {
      const encoder = this.#config.encoders[control];
      if (encoder?.push !== undefined) return { line: encoder.push, closes: 'low', bounces: encoder.bounces };
      return this.#wired('buttons', this.#config.buttons, control);
    }
    const row = this.#wired('pads', this.#config.pads, control);
    const line = row.lines[pad];
    if (line === undefined) throw new Error(`${control} has no pad ${pad} in the file of the bench`);
    return { line, closes: row.closes, bounces: row.bounces };
  }

  #power(part: string): number {
    const line = this.#config.power[part];
    if (line === undefined) throw new Error(`${part} is not under power in the file of the bench`);
    return line;
  }
}

const cannot = (what: string): Error => new Error(`this bench cannot ${what}`);
