import type { MidiControl } from '../../config/panel.ts';
import type { PanelDriver } from './driver.ts';
import { type Address, type PanelTable, specOf, type TableControl, TableSession } from './table.ts';

/** Any MIDI controller, from the map in its config: `panel.controls`. */
export function genericMidi(controls: readonly MidiControl[]): PanelDriver {
  const table: PanelTable = { model: 'generic-midi', controls: controls.map(tableControl), roles: {} };
  return { spec: specOf(table), isDimmable: false, open: () => new TableSession(table) };
}

function tableControl(control: MidiControl): TableControl {
  // People and configs count channels from 1, the wire from 0.
  const channel = control.channel - 1;
  const name = control.name;
  switch (control.type) {
    case 'fader':
      return {
        spec: { name, kind: 'fader' },
        channel,
        position: { cc: control.cc, lsbCc: control.ccLsb ?? null },
      };
    case 'pitch-bend-fader':
      return {
        spec: {
          name,
          kind: 'fader',
          hasMotor: control.hasMotor,
          hasTouch: control.touchNote !== undefined,
        },
        channel,
        bend: { channel, top: 0x3fff },
        ...(control.touchNote !== undefined && { touchNote: control.touchNote }),
      };
    case 'encoder':
      return {
        spec: { name, kind: 'encoder', pulsesPerDetent: 1 },
        channel,
        turn: { cc: control.cc, encoding: control.encoding },
        ...(control.pushNote !== undefined && { press: { note: control.pushNote } }),
        ...(control.ringCc !== undefined && {
          ring: { cc: control.ringCc, encode: (value: number) => Math.round(value * 127) },
        }),
      };
    case 'button': {
      const address = addressOf(control);
      return {
        spec: { name, kind: 'button' },
        channel,
        ...(address !== null && { press: address, ...(control.hasLight && { lights: [address] }) }),
      };
    }
  }
}

function addressOf(button: {
  readonly note?: number | undefined;
  readonly cc?: number | undefined;
}): Address | null {
  if (button.note !== undefined) return { note: button.note };
  return button.cc === undefined ? null : { cc: button.cc };
}
