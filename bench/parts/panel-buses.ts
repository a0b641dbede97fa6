/** The large panel of the rig on buses that count: all parts of hil/rig/panel.yaml, untouched. Inside the rig. */
import path from 'node:path';
import { startI2cBus } from '../../hil/rig/guest/chips.ts';
import { setLine } from '../../hil/rig/guest/lines.ts';
import { makePanelParts, type PanelParts } from '../../hil/rig/guest/panel-parts.ts';
import { type BusRecord, SimBus } from '../../hil/sim/chips/bus.ts';
import { ChipServer } from '../../hil/sim/chips/server.ts';
import type { BenchContext } from '../types.ts';

const { SURFACED_CUSE_I2C: adapter, SURFACED_QUADRATURE: quadrature } = process.env;

/** Of the clock that bus times are given for, bits a second. */
const clockHz = 400_000;

/** What went over a panel's buses. */
export interface Traffic {
  readonly transfers: number;
  /** Bytes with the address of each message. */
  readonly bytes: number;
  /** How long the busier one of the buses was busy at 400 kHz, milliseconds. */
  readonly busiestMs: number;
  /** Bytes of messages that set lights. */
  readonly lightBytes: number;
}

/** A panel's buses. */
export class PanelBuses {
  readonly world: PanelParts;
  readonly #sims: readonly SimBus[];
  readonly #server: ChipServer;

  private constructor(world: PanelParts, sims: readonly SimBus[], server: ChipServer) {
    this.world = world;
    this.#sims = sims;
    this.#server = server;
  }

  /** @param offset what is added to the numbers of the buses, so that two panels can be there */
  static async plug(context: BenchContext, offset: number): Promise<PanelBuses> {
    if (adapter === undefined || quadrature === undefined)
      throw new Error('SURFACED_CUSE_I2C and SURFACED_QUADRATURE name the adapters; boot-rig.ts sets them');
    const world = makePanelParts({ quadrature, onTouched: () => {} });
    const sims = new Map<number, SimBus>();
    for (const { bus, address, chip, interrupt } of Object.values(world.parts)) {
      const sim =
        sims.get(bus + offset) ?? new SimBus({ now: () => performance.now(), clockHz, random: Math.random });
      sims.set(bus + offset, sim);
      sim.plug(address, chip);
      // Nobody touches anything: no part has anything to tell.
      if (interrupt !== null) setLine(interrupt.line, true);
    }
    const server = new ChipServer(sims);
    context.defer(() => server.close());
    const socket = path.join(context.folder, `chips-${offset}`);
    await server.listen(socket);
    for (const bus of sims.keys()) {
      const adapterOfBus = await startI2cBus({ adapter, bus, socket });
      context.defer(() => adapterOfBus.remove());
    }
    return new PanelBuses(world, [...sims.values()], server);
  }

  /** What went over them since it was asked last. */
  takeTraffic(): Traffic {
    const records = this.#sims.flatMap((sim) => sim.records);
    const busiestMs = Math.max(...this.#sims.map((sim) => sim.busTimeMs));
    for (const sim of this.#sims) {
      sim.records = [];
      sim.busTimeMs = 0;
    }
    const sum = (of: (record: BusRecord) => number): number =>
      records.reduce((total, record) => total + of(record), 0);
    return {
      transfers: records.length,
      bytes: sum(bytesOf),
      busiestMs,
      lightBytes: sum((record) => (this.#isOfLights(record) ? bytesOf(record) : 0)),
    };
  }

  /** What the parts would not have taken. */
  get protocolErrors(): readonly string[] {
    return [...this.#sims.flatMap((sim) => sim.protocolErrors), ...this.#server.protocolErrors];
  }

  /** Whether it writes data to lights; what only names a register, or asks a seesaw, sets nothing. */
  #isOfLights({ address, messages }: BusRecord): boolean {
    const [first] = messages;
    if (first === undefined || first.isRead) return false;
    const part = Object.values(this.world.parts).find((one) => one.address === address && one.chip.lights)?.chip
      .part;
    if (part === undefined) return false;
    if (/^(?:neo|seesaw)/.test(part)) return first.bytes[0] === neopixelModule;
    return first.bytes.length > 1 || (part === 'ht16k33' && (first.bytes[0] ?? 0) >= ht16k33Commands);
  }
}

/** Module of a seesaw that has the lights (Adafruit_CircuitPython_seesaw `neopixel.py`). */
const neopixelModule = 0x0e;
/** Above its display RAM every byte is a command of its own (HT16K33 data sheet 1.10, "Command Summary"). */
const ht16k33Commands = 0x20;

function bytesOf({ messages }: BusRecord): number {
  return messages.reduce(
    (sum, message) => sum + 1 + (message.isRead ? message.length : message.bytes.length),
    0,
  );
}
