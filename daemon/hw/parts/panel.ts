/**
 * A panel made of parts: keeps every part and every bus open by itself, so that one that is missing takes nothing else
 * with it; passes readings on through the signal stage; cuts frames for the parts.
 */
import type { Calibration } from '../../config/calibration.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { ControlEvent, Frame, Panel, PanelSpec, PanelState } from '../../surface/types.ts';
import { brightnessAt, type Night, nightCheckMs } from '../brightness.ts';
import type { PartDriver, RawInput } from '../chips/driver.ts';
import type { OpenLines } from '../gpio/lines.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { BusCounters, DeviceCounters } from '../i2c/counters.ts';
import { defaultTransferTimeoutMs } from '../i2c/owner.ts';
import type { OpenInput } from '../input/device.ts';
import type { Timers } from '../panel.ts';
import { deferredControls } from '../signal/button.ts';
import { SignalStage } from '../signal/stage.ts';
import { othersAt } from './addresses.ts';
import type { ComposedPanel, ComposedPart } from './compose.ts';
import { countedBus, type PanelCounters } from './counters.ts';
import { InterruptLines } from './interrupts.ts';
import { nameOutside, throughJoystick } from './joystick.ts';
import { turnedInput } from './pad-grid.ts';
import { PartKeeper } from './part-keeper.ts';
import { endsWithin } from './part-time.ts';
import { pictureOf } from './picture.ts';
import { type Missing, problemOf } from './problems.ts';

/** Parts need less than this to be made dark and closed. */
const stopPartsMs = 850;
/**
 * What closing a bus takes at the longest: the transfer under way, then the kernel, each within the time of a transfer.
 * Together with the parts it is less than a process has for its end (commands/run.ts).
 */
const stopBusesMs = 2 * defaultTransferTimeoutMs + 50;

/** A bus as the panel uses it; `I2cOwner` is one. */
export interface PanelBus {
  /** Opens it; resolves when the first try has ended, well or not. It is opened again by itself. */
  start(): Promise<void>;
  device(address: number): I2cDevice;
  /** `problem`: what is wrong with it, null when nothing is. */
  readonly state: { readonly isOpen: boolean; readonly problem: string | null };
  busCounters(): BusCounters;
  /** Counts by address. */
  counters(): ReadonlyMap<number, DeviceCounters>;
  close(): Promise<void>;
}

/** What a bus tells the panel. */
export interface BusHandlers {
  /** It has been opened, the first time or again. */
  readonly onOpened: () => void;
  /** It was open and is lost. */
  readonly onLost: (problem: Error) => void;
}

/** What a panel of parts is made of. */
export interface PartsPanelOptions {
  readonly composed: ComposedPanel;
  /** All drivers that there are, to say what else could answer at an address. */
  readonly drivers: readonly PartDriver[];
  /** Ends of the faders. */
  readonly calibration: Calibration;
  /** Brightness of all lights by day, 0..1. */
  readonly brightness: number;
  readonly night: Night;
  /** Holds a bus against other processes until it is released. */
  readonly holdBus: (bus: number) => Promise<() => void>;
  /** Makes the owner of a bus; does not open it. */
  readonly makeBus: (bus: number, handlers: BusHandlers) => PanelBus;
  /** Opens lines on the chip that the config names; a request without a chip is for that one. */
  readonly openLines: OpenLines;
  readonly openInput: OpenInput;
  /** Sees readings as the parts make them, before the signal stage; null: nobody does. */
  readonly onInputs: ((inputs: readonly RawInput[]) => void) | null;
  readonly timers: Timers;
  /** The machine's clock, Unix milliseconds. */
  readonly now: () => number;
  /** 0..1, for the jitter of back-offs. */
  readonly random: () => number;
  readonly log: Log;
}

interface Bus {
  readonly owner: PanelBus;
  readonly keepers: PartKeeper[];
}

/** A panel made of parts on the Pi's own buses and lines. */
export class PartsPanel implements Panel {
  readonly spec: PanelSpec;
  readonly #options: PartsPanelOptions;
  readonly #stage: SignalStage;
  readonly #interrupts: InterruptLines;
  readonly #releases: (() => void)[] = [];
  readonly #buses = new Map<number, Bus>();
  readonly #keepers: readonly PartKeeper[];
  #emit: (event: ControlEvent) => void = () => {};
  #stopping: Promise<void> | null = null;
  #cancelTick: () => void = () => {};
  #cancelNightCheck: () => void = () => {};
  #latest: Frame | null = null;
  /** Missing controls as reported last. */
  #told: readonly string[] = [];
  /** Faders whose readings jump, as looked at last. */
  #jumping = '';
  #brightness: number;

  constructor(options: PartsPanelOptions) {
    const { composed, calibration, openLines, timers, random, log } = options;
    this.#options = options;
    this.spec = composed.spec;
    this.#brightness = this.#brightnessNow();
    this.#interrupts = new InterruptLines({ openLines, timers, random, log });
    this.#stage = new SignalStage({
      controls: composed.controls,
      calibration,
      chords: composed.chords,
      deferred: deferredControls(composed.spec.roles),
    });
    this.#keepers = composed.parts.map((part) => this.#keeperOf(part));
  }

  get state(): PanelState {
    const missing = this.#missing();
    return {
      isOpen: this.#keepers.some(({ isOpen, part }) => isOpen && isSeen(part)),
      problem: problemOf(missing, this.#stage.jumping),
      missing: this.#missingNames(missing),
    };
  }

  /** What was counted since the panel was made. */
  counters(): PanelCounters {
    const buses = [...this.#buses].map(([bus, { owner }]) =>
      countedBus(bus, owner.busCounters(), owner.counters()),
    );
    const open = { parts: this.#keepers.filter(({ isOpen }) => isOpen).length, of: this.#keepers.length };
    return { buses, open, ignored: this.#stage.ignored };
  }

  /** @throws SurfacedError E_HW_IN_USE when another process of surfaced works with one of the buses */
  async start(signal: AbortSignal, emit: (event: ControlEvent) => void): Promise<void> {
    this.#emit = emit;
    for (const bus of this.#buses.keys()) {
      if (signal.aborted || this.#stopping !== null) return;
      this.#releases.push(await this.#options.holdBus(bus));
    }
    if (signal.aborted || this.#stopping !== null) return this.#release();
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    if (this.#options.night !== null) this.#checkNight();
    const started = this.#keepers.filter(({ part }) => part.wiring === null).map((keeper) => keeper.start());
    const onBuses = [...this.#buses.values()].map((bus) => this.#startBus(bus));
    await Promise.all([...started, ...onBuses]);
  }

  show(frame: Frame): void {
    this.#latest = frame;
    if (this.#stopping !== null) return;
    for (const keeper of this.#keepers) keeper.show(pictureOf(keeper.part, frame, this.#brightness));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { timers } = this.#options;
    this.#cancelTick();
    this.#cancelNightCheck();
    // Parts are made dark while their bus is open.
    await endsWithin(timers, stopPartsMs, Promise.allSettled(this.#keepers.map((keeper) => keeper.stop())));
    const closing = [...this.#buses.values()].map(({ owner }) => owner.close());
    await endsWithin(timers, stopBusesMs, Promise.allSettled(closing));
    this.#release();
  }

  #release(): void {
    for (const release of this.#releases.splice(0)) release();
  }

  // ---------------------------------------------------------------- parts and buses

  #keeperOf(part: ComposedPart): PartKeeper {
    const { drivers, log, openInput, openLines, random, timers } = this.#options;
    const { wiring } = part;
    const bus = wiring === null ? null : this.#busOf(wiring.bus);
    const keeper = new PartKeeper({
      part,
      device: wiring === null || bus === null ? null : bus.owner.device(wiring.address),
      others: wiring === null ? [] : othersAt(wiring.address, part.driver.part, drivers),
      openLines,
      interrupts: this.#interrupts,
      openInput,
      timers,
      log,
      random,
      onInputs: (inputs) => this.#read(part, inputs),
      onOpened: () => this.#reset(part),
      onLost: () => this.#reset(part),
      onFailed: () => this.#tellMissing(),
    });
    bus?.keepers.push(keeper);
    return keeper;
  }

  #busOf(number: number): Bus {
    const known = this.#buses.get(number);
    if (known !== undefined) return known;
    const keepers: PartKeeper[] = [];
    const owner = this.#options.makeBus(number, {
      onOpened: () => {
        for (const keeper of keepers) keeper.busBack();
      },
      onLost: (problem) => {
        for (const keeper of keepers) keeper.busLost(problem);
      },
    });
    const bus = { owner, keepers };
    this.#buses.set(number, bus);
    return bus;
  }

  async #startBus({ owner, keepers }: Bus): Promise<void> {
    await owner.start();
    if (this.#stopping !== null) return;
    if (!owner.state.isOpen) {
      const problem = new SurfacedError('E_HW_BUS_OPEN', owner.state.problem ?? 'the bus is not open');
      for (const keeper of keepers) keeper.busLost(problem);
    }
    await Promise.all(keepers.map((keeper) => keeper.start()));
  }

  #missing(): Missing[] {
    return this.#keepers.flatMap(({ part, isOpen, problem }) => {
      if (isOpen || problem === null) return [];
      return [{ part, controls: this.#namesOf(part), problem }];
    });
  }

  /** Names of a part's controls, as the panel calls them. */
  #namesOf(part: ComposedPart): readonly string[] {
    const { joystick } = this.#options.composed;
    return [...new Set(part.spec.controls.map(({ name }) => nameOutside(joystick, name)))];
  }

  /** Names of all controls that are missing or cannot be believed; a chord is missing with each of its buttons. */
  #missingNames(missing: readonly Missing[]): readonly string[] {
    const names = new Set([...missing.flatMap(({ controls }) => controls), ...this.#stage.jumping]);
    const chords = this.#options.composed.chords.filter(({ of }) => of.some((member) => names.has(member)));
    return [...names, ...chords.map(({ name }) => name)];
  }

  // ---------------------------------------------------------------- readings

  #read(part: ComposedPart, inputs: readonly RawInput[]): void {
    if (this.#stopping !== null) return;
    this.#options.onInputs?.(inputs);
    const turned = part.pads === null ? inputs : inputs.map((input) => turnedInput(part.pads, input));
    this.#report(this.#stage.push(turned, this.#options.timers.monotonic()));
    const jumping = this.#stage.jumping.join();
    if (jumping === this.#jumping) return;
    this.#jumping = jumping;
    this.#tellMissing();
  }

  /** The next readings of a part's controls are first readings. */
  #reset(part: ComposedPart): void {
    if (this.#stopping !== null) return;
    this.#report(this.#stage.lost(part.spec.controls.map(({ name }) => name)));
    this.#tellMissing();
  }

  #tellMissing(): void {
    const controls = this.#missingNames(this.#missing());
    if (this.#stopping !== null || controls.join() === this.#told.join()) return;
    this.#told = controls;
    this.#emit({ type: 'missing', controls });
  }

  #report(events: readonly ControlEvent[]): void {
    const { timers, composed } = this.#options;
    this.#cancelTick();
    this.#cancelTick = () => {};
    const wakeAt = this.#stage.nextWakeAt();
    if (wakeAt !== null) {
      const tick = (): void => this.#report(this.#stage.tick(timers.monotonic()));
      this.#cancelTick = timers.after(Math.max(0, wakeAt - timers.monotonic()), tick);
    }
    for (const event of events) {
      const outside = throughJoystick(composed.joystick, event);
      if (outside !== null) this.#emit(outside);
    }
  }

  // ---------------------------------------------------------------- brightness

  #brightnessNow(): number {
    const { brightness, night, now } = this.#options;
    return brightnessAt(brightness, night, now());
  }

  #checkNight(): void {
    const brightness = this.#brightnessNow();
    const isChanged = brightness !== this.#brightness;
    this.#brightness = brightness;
    if (isChanged && this.#latest !== null) this.show(this.#latest);
    this.#cancelNightCheck = this.#options.timers.after(nightCheckMs, () => this.#checkNight());
  }
}

/** Whether anybody would notice that the part is there. */
const isSeen = ({ spec }: ComposedPart): boolean => spec.lights !== null || spec.controls.length > 0;
