import type { ControlEvent, Frame, PanelSpec } from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import type { Bytes } from '../midi/writer.ts';

/** What a message from the device leads to. */
export interface Reaction {
  readonly events: readonly ControlEvent[];
  /** Bytes to send back at once. */
  readonly reply: Bytes;
  /** True when the lights depend on it and the last frame is to be shown again. */
  readonly isRedrawNeeded: boolean;
}

/** The reaction to what means nothing. */
export const nothing: Reaction = { events: [], reply: [], isRedrawNeeded: false };

/** A reaction that only reports. */
export function report(...events: ControlEvent[]): Reaction {
  return { events, reply: [], isRedrawNeeded: false };
}

/**
 * One opening of a device: knows what the device shows, so that only changes are sent. Pure: bytes and events go in
 * and out as values.
 */
export interface PanelSession {
  /** Puts the device in the mode that the driver speaks. */
  readonly enter: Bytes;
  /** How long the device needs after `enter` before it takes lights, milliseconds. */
  readonly settleMs: number;
  receive(message: MidiMessage): Reaction;
  /** Bytes that turn what the device shows into the frame; empty when it already does. */
  render(frame: Frame): Bytes;
  /** Makes the device dark and gives it back its own mode. */
  leave(): Bytes;
}

/** A kind of panel: what it has, and how to begin to talk to one. */
export interface PanelDriver {
  readonly spec: PanelSpec;
  /** Its lights have levels, so that a night can dim them; otherwise they are on or off. */
  readonly isDimmable: boolean;
  /** Begins anew: the device's lights and modes are unknown. */
  open(): PanelSession;
}
