/** A panel of parts on simulated buses, in time that stands until it is moved. */
import { type PartsPanelConfig, panelSchema } from '../../../daemon/config/panel.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { PartDriver, RawInput } from '../../../daemon/hw/chips/driver.ts';
import type { LineGroup, LineHandlers, LineRequest } from '../../../daemon/hw/gpio/lines.ts';
import type { I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import { I2cOwner } from '../../../daemon/hw/i2c/owner.ts';
import { type ComposedPanel, composePanel } from '../../../daemon/hw/parts/compose.ts';
import { PartsPanel } from '../../../daemon/hw/parts/panel.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { ControlEvent, Frame } from '../../../daemon/surface/types.ts';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import { numbers } from '../chips/part-rig.ts';
import { ManualTimers } from '../i2c/bench.ts';
import { frameOf } from '../panels/frames.ts';

/** The panel part of a Device file, as the schema gives it. */
export function configOf(panel: object): PartsPanelConfig {
  return panelSchema.parse({ preset: 'parts', ...panel }) as PartsPanelConfig;
}

/** The composed panel; throws what is wrong. */
export function composed(config: PartsPanelConfig, drivers: readonly PartDriver[]): ComposedPanel {
  const { panel, findings } = composePanel(config, drivers);
  if (panel === null) throw new Error(findings.map(({ message }) => message).join('; '));
  return panel;
}

/** A line that the test drives; high until it is told otherwise. */
export class LineDouble implements LineGroup {
  isHigh = true;
  isClosed = false;
  readonly request: LineRequest;
  readonly handlers: LineHandlers;

  constructor(request: LineRequest, handlers: LineHandlers) {
    this.request = request;
    this.handlers = handlers;
  }

  set(isHigh: boolean): void {
    this.isHigh = isHigh;
    this.handlers.onEdges([{ line: this.request.lines[0] ?? 0, isHigh, at: 0 }]);
  }

  levels(): readonly boolean[] {
    return [this.isHigh];
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** A transfer of a bus that works or, while `isBroken`, never ends; a broken bus cannot be opened either. */
class BusDouble {
  readonly sim: SimBus;
  isBroken = false;
  /** How long the kernel takes to close it. */
  closeMs = 0;
  isClosed = false;
  readonly #timers: ManualTimers;

  constructor(timers: ManualTimers) {
    this.#timers = timers;
    this.sim = new SimBus({ now: () => timers.monotonic(), clockHz: 400_000, random: numbers(1) });
  }

  open(): I2cTransport {
    if (this.isBroken) throw new SurfacedError('E_HW_BUS_OPEN', 'bus 1: no such file');
    const transport = this.sim.transport();
    return {
      transfer: (address, write, readLength) =>
        this.isBroken ? new Promise<never>(() => {}) : transport.transfer(address, write, readLength),
      close: async () => {
        if (this.closeMs > 0) await this.#timers.pause(this.closeMs);
        await transport.close();
        this.isClosed = true;
      },
    };
  }
}

/** A panel, and all that is around it. */
export class PanelBench {
  readonly timers = new ManualTimers();
  readonly bus = new BusDouble(this.timers);
  readonly lines: LineDouble[] = [];
  /** What opening lines rejects with, until it is null again. */
  linesProblem: Error | null = null;
  /** What holding the bus rejects with. */
  holdProblem: Error | null = null;
  /** Buses that are held. */
  held = 0;
  readonly events: ControlEvent[] = [];
  /** Readings before the signal stage. */
  readonly inputs: RawInput[] = [];
  readonly panel: PartsPanel;
  readonly composed: ComposedPanel;
  readonly #abort = new AbortController();
  /** Unix milliseconds of the clock of the machine. */
  now = Date.UTC(2026, 0, 5, 12);

  constructor(config: PartsPanelConfig, drivers: readonly PartDriver[]) {
    const { timers } = this;
    this.composed = composed(config, drivers);
    this.panel = new PartsPanel({
      composed: this.composed,
      drivers,
      calibration: new Map(),
      brightness: config.brightness,
      night: config.night ?? null,
      holdBus: async () => {
        if (this.holdProblem !== null) throw this.holdProblem;
        this.held += 1;
        return () => {
          this.held -= 1;
        };
      },
      makeBus: (bus, handlers) =>
        new I2cOwner({
          bus,
          open: async () => this.bus.open(),
          neighbours: new Set(),
          timers,
          random: () => 1,
          log: silentLog,
          transferTimeoutMs: 200,
          ...handlers,
        }),
      openLines: async (request, handlers) => {
        if (this.linesProblem !== null) throw this.linesProblem;
        const line = new LineDouble(request, handlers);
        this.lines.push(line);
        return line;
      },
      openInput: () => Promise.reject(new SurfacedError('E_HW_INPUT', 'no input devices on this bench')),
      onInputs: (inputs) => this.inputs.push(...inputs),
      timers,
      now: () => this.now,
      random: () => 1,
      log: silentLog,
    });
  }

  /** Starts the panel; most parts answer in no time. */
  async start(): Promise<void> {
    const started = this.panel.start(this.#abort.signal, (event) => this.events.push(event));
    await this.timers.pass(0);
    await started;
  }

  /** What was reported since the last call. */
  take(): ControlEvent[] {
    return this.events.splice(0);
  }

  /** Number of transfers since the last call. */
  transfers(): number {
    return this.bus.sim.records.splice(0).length;
  }

  /** Ends the panel as a signal does. */
  abort(): void {
    this.#abort.abort();
  }

  /** Stops the panel; gives the milliseconds that it took. */
  async stop(): Promise<number> {
    const begin = this.timers.monotonic();
    let endedAt: number | null = null;
    const stopped = this.panel.stop().then(() => {
      endedAt = this.timers.monotonic();
    });
    while (endedAt === null) await this.timers.pass(10);
    await stopped;
    return (endedAt as number) - begin;
  }

  /** A frame of the panel's size; each light is its number, from 1. */
  frame(first: number): Frame {
    const { matrix } = this.panel.spec;
    if (matrix === null) return { ...frameOf({}), matrix: null };
    const rgb = Uint8Array.from(
      { length: matrix.width * matrix.height * 3 },
      (_, at) => (first + Math.floor(at / 3)) % 256,
    );
    return { ...frameOf({}), matrix: { ...matrix, rgb } };
  }
}
