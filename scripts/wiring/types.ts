/** What a wiring picture consists of: parts with pins, and wires between them and the header of the Pi. */
import type { catalogue } from './catalogue.ts';

/** What a pin is for; two pins on one wire must be for the same. */
export type PinKind = 'supply' | 'five-volts' | 'ground' | 'data' | 'clock' | 'signal' | 'usb' | 'reserved';

/** A pin of a part, on one edge of its box. */
export interface PartPin {
  readonly name: string;
  readonly kind: PinKind;
  readonly side: 'left' | 'right';
  /** Rows below the first one of the part, in rows of the header. */
  readonly row: number;
}

/** What the lights of a part take, and by which law its driver dims them. */
export interface LightCurrent {
  /** All lights at full, milliamperes. */
  readonly fullMilliamps: number;
  readonly law: 'pixels' | 'ht16k33';
}

/** A kind of part: what is bought once or several times. */
export interface PartKind {
  readonly pins: readonly PartPin[];
  /** Width of its box, pixels. */
  readonly width: number;
  /** Height of its box, pixels; null: as high as its pins need. */
  readonly height: number | null;
  readonly glyph: 'board' | 'fader' | 'knob' | 'matrix' | 'pads' | 'button';
  /** What it takes without its lights, at most, milliamperes. */
  readonly idleMilliamps: number;
  readonly lights: LightCurrent | null;
  /** Pins of one name and a 2 are one wire inside the part: sockets to go on from. */
  readonly isChained: boolean;
}

/** A part in a picture. */
export interface Part {
  readonly id: string;
  readonly kind: keyof typeof catalogue;
  readonly title: string;
  /** A second line, such as its address. */
  readonly note: string | null;
  /** Left edge of its box, pixels. */
  readonly x: number;
  /** Row of the header that its first pin is level with. */
  readonly row: number;
  /** Its entry in the Device file: place in `panel.parts`; null: it belongs to another part, or to a preset. */
  readonly entry: number | null;
}

/** Colours of wires, as they are sold and as the cables of STEMMA QT have them. */
export type WireColour = 'red' | 'black' | 'blue' | 'yellow' | 'green' | 'orange' | 'purple' | 'grey';

/** A wire from a pin to another: `pi.3`, `pi.usb`, `ads.VDD`. */
export interface Wire {
  readonly from: string;
  readonly to: string;
  readonly colour: WireColour;
  /** Where it bends: x, y, x, ... in pixels and rows in turn; it begins and ends level with its pins. */
  readonly via: readonly number[];
}

/** One picture. */
export interface Wiring {
  /** The picture is docs/images/wiring-NAME.svg. */
  readonly name: string;
  readonly title: string;
  /** The Device file that fits, a path in the project. */
  readonly device: string;
  /** Left edge of the header, pixels. */
  readonly headerX: number;
  readonly width: number;
  readonly height: number;
  readonly parts: readonly Part[];
  readonly wires: readonly Wire[];
}
