import path from 'node:path';
import t, { type Test } from 'tap';
import type { LineEdge, LineRequest } from '../../../daemon/hw/gpio/lines.ts';
import { lineOpener } from '../../../daemon/hw/gpio/open.ts';
import { type OnoffPackage, openSysfsLines } from '../../../daemon/hw/gpio/sysfs.ts';
import { createLog, silentLog } from '../../../daemon/log.ts';
import { put } from '../kernel/fake.ts';

const request: LineRequest = {
  chip: null,
  lines: [17, 27],
  bias: 'none',
  isActiveLow: true,
  debounceMs: 5,
  consumer: 'test',
};

type Watcher = (error: Error | null | undefined, value: 0 | 1) => void;

/** The package onoff over lines that are numbers. */
class FakeOnoff {
  readonly exported = new Map<number, { watcher: Watcher | null; value: 0 | 1; options: unknown }>();
  /** Numbers that are refused, and those that were exported by somebody who does not let them be set up. */
  refused = new Set<number>();
  foreign = new Set<number>();
  /** Makes reading fail. */
  isGone = false;

  asPackage(): OnoffPackage {
    const fake = this;
    class Gpio {
      readonly #number: number;

      constructor(number: number, direction: string, edge: string, options: unknown) {
        if (fake.refused.has(number)) throw new Error('EBUSY: resource busy or locked, write');
        this.#number = number;
        fake.exported.set(number, { watcher: null, value: 0, options: [direction, edge, options] });
      }
      direction = () => (fake.foreign.has(this.#number) ? 'out' : 'in');
      edge = () => 'both';
      activeLow = () => true;
      watch(watcher: Watcher) {
        fake.exported.get(this.#number)!.watcher = watcher;
      }
      readSync() {
        if (fake.isGone) throw new Error('ENODEV: no such device, read');
        return fake.exported.get(this.#number)!.value;
      }
      unexport() {
        fake.exported.delete(this.#number);
      }
    }
    return { Gpio } as unknown as OnoffPackage;
  }
}

function setUp(t: Test) {
  const folder = t.testdir({});
  put(path.join(folder, 'gpiochip512/label'), 'pinctrl-bcm2711\n');
  put(path.join(folder, 'gpiochip512/base'), '512\n');
  put(path.join(folder, 'gpiochip570/label'), 'raspberrypi-exp-gpio\n');
  put(path.join(folder, 'gpiochip570/base'), '570\n');
  put(path.join(folder, 'export'), '');
  const onoff = new FakeOnoff();
  const edges: LineEdge[] = [];
  const problems: Error[] = [];
  const handlers = {
    onEdges: (some: readonly LineEdge[]) => edges.push(...some),
    onMissed: () => {},
    onLost: (problem: Error) => problems.push(problem),
  };
  const options = { loadOnoff: async () => onoff.asPackage(), folder, log: silentLog };
  return { onoff, edges, problems, handlers, options };
}

t.test('lines by their base, edges, levels, and giving them back', async (t) => {
  const { onoff, edges, handlers, options } = setUp(t);
  const lines = await openSysfsLines(options)(request, handlers);
  t.same([...onoff.exported.keys()], [529, 539]);
  // No debounceTimeout, whatever the request says.
  t.same(onoff.exported.get(529)?.options, ['in', 'both', { activeLow: true }]);
  onoff.exported.get(539)!.value = 1;
  t.same(lines.levels(), [false, true]);
  const { watcher } = onoff.exported.get(539)!;
  watcher?.(null, 1);
  t.match(edges, [{ line: 27, isHigh: true, at: Number }]);
  onoff.isGone = true;
  t.throws(() => lines.levels(), { code: 'E_HW_GPIO', message: /line 17, 27: ENODEV/ });
  await lines.close();
  await lines.close();
  watcher?.(null, 0);
  t.equal(edges.length, 1, 'nothing after close');
  t.equal(onoff.exported.size, 0);
});

t.test('a line that fails is lost, once', async (t) => {
  const { onoff, problems, handlers, options } = setUp(t);
  const lines = await openSysfsLines(options)(request, handlers);
  const { watcher } = onoff.exported.get(529)!;
  watcher?.(new Error('EIO'), 0);
  watcher?.(new Error('EIO'), 0);
  t.match(problems, [{ code: 'E_HW_GPIO', message: /EIO/ }]);
  t.equal(problems.length, 1);
  t.equal(onoff.exported.size, 0);
  await lines.close();
});

t.test('lines that cannot be had give back those that could', async (t) => {
  const { onoff, handlers, options } = setUp(t);
  onoff.refused.add(539);
  const open = openSysfsLines(options);
  await t.rejects(open(request, handlers), { code: 'E_HW_GPIO', message: /line 27 \(512 \+ 27\): EBUSY/ });
  t.equal(onoff.exported.size, 0);
  onoff.refused.clear();
  onoff.foreign.add(529);
  await t.rejects(open(request, handlers), { code: 'E_HW_GPIO', message: /exported by another program/ });
  t.equal(onoff.exported.size, 0);
});

t.test('which chip', async (t) => {
  const { onoff, handlers, options } = setUp(t);
  const open = openSysfsLines(options);
  await open({ ...request, chip: 'raspberrypi-exp-gpio', lines: [1] }, handlers);
  t.same([...onoff.exported.keys()], [571]);
  await t.rejects(open({ ...request, chip: 'gpiochip0' }, handlers), {
    code: 'E_HW_GPIO',
    message: /label gpiochip0: there are pinctrl-bcm2711, raspberrypi-exp-gpio$/,
  });
  const nowhere = openSysfsLines({ ...options, folder: '/nowhere' });
  await t.rejects(nowhere(request, handlers), { code: 'E_HW_GPIO', message: /nowhere/ });
});

t.test('a warning, once; a missing package is named', async (t) => {
  const { handlers, options } = setUp(t);
  const log = await createLog('error');
  const warnings: unknown[] = [];
  log.warn = (message: unknown) => warnings.push(message);
  const open = openSysfsLines({ ...options, log });
  for (let count = 0; count < 2; count += 1) await (await open(request, handlers)).close();
  t.match(warnings, [/edges are lost silently/]);
  t.equal(warnings.length, 1);
  const missing = openSysfsLines({ ...options, loadOnoff: () => Promise.reject(new Error('not found')) });
  await t.rejects(missing(request, handlers), { code: 'E_HW_PACKAGE', message: /onoff/ });
});

t.test('the config says which interface and chip', async (t) => {
  const handlers = { onEdges: () => {}, onMissed: () => {}, onLost: () => {} };
  for (const via of ['character-device', 'sysfs'] as const) {
    const open = lineOpener({ via, chip: 'no-such-chip' }, silentLog);
    await t.rejects(open(request, handlers), { code: 'E_HW_GPIO' }, via);
    await t.rejects(open({ ...request, chip: 'other' }, handlers), { code: 'E_HW_GPIO' }, via);
  }
  const device = lineOpener({ via: 'character-device', chip: 'no-such-chip' }, silentLog);
  await t.rejects(device(request, handlers), { message: /label no-such-chip/ });
  await t.rejects(device({ ...request, chip: 'other' }, handlers), { message: /label other/ });
});
