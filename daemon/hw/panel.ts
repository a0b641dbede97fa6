import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ControlEvent, Frame, Panel, PanelSpec, PanelState } from '../surface/types.ts';
import { MidiParser } from './midi/parser.ts';
import type { PanelDriver, PanelSession } from './panels/driver.ts';
import type { OpenPort, Port } from './ports/port.ts';

/** About 30 frames a second: more than eyes and 31250 baud lines can follow. */
const frameIntervalMs = 33;
/** A device that takes nothing for so long is closed and opened again. */
const stuckAfterMs = 5000;
const shortestRetryMs = 250;
const longestRetryMs = 2000;
/** The longest SysEx that a known panel sends is Korg's scene dump with 400 bytes. */
const maxSysexBytes = 1024;

/** Time for the panel, so that tests can make it pass. */
export interface Timers {
  /** Milliseconds that only go forward. */
  monotonic(): number;
  /** Runs once after the delay; the returned function calls it off. */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own time. */
export const systemTimers: Timers = {
  monotonic: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** What a panel on a MIDI port is made of. */
export interface MidiPanelOptions {
  readonly driver: PanelDriver;
  /** Path of the port. */
  readonly path: string;
  readonly openPort: OpenPort;
  /** How often the newest frame is looked at again, for a driver whose brightness changes, milliseconds; null: never. */
  readonly redrawMs: number | null;
  readonly log: Log;
  /** 0..1, for the jitter of the back-off. */
  readonly random: () => number;
  readonly timers: Timers;
}

/** One opening of the device, from the port's opening to its loss. */
interface Connection {
  readonly session: PanelSession;
  readonly parser: MidiParser;
  port: Port | null;
  /** Takes frames: the device has settled in its mode. */
  isReady: boolean;
}

/**
 * Keeps a MIDI panel open: opens its port, puts the device in its mode, passes events on, paces frames so that the
 * newest wins, and opens it anew with jittered back-off when it is lost.
 */
export class MidiPanel implements Panel {
  readonly spec: PanelSpec;
  readonly #options: MidiPanelOptions;
  #emit: (event: ControlEvent) => void = () => {};
  #connection: Connection | null = null;
  #opening: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;
  #problem: string | null = null;
  #failures = 0;
  #cancelRetry = () => {};
  #cancelRedraw = () => {};
  #latest: Frame | null = null;
  #cancelFrame: (() => void) | null = null;
  #nextFrameAt = 0;
  #pendingSince: number | null = null;

  constructor(options: MidiPanelOptions) {
    this.#options = options;
    this.spec = options.driver.spec;
  }

  get state(): PanelState {
    return { isOpen: this.#connection?.isReady === true, problem: this.#problem };
  }

  async start(signal: AbortSignal, emit: (event: ControlEvent) => void): Promise<void> {
    this.#emit = emit;
    if (signal.aborted) return;
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    this.#redrawLater();
    await this.#open();
  }

  show(frame: Frame): void {
    this.#latest = frame;
    this.#pump();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#cancelRetry();
    this.#cancelRedraw();
    this.#cancelFrame?.();
    await this.#opening;
    const connection = this.#connection;
    this.#connection = null;
    if (connection?.port === null || connection === null) return;
    connection.port.write(Uint8Array.from(connection.session.leave()));
    await connection.port.close();
  }

  #open(): Promise<void> {
    this.#opening = this.#openOnce();
    return this.#opening;
  }

  async #openOnce(): Promise<void> {
    const { driver, openPort, path, log } = this.#options;
    const connection: Connection = {
      session: driver.open(),
      parser: new MidiParser(maxSysexBytes),
      port: null,
      isReady: false,
    };
    this.#connection = connection;
    try {
      connection.port = await openPort(path, {
        onData: (bytes) => this.#receive(connection, bytes),
        onClosed: (problem) => this.#lose(connection, problem),
      });
    } catch (error) {
      this.#connection = null;
      this.#retryAfter(error);
      return;
    }
    if (this.#connection !== connection) {
      // Lost again before the port was handed over.
      await connection.port.close();
      return;
    }
    // stop() waits for this and closes the port.
    if (this.#stopping !== null) return;
    connection.port.write(Uint8Array.from(connection.session.enter));
    await new Promise<void>((resolve) => this.#options.timers.after(connection.session.settleMs, resolve));
    if (this.#connection !== connection || this.#stopping !== null) return;
    connection.isReady = true;
    this.#failures = 0;
    this.#problem = null;
    this.#nextFrameAt = 0;
    this.#pendingSince = null;
    log.info({ path, model: this.spec.model }, 'panel opened');
    this.#emit({ type: 'reset', controls: null });
    this.#pump();
  }

  #receive(connection: Connection, bytes: Uint8Array): void {
    for (const message of connection.parser.push(bytes)) {
      if (connection !== this.#connection || this.#stopping !== null) return;
      const { events, reply, isRedrawNeeded } = connection.session.receive(message);
      if (reply.length > 0) connection.port?.write(Uint8Array.from(reply));
      for (const event of events) this.#emit(event);
      if (isRedrawNeeded) this.#pump();
    }
  }

  #lose(connection: Connection, problem: Error): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#cancelFrame?.();
    this.#cancelFrame = null;
    const { log, path } = this.#options;
    log.debug({ path, ...connection.parser.counters }, 'panel input counters');
    if (connection.isReady) this.#emit({ type: 'reset', controls: null });
    // A port that fails while it is being opened has not been handed over yet.
    void Promise.resolve(connection.port?.close()).finally(() => this.#retryAfter(problem));
  }

  #retryAfter(error: unknown): void {
    const { log, path, random, timers } = this.#options;
    const known = error instanceof SurfacedError ? error : null;
    const message = error instanceof Error ? error.message : String(error);
    this.#problem = known === null ? message : `${message}. ${known.remedy}`;
    const fields = { path, code: known?.code, err: message };
    // Once aloud; a panel that stays away for days fills no log.
    if (this.#failures === 0) log.warn(fields, 'panel is not open');
    else log.debug(fields, 'panel is still not open');
    this.#failures += 1;
    if (this.#stopping !== null || (known !== null && known.class !== 'retry')) return;
    const backOffMs = Math.min(longestRetryMs, shortestRetryMs * 2 ** (this.#failures - 1));
    this.#cancelRetry = timers.after(backOffMs * (0.5 + random() / 2), () => void this.#open());
  }

  /** Sends the latest frame if the device is ready for it, else comes back when it may be. */
  #pump(): void {
    const connection = this.#connection;
    const frame = this.#latest;
    if (connection === null || connection.port === null || !connection.isReady) return;
    if (frame === null || this.#stopping !== null || this.#cancelFrame !== null) return;
    const now = this.#options.timers.monotonic();
    if (connection.port.pendingBytes > 0) {
      this.#pendingSince ??= now;
      if (now - this.#pendingSince >= stuckAfterMs) {
        this.#lose(connection, new SurfacedError('E_HW_PORT_STUCK', `${this.#options.path} takes no data`));
      } else {
        this.#pumpAfter(frameIntervalMs);
      }
      return;
    }
    this.#pendingSince = null;
    if (now < this.#nextFrameAt) {
      this.#pumpAfter(this.#nextFrameAt - now);
      return;
    }
    const bytes = connection.session.render(frame);
    if (bytes.length === 0) return;
    connection.port.write(Uint8Array.from(bytes));
    // The kernel takes more than a slow line has carried: the line's own pace keeps old frames from piling up there.
    const { bytesPerSecond } = connection.port;
    const lineMs = bytesPerSecond === null ? 0 : (bytes.length * 1000) / bytesPerSecond;
    this.#nextFrameAt = now + Math.max(frameIntervalMs, lineMs);
  }

  #redrawLater(): void {
    const { redrawMs, timers } = this.#options;
    if (redrawMs === null || this.#stopping !== null) return;
    this.#cancelRedraw = timers.after(redrawMs, () => {
      this.#pump();
      this.#redrawLater();
    });
  }

  #pumpAfter(delayMs: number): void {
    this.#cancelFrame = this.#options.timers.after(delayMs, () => {
      this.#cancelFrame = null;
      this.#pump();
    });
  }
}
