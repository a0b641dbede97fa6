/**
 * Panels that are data: a table says which message is which control, and one session serves them all.
 */
import type {
  ControlEvent,
  ControlFeedback,
  ControlSpec,
  Frame,
  PanelSpec,
  Rgb,
  Roles,
} from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import { decodeRelative, type RelativeEncoding } from '../midi/relative.ts';
import { type Bytes, controlChange, noteOn, pitchBend } from '../midi/writer.ts';
import type { PanelSession, Reaction } from './driver.ts';
import { nothing, report } from './driver.ts';

/** A note or a controller number, for a button or its light. */
export type Address = { readonly note: number } | { readonly cc: number };

/** One control: what it sends and what it can show. */
export interface TableControl {
  readonly spec: ControlSpec;
  /** 0..15; null takes any and answers on the table's output channel. */
  readonly channel: number | null;
  /** Absolute position by control change, with a second controller for the low seven bits if it has them. */
  readonly position?: { readonly cc: number; readonly lsbCc: number | null };
  /** Absolute position by pitch bend on a channel of its own; `top` is what the fader sends at its upper end. */
  readonly bend?: { readonly channel: number; readonly top: number };
  readonly turn?: { readonly cc: number; readonly encoding: RelativeEncoding };
  readonly press?: Address;
  readonly touchNote?: number;
  /** Lights that can only be on or off: on while the control's own light is bright. */
  readonly lights?: readonly Address[];
  /** On while the operator has to move the control up, or down, to pick it up. */
  readonly hintLights?: { readonly up: Address; readonly down: Address };
  /** Ring of lights; `encode` gives the value for 0..1, 0 is dark. */
  readonly ring?: {
    readonly cc: number;
    readonly encode: (value: number) => number;
    readonly alsoOf?: string;
  };
}

/** A whole panel as data. */
export interface PanelTable {
  readonly model: string;
  readonly controls: readonly TableControl[];
  readonly roles: Roles;
}

/** What a table's panel consists of. */
export function specOf(table: PanelTable): PanelSpec {
  return {
    model: table.model,
    controls: table.controls.map((control) => control.spec),
    matrix: null,
    roles: table.roles,
  };
}

/** The same name with a number from 1 to `count`, as printed on the device. */
export function numbered<T>(count: number, make: (number: number, index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index + 1, index));
}

/**
 * A light that knows on and off only is on from here. The surface dims what is stale or unknown to 15 % and less,
 * while what stands by (another bank) keeps 30 % of white, a locked binding 40 % of its hue: 63 for the darkest.
 */
const litFrom = 60;
/**
 * A motor is left alone while it is this close, of 16383: the faders have ten bits and report their own idea of the
 * place that they were sent to.
 */
const motorTolerance = 32;

/** True when a light with only on and off should be on for this colour. */
export function isLit(colour: Rgb): boolean {
  return Math.max(...colour) >= litFrom;
}

type Kind = 'note' | 'cc' | 'bend';
type Handler = (value: number) => ControlEvent | null;

/** Position of a motor fader as far as the host knows it, and whether a hand holds it. */
interface Motor {
  at: number | null;
  isTouched: boolean;
}

/** The session of every panel that is a table; panels with more to show wrap it. */
export class TableSession implements PanelSession {
  readonly enter: Bytes = [];
  readonly settleMs = 0;
  readonly #controls: readonly TableControl[];
  readonly #handlers = new Map<string, Handler>();
  readonly #motors = new Map<TableControl, Motor>();
  /** Last value sent, by status and first data byte. */
  readonly #sent = new Map<number, number>();
  #outputChannel = 0;

  constructor(table: PanelTable) {
    this.#controls = table.controls;
    for (const control of table.controls) {
      for (const channel of control.channel === null
        ? numbered(16, (_, index) => index)
        : [control.channel]) {
        this.#listen(control, (kind, number, handler) =>
          this.#handlers.set(`${kind} ${channel} ${number}`, handler),
        );
      }
      if (control.bend !== undefined) this.#listenToBend(control, control.bend);
    }
  }

  /** Sets the channel for lights of controls that take any channel. */
  set outputChannel(channel: number) {
    this.#outputChannel = channel;
  }

  /** Forgets what the device shows, so that the next frame is sent whole. */
  forget(): void {
    this.#sent.clear();
  }

  #listen(control: TableControl, on: (kind: Kind, number: number, handler: Handler) => void): void {
    const { position, turn, press, touchNote } = control;
    const name = control.spec.name;
    if (position !== undefined) {
      const { cc, lsbCc } = position;
      if (lsbCc === null) {
        on('cc', cc, (value) => ({ type: 'position', control: name, value: value / 127 }));
      } else {
        // The low bits follow the high ones (MIDI 1.0, "Control Change"): only then is the position whole.
        let high = 0;
        on('cc', cc, (value) => {
          high = value;
          return null;
        });
        on('cc', lsbCc, (low) => ({
          type: 'position',
          control: name,
          value: (high * 128 + low) / 0x3fff,
        }));
      }
    }
    if (touchNote !== undefined) {
      on('note', touchNote, (value) => {
        const motor = this.#motors.get(control);
        if (motor !== undefined) motor.isTouched = value > 0;
        return { type: 'touch', control: name, isTouched: value > 0 };
      });
    }
    if (turn !== undefined) {
      on('cc', turn.cc, (value) => {
        const pulses = decodeRelative(turn.encoding, value);
        return pulses === 0 ? null : { type: 'turn', control: name, pulses };
      });
    }
    if (press !== undefined) {
      const [kind, number]: [Kind, number] = 'note' in press ? ['note', press.note] : ['cc', press.cc];
      on(kind, number, (value) => ({ type: value > 0 ? 'press' : 'release', control: name }));
    }
  }

  #listenToBend(control: TableControl, bend: { readonly channel: number; readonly top: number }): void {
    const motor: Motor = { at: null, isTouched: false };
    this.#motors.set(control, motor);
    this.#handlers.set(`bend ${bend.channel} 0`, (value) => {
      motor.at = value;
      return { type: 'position', control: control.spec.name, value: Math.min(1, value / bend.top) };
    });
  }

  receive(message: MidiMessage): Reaction {
    const event = this.#handle(message);
    return event === null ? nothing : report(event);
  }

  #handle(message: MidiMessage): ControlEvent | null {
    const call = (kind: Kind, channel: number, number: number, value: number) =>
      this.#handlers.get(`${kind} ${channel} ${number}`)?.(value) ?? null;
    switch (message.type) {
      case 'note-on':
        return call('note', message.channel, message.note, message.velocity);
      case 'note-off':
        return call('note', message.channel, message.note, 0);
      case 'control-change':
        return call('cc', message.channel, message.controller, message.value);
      case 'pitch-bend':
        return call('bend', message.channel, 0, message.value);
      default:
        return null;
    }
  }

  render(frame: Frame): Bytes {
    const bytes: number[] = [];
    const isOn = new Map<number, boolean>();
    for (const control of this.#controls) {
      const feedback = frame.controls.get(control.spec.name);
      const light = (address: Address, on: boolean) => {
        const key = this.#key(control, address);
        // A light may serve a control and a hint: it is on when either says so.
        isOn.set(key, on || (isOn.get(key) ?? false));
      };
      for (const address of control.lights ?? []) {
        light(address, feedback !== undefined && isLit(feedback.light));
      }
      if (control.hintLights !== undefined) {
        light(control.hintLights.up, feedback?.hint === 'up');
        light(control.hintLights.down, feedback?.hint === 'down');
      }
      if (control.ring !== undefined) {
        const alsoOf = control.ring.alsoOf;
        const value =
          feedback?.ring ?? (alsoOf === undefined ? null : frame.controls.get(alsoOf)?.ring) ?? null;
        bytes.push(
          ...this.#put(this.#key(control, control.ring), value === null ? 0 : control.ring.encode(value)),
        );
      }
      bytes.push(...this.#moveMotor(control, feedback));
    }
    for (const [key, on] of isOn) bytes.push(...this.#put(key, on ? 127 : 0));
    return bytes;
  }

  /** Switches every light off; motors stay where they are, so that the panel goes on showing what was set. */
  leave(): Bytes {
    const keys = this.#controls.flatMap((control) => {
      const hints = control.hintLights === undefined ? [] : [control.hintLights.up, control.hintLights.down];
      const rings = control.ring === undefined ? [] : [control.ring];
      return [...(control.lights ?? []), ...hints, ...rings].map((address) => this.#key(control, address));
    });
    return keys.flatMap((key) => this.#put(key, 0));
  }

  #moveMotor(control: TableControl, feedback: ControlFeedback | undefined): Bytes {
    const motor = this.#motors.get(control);
    if (motor === undefined || control.bend === undefined || control.spec.hasMotor !== true) return [];
    const position = feedback?.position ?? null;
    if (position === null || motor.isTouched) return [];
    const target = Math.round(Math.min(1, Math.max(0, position)) * control.bend.top);
    if (motor.at !== null && Math.abs(motor.at - target) <= motorTolerance) return [];
    motor.at = target;
    return pitchBend(control.bend.channel, target);
  }

  #key(control: TableControl, address: Address): number {
    const channel = control.channel ?? this.#outputChannel;
    return 'note' in address ? ((0x90 | channel) << 7) | address.note : ((0xb0 | channel) << 7) | address.cc;
  }

  #put(key: number, value: number): Bytes {
    if (this.#sent.get(key) === value) return [];
    this.#sent.set(key, value);
    const channel = (key >> 7) & 0x0f;
    const write = key >> 11 === 0x9 ? noteOn : controlChange;
    return write(channel, key & 0x7f, value);
  }
}
