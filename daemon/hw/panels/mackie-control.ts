/**
 * Mackie Control Universal and what speaks its protocol (Behringer X-Touch, iCON, Asparion ...): eight motor faders
 * with touch, V-Pots with rings, buttons with lights, a display of 2x56 characters.
 * Bytes as the open-source drivers git-moss/DrivenByMoss and Do-sth-sharp/libMackieControl use them; not run on a device
 * yet. To check against: Mackie, "Logic Control User's Manual", MIDI implementation.
 */
import type { Frame } from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import type { Bytes } from '../midi/writer.ts';
import type { PanelDriver, PanelSession, Reaction } from './driver.ts';
import { MackieDisplay } from './mackie-display.ts';
import { numbered, type PanelTable, specOf, type TableControl, TableSession } from './table.ts';

/** Ten bits in the upper part of fourteen: what a fader sends at its upper end. */
const faderTop = 0x3ff << 4;

function button(name: string, note: number): TableControl {
  return { spec: { name, kind: 'button' }, channel: 0, press: { note }, lights: [{ note }] };
}

const strips = numbered(8, (number, index): TableControl[] => [
  {
    spec: { name: `fader${number}`, kind: 'fader', hasMotor: true, hasTouch: true },
    channel: 0,
    bend: { channel: index, top: faderTop },
    touchNote: 0x68 + index,
    // The select button lights with what its strip is bound to.
    lights: [{ note: 0x18 + index }],
  },
  {
    spec: { name: `encoder${number}`, kind: 'encoder', pulsesPerDetent: 1 },
    channel: 0,
    turn: { cc: 0x10 + index, encoding: 'signed-bit-2' },
    press: { note: 0x20 + index },
    // Mode 2 in bits 4 and 5: filled from the left, 1 to 11.
    ring: {
      cc: 0x30 + index,
      encode: (value) => 0x20 | (1 + Math.round(value * 10)),
      alsoOf: `fader${number}`,
    },
    lights: [{ note: 0x18 + index }],
  },
  button(`rec${number}`, index),
  button(`solo${number}`, 0x08 + index),
  button(`mute${number}`, 0x10 + index),
  button(`select${number}`, 0x18 + index),
]).flat();

const buttons = Object.entries({
  'bank-left': 0x2e,
  'bank-right': 0x2f,
  'channel-left': 0x30,
  'channel-right': 0x31,
  flip: 0x32,
  shift: 0x46,
  option: 0x47,
  control: 0x48,
  alt: 0x49,
  save: 0x50,
  undo: 0x51,
  cancel: 0x52,
  enter: 0x53,
}).map(([name, note]) => button(name, note));

const table: PanelTable = {
  model: 'mackie-control',
  controls: [
    ...strips,
    {
      spec: { name: 'master', kind: 'fader', hasMotor: true, hasTouch: true },
      channel: 0,
      bend: { channel: 8, top: faderTop },
      touchNote: 0x70,
    },
    {
      spec: { name: 'jog', kind: 'encoder', pulsesPerDetent: 1 },
      channel: 0,
      turn: { cc: 0x3c, encoding: 'signed-bit-2' },
    },
    ...buttons,
  ],
  roles: {
    arm: 'enter',
    undo: 'undo',
    bankPrevious: 'bank-left',
    bankNext: 'bank-right',
    lock: 'shift',
  },
};

/** A panel that speaks the Mackie Control protocol. */
export const mackieControl: PanelDriver = {
  spec: specOf(table),
  isDimmable: false,
  open: () => new MackieControlSession(),
};

class MackieControlSession implements PanelSession {
  /** No handshake: devices in this mode take messages at once. */
  readonly enter: Bytes = [];
  readonly settleMs = 0;
  readonly #table = new TableSession(table);
  readonly #display = new MackieDisplay();

  receive(message: MidiMessage): Reaction {
    return this.#table.receive(message);
  }

  render(frame: Frame): Bytes {
    return [...this.#table.render(frame), ...this.#display.show(frame)];
  }

  /** Faders stay where they are: dropped to the bottom they would say zero replicas. */
  leave(): Bytes {
    return [...this.#table.leave(), ...this.#display.clear()];
  }
}
