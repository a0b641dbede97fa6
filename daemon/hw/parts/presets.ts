/** Panels made of parts that people buy as they are. Data. */
import type { PartsPanelConfig } from '../../config/panel.ts';
import type { Roles } from '../../surface/types.ts';
import type { Joystick } from './joystick.ts';

/** What a preset stands for. */
export interface PartsPreset {
  /** Entries of `parts` when the config has none. */
  readonly parts: readonly { readonly part: string }[];
  /** Roles of controls that the parts have; the config's own come first. */
  readonly roles: Roles;
  /** Buttons that count as an encoder, when the parts have them; null: none. */
  readonly joystick: Joystick | null;
}

/** All presets of panels made of parts. */
export const partsPresets: Readonly<Record<PartsPanelConfig['preset'], PartsPreset>> = {
  parts: { parts: [], roles: {}, joystick: null },
  // Raspberry Pi OS loads the overlay of the Sense HAT by itself (it is in the EEPROM of the HAT), and its driver then
  // has the lights and the joystick at 0x46: through the kernel is what works without a change. Where no such driver is
  // (a kernel without rpisense), the config says `parts: [{ part: sense-hat }]`; roles and joystick stay.
  'sense-hat': {
    parts: [{ part: 'sense-hat-kernel' }],
    // Up and down set the number, left and right choose the binding (one a bank), pushing it confirms.
    roles: { arm: 'enter', bankPrevious: 'left', bankNext: 'right' },
    joystick: { name: 'joystick', up: 'up', down: 'down' },
  },
  // Each row of keys sets one number, and its lights show it; there is no key left for a role.
  neotrellis: { parts: [{ part: 'neotrellis' }], roles: {}, joystick: null },
};
