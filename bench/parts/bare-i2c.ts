/**
 * The peer of controls on the I2C bus: asks one part over and over through `i2c-bus`, as fast as the part lets it, and
 * knows when it first answered otherwise than at rest. No filter, no debounce, nothing else on its bus.
 */
import { loadI2cBus, type PromisifiedBus } from '../../daemon/hw/i2c/package.ts';
import { serve, sharedNow } from '../processes.ts';

export interface BareI2cWish {
  readonly part: 'neotrellis' | 'ads1115';
  readonly bus: number;
}

const addresses = { neotrellis: 0x2e, ads1115: 0x48 };
/** What a SAMD09 needs to answer, milliseconds: CircuitPython's `seesaw.py` waits so long. */
const answerMs = 8;
/** One conversion at 860 a second, milliseconds. */
const conversionMs = 2;
/** Conversions that differ by so much are not noise: 1 % of 4.096 V. */
const changed = 328;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Events that wait (10 04), then the events themselves (10 10); resolves with how many there were. */
async function askTrellis(bus: PromisifiedBus): Promise<number> {
  const address = addresses.neotrellis;
  const ask = async (register: number, length: number): Promise<Buffer> => {
    await bus.i2cWrite(address, 2, Buffer.of(0x10, register));
    await pause(answerMs);
    const answer = Buffer.alloc(length);
    await bus.i2cRead(address, length, answer);
    return answer;
  };
  const [count = 0] = await ask(0x04, 1);
  if (count > 0) await ask(0x10, count);
  return count;
}

/** One conversion of channel 0 against ground, 4.096 V, 860 a second (SBAS444E, "Config Register"). */
async function askConverter(bus: PromisifiedBus): Promise<number> {
  const address = addresses.ads1115;
  await bus.i2cWrite(address, 3, Buffer.of(1, 0xc3, 0xe3));
  await pause(conversionMs);
  const answer = Buffer.alloc(32);
  await bus.readI2cBlock(address, 0, 2, answer);
  return answer.readInt16BE(0);
}

let work: Promise<void> = Promise.resolve();
let isWanted = false;
let onReady: () => void = () => {};
let seenAt: number | null = null;
let onSeen: () => void = () => {};

async function poll({ part, bus: number }: BareI2cWish): Promise<void> {
  const i2c = await loadI2cBus();
  const bus = await i2c.openPromisified(number);
  try {
    // Changes of the first key are told from now on (10 01).
    if (part === 'neotrellis') await bus.i2cWrite(addresses.neotrellis, 4, Buffer.of(0x10, 0x01, 0x00, 0x11));
    // Four looks are enough for a queue of old events to be empty, and for a level that was set before.
    for (let looks = 0; looks < 4; looks++)
      await (part === 'neotrellis' ? askTrellis(bus) : askConverter(bus));
    const rest = part === 'neotrellis' ? 0 : await askConverter(bus);
    onReady();
    while (isWanted && seenAt === null) {
      const now = await (part === 'neotrellis' ? askTrellis(bus) : askConverter(bus));
      if (Math.abs(now - rest) < (part === 'neotrellis' ? 1 : changed)) continue;
      seenAt = sharedNow();
      onSeen();
    }
  } finally {
    await bus.close();
  }
}

serve({
  /** Resolves when it polls. */
  start: (wish: BareI2cWish) =>
    new Promise<void>((resolve, reject) => {
      isWanted = true;
      seenAt = null;
      onReady = resolve;
      work = poll(wish);
      work.catch(reject);
    }),
  /** When it saw a change, on the shared clock; it polls no more then. */
  seen: async (): Promise<number> => {
    if (seenAt === null)
      await Promise.race([
        new Promise<void>((resolve) => {
          onSeen = resolve;
        }),
        // Ends before only when it fails.
        work,
      ]);
    isWanted = false;
    await work;
    return seenAt ?? Number.NaN;
  },
});
