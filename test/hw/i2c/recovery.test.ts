import pino from 'pino';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { BusNeighbours } from '../../../daemon/hw/i2c/keeper.ts';
import { type Begun, bench, fate, usual } from './bench.ts';

const absent = new SurfacedError('E_HW_BUS_OPEN', 'bus 1: ENOENT');
const failure = new SurfacedError('E_HW_BUS', 'EIO');
const lostStuck = 'lost: I2C bus 1 is stuck: a transfer with 0x20 took over 200 ms';

async function opened(options = usual) {
  const made = bench(options);
  await made.owner.start();
  return { ...made, part: made.owner.device(0x20), other: made.owner.device(0x21) };
}

t.test('a bus that is not there is tried for ever, with back-off', async (t) => {
  const { timers, owner, openings, events } = bench(usual);
  openings.push(...Array<SurfacedError>(5).fill(absent));
  await owner.start();
  t.equal(owner.state.isOpen, false);
  t.match(owner.state.problem, /^bus 1: ENOENT\. Switch the bus on/);
  const call = t.rejects(owner.device(0x20).read('input', 1), { code: 'E_HW_BUS', cause: absent });
  await call;
  for (const delayMs of [250, 500, 1000, 2000, 2000]) {
    t.same(events, []);
    t.same(timers.delays, [delayMs]);
    await timers.pass(delayMs);
  }
  t.same(events, ['opened']);
  t.same(owner.state, { isOpen: true, problem: null });
  t.same(owner.busCounters(), { openings: 1, losses: 0, refused: 0 });
});

t.test('back-off has jitter of half its length', async (t) => {
  const { timers, owner, openings } = bench({ ...usual, random: () => 0 });
  openings.push(absent, absent);
  await owner.start();
  t.same(timers.delays, [125]);
  await timers.pass(125);
  t.same(timers.delays, [250]);
});

t.test('a missing package is not tried again', async (t) => {
  const { timers, owner, openings } = bench(usual);
  openings.push(new SurfacedError('E_HW_PACKAGE', 'I2C buses need the package i2c-bus'));
  await owner.start();
  t.same(timers.delays, []);
  t.match(owner.state.problem, /need the package i2c-bus/);
  await owner.close();
});

t.test('an opening that hangs is given up, and closed when it comes late', async (t) => {
  const { timers, owner, openings, transports, events } = bench(usual);
  let come = () => {};
  openings.push(
    new Promise<void>((resolve) => {
      come = resolve;
    }),
  );
  const started = owner.start();
  await timers.pass(5000);
  await started;
  t.match(owner.state.problem, /not opened within 5000 ms/);
  await timers.pass(250);
  t.same(events, ['opened']);
  come();
  await timers.pass(0);
  t.same(
    transports.map(({ isClosed }) => isClosed),
    [false, true],
  );
  t.equal(owner.state.isOpen, true);
});

t.test('a stuck bus: everybody is told, the bus opened anew', async (t) => {
  const { timers, owner, part, other, sim, transports, events } = await opened();
  sim.fault(0x20, 'stuck');
  const stuck = fate(part.read('input', 1));
  const waiting = [fate(other.read('input', 1)), fate(other.write('frame', [0]))];
  await timers.pass(199);
  t.equal(stuck.now, 'waiting');
  await timers.pass(1);
  t.equal(stuck.now, 'E_HW_BUS');
  t.match(stuck.message, /0x20 took over 200 ms/);
  t.same(
    waiting.map(({ now }) => now),
    ['E_HW_BUS', 'E_HW_BUS'],
  );
  t.same(events, ['opened', lostStuck]);
  t.equal(owner.state.isOpen, false);
  t.ok(transports[0]?.isClosed);
  t.equal(fate(other.read('input', 1)).now, 'waiting');
  t.same(timers.delays, [250]);
  await timers.pass(250);
  t.same(events, ['opened', lostStuck, 'opened']);
  t.equal(owner.state.isOpen, true);
  t.match(owner.state.problem, /is stuck/, 'it has proven nothing yet');
  sim.fault(0x20, 'none');
  const again = fate(part.read('input', 1));
  await timers.pass(1);
  t.equal(again.now, 'done');
  t.same(owner.state, { isOpen: true, problem: null });
  t.match(owner.counters().get(0x20), { transfers: 1, timeouts: 1, errors: 0, lastError: { at: 200 } });
  t.equal(owner.counters().has(0x21), false, 'what never began is no failure of the part');
  // The old transfer ends at last, as the kernel's own time is over: nobody is told twice.
  transports[0]?.letGo();
  await timers.pass(1);
  t.equal(stuck.endings, 1);
  t.same(owner.busCounters(), { openings: 2, losses: 1, refused: 0 });
});

t.test('a bus that stays stuck is tried ever more rarely, and said aloud once', async (t) => {
  const lines: { level: number; msg: string }[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const { timers, owner, part, sim, transports } = await opened({ ...usual, log });
  sim.fault(0x20, 'stuck');
  const waits: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    fate(part.read('input', 1));
    await timers.pass(200);
    transports.at(-1)?.letGo();
    const [wait] = timers.delays;
    waits.push(wait ?? 0);
    await timers.pass(wait ?? 0);
  }
  t.same(waits, [250, 500, 1000, 2000, 2000, 2000]);
  t.equal(lines.filter(({ level, msg }) => level === 40 && msg === 'I2C bus does not work').length, 1);
  t.equal(lines.filter(({ msg }) => msg === 'I2C bus works').length, 1, 'opening it says nothing');
  sim.fault(0x20, 'no-ack');
  fate(part.read('input', 1));
  await timers.pass(1);
  t.equal(owner.state.problem, null, 'a silent part shows that the bus works');
  t.equal(lines.filter(({ msg }) => msg === 'I2C bus works').length, 2);
});

t.test('not more than two transfers hang in the kernel at once', async (t) => {
  const { timers, owner, part, sim, transports } = await opened();
  sim.fault(0x20, 'stuck');
  for (let round = 0; round < 2; round += 1) {
    fate(part.read('input', 1));
    await timers.pass(200 + 500);
  }
  await timers.pass(60_000);
  t.equal(transports.length, 2);
  t.equal(owner.state.isOpen, false);
  transports[0]?.letGo();
  await timers.pass(2000);
  t.equal(transports.length, 3);
  t.equal(owner.state.isOpen, true);
});

t.test('nothing but errors: the bus is opened anew', async (t) => {
  const { timers, owner, part, other, transports, events } = await opened();
  transports[0]?.failures.push(...Array<SurfacedError>(8).fill(failure));
  const calls = Array.from({ length: 4 }, () => [
    fate(part.read('input', 1)),
    fate(other.read('input', 1)),
  ]).flat();
  const late = fate(part.write('frame', [0]));
  await timers.pass(8);
  t.ok(calls.every(({ now }) => now === 'E_HW_BUS'));
  t.equal(late.now, 'E_HW_BUS');
  t.same(events, ['opened', 'lost: EIO']);
  t.equal(transports[0]?.begun.length, 8);
  await timers.pass(250);
  t.equal(owner.state.isOpen, true);
  t.match(owner.counters().get(0x21), { errors: 4, noAcks: 0, timeouts: 0 });
});

t.test('errors between transfers that go well, or silence, lose nothing', async (t) => {
  const { timers, part, transports, sim, events } = await opened();
  for (const between of ['none', 'no-ack'] as const) {
    sim.fault(0x20, between);
    for (let round = 0; round < 4; round += 1) {
      transports[0]?.failures.push(...Array<SurfacedError>(7).fill(failure), null);
      for (let call = 0; call < 8; call += 1) fate(part.read('input', 1));
      await timers.pass(8);
    }
  }
  t.same(events, ['opened']);
  t.equal(transports[0]?.begun.length, 64);
});

t.test('an address that the kernel refuses says nothing of the bus', async (t) => {
  const { timers, owner, part, transports, events } = await opened();
  const refusals = [16, 95].map((errno) => {
    const cause = Object.assign(new Error('refused'), { errno });
    return new SurfacedError('E_HW_BUS', '0x20 on bus 1 is in use by a kernel driver', { cause });
  });
  for (let round = 0; round < 20; round += 1) {
    transports[0]?.failures.push(...refusals);
    fate(part.read('input', 1));
    fate(part.read('input', 1));
    await timers.pass(2);
  }
  t.same(events, ['opened']);
  t.match(owner.counters().get(0x20), { errors: 40 });
  transports[0]?.failures.push(...Array<SurfacedError>(7).fill(failure), ...refusals, failure);
  for (let call = 0; call < 10; call += 1) fate(part.read('input', 1));
  await timers.pass(10);
  t.same(events, ['opened', 'lost: EIO'], 'nor that it works');
});

t.test('two buses that are stuck leave threads to the rest of the process', async (t) => {
  const neighbours: BusNeighbours = new Set();
  const buses = [bench({ ...usual, neighbours }), bench({ ...usual, neighbours })] as const;
  const hang = async () => {
    for (const { owner, sim, timers } of buses) {
      sim.fault(0x20, 'stuck');
      fate(owner.device(0x20).read('input', 1));
      await timers.pass(200);
    }
  };
  for (const { owner } of buses) await owner.start();
  await hang();
  for (let round = 0; round < 10; round += 1) {
    await hang();
    for (const { timers } of buses) await timers.pass(2000);
  }
  t.same(
    buses.map(({ transports }) => transports.length),
    [1, 1],
    'one hangs on each, and neither is opened anew',
  );
  buses[0].transports[0]?.letGo();
  await buses[0].timers.pass(2000);
  t.ok(buses[0].owner.state.isOpen, 'it hangs no more');
  t.notOk(buses[1].owner.state.isOpen);
  await buses[0].owner.close();
  await buses[1].timers.pass(2000);
  t.ok(buses[1].owner.state.isOpen, 'alone, a bus may lose two threads');
});

t.test('close lets the transfer under way end, and refuses the rest', async (t) => {
  const { timers, owner, part, transports, events } = await opened({ ...usual, transferMs: () => 100 });
  const running = fate(part.write('frame', [0]));
  const waiting = fate(part.write('input', [0]));
  const closed = fate(owner.close());
  const late = fate(part.write('input', [0]));
  await timers.pass(99);
  t.same([running.now, waiting.now, late.now, closed.now], ['waiting', 'E_HW_BUS', 'E_HW_BUS', 'waiting']);
  t.notOk(transports[0]?.isClosed);
  await timers.pass(1);
  t.same([running.now, closed.now], ['done', 'done']);
  t.ok(transports[0]?.isClosed);
  t.equal(owner.state.isOpen, false);
  t.equal(owner.close(), owner.close());
  t.match(late.message, /is closed/);
  t.same(timers.delays, [], 'nothing is left to happen');
  t.same(
    transports[0]?.begun.map(({ address }: Begun) => address),
    [0x20],
  );
  t.same(events, ['opened'], 'closing is no loss');
});

t.test('close waits for a hung transfer only so long', async (t) => {
  const { timers, owner, part, sim } = await opened();
  sim.fault(0x20, 'stuck');
  const running = fate(part.write('frame', [0]));
  const closed = fate(owner.close());
  await timers.pass(200);
  t.same([running.now, closed.now], ['E_HW_BUS', 'waiting']);
  await timers.pass(200);
  t.equal(closed.now, 'done');
  t.same(timers.delays, []);
});

t.test('close while the bus is being opened, or waits to be', async (t) => {
  const { timers, owner, openings, transports, events } = bench(usual);
  let come = () => {};
  openings.push(
    new Promise<void>((resolve) => {
      come = resolve;
    }),
  );
  const started = fate(owner.start());
  const closed = fate(owner.close());
  await timers.pass(200);
  t.equal(closed.now, 'done');
  come();
  await timers.pass(0);
  t.equal(started.now, 'done');
  t.ok(transports[0]?.isClosed);
  t.same(events, []);
  t.same(timers.delays, []);

  const absentee = bench(usual);
  absentee.openings.push(absent);
  await absentee.owner.start();
  await absentee.owner.close();
  t.same(absentee.timers.delays, []);
  await absentee.owner.start();
  t.same(absentee.transports, [], 'what is closed stays closed');
});
