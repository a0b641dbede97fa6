/** An owner on a simulated bus, in time that stands until it is moved. */
import { SurfacedError } from '../../../daemon/errors.ts';
import type { I2cBytes, I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import type { BusNeighbours } from '../../../daemon/hw/i2c/keeper.ts';
import { I2cOwner } from '../../../daemon/hw/i2c/owner.ts';
import type { Timers } from '../../../daemon/hw/panel.ts';
import { type Log, silentLog } from '../../../daemon/log.ts';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import { type ChipModel, type I2cMessage, ProtocolError } from '../../../hil/sim/chips/model.ts';

/** Time that stands until it is moved. */
export class ManualTimers implements Timers {
  #now = 0;
  #waiting: { at: number; run: () => void }[] = [];

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { at: this.#now + delayMs, run };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }

  /** Delays that run, soonest first. */
  get delays(): number[] {
    return this.#waiting.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Lets time pass, and what it sets off happen. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await new Promise(setImmediate);
    for (;;) {
      const next = this.#waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#waiting = this.#waiting.filter((entry) => entry !== next);
      this.#now = next.at;
      next.run();
      await new Promise(setImmediate);
    }
    this.#now = end;
  }

  /** A pause as drivers make it. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }
}

/** Registers 0x00 to 0xFF behind a pointer that each write sets and each byte moves on. */
export class RegisterChip implements ChipModel {
  readonly part = 'registers';
  readonly registers = new Uint8Array(256);
  #pointer = 0;

  reset(): void {
    this.registers.fill(0);
    this.#pointer = 0;
  }

  transfer(messages: readonly I2cMessage[]): Uint8Array[] {
    const reads: Uint8Array[] = [];
    for (const message of messages) {
      if (message.isRead) {
        reads.push(Uint8Array.from({ length: message.length }, () => this.registers[this.#step()]!));
      } else {
        const [pointer, ...values] = message.bytes;
        this.#pointer = pointer ?? this.#pointer;
        for (const value of values) this.registers[this.#step()] = value;
      }
    }
    return reads;
  }

  #step(): number {
    const register = this.#pointer;
    this.#pointer = (register + 1) % 256;
    return register;
  }
}

/** Answers a read only when the pause after the write has been kept. */
export class PausingChip implements ChipModel {
  readonly part = 'pausing';
  readonly #pauseMs: number;
  #writtenAt = 0;

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  reset(): void {}

  transfer(messages: readonly I2cMessage[], at: number): Uint8Array[] {
    const [message] = messages;
    if (message === undefined || messages.length > 1) throw new ProtocolError('one message at a time');
    if (!message.isRead) {
      this.#writtenAt = at;
      return [];
    }
    if (at - this.#writtenAt < this.#pauseMs) throw new ProtocolError('read too early');
    return [new Uint8Array(message.length)];
  }
}

/** One transfer as it went over a {@link KernelDouble}. */
export interface Begun {
  readonly address: number;
  readonly write: readonly number[];
  readonly readLength: number;
}

/** A transport that takes time, holds what hangs as the kernel does, and closes when the kernel lets go. */
export class KernelDouble implements I2cTransport {
  readonly begun: Begun[] = [];
  /** What the next transfers fail with. */
  readonly failures: (SurfacedError | null)[] = [];
  isClosed = false;
  /** Under way now, and the most that ever were at once. */
  running = 0;
  mostRunning = 0;
  /** Lets what hangs end. */
  letGo = () => {};
  readonly #sim: I2cTransport;
  readonly #timers: ManualTimers;
  readonly #transferMs: () => number;
  readonly #letGo = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });
  #onIdle = () => {};

  constructor(sim: SimBus, timers: ManualTimers, transferMs: () => number) {
    this.#sim = sim.transport();
    this.#timers = timers;
    this.#transferMs = transferMs;
  }

  async transfer(address: number, write: I2cBytes, readLength: number): Promise<Uint8Array> {
    this.begun.push({ address, write: Array.from(write), readLength });
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.#timers.pause(this.#transferMs());
      const failure = this.failures.shift() ?? null;
      if (failure !== null) throw failure;
      const late = this.#letGo.then(() => {
        throw new SurfacedError('E_HW_BUS', 'ETIMEDOUT');
      });
      return await Promise.race([this.#sim.transfer(address, write, readLength), late]);
    } finally {
      this.running -= 1;
      if (this.running === 0) this.#onIdle();
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }
}

/** What a test can say about its bench. */
export interface BenchOptions {
  /** How long each transfer takes, milliseconds. */
  readonly transferMs: () => number;
  /** For the jitter. */
  readonly random: () => number;
  readonly log: Log;
  /** Other buses; null: there are none. */
  readonly neighbours: BusNeighbours | null;
}

export const usual: BenchOptions = { transferMs: () => 1, random: () => 1, log: silentLog, neighbours: null };

/** A bus with register chips at 0x20 and 0x21, and its owner. */
export function bench(options: BenchOptions) {
  const timers = new ManualTimers();
  const sim = new SimBus({ now: () => timers.monotonic(), clockHz: 400_000, random: () => 0.5 });
  const chips = [new RegisterChip(), new RegisterChip()] as const;
  sim.plug(0x20, chips[0]);
  sim.plug(0x21, chips[1]);
  const transports: KernelDouble[] = [];
  const events: string[] = [];
  /** What the next openings do: fail, or come after a promise. */
  const openings: (SurfacedError | Promise<void>)[] = [];
  const owner = new I2cOwner({
    bus: 1,
    open: async () => {
      const next = openings.shift();
      if (next instanceof Error) throw next;
      await next;
      const transport = new KernelDouble(sim, timers, options.transferMs);
      transports.push(transport);
      return transport;
    },
    neighbours: options.neighbours ?? new Set(),
    timers,
    random: options.random,
    log: options.log,
    transferTimeoutMs: 200,
    onOpened: () => events.push('opened'),
    onLost: (problem) => events.push(`lost: ${problem.message}`),
  });
  return { timers, sim, chips, transports, events, openings, owner };
}

/** What a promise has come to: `waiting`, `done`, or the code of its error. */
export function fate(promise: Promise<unknown>): { now: string; message: string; endings: number } {
  const seen = { now: 'waiting', message: '', endings: 0 };
  promise.then(
    () => {
      seen.now = 'done';
      seen.endings += 1;
    },
    (error: unknown) => {
      seen.now = error instanceof SurfacedError ? error.code : String(error);
      seen.message = error instanceof Error ? error.message : '';
      seen.endings += 1;
    },
  );
  return seen;
}
