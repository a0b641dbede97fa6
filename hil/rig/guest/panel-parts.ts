/** The parts of panel.yaml, as chip models and simulated lines, and the hands that work them. */
import { setTimeout as pause } from 'node:timers/promises';
import { Ads1115Model } from '../../sim/chips/ads1115.ts';
import { Ads7830Model } from '../../sim/chips/ads7830.ts';
import { Ht16k33Model } from '../../sim/chips/ht16k33.ts';
import { Is31fl3731Model } from '../../sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../../sim/chips/is31fl3741.ts';
import { Mcp23017Model } from '../../sim/chips/mcp23017.ts';
import type { ChipModel, ShownLights } from '../../sim/chips/model.ts';
import {
  NeoSliderModel,
  NeoTrellisModel,
  SeesawEncoderModel,
  SeesawQuadEncoderModel,
} from '../../sim/chips/seesaw-parts.ts';
import { type SenseHatKey, SenseHatModel } from '../../sim/chips/sense-hat.ts';
import { setLine } from './lines.ts';
import { turnKnob } from './quadrature.ts';

const supplyVolts = 3.3;

/** A part on one of the buses. */
export interface BusPart {
  readonly bus: number;
  readonly address: number;
  readonly chip: ChipModel & { lights?(): ShownLights };
  /** Its interrupt output, open drain; null: not wired. */
  readonly interrupt: { readonly line: number; readonly isLow: () => boolean } | null;
}

/** The world of the panel, by the names of panel.yaml. */
export interface PanelParts {
  /** By `<part>@<address in hex>`. */
  readonly parts: Readonly<Record<string, BusPart>>;
  /** Position 0 to 1. */
  readonly faders: Readonly<Record<string, (position: number) => void>>;
  /** By control, or by `<control> <pad>`. */
  readonly switches: Readonly<Record<string, (isDown: boolean) => void>>;
  /** Detents, clockwise positive, and detents a second. */
  readonly encoders: Readonly<Record<string, (detents: number, rate: number) => Promise<void>>>;
}

/** Switches of the MCP23017, in the order of panel.yaml: A0 to A6, B0 to B6. */
const keyPins = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14];
const keyName = (index: number): string => ['arm', 'undo'][index] ?? `key${index - 1}`;
const trellisKeys = Array.from({ length: 16 }, (_, key) => key);

/** What the parts need of the rig. */
export interface PanelPartsOptions {
  /** Path of the adapter. */
  readonly quadrature: string;
  /** Is told when a hand was on a chip model. */
  readonly onTouched: () => void;
}

/** Makes them, all at rest. */
export function makePanelParts({ quadrature, onTouched }: PanelPartsOptions): PanelParts {
  const ads1115 = new Ads1115Model();
  const ads7830 = new Ads7830Model(Math.random);
  const mcp23017 = new Mcp23017Model(Math.random);
  const trellis = new NeoTrellisModel();
  const dial = new SeesawEncoderModel();
  const quad = new SeesawQuadEncoderModel();
  const slider = new NeoSliderModel();
  const senseHat = new SenseHatModel();

  const on = (bus: number, address: number, chip: BusPart['chip']): [string, BusPart] => [
    `${chip.part}@${address.toString(16)}`,
    { bus, address, chip, interrupt: null },
  ];
  const wired = ([name, part]: [string, BusPart], line: number, isLow: () => boolean): [string, BusPart] => [
    name,
    { ...part, interrupt: { line, isLow } },
  ];
  const onLine = (line: number, isActiveLow: boolean) => (isDown: boolean) =>
    setLine(line, isDown !== isActiveLow);
  const onLines = (a: number, b: number) => async (detents: number, rate: number) => {
    const turn = { adapter: quadrature, a, b, edges: detents * 4, edgesPerSecond: rate * 4, bounces: 0 };
    await turnKnob(turn);
  };
  const seesawKnob = (board: SeesawEncoderModel | SeesawQuadEncoderModel, index: number) => ({
    turn: (detents: number, rate: number) =>
      eachDetent(detents, rate, (step) => {
        board.turn(index, step);
        onTouched();
      }),
    push: (isDown: boolean) => (isDown ? board.press(index) : board.release(index)),
  });
  const seesawKnobs = {
    dial: seesawKnob(dial, 0),
    ...Object.fromEntries([0, 1, 2, 3].map((index) => [`quad${index + 1}`, seesawKnob(quad, index)])),
  };

  return {
    parts: Object.fromEntries([
      on(1, 0x48, ads1115),
      wired(on(1, 0x20, mcp23017), 4, () => mcp23017.interruptIsLow),
      on(1, 0x2e, trellis),
      on(1, 0x70, new Ht16k33Model('8x8')),
      wired(on(1, 0x36, dial), 7, () => dial.isInterrupting),
      on(1, 0x74, new Is31fl3731Model()),
      on(1, 0x46, senseHat),
      on(3, 0x48, ads7830),
      wired(on(3, 0x49, quad), 8, () => quad.isInterrupting),
      on(3, 0x30, slider),
      on(3, 0x71, new Ht16k33Model('16x8')),
      on(3, 0x72, new Ht16k33Model('bicolour-8x8')),
      on(3, 0x31, new Is31fl3741Model(0x31)),
    ]),
    faders: {
      ...numbered(4, 'fader', (channel) => (at: number) => ads1115.setVolts(channel, at * supplyVolts)),
      ...numbered(4, 'level', (channel) => (at: number) => ads7830.setVolts(channel, at * supplyVolts)),
      slider: (at) => slider.move(at),
    },
    switches: {
      ...Object.fromEntries(
        keyPins.map((pin, index) => [
          keyName(index),
          (isDown: boolean) => (isDown ? mcp23017.press(pin) : mcp23017.release(pin)),
        ]),
      ),
      ...Object.fromEntries(
        trellisKeys.map((key) => [
          `row${1 + Math.floor(key / 4)} ${key % 4}`,
          (isDown: boolean) => (isDown ? trellis.pressKey(key) : trellis.releaseKey(key)),
        ]),
      ),
      ...Object.fromEntries(Object.entries(seesawKnobs).map(([name, { push }]) => [name, push])),
      ...Object.fromEntries(
        (['up', 'down', 'left', 'right', 'enter'] satisfies SenseHatKey[]).map((key) => [
          key,
          (isDown: boolean) => senseHat.key(key, isDown),
        ]),
      ),
      encoder1: onLine(13, false),
      button: onLine(16, true),
      encoder2: onLine(23, false),
      select: onLine(22, false),
    },
    encoders: {
      ...Object.fromEntries(Object.entries(seesawKnobs).map(([name, { turn }]) => [name, turn])),
      encoder1: onLines(5, 6),
      encoder2: onLines(17, 27),
    },
  };
}

/** Hands on the channels of a part: `fader1` for channel 0. */
function numbered<Hand>(
  count: number,
  name: string,
  handOf: (channel: number) => Hand,
): Record<string, Hand> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, channel) => [`${name}${channel + 1}`, handOf(channel)]),
  );
}

/** One detent after the other, at the rate as a whole: what comes late does not make the rest late. */
async function eachDetent(detents: number, rate: number, step: (by: 1 | -1) => void): Promise<void> {
  const begin = performance.now();
  for (let done = 1; done <= Math.abs(detents); done++) {
    step(detents > 0 ? 1 : -1);
    await pause(Math.max(0, begin + (done * 1000) / rate - performance.now()));
  }
}
