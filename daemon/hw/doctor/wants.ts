/** What a config wants of the machine. Pure. */
import { type PanelConfig, partBaseSchema } from '../../config/panel.ts';
import type { LightsSpec, PartDriver, PartNeeds } from '../chips/driver.ts';
import { isMidi } from '../panels.ts';
import { hex } from '../parts/addresses.ts';
import { readEntry } from '../parts/entry.ts';
import { partsPresets } from '../parts/presets.ts';
import type { NativePackage } from './machine.ts';

/** A part that the config lists. */
export interface WantedPart {
  /** What people call it, e.g. `ads1115 at 0x48 on bus 1`. */
  readonly label: string;
  readonly driver: PartDriver;
  readonly wiring: { readonly bus: number; readonly address: number } | null;
  readonly interrupt: number | null;
  readonly needs: PartNeeds;
  /** Bytes of a picture in which every light changes, about; 0: it has no lights. */
  readonly pictureBytes: number;
}

/** Everything that a config wants of the machine. */
export interface Wants {
  readonly parts: readonly WantedPart[];
  readonly gpio: { readonly via: 'character-device' | 'sysfs'; readonly chip: string | null };
  readonly port: Extract<PanelConfig, { readonly port: unknown }>['port'] | null;
}

/**
 * Reads what the panel of a config wants. Entries that are wrong are left out: the config's own check names them, and a
 * part at an address that it cannot have would ask a stranger.
 */
export function wantsOf(panel: PanelConfig, drivers: readonly PartDriver[]): Wants {
  if (isMidi(panel)) return { parts: [], gpio: { via: 'character-device', chip: null }, port: panel.port };
  const { gpio, preset } = panel;
  const entries = panel.parts ?? partsPresets[preset].parts.map((part) => partBaseSchema.parse(part));
  const parts = entries.flatMap((one, index): WantedPart[] => {
    const { entry, findings } = readEntry(one, index, drivers);
    if (entry === null || findings.length > 0) return [];
    const { driver, wiring, needs, spec, base } = entry;
    const place = wiring === null ? `parts.${index}` : `${hex(wiring.address)} on bus ${wiring.bus}`;
    return [
      {
        label: wiring === null ? `${driver.part} (${place})` : `${driver.part} at ${place}`,
        driver,
        wiring,
        interrupt: base.interrupt ?? null,
        needs,
        pictureBytes: spec.lights === null ? 0 : pictureBytes(driver.part, spec.lights),
      },
    ];
  });
  return { parts, gpio: { via: gpio.via, chip: gpio.chip ?? null }, port: null };
}

const channels: Readonly<Record<LightsSpec['colours'], number>> = { rgb: 3, 'red-green': 2, mono: 1 };

/** A byte a channel, but a bit on the HT16K33, whose lights are on or off. */
function pictureBytes(part: string, { width, height, colours }: LightsSpec): number {
  const bits = width * height * channels[colours] * (part === 'ht16k33' ? 1 : 8);
  return Math.ceil(bits / 8);
}

/** Who wants which GPIO line. */
export function wantedLines({ parts }: Wants): readonly { readonly line: number; readonly by: string }[] {
  return parts.flatMap(({ label, needs, interrupt }) => [
    ...needs.lines.map((line) => ({ line, by: label })),
    ...(interrupt === null ? [] : [{ line: interrupt, by: `the interrupt of ${label}` }]),
  ]);
}

/** Packages that the config needs, and what for. */
export function wantedPackages(wants: Wants): ReadonlyMap<NativePackage, string> {
  const { parts, gpio, port } = wants;
  const needed: [NativePackage, string][] = [];
  if (parts.some(({ wiring }) => wiring !== null)) needed.push(['i2c-bus', 'I2C buses']);
  if (parts.some(({ needs }) => needs.inputs.length > 0)) needed.push(['koffi', 'input devices']);
  if (wantedLines(wants).length > 0)
    needed.push(gpio.via === 'sysfs' ? ['onoff', 'GPIO lines through sysfs'] : ['koffi', 'GPIO lines']);
  if (port !== null) needed.push(['koffi', `the port of the panel (${port.type})`]);
  if (port?.type === 'serial') needed.push(['serialport', 'the port of the panel (serial)']);
  return new Map(needed);
}
