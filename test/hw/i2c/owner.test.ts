import pino from 'pino';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import { inputsBeforeFrame } from '../../../daemon/hw/i2c/queue.ts';
import { bench, fate, PausingChip, usual } from './bench.ts';

async function opened(options = usual) {
  const made = bench(options);
  await made.owner.start();
  return { ...made, part: made.owner.device(0x20), other: made.owner.device(0x21) };
}

const failure = new SurfacedError('E_HW_BUS', 'EIO');

t.test('writes, reads, reads registers', async (t) => {
  const { timers, part, chips, transports, owner, events } = await opened();
  const bytes = [0x10, 1, 2, 3];
  const written = part.write('frame', bytes);
  const second = part.write('frame', [0x20]);
  bytes.fill(9);
  const read = part.read('frame', 2);
  const register = part.readRegister('frame', 0x11, 2);
  await timers.pass(10);
  await Promise.all([written, second]);
  t.same([...chips[0].registers.subarray(0x10, 0x13)], [1, 2, 3]);
  t.same([...(await read)], [0, 0]);
  t.same([...(await register)], [2, 3]);
  t.same(transports[0]?.begun[3], { address: 0x20, write: [0x11], readLength: 2 });
  t.equal(part.address, 0x20);
  t.equal(part.bus, 1);
  t.same(events, ['opened']);
  t.same(owner.state, { isOpen: true, problem: null });
  t.same(owner.counters().get(0x20), {
    transfers: 4,
    bytes: 4 + 1 + 2 + 3,
    noAcks: 0,
    errors: 0,
    timeouts: 0,
    lastError: null,
  });
});

t.test('takes copies of bytes that wait', async (t) => {
  const { timers, part, chips } = await opened();
  const first = part.write('frame', [0]);
  const bytes = [0x10, 7];
  const second = part.write('frame', bytes);
  bytes[1] = 8;
  await timers.pass(10);
  await Promise.all([first, second]);
  t.equal(chips[0].registers[0x10], 7);
});

t.test('knows only addresses and lengths that a bus has', async (t) => {
  const { owner, part } = await opened();
  for (const address of [-1, 0, 2, 0x78, 0x80, 3.5, Number.NaN])
    t.throws(() => owner.device(address), RangeError);
  for (const address of [0x03, 0x77]) t.equal(owner.device(address).address, address);
  await t.rejects(part.readRegister('input', 0, 33), { code: 'E_HW_BUS' });
});

t.test('inputs go before frames, each in their order', async (t) => {
  const { timers, part, other, transports } = await opened();
  const calls = [
    part.write('frame', [0]),
    part.write('frame', [1]),
    other.write('input', [2]),
    part.write('frame', [3]),
    part.write('input', [4]),
  ];
  await timers.pass(10);
  await Promise.all(calls);
  t.same(
    transports[0]?.begun.map(({ write }) => write[0]),
    [0, 2, 4, 1, 3],
  );
  t.equal(transports[0]?.mostRunning, 1);
});

t.test('a part that reads on after an answer goes before a frame that waits', async (t) => {
  const { timers, part, other, transports } = await opened();
  const poll = async () => {
    const selectAndRead = async (channel: number) => {
      await part.write('input', [channel]);
      return part.read('input', 1);
    };
    for (let channel = 1; channel <= 3; channel += 1) await selectAndRead(channel);
  };
  const polled = poll();
  const lit = other.write('frame', [9]);
  await timers.pass(20);
  await Promise.all([polled, lit]);
  t.same(
    transports[0]?.begun.map(({ address }) => address),
    [...Array<number>(6).fill(0x20), 0x21],
  );
});

t.test('a frame never waits for ever', async (t) => {
  const { timers, part, other, transports } = await opened();
  let isOver = false;
  const flood = async () => {
    while (!isOver) await part.write('input', [0]);
  };
  const flooding = [flood(), flood(), flood()];
  const lit = [other.write('frame', [1]), other.write('frame', [2])];
  await timers.pass(2 * inputsBeforeFrame + 3);
  await Promise.all(lit);
  const begun = transports[0]?.begun.map(({ address }) => address) ?? [];
  // One was under way already.
  t.equal(begun.indexOf(0x21), 1 + inputsBeforeFrame);
  t.equal(begun.lastIndexOf(0x21), 2 + 2 * inputsBeforeFrame);
  isOver = true;
  await timers.pass(10);
  await Promise.all(flooding);
});

t.test('the pauses of parts that need one pass at the same time', async (t) => {
  const { timers, sim, owner, transports } = await opened({ ...usual, transferMs: () => 0.25 });
  const addresses = [0x36, 0x37, 0x38, 0x39];
  for (const address of addresses) sim.plug(address, new PausingChip(8));
  const endedAt: number[] = [];
  const polls = addresses.map(async (address) => {
    const device = owner.device(address);
    await device.write('input', [0x11, 0x30]);
    await timers.pause(8);
    await device.read('input', 4);
    endedAt.push(timers.monotonic());
  });
  await timers.pass(100);
  await Promise.all(polls);
  // The pause once, and the transfers: four writes, the first read begins 8 ms after the first write.
  t.same(endedAt, [8.5, 8.75, 9, 9.25]);
  t.same(
    transports[0]?.begun.map(({ readLength }) => readLength),
    [0, 0, 0, 0, 4, 4, 4, 4],
  );
  t.same(sim.protocolErrors, []);
});

t.test('equal reads are not merged: a read may change what the next one gives', async (t) => {
  const { timers, part, transports } = await opened();
  const reads = [part.readRegister('input', 5, 1), part.readRegister('input', 5, 1)];
  await timers.pass(10);
  await Promise.all(reads);
  t.equal(transports[0]?.begun.length, 2);
});

t.test('a flood is refused, and keeps nothing else out', async (t) => {
  const { timers, part, other, owner, transports } = await opened();
  const calls = Array.from({ length: 300 }, () => fate(part.write('frame', [0])));
  const input = fate(other.write('input', [0]));
  await timers.pass(1000);
  // One runs at once.
  t.equal(calls.filter(({ now }) => now === 'done').length, 257);
  t.equal(calls.filter(({ now }) => now === 'E_HW_BUS').length, 43);
  t.match(calls[299]?.message, /too many frame transfers/);
  t.equal(owner.busCounters().refused, 43);
  t.equal(input.now, 'done');
  t.equal(transports[0]?.begun[1]?.address, 0x21);
});

t.test('silence is counted, and is no fault of the bus', async (t) => {
  const { timers, part, owner, sim, events } = await opened();
  sim.fault(0x20, 'no-ack');
  const calls = Array.from({ length: 20 }, () => fate(part.read('input', 1)));
  await timers.pass(100);
  t.ok(calls.every(({ now }) => now === 'E_HW_NO_ACK'));
  t.match(owner.counters().get(0x20), {
    transfers: 0,
    noAcks: 20,
    errors: 0,
    lastError: { code: 'E_HW_NO_ACK', message: '0x20 does not answer', at: 20 },
  });
  t.same(events, ['opened']);
  t.equal(owner.state.problem, null);
  sim.fault(0x20, 'none');
  const again = fate(part.read('input', 1));
  await timers.pass(1);
  t.equal(again.now, 'done');
});

t.test('garbage and halves are the driver’s: the owner hands them on', async (t) => {
  const { timers, part, owner, sim, events } = await opened();
  const results: number[][] = [];
  for (const fault of ['garbage', 'half'] as const) {
    sim.fault(0x20, fault);
    const read = part.readRegister('input', 0, 4);
    await timers.pass(1);
    results.push([...(await read)]);
  }
  t.same(results, [
    [128, 128, 128, 128],
    [0, 0, 0xff, 0xff],
  ]);
  t.equal(owner.counters().get(0x20)?.transfers, 2);
  t.same(events, ['opened']);
});

t.test('what is no error of ours counts as one of the bus', async (t) => {
  const { timers, part, owner, transports } = await opened();
  const strange = new Error('strange') as SurfacedError;
  transports[0]?.failures.push(strange);
  const call = t.rejects(part.read('input', 1), { code: 'E_HW_BUS', cause: strange });
  await timers.pass(1);
  await call;
  t.equal(owner.counters().get(0x20)?.errors, 1);
});

t.test('a failing part is said aloud once a minute, a missing one never', async (t) => {
  const lines: { level: number; msg: string; address?: number }[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const { timers, part, other, sim, transports } = await opened({ ...usual, log });
  sim.fault(0x21, 'no-ack');
  const failed = () => lines.filter(({ msg }) => msg === 'I2C transfer failed');
  for (let round = 0; round < 5; round += 1) {
    transports[0]?.failures.push(failure);
    const calls = [fate(part.read('input', 1)), fate(other.read('input', 1))];
    await timers.pass(10);
    t.same(
      calls.map(({ now }) => now),
      ['E_HW_BUS', 'E_HW_NO_ACK'],
    );
  }
  const isLoud = ({ level }: { level: number }) => level >= 40;
  t.equal(failed().length, 10);
  t.same(
    failed()
      .filter(isLoud)
      .map(({ address }) => address),
    [0x20],
  );
  await timers.pass(60_000);
  transports[0]?.failures.push(failure);
  fate(part.read('input', 1));
  await timers.pass(10);
  t.equal(failed().filter(isLoud).length, 2);
});

t.test(
  'a part that stretches the clock is named once a minute; one slow transfer is the machine',
  async (t) => {
    const lines: { level: number; msg: string; address?: number; tookMs?: number }[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    let transferMs = 1;
    const { timers, part, other, transports } = await opened({
      ...usual,
      log,
      transferMs: () => transferMs,
    });
    const read = async (device: typeof part, ms: number) => {
      transferMs = ms;
      const call = device.read('input', 1);
      await timers.pass(ms);
      await call;
    };
    for (const ms of [60, 60, 60, 1, 60, 60, 60, 49, 60]) await read(part, ms);
    await read(other, 60);
    t.same(lines, []);
    // That it failed is said by itself.
    transports[0]?.failures.push(failure);
    fate(part.read('input', 1));
    await timers.pass(60);
    t.equal(lines.splice(0).length, 1);
    for (let round = 0; round < 10; round += 1) await read(part, 60);
    t.same(
      lines.map(({ msg, address, tookMs }) => ({ msg, address, tookMs })),
      [{ msg: 'I2C part is slow: it stretches the clock', address: 0x20, tookMs: 60 }],
    );
    await timers.pass(60_000);
    await read(part, 60);
    t.equal(lines.length, 2);
  },
);
