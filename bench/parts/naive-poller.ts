/**
 * The peer of an idle panel: straight reads of every part with controls a hundred times a second, whole frames for
 * every part with lights thirty times a second, over `i2c-bus` and nothing else. Inside the rig; the parts are those of
 * hil/rig/panel.yaml.
 */
import { loadI2cBus, type PromisifiedBus } from '../../daemon/hw/i2c/package.ts';
import { serve } from '../processes.ts';

const inputEveryMs = 10;
const frameEveryMs = 1000 / 30;
/** What the slowest part needs to answer a question: a SAMD09, 5 ms, and a timer's slack. */
const answerMs = 6;

/** Bytes to write, or how many to read: as they are, or from a register. */
type Step =
  | { readonly write: readonly number[] }
  | { readonly read: number; readonly register: number | null };

interface PolledPart {
  readonly bus: 1 | 3;
  readonly address: number;
  /** Once, so that it takes frames. */
  readonly begin: readonly Step[];
  /** Each time. */
  readonly inputs: readonly Step[];
  readonly frame: readonly Step[];
  /** What a part is asked last, to answer the next time, which is late enough for every part. */
  readonly questions: readonly Step[];
}

const write = (...bytes: number[]): Step => ({ write: bytes });
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
const read = (count: number, register: number | null): Step => ({ read: count, register });

/** Pixels of a seesaw: pin and length in bytes; then the bytes, 24 a write, and "show". */
const pixels = (pin: number, count: number) => ({
  begin: [write(0x0e, 0x01, pin), write(0x0e, 0x03, 0, count * 3)],
  frame: [
    ...Array.from({ length: Math.ceil((count * 3) / 24) }, (_, piece) =>
      write(0x0e, 0x04, 0, piece * 24, ...zeros(Math.min(24, count * 3 - piece * 24))),
    ),
    write(0x0e, 0x05),
  ],
});
/** A matrix of its own; it takes whole frames at any time. */
const matrix = (bus: 1 | 3, address: number, ...frame: readonly Step[]): PolledPart => ({
  bus,
  address,
  begin: [],
  inputs: [],
  frame,
  questions: [],
});
const seesaw = (
  bus: 1 | 3,
  address: number,
  [module, register, count]: readonly [module: number, register: number, count: number],
  lights: Pick<PolledPart, 'begin' | 'frame'>,
): PolledPart => ({
  bus,
  address,
  begin: [...lights.begin, write(module, register)],
  inputs: [read(count, null)],
  frame: lights.frame,
  questions: [write(module, register)],
});
const is31fl3741Page = (page: number, count: number): Step[] => [
  write(0xfe, 0xc5),
  write(0xfd, page),
  write(0, ...zeros(count)),
];

const parts: readonly PolledPart[] = [
  { bus: 1, address: 0x48, begin: [], inputs: [read(2, 0)], frame: [], questions: [] },
  { bus: 1, address: 0x20, begin: [], inputs: [read(2, 0x12)], frame: [], questions: [] },
  seesaw(1, 0x2e, [0x10, 0x04, 1], pixels(3, 16)),
  seesaw(1, 0x36, [0x11, 0x30, 4], pixels(6, 1)),
  {
    bus: 1,
    address: 0x46,
    begin: [],
    inputs: [read(1, 0xf2)],
    frame: [write(0, ...zeros(192))],
    questions: [],
  },
  matrix(1, 0x70, write(0, ...zeros(16))),
  matrix(1, 0x74, write(0xfd, 0), write(0x24, ...zeros(144))),
  { bus: 3, address: 0x48, begin: [], inputs: [write(0x84), read(1, null)], frame: [], questions: [] },
  seesaw(3, 0x49, [0x11, 0x30, 4], pixels(18, 4)),
  seesaw(3, 0x30, [0x09, 0x07 + 18, 2], pixels(14, 4)),
  matrix(3, 0x71, write(0, ...zeros(16))),
  matrix(3, 0x72, write(0, ...zeros(16))),
  matrix(3, 0x31, ...is31fl3741Page(0, 180), ...is31fl3741Page(1, 171)),
];

let isRunning = false;
let work: Promise<unknown> = Promise.resolve();
let failures = 0;

async function go(bus: PromisifiedBus, address: number, step: Step): Promise<void> {
  if ('write' in step) {
    await bus.i2cWrite(address, step.write.length, Buffer.from(step.write));
  } else if (step.register === null) {
    await bus.i2cRead(address, step.read, Buffer.alloc(step.read));
  } else await bus.readI2cBlock(address, step.register, step.read, Buffer.alloc(32));
}

/** One bus: inputs when they are due, then frames, then questions, on and on. */
async function poll(bus: PromisifiedBus, own: readonly PolledPart[]): Promise<void> {
  const all = async (stepsOf: (part: PolledPart) => readonly Step[]): Promise<void> => {
    for (const part of own)
      for (const step of stepsOf(part)) await go(bus, part.address, step).catch(() => failures++);
  };
  await all(({ begin }) => begin);
  await new Promise((resolve) => setTimeout(resolve, inputEveryMs));
  let inputsAt = performance.now();
  let framesAt = inputsAt;
  while (isRunning) {
    await all(({ inputs }) => inputs);
    if (performance.now() >= framesAt) {
      framesAt = Math.max(framesAt + frameEveryMs, performance.now());
      await all(({ frame }) => frame);
    }
    await all(({ questions }) => questions);
    inputsAt = Math.max(inputsAt + inputEveryMs, performance.now());
    await new Promise((resolve) => setTimeout(resolve, Math.max(answerMs, inputsAt - performance.now())));
  }
}

serve({
  /** @param offset what is added to the numbers of the buses */
  start: async (offset: number) => {
    isRunning = true;
    const i2c = await loadI2cBus();
    const buses = await Promise.all(
      ([1, 3] as const).map(async (number) => ({ number, bus: await i2c.openPromisified(number + offset) })),
    );
    work = Promise.all(
      buses.map(({ number, bus }) =>
        poll(
          bus,
          parts.filter((part) => part.bus === number),
        ).finally(() => bus.close()),
      ),
    );
  },
  /** @returns transfers that failed */
  stop: async () => {
    isRunning = false;
    await work;
    const failed = failures;
    failures = 0;
    return failed;
  },
});
