/**
 * What a scenario may ask of a rig: hands, cables and eyes. The virtual rig (kernel devices and chip models) and the
 * real bench (a second Pi or a microcontroller wired to the panel) both are one.
 */
import type { ShownLights } from '../sim/chips/model.ts';

/** What not every rig can do; a scenario that needs more is skipped, and the reason is printed. */
export type Ability =
  /** Takes single parts off their bus and puts them back. */
  | 'unplug-part'
  /** Takes a whole I2C bus away. */
  | 'unplug-bus'
  /** Makes a part answer wrongly. */
  | 'part-fault'
  /** Reads back what the lights show. */
  | 'lights';

/** How a part answers from now on, see hil/sim/chips/bus.ts. */
export type PartFault = 'none' | 'garbage' | 'half' | 'stuck' | 'slow' | 'held' | 'jumps';

/** A panel under test, and everything around it. */
export interface Rig {
  readonly name: 'virtual' | 'bench';
  readonly abilities: ReadonlySet<Ability>;
  /** Path on this machine of the Device file, or of a copy, that describes the panel as it is wired. */
  readonly deviceConfig: string;
  /** Path of that file where the panel is, for the program under test. */
  readonly panelConfig: string;
  /**
   * Command line, the program first, that runs `surfaced` with these arguments where the panel is: in this kernel on the
   * virtual rig, over ssh on a bench. Give it a pipe as standard input and keep that open; SIGTERM ends it.
   */
  surfaced(...args: readonly string[]): readonly string[];
  /** Turns an encoder; resolves when the last edge is out. Clockwise positive. */
  turn(control: string, detents: number, detentsPerSecond: number): Promise<void>;
  /** Presses a button, or a pad of a row (counted from 0), and keeps it down; `null`: the button itself. */
  press(control: string, pad: number | null): Promise<void>;
  release(control: string, pad: number | null): Promise<void>;
  /** Puts a fader at a position, 0 to 1. */
  move(control: string, position: number): Promise<void>;
  /** Takes a part, named as `<part>@<address in hex>` (`ads1115@48`), off its bus. */
  unplug(part: string): Promise<void>;
  /** Puts it back, freshly powered. */
  plug(part: string): Promise<void>;
  fault(part: string, fault: PartFault): Promise<void>;
  unplugBus(bus: number): Promise<void>;
  plugBus(bus: number): Promise<void>;
  /** What the lights of a part show now. */
  lights(part: string): Promise<ShownLights>;
  /** What the parts were sent that real parts would not take; empty when all is well. */
  protocolErrors(): Promise<readonly string[]>;
  /** Ends the rig; may be called twice. */
  close(): Promise<void>;
}
