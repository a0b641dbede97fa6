import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { openCharacterDeviceLines } from '../../../daemon/hw/gpio/character-device.ts';
import type { LineEdge, LineRequest } from '../../../daemon/hw/gpio/lines.ts';
import { gpioIoctl } from '../../../daemon/hw/gpio/uapi.ts';
import { QuadratureDecoder } from '../../../daemon/hw/signal/quadrature.ts';
import { createLog, silentLog } from '../../../daemon/log.ts';
import { FakeDevice, kernelPackage, put, Refusal, Reports } from '../kernel/fake.ts';

const request: LineRequest = {
  chip: null,
  lines: [17, 27],
  bias: 'pull-up',
  isActiveLow: false,
  debounceMs: null,
  consumer: 'test',
};

type Report = LineEdge | { levels: readonly (boolean | null)[]; lostCount: number } | { problem: Error };

/** Chips by the names of their files; one request of lines at a time. */
class FakeChips {
  readonly folder: string;
  readonly reports = new Reports<Report>();
  /** Levels of the lines that are held, and who has which line. */
  levels: readonly boolean[] = [];
  holders = new Map<number, string>();
  /** Makes the next reading of levels fail. */
  isGone = false;
  /** Nobody can be asked who has a line; the lines cannot be watched. */
  isInfoRefused = false;
  isPollRefused = false;
  requests: Uint8Array[] = [];
  readonly #labels: Readonly<Record<string, string>>;
  readonly #names = new Map<number, string>();
  device: FakeDevice | null = null;
  #sequence = 0;

  constructor(t: Test, labels: Readonly<Record<string, string>>) {
    this.folder = t.testdir({});
    this.#labels = labels;
    for (const name of Object.keys(labels)) {
      const file = path.join(this.folder, name);
      put(file, '');
      this.#names.set(statSync(file).ino, name);
    }
    t.teardown(() => this.device?.remove());
  }

  open(more: Partial<LineRequest> = {}, log = silentLog) {
    const { add } = this.reports;
    const koffi = kernelPackage((...call) => this.#answer(...call));
    const poll = () => {
      throw new Error('EPERM');
    };
    const loadKoffi = async () => (this.isPollRefused ? { ...koffi, node: { ...koffi.node, poll } } : koffi);
    return openCharacterDeviceLines({ loadKoffi, deviceFolder: this.folder, log })(
      { ...request, ...more },
      {
        onEdges: (edges) => add(...edges),
        onMissed: (levels, lostCount) => add({ levels, lostCount }),
        onLost: (problem) => add({ problem }),
      },
    );
  }

  /** Edges as `17+` or `27-`; a number leaves so many out. All get into the queue at once. */
  send(...edges: readonly (string | number)[]): void {
    const events: Buffer[] = [];
    for (const edge of edges) {
      this.#sequence += typeof edge === 'number' ? edge : 1;
      if (typeof edge === 'number') continue;
      const event = Buffer.alloc(48);
      event.writeBigUInt64LE(process.hrtime.bigint(), 0);
      event.writeUInt32LE(edge.endsWith('+') ? 1 : 2, 8);
      event.writeUInt32LE(Number.parseInt(edge, 10), 12);
      event.writeUInt32LE(this.#sequence, 16);
      events.push(event);
    }
    this.device?.send(...events);
  }

  words(): readonly string[] {
    return this.reports.items.map((item) => {
      if ('line' in item) return `${item.line}${item.isHigh ? '+' : '-'}`;
      if ('problem' in item) return 'lost';
      return `missed ${item.lostCount}: ${item.levels.map((level) => (level === null ? '?' : Number(level))).join('')}`;
    });
  }

  #answer(inode: number, number: number, argument: Uint8Array): void {
    const bytes = Buffer.from(argument.buffer, argument.byteOffset, argument.length);
    const name = this.#names.get(inode) ?? '';
    switch (number) {
      case gpioIoctl.chipInfo: {
        const label = this.#labels[name];
        if (label === undefined || label === 'broken') throw new Refusal('ENOTTY');
        bytes.write(name, 0);
        bytes.write(label, 32);
        bytes.writeUInt32LE(28, 64);
        return;
      }
      case gpioIoctl.lineInfo: {
        if (this.isInfoRefused) throw new Refusal('EPERM');
        const consumer = this.holders.get(bytes.readUInt32LE(64));
        bytes.writeUInt32LE(consumer === undefined ? 0 : 1, 72);
        bytes.write(consumer ?? '', 32);
        return;
      }
      case gpioIoctl.getLines: {
        if (this.#labels[name] === 'old') throw new Refusal('ENOTTY');
        const lines = Array.from({ length: bytes.readUInt32LE(560) }, (_, index) =>
          bytes.readUInt32LE(4 * index),
        );
        if (lines.some((line) => this.holders.has(line))) throw new Refusal('EBUSY');
        this.requests.push(Uint8Array.from(argument));
        this.device = new FakeDevice(this.folder, `lines-${this.requests.length}`);
        bytes.writeInt32LE(this.device.open(), 588);
        return;
      }
      case gpioIoctl.getValues: {
        if (this.isGone) throw new Refusal('ENODEV');
        const bits = this.levels.reduce((sum, isHigh, index) => sum + (isHigh ? 2 ** index : 0), 0);
        bytes.writeUInt32LE(bits, 0);
        return;
      }
      default:
        throw new Error(`unexpected ioctl ${number.toString(16)}`);
    }
  }
}

const header = { gpiochip0: 'pinctrl-bcm2711' };

t.test('edges, levels, and giving the lines back', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open({ debounceMs: 2.5 });
  chips.levels = [true, false];
  t.same(lines.levels(), [true, false]);
  const before = performance.now();
  chips.send('17+', '27+', '17-');
  await chips.reports.count(3);
  t.same(chips.words(), ['17+', '27+', '17-']);
  for (const item of chips.reports.items) {
    t.ok('at' in item && Math.abs(item.at - before) < 1000, 'in milliseconds of performance.now()');
  }
  const [sent] = chips.requests;
  t.equal(Buffer.from(sent ?? []).readUInt32LE(328), 2500, 'debounced for so many microseconds');
  await lines.close();
  await lines.close();
  chips.send('27-');
  t.throws(() => lines.levels(), 'the descriptor is closed');
});

t.test('a gap: it is told where it is, and what follows it tells the levels', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open();
  chips.send('17+', 3, '27+', '17-');
  await chips.reports.count(4);
  chips.send('27-');
  await chips.reports.count(5);
  t.same(chips.words(), ['17+', 'missed 3: ??', '27+', '17-', '27-']);
  await lines.close();
});

t.test('a gap after which a line says nothing: its level is read', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open();
  chips.levels = [true, true];
  chips.send('17+', 3, '17-');
  await chips.reports.count(4);
  t.same(
    chips.words(),
    ['17+', 'missed 3: ??', '17-', 'missed 0: 01'],
    'an edge counts more than what was read later',
  );
  await lines.close();
});

t.test('the chip goes away', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open();
  chips.device?.remove();
  t.match(await chips.reports.count(1), [
    { problem: { code: 'E_HW_GPIO', message: /17, 27 of the header: / } },
  ]);
  await lines.close();
  t.equal(chips.reports.items.length, 1);
});

t.test('the levels cannot be read after a loss', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open();
  chips.isGone = true;
  chips.send(1, '17+');
  t.match((await chips.reports.count(3)).at(-1), { problem: { code: 'E_HW_GPIO' } });
  t.throws(() => lines.levels(), { code: 'E_HW_GPIO', message: /ENODEV/ });
  await lines.close();
});

t.test('lines that cannot be watched are given back', async (t) => {
  const chips = new FakeChips(t, header);
  chips.isPollRefused = true;
  const before = readdirSync('/proc/self/fd').length;
  await t.rejects(chips.open(), { code: 'E_HW_GPIO', message: /EPERM/ });
  // The stand-in has one of its own, for writing.
  t.equal(readdirSync('/proc/self/fd').length, before + 1);
});

t.test('losses are logged, not each of them', async (t) => {
  const chips = new FakeChips(t, header);
  const log = await createLog('error');
  const warnings: unknown[] = [];
  log.warn = (fields: unknown) => warnings.push(fields);
  const lines = await chips.open({}, log);
  for (const count of [1, 2, 3]) {
    chips.send(1, '17+');
    // The loss, the edge, and the level of the line that was silent.
    await chips.reports.count(3 * count);
  }
  t.same(warnings, [{ lines: [17, 27], consumer: 'test', lostCount: 1, lostTotal: 1 }]);
  await lines.close();
});

t.test('which chip', async (t) => {
  const labels = {
    gpiochip10: 'pinctrl-bcm2835',
    gpiochip2: 'pinctrl-rp1',
    gpiochip1: 'broken',
    gpiochip0: 'raspberrypi-exp-gpio',
  };
  const chips = new FakeChips(t, labels);
  const nameOf = async (chip: string | null) => {
    // The message names the chip that was found.
    const problem = await chips.open({ chip, lines: [99] }).then(
      () => null,
      (error: Error) => error.message,
    );
    return /^(\S+) \((\S+)\) has no line 99, it has 28$/.exec(problem ?? '')?.[1] ?? problem;
  };
  t.equal(await nameOf(null), 'gpiochip2', 'the first by number with a label of a header');
  t.equal(await nameOf('raspberrypi-exp-gpio'), 'gpiochip0');
  t.equal(await nameOf('gpiochip10'), 'gpiochip10');
  t.equal(await nameOf(path.join(chips.folder, 'gpiochip0')), 'gpiochip0');
  t.match(await nameOf('gpiochip7'), /^GPIO chip gpiochip7: ENOENT/);
  t.match(await nameOf('gpiochip1'), /^GPIO chip gpiochip1: ENOTTY/);
  t.equal(
    await nameOf('other'),
    'no GPIO chip has the label other: gpiochip0 is raspberrypi-exp-gpio, ' +
      'gpiochip1: ENOTTY: inappropriate ioctl for device, gpiochip2 is pinctrl-rp1, gpiochip10 is pinctrl-bcm2835',
  );
});

t.test('no chip at all', async (t) => {
  const none = new FakeChips(t, {});
  await t.rejects(none.open(), {
    code: 'E_HW_GPIO',
    message: /pinctrl-bcm2835 or .*: there is no GPIO chip at all$/,
  });
});

t.test('lines that cannot be had', async (t) => {
  const chips = new FakeChips(t, { ...header, gpiochip1: 'old' });
  chips.holders = new Map([
    [27, 'rotary@11'],
    [5, ''],
  ]);
  await t.rejects(chips.open(), {
    code: 'E_HW_GPIO',
    message: 'GPIO line 17, 27 of gpiochip0 (pinctrl-bcm2711): line 27 is held by "rotary@11"',
  });
  await t.rejects(chips.open({ lines: [5] }), { message: /line 5 is held by something without a name$/ });
  chips.isInfoRefused = true;
  await t.rejects(chips.open({ lines: [5] }), {
    code: 'E_HW_GPIO',
    message: /line 5 cannot be told: EPERM/,
  });
  await t.rejects(chips.open({ chip: 'old' }), { code: 'E_HW_GPIO', message: /Linux 5\.10/ });
  await t.rejects(chips.open({ lines: [] }), { code: 'E_HW_GPIO', message: /1 to 64/ });
  await t.rejects(chips.open({ lines: Array.from({ length: 65 }, (_, line) => line) }), {
    code: 'E_HW_GPIO',
  });
  await t.rejects(chips.open({ lines: [4, 5, 4] }), {
    code: 'E_HW_GPIO',
    message: /line 4 is asked for twice/,
  });
  const missing = openCharacterDeviceLines({
    loadKoffi: () => Promise.reject(new Error('Cannot find package')),
    deviceFolder: '/nowhere',
    log: silentLog,
  });
  const handlers = { onEdges: () => {}, onMissed: () => {}, onLost: () => {} };
  await t.rejects(missing(request, handlers), { code: 'E_HW_PACKAGE', message: /koffi/ });
});

t.test('a knob that loses edges comes out short, never double', async (t) => {
  const chips = new FakeChips(t, header);
  const lines = await chips.open();
  const levelsAt = (position: number) => {
    const quarter = ((position % 4) + 4) % 4;
    return { a: quarter === 1 || quarter === 2, b: quarter >= 2 };
  };
  const queue = fc.array(fc.record({ step: fc.constantFrom(1, -1), isLost: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
  });
  let position = 0;
  let decoder = new QuadratureDecoder({ a: false, b: false });
  await fc.assert(
    fc.asyncProperty(fc.array(queue, { minLength: 1, maxLength: 4 }), async (queues) => {
      for (const edges of queues) {
        const start = position;
        decoder = new QuadratureDecoder(levelsAt(start));
        const sent: (string | number)[] = [];
        let [lost, gaps, wasLost] = [0, 0, false];
        let toldSinceGap = new Set<number>();
        // The last one is always seen, so that the queue tells what was lost.
        for (const { step, isLost } of [...edges, { step: 1, isLost: false }]) {
          const [from, to] = [levelsAt(position), levelsAt(position + step)];
          position += step;
          const [line, isHigh] = from.a === to.a ? [27, to.b] : [17, to.a];
          sent.push(isLost ? 1 : `${line}${isHigh ? '+' : '-'}`);
          if (isLost) {
            lost += 1;
            if (!wasLost) gaps += 1;
            toldSinceGap = new Set();
          } else toldSinceGap.add(line);
          wasLost = isLost;
        }
        const { a, b } = levelsAt(position);
        chips.levels = [a, b];
        chips.reports.items.length = 0;
        chips.send(...sent);
        const isLevelRead = gaps > 0 && toldSinceGap.size < 2;
        await chips.reports.count(edges.length + 1 - lost + gaps + Number(isLevelRead));
        let counted = 0;
        for (const item of chips.reports.items) {
          if ('line' in item) counted += decoder.edge(item.line === 17 ? 'a' : 'b', item.isHigh);
          else if ('levels' in item) {
            const [a = null, b = null] = item.levels;
            decoder.resync({ a, b });
          }
        }
        // One edge after each gap may not tell which way it went.
        if (Math.abs(counted - (position - start)) > lost + gaps) return false;
        if (decoder.counters.pulses > edges.length + 1 - lost) return false;
      }
      return true;
    }),
    { numRuns: 50 },
  );
  await lines.close();
});
