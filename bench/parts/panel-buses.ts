/** The large panel of hil/rig/panel.yaml on buses that count, untouched: in the rig, or behind the I2C shim of this host. */
import path from 'node:path';
import { startI2cBus } from '../../hil/rig/guest/chips.ts';
import { setLine } from '../../hil/rig/guest/lines.ts';
import { makePanelParts, type PanelParts } from '../../hil/rig/guest/panel-parts.ts';
import { type BusRecord, SimBus } from '../../hil/sim/chips/bus.ts';
import { ChipServer } from '../../hil/sim/chips/server.ts';
import type { BenchContext } from '../types.ts';

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

/** Where a panel is. */
export interface Place {
  /** Added to the numbers of the buses, so that two panels can be there. */
  readonly offset: number;
  /** Path of the adapter `cuse-i2c` in the rig; null: no kernel device is made, the shim finds them by {@link PanelBuses.claim}. */
  readonly cuse: string | null;
  /** Path of the adapter `quadrature`; null where there are no lines. */
  readonly quadrature: string | null;
}

/** A panel's buses. */
export class PanelBuses {
  readonly world: PanelParts;
  readonly #sims: ReadonlyMap<number, SimBus>;
  readonly #server: ChipServer;
  readonly #socket: string;

  private constructor(
    world: PanelParts,
    sims: ReadonlyMap<number, SimBus>,
    server: ChipServer,
    socket: string,
  ) {
    this.world = world;
    this.#sims = sims;
    this.#server = server;
    this.#socket = socket;
  }

  static async plug(context: BenchContext, { offset, cuse, quadrature }: Place): Promise<PanelBuses> {
    const world = makePanelParts({ quadrature: quadrature ?? '', onTouched: () => {} });
    const sims = new Map<number, SimBus>();
    for (const { bus, address, chip, interrupt } of Object.values(world.parts)) {
      const sim =
        sims.get(bus + offset) ?? new SimBus({ now: () => performance.now(), clockHz, random: Math.random });
      sims.set(bus + offset, sim);
      sim.plug(address, chip);
      // Nobody touches anything: no part has anything to tell.
      if (interrupt !== null && quadrature !== null) setLine(interrupt.line, true);
    }
    const server = new ChipServer(sims);
    context.defer(() => server.close());
    const socket = path.join(context.folder, `chips-${offset}`);
    await server.listen(socket);
    if (cuse !== null)
      for (const bus of sims.keys()) {
        const kernelBus = await startI2cBus({ adapter: cuse, bus, socket });
        context.defer(() => kernelBus.remove());
      }
    return new PanelBuses(world, sims, server, socket);
  }

  /** Processes that are started from now on find these buses through the shim. */
  claim(shim: string): void {
    process.env.LD_PRELOAD = shim;
    process.env.SURFACED_I2C_SHIM = this.#socket;
    process.env.SURFACED_I2C_BUSES = [...this.#sims.keys()].join(',');
  }

  /** What went over them since it was asked last. */
  takeTraffic(): Traffic {
    const sims = [...this.#sims.values()];
    const records = sims.flatMap((sim) => sim.records);
    const busiestMs = Math.max(...sims.map((sim) => sim.busTimeMs));
    for (const sim of sims) {
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
    const ofParts = [...this.#sims.values()].flatMap((sim) => sim.protocolErrors);
    return [...ofParts, ...this.#server.protocolErrors];
  }

  /** Whether it writes data to lights; what only names a register, or asks a seesaw, sets nothing. */
  #isOfLights({ address, messages }: BusRecord): boolean {
    const [first] = messages;
    if (first === undefined || first.isRead) return false;
    const lit = Object.values(this.world.parts).find((one) => one.address === address && one.chip.lights);
    if (lit === undefined) return false;
    const [begin = 0] = first.bytes;
    if (/^(?:neo|seesaw)/.test(lit.chip.part)) return begin === neopixelModule;
    return first.bytes.length > 1 || (lit.chip.part === 'ht16k33' && begin >= ht16k33Commands);
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
