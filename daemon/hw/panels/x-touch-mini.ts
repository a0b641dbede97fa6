/**
 * Behringer X-Touch Mini in Mackie Control mode: eight encoders with push and rings, sixteen buttons with lights, two
 * layer buttons, a fader without motor. The rings' first and last lights cannot be reached in this mode.
 * Bytes as users have noted them; not run on the device yet. To check against: Behringer, "X-TOUCH MINI" quick start
 * guide, Mackie Control mode.
 */

import type { Frame } from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import { type Bytes, controlChange } from '../midi/writer.ts';
import type { PanelDriver, PanelSession } from './driver.ts';
import { type PanelTable, specOf, type TableControl, TableSession } from './table.ts';

const upperNotes = [89, 90, 40, 41, 42, 43, 44, 45];
const lowerNotes = [87, 88, 91, 92, 86, 93, 94, 95];

function button(name: string, note: number): TableControl {
  return { spec: { name, kind: 'button' }, channel: null, press: { note }, lights: [{ note }] };
}

const encoders = upperNotes.map(
  (note, index): TableControl => ({
    spec: { name: `encoder${index + 1}`, kind: 'encoder', pulsesPerDetent: 1 },
    channel: null,
    turn: { cc: 16 + index, encoding: 'signed-bit-2' },
    press: { note: 32 + index },
    // The button below an encoder lights with it, unless it shows something of its own.
    lights: [{ note }],
    // 33 to 43: filled from the left.
    ring: { cc: 48 + index, encode: (value) => 33 + Math.round(value * 10) },
  }),
);

const table: PanelTable = {
  model: 'x-touch-mini',
  controls: [
    ...encoders,
    ...[...upperNotes, ...lowerNotes].map((note, index) => button(`button${index + 1}`, note)),
    button('layer-a', 84),
    button('layer-b', 85),
    // Seven bits in the upper half of fourteen: 127 << 7 at the top.
    { spec: { name: 'fader1', kind: 'fader' }, channel: null, bend: { channel: 8, top: 127 << 7 } },
  ],
  roles: {
    arm: 'button16',
    undo: 'button11',
    bankPrevious: 'layer-a',
    bankNext: 'layer-b',
    lock: 'button13',
  },
};

/** Switches Mackie Control mode: on channel 11, the factory setting, and on channel 1, as sources disagree. */
function mode(value: 0 | 1): Bytes {
  return [...controlChange(10, 127, value), ...controlChange(0, 127, value)];
}

class XTouchMiniSession implements PanelSession {
  readonly enter = mode(1);
  readonly settleMs = 10;
  readonly #table = new TableSession(table);

  receive(message: MidiMessage) {
    return this.#table.receive(message);
  }

  render(frame: Frame): Bytes {
    return this.#table.render(frame);
  }

  leave(): Bytes {
    return [...this.#table.leave(), ...mode(0)];
  }
}

/** A Behringer X-Touch Mini as a panel. */
export const xTouchMini: PanelDriver = {
  spec: specOf(table),
  isDimmable: false,
  open: () => new XTouchMiniSession(),
};
