/**
 * Runs inside the guest, on two processors: the daemon's readers on processor 0, whatever turns, unplugs and kills on
 * processor 1. By `node:test`, as tap alone would take a minute to load on an emulated processor.
 */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { LineEdge, LineGroup, LineHandlers, OpenLines } from '../../../daemon/hw/gpio/lines.ts';
import { lineOpener } from '../../../daemon/hw/gpio/open.ts';
import { openI2cBus } from '../../../daemon/hw/i2c/i2c-bus.ts';
import { I2cOwner } from '../../../daemon/hw/i2c/owner.ts';
import { systemTimers } from '../../../daemon/hw/panel.ts';
import { QuadratureDecoder } from '../../../daemon/hw/signal/quadrature.ts';
import { silentLog } from '../../../daemon/log.ts';
import { startI2cBus } from '../../rig/guest/chips.ts';
import { pullPath, readLine, setLine } from '../../rig/guest/lines.ts';
import type { Turned } from '../../rig/guest/quadrature.ts';
import { waitFor } from '../../rig/guest/wait.ts';
import { SimBus } from '../../sim/chips/bus.ts';
import { Mcp23017Model } from '../../sim/chips/mcp23017.ts';
import { ChipServer } from '../../sim/chips/server.ts';

const { SURFACED_QUADRATURE: quadrature = '', SURFACED_CUSE_I2C: cuse = '' } = process.env;
/** Long, because the machine below may be busy. */
const timeoutMs = 60_000;
const openGroups: LineGroup[] = [];
const openLines: OpenLines = async (...wanted) => {
  const group = await lineOpener({ via: 'character-device' }, silentLog)(...wanted);
  openGroups.push(group);
  return group;
};
// A test that fails leaves its lines to the next one.
afterEach(() => Promise.all(openGroups.splice(0).map((group) => group.close())));

const knob = { a: 5, b: 6 } as const;
const request = { bias: 'none', isActiveLow: false, debounceMs: null, consumer: 'races' } as const;

/** The adapter on the other processor; edges below zero: the other way round. */
async function turn(pulls: readonly string[], edgesPerSecond: number, edges: number): Promise<Turned> {
  const args = ['--cpu-list', '1', quadrature, ...pulls, String(edgesPerSecond), String(edges), '0'];
  const { stdout } = await promisify(execFile)('taskset', args, { timeout: timeoutMs });
  return JSON.parse(stdout) as Turned;
}

const turnKnob = (edgesPerSecond: number, edges: number) =>
  turn([pullPath(knob.a), pullPath(knob.b)], edgesPerSecond, edges);

/** Reads the knob as the part `gpio-encoder` does, and keeps account of every edge. */
async function readKnob(onEdges: (edges: readonly LineEdge[]) => void = () => {}) {
  const seen = { edges: 0, lost: 0, gaps: 0, position: 0, problems: [] as Error[] };
  let decoder = new QuadratureDecoder({ a: false, b: false });
  const group = await openLines(
    { ...request, chip: null, lines: [knob.a, knob.b] },
    {
      onEdges: (edges) => {
        seen.edges += edges.length;
        for (const { line, isHigh } of edges)
          seen.position += decoder.edge(line === knob.a ? 'a' : 'b', isHigh);
        onEdges(edges);
      },
      onMissed: ([a = null, b = null], lostCount) => {
        seen.lost += lostCount;
        seen.gaps += 1;
        decoder.resync({ a, b });
      },
      onLost: (problem) => seen.problems.push(problem),
    },
  );
  const [a = false, b = false] = group.levels();
  decoder = new QuadratureDecoder({ a, b });
  return { seen, group, missed: () => decoder.counters.missed };
}

/** Each edge is reported, once, or counted as lost; the position is short by what was lost at most, never beyond. */
async function account(edges: number, edgesPerSecond: number, onEdges?: () => void) {
  const { seen, group, missed } = await readKnob(onEdges);
  const turned = await turnKnob(edgesPerSecond, edges);
  const count = Math.abs(edges);
  await waitFor(`${count} edges, ${JSON.stringify(seen)}`, timeoutMs, () =>
    seen.edges + seen.lost >= count ? true : null,
  );
  // Numbers without an edge (below) may have filled the count; nothing announces that no more edges come.
  await pause(200);
  // On several processors the kernel numbers a few edges twice: edge_irq_thread of gpiolib-cdev.c forgets the time of an
  // edge that comes while it handles the one before, and takes another number for it. They show as lost.
  const excess = seen.edges + seen.lost - count;
  assert.ok(seen.edges <= count && excess <= count / 100, `${excess} too many: ${JSON.stringify(seen)}`);
  assert.deepEqual(group.levels(), [readLine(knob.a), readLine(knob.b)]);
  const forward = Math.sign(edges) * seen.position;
  assert.ok(forward <= count, `${forward} of ${count} pulses`);

  const atLevels = missed();

  // Back, each edge when the one before was seen: whatever was lost before, this is counted rightly.
  const { position: before, lost: lostBefore, edges: edgesBefore } = seen;
  for (let step = 1; step <= 20; step += 1) {
    const isEqual = readLine(knob.a) === readLine(knob.b);
    const line = isEqual === edges < 0 ? knob.a : knob.b;
    setLine(line, !readLine(line));
    await waitFor('an edge back', timeoutMs, () => (seen.edges >= edgesBefore + step ? true : null));
  }
  assert.equal(seen.position - before, Math.sign(edges) * -20);
  assert.equal(seen.lost, lostBefore);
  await group.close();
  assert.deepEqual(seen.problems, []);
  const rate = Math.round(count / turned.seconds);
  const words = `${count} edges at ${rate}/s, the latest ${turned.worstLateMs} ms late: position ${forward}`;
  return `${words}, ${seen.lost} lost in ${seen.gaps} gaps (${excess} by number only), at least ${atLevels} more read with the level of the next`;
}

test('there are two processors', () => {
  // This process is tied to the first.
  assert.match(readFileSync('/sys/devices/system/cpu/online', 'utf8'), /^0-1$/m);
  assert.equal(availableParallelism(), 1);
});

for (const [edges, rate] of [
  [4000, 2000],
  [-5000, 5000],
] as const) {
  test(`${rate} edges a second from the other processor`, async (t) => {
    t.diagnostic(await account(edges, rate));
  });
}

test('a reader that is busy while edges come: the queue overflows under its hands', async (t) => {
  let readings = 0;
  const stall = () => {
    readings += 1;
    if (readings > 4) return;
    const end = performance.now() + 500;
    while (performance.now() < end);
  };
  const words = await account(8000, 5000, stall);
  assert.doesNotMatch(words, / 0 lost/, 'this is about losses');
  t.diagnostic(words);
});

test('lines are opened and closed while edges come', async (t) => {
  const control = new AbortController();
  const turning = (async () => {
    let edges = 0;
    while (!control.signal.aborted) edges += (await turnKnob(2000, 1000)).edges;
    return edges;
  })();
  let [openings, reported, lost] = [0, 0, 0];
  try {
    for (; openings < 25; openings += 1) {
      const { seen, group } = await readKnob();
      await waitFor('edges', timeoutMs, () => (seen.edges >= 10 ? true : null));
      await group.close();
      const atClose = seen.edges + seen.lost;
      await pause(5);
      assert.equal(seen.edges + seen.lost, atClose, 'silence after the close');
      assert.deepEqual(seen.problems, []);
      reported += seen.edges;
      lost += seen.lost;
    }
  } finally {
    control.abort();
  }
  const turned = await turning;
  assert.ok(reported <= turned, `${reported} of ${turned}`);
  t.diagnostic(`${openings} openings, ${reported} of ${turned} edges, ${lost} lost`);
  t.diagnostic(await account(40, 100));
});

/** A chip of its own, to be pulled out. */
class SpareChip {
  readonly #folder = '/sys/kernel/config/gpio-sim/spare';

  constructor() {
    mkdirSync(`${this.#folder}/bank0`, { recursive: true });
    writeFileSync(`${this.#folder}/bank0/num_lines`, '2');
    writeFileSync(`${this.#folder}/bank0/label`, 'spare');
  }

  /** Where the world pulls its lines. */
  plug(): string[] {
    writeFileSync(`${this.#folder}/live`, '1');
    const device = readFileSync(`${this.#folder}/dev_name`, 'utf8').trim();
    const chip = readFileSync(`${this.#folder}/bank0/chip_name`, 'utf8').trim();
    return [0, 1].map((line) => `/sys/devices/platform/${device}/${chip}/sim_gpio${line}/pull`);
  }

  /** By the other processor. */
  async pull(): Promise<void> {
    const command = `echo 0 >${this.#folder}/live`;
    await promisify(execFile)('taskset', ['--cpu-list', '1', 'sh', '-c', command], { timeout: timeoutMs });
  }

  remove(): void {
    rmdirSync(`${this.#folder}/bank0`);
    rmdirSync(this.#folder);
  }
}

test('a chip is pulled out while edges come', async (t) => {
  const chip = new SpareChip();
  let reported = 0;
  for (let round = 0; round < 6; round += 1) {
    const pulls = chip.plug();
    let edges = 0;
    const problems: Error[] = [];
    const handlers: LineHandlers = {
      onEdges: (more) => {
        edges += more.length;
      },
      onMissed: () => {},
      onLost: (problem) => problems.push(problem),
    };
    const group = await openLines({ ...request, chip: 'spare', lines: [0, 1] }, handlers);
    // It ends with an error when its lines go; that is its own affair.
    const turning = turn(pulls, 2000, 100_000).then(
      () => assert.fail('100,000 edges on a chip that was pulled out'),
      (error: unknown) => assert.match(String(error), /write: /),
    );
    await waitFor('edges', timeoutMs, () => (edges >= 20 + round * 7 ? true : null));
    await chip.pull();
    await waitFor('the loss', timeoutMs, () => (problems.length > 0 ? true : null));
    await turning;
    assert.throws(() => group.levels(), { code: 'E_HW_GPIO' });
    await group.close();
    assert.equal(problems.length, 1);
    assert.match(problems[0]!.message, /line 0, 1 of spare: the chip went away/);
    await assert.rejects(openLines({ ...request, chip: 'spare', lines: [0] }, handlers), {
      code: 'E_HW_GPIO',
      message: /no GPIO chip has the label spare/,
    });
    reported += edges;
  }
  chip.remove();
  t.diagnostic(`6 times, ${reported} edges before`);
});

test('a bus is pulled out in the middle of transfers', async (t) => {
  const socket = path.join(mkdtempSync(path.join(tmpdir(), 'races-')), 'chips');
  const sim = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: Math.random });
  sim.plug(0x20, new Mcp23017Model(Math.random));
  const server = new ChipServer(new Map([[1, sim]]));
  await server.listen(socket);
  let bus = await startI2cBus({ adapter: cuse, bus: 1, socket });
  const owner = new I2cOwner({
    ...{ bus: 1, open: openI2cBus, timers: systemTimers, random: Math.random, log: silentLog },
    neighbours: new Set(),
    transferTimeoutMs: 2000,
    onOpened: () => {},
    onLost: () => {},
  });
  await owner.start();
  const part = owner.device(0x20);
  // MCP23017 datasheet, register 0x00, IODIRA: 0xff after power-on.
  const readPart = () => part.readRegister('input', 0, 1);
  const answers = async (): Promise<true | null> =>
    readPart().then(
      ([byte]) => (byte === 0xff ? true : null),
      () => null,
    );
  const ends: string[] = [];
  let transfers = 0;
  for (let round = 0; round < 6; round += 1) {
    const deadline = performance.now() + timeoutMs;
    while ((await answers()) === null) {
      assert.ok(performance.now() < deadline, `round ${round}: ${owner.state.problem}`);
      await pause(50);
    }
    const before = transfers;
    const running = (async () => {
      for (;;) {
        await readPart();
        transfers += 1;
      }
    })();
    const ended = assert.rejects(running, (error: Error & { code?: string }) => {
      ends.push(String(error.code));
      return error.code === 'E_HW_BUS' || error.code === 'E_HW_NO_ACK';
    });
    await waitFor('transfers', timeoutMs, () => (transfers >= before + 5 + round ? true : null));
    // Odd rounds: while the part holds the bus, 100 ms; even rounds: in the midst of many.
    if (round % 2 === 1) sim.fault(0x20, 'stuck');
    await pause(round % 2 === 1 ? 30 : round);
    await bus.remove();
    await ended;
    await assert.rejects(readPart(), { name: 'SurfacedError' });
    sim.unplug(0x20);
    sim.plug(0x20, new Mcp23017Model(Math.random));
    bus = await startI2cBus({ adapter: cuse, bus: 1, socket });
  }
  assert.equal(
    await owner
      .device(0x21)
      .readRegister('input', 0, 1)
      .catch((e: { code: string }) => e.code),
    'E_HW_NO_ACK',
  );
  await owner.close();
  await bus.remove();
  await server.close();
  assert.deepEqual([...sim.protocolErrors, ...server.protocolErrors], []);
  t.diagnostic(`6 times, ${transfers} transfers; ended as ${ends.join(' ')}`);
});
