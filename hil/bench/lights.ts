/** What the lights of real parts show, worked out from what they were sent: each part has its model, which listens. */
import type { ComposedPart } from '../../daemon/hw/parts/compose.ts';
import { type Ht16k33Display, Ht16k33Model } from '../sim/chips/ht16k33.ts';
import { Is31fl3731Model } from '../sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../sim/chips/is31fl3741.ts';
import { type ChipModel, ProtocolError, type ShownLights } from '../sim/chips/model.ts';
import {
  NeoSliderModel,
  NeoTrellisModel,
  SeesawEncoderModel,
  SeesawQuadEncoderModel,
} from '../sim/chips/seesaw-parts.ts';
import { SenseHatModel } from '../sim/chips/sense-hat.ts';
import { I2cTrace, type TraceTransfer } from './i2c-trace.ts';

interface LightsModel extends ChipModel {
  lights(): ShownLights;
}

/** Models by part; the config is what the driver's schema made of the entry. */
const models: Readonly<Record<string, (address: number, config: unknown) => LightsModel>> = {
  ht16k33: (_, config) => new Ht16k33Model((config as { readonly display: Ht16k33Display }).display),
  is31fl3731: () => new Is31fl3731Model(),
  is31fl3741: (address) => new Is31fl3741Model(address),
  'seesaw-encoder': () => new SeesawEncoderModel(),
  'seesaw-quad-encoder': () => new SeesawQuadEncoderModel(),
  neoslider: () => new NeoSliderModel(),
  neotrellis: () => new NeoTrellisModel(),
  'sense-hat': () => new SenseHatModel(),
};

/** How a rig calls a part: `<part>@<address in hex>`; null when it is on no I2C bus. */
export function partName({ driver, wiring }: ComposedPart): string | null {
  return wiring === null ? null : `${driver.part}@${wiring.address.toString(16)}`;
}

/** True when the lights of a part can be followed by what is sent to it over the I2C bus that is listened to. */
export function canFollow({ driver, wiring }: ComposedPart, bus: number): boolean {
  return wiring?.bus === bus && models[driver.part] !== undefined;
}

interface Listener {
  readonly address: number;
  readonly model: LightsModel;
  /** Something that may have been for it was lost. */
  isUnsure: boolean;
}

/** Models in a row, each fed with what was sent to the real part at its address. */
export class LightsListener {
  readonly #trace = new I2cTrace();
  readonly #listeners = new Map<string, Listener>();
  /** Far apart, as the real part has acknowledged: whether it was given time was for it to say. */
  #at = 0;
  /** What the real parts were sent and their models would not take. */
  readonly protocolErrors: string[] = [];

  /** @param parts those of the panel that {@link canFollow} */
  constructor(parts: readonly ComposedPart[]) {
    for (const part of parts) {
      const [name, address, make] = [partName(part), part.wiring?.address, models[part.driver.part]];
      if (name === null || address === undefined || make === undefined) continue;
      this.#listeners.set(name, { address, model: make(address, part.config), isUnsure: false });
    }
  }

  /** Takes what the sniffer saw; null: some of it was lost. */
  push(records: Uint8Array | null): void {
    if (records === null) {
      this.#trace.reset();
      for (const listener of this.#listeners.values()) listener.isUnsure = true;
      return;
    }
    for (const transfer of this.#trace.push(records)) this.#hear(transfer);
  }

  /**
   * Only what is written: reads change no light, and what keys and knobs of the real part answer is not known to the
   * model. A write before a read is the number of a register.
   */
  #hear(transfer: TraceTransfer): void {
    const [first, second] = transfer;
    if (first === undefined || first.isRead || second !== undefined || first.bytes.length === 0) return;
    for (const { address, model } of this.#listeners.values()) {
      if (address !== first.address) continue;
      this.#at += 1000;
      try {
        model.transfer([{ isRead: false, bytes: Uint8Array.from(first.bytes) }], this.#at);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.protocolErrors.push(error.message);
      }
    }
  }

  /** The part has no power from now on, or has it again: it is as after power-on reset. */
  reset(name: string): void {
    const listener = this.#listeners.get(name);
    if (listener === undefined) return;
    listener.model.reset();
    listener.isUnsure = false;
  }

  /** What the lights of a part show; throws when it is not listened to, or not everything was heard. */
  lights(name: string): ShownLights {
    const listener = this.#listeners.get(name);
    if (listener === undefined) throw new Error(`the lights of ${name} are not listened to`);
    if (listener.isUnsure)
      throw new Error(`${name}: the sniffer lost transfers; what the lights show is not known`);
    return listener.model.lights();
  }
}
