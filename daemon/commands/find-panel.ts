/**
 * A panel that makes itself known: MIDI devices by their names, a Sense HAT by its frame buffer. Parts on an I2C bus are not
 * looked for: nothing tells an HT16K33 from whatever else may be at its address, and light would be written into that.
 */
import { type PanelConfig, panelSchema } from '../config/panel.ts';
import { type Machine, namesIn, textOf } from '../hw/doctor/machine.ts';
import { listMidiPorts } from '../hw/doctor/midi-ports.ts';

/** Names as the devices give them to USB; of several ports the one that docs/panels.md names. */
const known: readonly { readonly preset: string; readonly title: RegExp; readonly port: RegExp }[] = [
  { preset: 'launchpad-mini-mk3', title: /LPMiniMK3|Launchpad Mini MK3/i, port: /MI(?:DI)?\b(?!.*DA)/ },
  { preset: 'launchpad-x', title: /\bLPX\b|Launchpad X/i, port: /MI(?:DI)?\b(?!.*DA)/ },
  { preset: 'nanokontrol2', title: /nanoKONTROL2/i, port: /./ },
  { preset: 'x-touch-mini', title: /X-?TOUCH MINI/i, port: /./ },
  { preset: 'mackie-control', title: /^X-?Touch(?! (?:mini|one|compact))|Mackie Control/i, port: /./ },
];
const senseHat = 'RPi-Sense FB';

/** Null: there is none. Opens no panel. */
export async function findPanel(machine: Machine): Promise<PanelConfig | null> {
  const ioctl = await machine.loadIoctl().catch(() => null);
  const ports = await listMidiPorts(machine, ioctl);
  for (const { preset, title, port } of known) {
    const own = ports.filter((one) => title.test(one.title));
    const [best] = [...own.filter((one) => port.test(one.title)), ...own.toReversed()];
    if (best !== undefined) return panelSchema.parse({ preset, port: { type: 'raw-midi', path: best.name } });
  }
  for (const entry of await namesIn(machine, '/sys/class/graphics', /^fb\d+$/))
    if ((await textOf(machine, `/sys/class/graphics/${entry}/name`)) === senseHat)
      return panelSchema.parse({ preset: 'sense-hat' });
  return null;
}
