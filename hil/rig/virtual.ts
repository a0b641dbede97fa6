/** The virtual rig as a {@link Rig}: runs inside the rig's kernel, hands on simulated lines and on chip models. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ability, PartFault, Rig } from '../scenarios/rig.ts';
import { SimBus } from '../sim/chips/bus.ts';
import type { ChipModel, I2cMessage } from '../sim/chips/model.ts';
import { ChipServer } from '../sim/chips/server.ts';
import { type I2cBus, startI2cBus } from './guest/chips.ts';
import { setLine } from './guest/lines.ts';
import { type BusPart, makePanelParts } from './guest/panel-parts.ts';
import { surfacedIn } from './guest/surfaced.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const panelConfig = path.join(here, 'panel.yaml');
const busNumbers = [1, 3] as const;
const abilities: ReadonlySet<Ability> = new Set(['unplug-part', 'unplug-bus', 'part-fault', 'lights']);

/** A part on its bus, with the wire of its interrupt output. */
class PluggedPart implements ChipModel {
  readonly part: string;
  readonly #part: BusPart;
  readonly #bus: SimBus;
  #isPlugged = false;
  #wasLow = false;

  constructor(part: BusPart, bus: SimBus) {
    this.part = part.chip.part;
    this.#part = part;
    this.#bus = bus;
    if (part.interrupt !== null) setLine(part.interrupt.line, true);
  }

  plug(): void {
    this.#isPlugged = true;
    this.#bus.plug(this.#part.address, this);
    this.pull();
  }

  unplug(): void {
    this.#isPlugged = false;
    this.#bus.unplug(this.#part.address);
    this.pull();
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] | null {
    // Nobody reads them here, and a rig may run for long.
    this.#bus.records.length = 0;
    const reads = this.#part.chip.transfer(messages, at);
    this.pull();
    return reads;
  }

  reset(): void {
    this.#part.chip.reset();
  }

  /** Moves the interrupt line to where the part has it; to be called after all that can change it. */
  pull(): void {
    const { interrupt } = this.#part;
    if (interrupt === null) return;
    const isLow = this.#isPlugged && interrupt.isLow();
    // Opened lines go to where their bias pulls them; an open drain is stronger.
    if (isLow || this.#wasLow) setLine(interrupt.line, !isLow);
    this.#wasLow = isLow;
  }
}

/** Makes the rig of panel.yaml: two buses of chip models and the lines of the kernel. Only inside the rig's kernel. */
export async function openVirtualRig(environment: NodeJS.ProcessEnv): Promise<Rig> {
  const { SURFACED_CUSE_I2C: adapter, SURFACED_QUADRATURE: quadrature } = environment;
  if (adapter === undefined || quadrature === undefined)
    throw new Error(
      'SURFACED_CUSE_I2C and SURFACED_QUADRATURE name the adapters; hil/rig/run-file.ts sets them',
    );
  const sims = new Map(
    busNumbers.map((number) => [
      number as number,
      new SimBus({ now: () => performance.now(), clockHz: 400_000, random: Math.random }),
    ]),
  );
  const simOf = (number: number): SimBus => {
    const sim = sims.get(number);
    if (sim === undefined) throw new Error(`the virtual rig has no bus ${number}`);
    return sim;
  };
  const pull = () => {
    for (const part of Object.values(plugged)) part.pull();
  };
  const { parts, faders, switches, encoders } = makePanelParts({ quadrature, onTouched: pull });
  const plugged = Object.fromEntries(
    Object.entries(parts).map(([name, part]) => [name, new PluggedPart(part, simOf(part.bus))]),
  );
  const server = new ChipServer(sims);
  const socket = path.join(await mkdtemp(path.join(tmpdir(), 'chips-')), 'socket');
  await server.listen(socket);
  const buses = new Map<number, I2cBus>();
  const plugBus = async (number: number): Promise<void> => {
    simOf(number);
    if (!buses.has(number)) buses.set(number, await startI2cBus({ adapter, bus: number, socket }));
  };
  const unplugBus = async (number: number): Promise<void> => {
    simOf(number);
    await buses.get(number)?.remove();
    buses.delete(number);
  };
  for (const part of Object.values(plugged)) part.plug();
  await Promise.all(busNumbers.map(plugBus));

  const hold = (control: string, pad: number | null, isDown: boolean): void => {
    known(switches, pad === null ? control : `${control} ${pad}`, 'switch')(isDown);
    pull();
  };

  return {
    name: 'virtual',
    abilities,
    deviceConfig: panelConfig,
    panelConfig,
    surfaced: surfacedIn(environment),
    turn: (control, detents, detentsPerSecond) =>
      known(encoders, control, 'encoder')(detents, detentsPerSecond),
    press: async (control, pad) => hold(control, pad, true),
    release: async (control, pad) => hold(control, pad, false),
    move: async (control, position) => known(faders, control, 'fader')(position),
    unplug: async (part) => known(plugged, part, 'part').unplug(),
    plug: async (part) => known(plugged, part, 'part').plug(),
    async fault(part: string, fault: PartFault) {
      if (fault === 'jumps') throw new Error('the virtual rig has no jumping wiper; move the fader instead');
      const { bus, address } = known(parts, part, 'part');
      simOf(bus).fault(address, fault);
    },
    unplugBus,
    plugBus,
    async lights(part) {
      const shown = known(parts, part, 'part').chip.lights?.();
      if (shown === undefined) throw new Error(`${part} has no lights`);
      return shown;
    },
    protocolErrors: async () => [
      ...[...sims.values()].flatMap(({ protocolErrors }) => protocolErrors),
      ...server.protocolErrors,
    ],
    async close() {
      await Promise.all(busNumbers.map(unplugBus));
      await server.close();
    },
  };
}

function known<Value>(table: Readonly<Record<string, Value>>, name: string, what: string): Value {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value === undefined)
    throw new Error(`the virtual rig has no ${what} ${name}; it has ${Object.keys(table).join(', ')}`);
  return value;
}
