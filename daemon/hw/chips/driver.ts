/**
 * The contract of a part of the panel: a chip on the I2C bus, GPIO lines, or a kernel device. One part, one file in this
 * folder, named as the part is printed, and one line in `table.ts`. docs/write-a-driver.md is the guide.
 */
import type { z } from 'zod';
import type { ControlFeedback, ControlSpec, Millis } from '../../surface/types.ts';
import type { OpenLines } from '../gpio/lines.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { OpenInput } from '../input/device.ts';

/** What a part reads, before `hw/signal` makes steady events of it. */
export type RawInput =
  /** A fader: part of the full scale, 0..1, as converted; noise and bad ends included. */
  | { readonly type: 'level'; readonly control: string; readonly value: number; readonly at: Millis }
  /**
   * A switch as it is, bounces included; `index` is the pad in a row of pads. Every switch is told once after `open`,
   * changed or not: the first reading says how it stands, and only what follows can be a press.
   */
  | {
      readonly type: 'switch';
      readonly control: string;
      readonly index?: number;
      readonly isDown: boolean;
      readonly at: Millis;
    }
  /** Pulses of an encoder, clockwise positive; never 0. */
  | { readonly type: 'turn'; readonly control: string; readonly pulses: number; readonly at: Millis }
  /** Readings of these controls were lost; what comes next is a first reading. */
  | { readonly type: 'unsure'; readonly controls: readonly string[]; readonly at: Millis };

/** The lights of a part. */
export interface LightsSpec {
  readonly width: number;
  readonly height: number;
  /** `red-green`: red, green, both. `mono`: one colour, so that only the brightness counts. */
  readonly colours: 'rgb' | 'red-green' | 'mono';
}

/** What a part brings to the panel. */
export interface PartSpec {
  readonly controls: readonly ControlSpec[];
  /** Its share of the panel's matrix; null when it has none. */
  readonly lights: LightsSpec | null;
}

/** What a part should show. */
export interface PartPicture {
  /** `width * height * 3` bytes, row-major from the top left of the part as it is mounted; null on a part without lights. */
  readonly rgb: Uint8Array | null;
  /** Feedback of the part's own controls. */
  readonly controls: ReadonlyMap<string, ControlFeedback>;
  /** 0..1, for all lights of the part; set in the part where it can, else by scaling. */
  readonly brightness: number;
}

/** What a part occupies, for clash checks and for `surfaced doctor`. */
export interface PartNeeds {
  /** GPIO lines, offsets on the header's chip. */
  readonly lines: readonly number[];
  /** Names or paths of kernel input devices. */
  readonly inputs: readonly string[];
  /** Other device files or names of kernel devices. */
  readonly files: readonly string[];
}

/** Time for a part, so that tests can make it pass. */
export interface PartTime {
  /** Milliseconds that only go forward. */
  now(): Millis;
  /** Resolves after the time, and at once when the part is closed. */
  pause(ms: number): Promise<void>;
}

/** What a part is opened with. */
export interface PartIo {
  readonly time: PartTime;
  /** Takes readings; may be called at any time after `open` was called. */
  readonly report: (inputs: readonly RawInput[]) => void;
  /** The part was lost outside of `poll` and `show`; it is closed and opened again. */
  readonly fail: (problem: Error) => void;
  readonly openLines: OpenLines;
  readonly openInput: OpenInput;
}

/**
 * One opening of a part: knows what the part shows, so that only changes are sent. A part is asked one thing at a time:
 * `poll` and `show` never run together. `close` waits for what is under way, but not for ever: pauses end at once then.
 */
export interface PartSession {
  /**
   * Reads the inputs and reports them: every `pollMs`, and at once when the part's interrupt line fires. Never called
   * again before it has ended. Rejects when the part fails. Null: it reports by itself, or has no inputs.
   */
  readonly poll: (() => Promise<void>) | null;
  /** Milliseconds between two polls. */
  readonly pollMs: number;
  /** The same when an interrupt line is wired: a safety net only. */
  readonly pollWithInterruptMs: number;
  /**
   * Turns what the part shows into the picture; sends nothing when it already is. One that rejects is called again with
   * the newest picture, and must take what the part shows for unknown. Null: it shows nothing.
   */
  readonly show: ((picture: PartPicture) => Promise<void>) | null;
  /** Makes the part dark and gives back what it holds; the part may be gone. Never rejects. */
  close(): Promise<void>;
}

/** What every driver has; `Config` is what the part's entry in the file says beside the fields of every part. */
interface DriverBase<Config> {
  /** As `part:` in the config, and the name of the file. */
  readonly part: string;
  /** Maker and words, e.g. `Texas Instruments ADS1115, four-channel 16-bit converter`. */
  readonly title: string;
  /** Schema of the part's own fields, each described; strict. */
  readonly schema: z.ZodType<Config>;
  /** What it brings, from its config alone. */
  declare(config: Config): PartSpec;
  /** What it occupies. */
  needs(config: Config): PartNeeds;
}

/** A part on an I2C bus. */
export interface I2cDriver<Config = unknown> extends DriverBase<Config> {
  readonly kind: 'i2c';
  /** Addresses that it can be set to, the usual one first. */
  readonly addresses: readonly number[];
  /** What sets the address, as its board or datasheet names it, e.g. `its ADDR pin`; null: nothing, or nobody knows. */
  readonly selector: string | null;
  /**
   * Looks whether the part is there, without changing anything in it or in another part at that address: reads of
   * registers that have no side effect. Runs when a panel is examined and before every opening, and once a second on a part
   * whose `poll` is null; null keeps the part shut.
   * @returns what was found in a few words, null when something else answers; rejects when nothing does
   */
  probe(device: I2cDevice, time: PartTime): Promise<string | null>;
  /** Sets the part up; dark. Rejects when it is not there or does not answer as it should. */
  open(config: Config, device: I2cDevice, io: PartIo): Promise<PartSession>;
}

/** A part behind GPIO lines or a kernel driver. */
export interface HostDriver<Config = unknown> extends DriverBase<Config> {
  readonly kind: 'host';
  open(config: Config, io: PartIo): Promise<PartSession>;
}

/** Any driver; a driver is data: `export const ads1115 = { ... } satisfies I2cDriver<Ads1115Config>`. */
export type PartDriver<Config = unknown> = I2cDriver<Config> | HostDriver<Config>;

/** Needs of a part that is on the bus and nowhere else. */
export const noNeeds: PartNeeds = { lines: [], inputs: [], files: [] };
