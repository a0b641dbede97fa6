/** Bytes on the I2C bus for the pictures of a panel, as the drivers send them, beside whole frames. */
import { clockHz, type MatrixKind, MatrixOnBus, matrices } from './matrices.ts';
import { frameMs, type Scene, scenesOf } from './scenes.ts';
import { compare } from './statistics.ts';
import type { Bench, Findings, Row } from './types.ts';

/** What one scene took on one matrix. */
interface Shown {
  readonly scene: string;
  readonly frames: number;
  readonly oursBytes: number;
  readonly wholeBytes: number;
}

/** What was measured on one matrix. */
export interface MatrixBytes {
  readonly name: string;
  readonly scenes: readonly Shown[];
  /** Longest time on the bus of a picture in which every light changes, and of a whole frame. */
  readonly longestMs: number;
  readonly wholeMs: number;
  /** Bytes a second while nothing changes. */
  readonly idleBytes: number;
  /** The same by a program that draws on, whole frames. */
  readonly idleWholeBytes: number;
}

const fullFrameAimMs = 10;
const framesPerSecond = 1000 / frameMs;

async function playScene(ours: MatrixOnBus, whole: MatrixOnBus, { name, frames }: Scene): Promise<Shown> {
  let oursBytes = 0;
  let wholeBytes = 0;
  for (const rgb of frames) {
    oursBytes += (await ours.show(rgb)).bytes;
    wholeBytes += (await whole.showWhole(rgb)).bytes;
  }
  return { scene: name, frames: frames.length, oursBytes, wholeBytes };
}

/** Pictures in which each light differs from the one before: dark and full, every other light, shades. */
function fullChanges(width: number, height: number): Uint8Array[] {
  const paint = (value: (light: number) => number): Uint8Array =>
    Uint8Array.from({ length: 3 * width * height }, (_, at) => value(Math.floor(at / 3)));
  return [
    paint(() => 255),
    paint(() => 0),
    paint((light) => (light % 2 === 0 ? 255 : 0)),
    paint((light) => (light % 2 === 0 ? 0 : 255)),
    // Bytes that change with two equal ones between them, where runs are cut.
    paint((light) => (light % 4 === 0 ? 0 : 255)),
    paint((light) => 64 + ((light * 37) % 192)),
    paint((light) => 255 - ((light * 37) % 192)),
  ];
}

/** Measures one matrix through its driver. */
export async function measureMatrix(kind: MatrixKind): Promise<MatrixBytes> {
  const [ours, whole] = [await MatrixOnBus.open(kind), await MatrixOnBus.open(kind)];
  const scenes = scenesOf(ours.width, ours.height);
  const shown: Shown[] = [];
  for (const scene of scenes) shown.push(await playScene(ours, whole, scene));
  // The last picture stays: what a surface without news hands over, and what a drawing loop would send.
  const [last] = scenes.flatMap(({ frames }) => frames).slice(-1);
  if (last === undefined) throw new Error('the scenes have no frame');
  const idle = shown.find(({ scene }) => scene === 'idle');
  const idleSeconds = scenes.find(({ name }) => name === 'idle')?.seconds ?? 1;
  const again = await ours.show(last);
  const idleWhole = await whole.showWhole(last);
  let longestMs = 0;
  for (const rgb of fullChanges(ours.width, ours.height))
    longestMs = Math.max(longestMs, (await ours.show(rgb)).busMs);
  return {
    name: kind.name,
    scenes: shown,
    longestMs,
    wholeMs: idleWhole.busMs,
    idleBytes: (idle?.oursBytes ?? 0) / idleSeconds + again.bytes * framesPerSecond,
    idleWholeBytes: idleWhole.bytes * framesPerSecond,
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function bytesRow(what: string, shown: readonly Shown[]): Row {
  const frames = sum(shown.map((scene) => scene.frames));
  const oursBytes = sum(shown.map((scene) => scene.oursBytes)) / frames;
  const wholeBytes = sum(shown.map((scene) => scene.wholeBytes)) / frames;
  const peer = 'whole frames';
  return { what, unit: 'B', peer, ...compare([oursBytes], [wholeBytes]), aim: null };
}

/** All rows; those over all matrices come first. */
export function frameRows(measured: readonly MatrixBytes[]): Row[] {
  const total = (value: (one: MatrixBytes) => number): number[] => [sum(measured.map(value))];
  return [
    bytesRow(
      `bytes a frame, ${measured.length} LED matrices on I2C, from boot to rest`,
      measured.flatMap(({ scenes }) => scenes),
    ),
    {
      what: 'the same at rest: bytes of frames a second, all matrices together',
      unit: 'B/s',
      peer: `whole frames, ${framesPerSecond} a second`,
      ...compare(
        total((one) => one.idleBytes),
        total((one) => one.idleWholeBytes),
      ),
      aim: { oursAtMost: 0 },
    },
    ...measured.flatMap(({ name, scenes, longestMs, wholeMs }) => [
      bytesRow(`${name}: bytes a frame`, scenes),
      {
        what: `${name}: bus time at ${clockHz / 1000} kHz when every light changes`,
        unit: 'ms',
        peer: 'whole frame',
        ...compare([longestMs], [wholeMs]),
        aim: { oursAtMost: fullFrameAimMs },
      },
    ]),
  ];
}

async function run(): Promise<Findings> {
  const measured: MatrixBytes[] = [];
  for (const kind of matrices) measured.push(await measureMatrix(kind));
  return { rows: frameRows(measured), details: { clockHz, matrices: measured } };
}

export const frameBytes: Bench = {
  name: 'frame-bytes',
  title: 'Bytes of a frame on the I2C bus',
  needs: [],
  run,
};
