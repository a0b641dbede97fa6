/** One opening of one part, from probing it to closing it: polls, shows, and notices when the part is gone. */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { PartIo, PartPicture, PartSession, RawInput } from '../chips/driver.ts';
import type { OpenLines } from '../gpio/lines.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { OpenInput } from '../input/device.ts';
import type { Timers } from '../panel.ts';
import type { ComposedPart } from './compose.ts';
import type { InterruptLines, InterruptShare } from './interrupts.ts';
import { CuttableTime, endsWithin } from './part-time.ts';
import { isSamePicture } from './picture.ts';

/** About 30 frames a second: more than eyes can follow. */
const frameIntervalMs = 33;
/** A glitch on a long cable must not make every control start over: so many failures in a row are borne. */
const toleratedFailures = 2;
/** After a failure the next poll comes this soon, milliseconds: one glitch must not count twice, a loss be told at once. */
const retryMs = { shortest: 10, longest: 50 };
/** An interrupt line that flutters must not fill the bus. */
const shortestGapMs = 1;
/** A part without inputs is looked for this often, so that one that was unplugged is lit again when it is back. */
const presenceMs = 1000;
/** What is under way may end by itself for so long, then it is told to; closing gets the same time once more. */
const closingMs = 400;

type SwitchInput = Extract<RawInput, { type: 'switch' }>;

/** What an opening needs. */
export interface PartRunOptions {
  readonly part: ComposedPart;
  /** Null for a part that is not on an I2C bus. */
  readonly device: I2cDevice | null;
  /** What else can be at its address, for the message when something else answers. */
  readonly others: readonly string[];
  readonly openLines: OpenLines;
  readonly interrupts: InterruptLines;
  readonly openInput: OpenInput;
  readonly timers: Timers;
  readonly log: Log;
  /** Takes the readings of the open part. */
  readonly onInputs: (inputs: readonly RawInput[]) => void;
}

/** One opening of one part. */
export class PartRun {
  /** Resolves with the reason when the part is lost; also when it is closed. */
  readonly ended: Promise<Error>;
  readonly #options: PartRunOptions;
  readonly #time: CuttableTime;
  #end: (problem: Error) => void = () => {};
  #isOver = false;
  #closing: Promise<void> | null = null;
  /** All that is under way, one after the other: a part is asked one thing at a time. */
  #work: Promise<void> = Promise.resolve();
  #session: PartSession | null = null;
  #interrupt: InterruptShare | null = null;
  /** Readings that came while it was being opened; null: they are passed on. */
  #early: RawInput[] | null = [];
  /** Every switch as it was reported last. */
  readonly #switches = new Map<string, SwitchInput>();
  #isPollWanted = false;
  #wakePoll: () => void = () => {};
  #wanted: PartPicture | null = null;
  /** What it shows as far as is known; null: unknown. */
  #shown: PartPicture | null = null;
  #isShowing = false;
  #showFailures = 0;
  #nextShowAt = 0;
  #cancelShow: (() => void) | null = null;

  constructor(options: PartRunOptions) {
    this.#options = options;
    this.#time = new CuttableTime(options.timers);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Looks whether the part is there and sets it up; rejects when it is not. Close it in any case. */
  open(): Promise<void> {
    return this.#alone(() => this.#open());
  }

  /** Begins to poll, and passes on what was reported meanwhile. */
  begin(): void {
    const early = this.#early ?? [];
    this.#early = null;
    if (this.#isOver) return;
    if (early.length > 0) this.#options.onInputs(early);
    void this.#poll();
    this.#pump();
  }

  /** Shows the newest picture as soon as the part takes it; nothing is sent for what it shows already. */
  show(picture: PartPicture): void {
    this.#wanted = picture;
    this.#pump();
  }

  /** Ends it from outside: its bus is gone, or the panel stops. */
  lose(problem: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelShow?.();
    this.#wakePoll();
    this.#end(problem);
  }

  /** Makes the part dark and lets go of it; takes less than a second, whatever the part does. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { timers } = this.#options;
    this.lose(new Error('closed'));
    if (!(await endsWithin(timers, closingMs, this.#work))) this.#time.cut();
    const closing = [this.#session?.close(), this.#interrupt?.leave()].map((one) => Promise.resolve(one));
    await endsWithin(timers, closingMs, Promise.allSettled(closing));
    this.#time.cut();
  }

  async #open(): Promise<void> {
    const { part, device } = this.#options;
    const { driver, config } = part;
    const io: PartIo = {
      time: this.#time,
      report: (inputs) => this.#report(inputs),
      fail: (problem) => this.lose(problem),
      openLines: this.#options.openLines,
      openInput: this.#options.openInput,
    };
    if (driver.kind === 'host') {
      this.#keep(await driver.open(config, io));
      return;
    }
    if (device === null) throw new Error(`${part.label} has no bus`);
    await this.#probe(device);
    if (this.#isOver) return;
    this.#keep(await driver.open(config, device, io));
    if (part.interrupt === null || this.#isOver) return;
    this.#interrupt = this.#options.interrupts.join(part.interrupt, () => this.#interrupted());
  }

  /** A session that comes too late, after a close that could not wait for it, is closed at once. */
  #keep(session: PartSession): void {
    this.#session = session;
    if (this.#isOver && this.#time.isCut) void session.close();
  }

  async #probe(device: I2cDevice): Promise<void> {
    const { part, others } = this.#options;
    const { driver } = part;
    if (driver.kind !== 'i2c' || (await driver.probe(device, this.#time)) !== null) return;
    const known = others.length > 0 ? `, where ${others.join(', ')} can be` : '';
    throw new SurfacedError('E_HW_PART', `${part.label} expected${known}: something else answers`);
  }

  #report(inputs: readonly RawInput[]): void {
    if (this.#isOver) return;
    for (const input of inputs) this.#note(input);
    if (this.#early !== null) this.#early.push(...inputs);
    else this.#options.onInputs(inputs);
  }

  // ---------------------------------------------------------------- polls

  /** Poll after poll until the part is lost. */
  async #poll(): Promise<void> {
    const { device } = this.#options;
    const session = this.#session;
    if (session === null) return;
    const presence = device === null ? null : () => this.#probe(device);
    const read = session.poll === null ? presence : () => session.poll?.();
    if (read === null) return;
    const restMs = session.poll === null ? presenceMs : session.pollMs;
    let failures = 0;
    while (!this.#isOver) {
      this.#isPollWanted = false;
      try {
        await this.#alone(async () => {
          if (!this.#isOver) await read();
        });
        failures = 0;
      } catch (error) {
        failures += 1;
        if (!this.#bear(error, failures, 'poll failed')) return;
        if (failures === 1) this.#doubtHeld();
      }
      // From the end of one poll to the beginning of the next: a slow bus makes polls fewer, never a queue.
      await this.#rest(this.#restMs(session, restMs, failures));
    }
  }

  #note(input: RawInput): void {
    if (input.type === 'switch') this.#switches.set(`${input.control} ${input.index ?? ''}`, input);
    if (input.type !== 'unsure') return;
    for (const [key, { control }] of this.#switches)
      if (input.controls.includes(control)) this.#switches.delete(key);
  }

  /** A poll that failed may hide a release, and a hold confirms what is risky: what was down has to be pressed anew. */
  #doubtHeld(): void {
    const at = this.#options.timers.monotonic();
    const switches = [...this.#switches.values()];
    const controls = [...new Set(switches.flatMap(({ control, isDown }) => (isDown ? [control] : [])))];
    if (controls.length === 0) return;
    // The other pads of such a row are still up as far as is known, and their next press counts.
    const up = switches.filter(({ control, isDown }) => !isDown && controls.includes(control));
    this.#report([{ type: 'unsure', controls, at }, ...up.map((one) => ({ ...one, at }))]);
  }

  #restMs(session: PartSession, restMs: number, failures: number): number {
    if (failures > 0) return Math.min(Math.max(restMs, retryMs.shortest), retryMs.longest);
    // A line that is still low has more to tell, and no edge will say so.
    if (session.poll === null || this.#interrupt?.isQuiet() !== true) return restMs;
    return Math.max(restMs, session.pollWithInterruptMs);
  }

  #interrupted(): void {
    this.#isPollWanted = true;
    this.#wakePoll();
  }

  /** Waits for the time, or less when the interrupt line fires; not at all once the part is lost. */
  #rest(ms: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    const { timers } = this.#options;
    const soonest = timers.monotonic() + shortestGapMs;
    return new Promise((resolve) => {
      let cancel = timers.after(this.#isPollWanted ? shortestGapMs : ms, resolve);
      this.#wakePoll = () => {
        cancel();
        const gapMs = this.#isOver ? 0 : soonest - timers.monotonic();
        if (gapMs > 0) cancel = timers.after(gapMs, resolve);
        else resolve();
      };
    });
  }

  // ---------------------------------------------------------------- lights

  #pump(): void {
    const { timers } = this.#options;
    if (this.#isOver || this.#early !== null || this.#session === null || this.#session.show === null) return;
    if (this.#wanted === null || this.#isShowing || this.#cancelShow !== null) return;
    if (this.#shown !== null && isSamePicture(this.#shown, this.#wanted)) return;
    const waitMs = this.#nextShowAt - timers.monotonic();
    if (waitMs > 0) {
      this.#cancelShow = timers.after(waitMs, () => {
        this.#cancelShow = null;
        this.#pump();
      });
      return;
    }
    this.#isShowing = true;
    void this.#showNewest();
  }

  async #showNewest(): Promise<void> {
    try {
      await this.#alone(async () => {
        const picture = this.#wanted;
        if (this.#isOver || picture === null) return;
        this.#nextShowAt = this.#options.timers.monotonic() + frameIntervalMs;
        this.#shown = null;
        await this.#session?.show?.(picture);
        this.#shown = picture;
      });
      this.#showFailures = 0;
    } catch (error) {
      this.#showFailures += 1;
      this.#bear(error, this.#showFailures, 'show failed');
    }
    this.#isShowing = false;
    this.#pump();
  }

  // ---------------------------------------------------------------- inside

  /** Does it when all that is under way has ended; a part that waits for an answer must not be written to. */
  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  /** False: the part is lost for it. */
  #bear(error: unknown, failures: number, message: string): boolean {
    const problem = error instanceof Error ? error : new Error(String(error));
    const { log, part } = this.#options;
    log.debug({ panelPart: part.label, failures, err: problem.message }, message);
    if (isOfTheBus(problem) && failures <= toleratedFailures) return true;
    this.lose(problem);
    return false;
  }
}

function isOfTheBus(problem: Error): boolean {
  if (!(problem instanceof SurfacedError)) return false;
  return problem.code === 'E_HW_NO_ACK' || problem.code === 'E_HW_BUS' || problem.code === 'E_HW_PART';
}
