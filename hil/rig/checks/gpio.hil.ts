/** Runs inside the rig, on the kernel's own devices: GPIO lines through both interfaces, input devices, their parts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { PartIo, RawInput } from '../../../daemon/hw/chips/driver.ts';
import { gpioEncoder } from '../../../daemon/hw/chips/gpio-encoder.ts';
import { gpioKeys } from '../../../daemon/hw/chips/gpio-keys.ts';
import { rotaryEncoder } from '../../../daemon/hw/chips/rotary-encoder.ts';
import type {
  LineEdge,
  LineGroup,
  LineHandlers,
  LineRequest,
  OpenLines,
} from '../../../daemon/hw/gpio/lines.ts';
import { lineOpener } from '../../../daemon/hw/gpio/open.ts';
import type { InputEvent, InputHandlers } from '../../../daemon/hw/input/device.ts';
import { openSystemInput, systemInput } from '../../../daemon/hw/input/evdev.ts';
import { silentLog } from '../../../daemon/log.ts';
import { bounceLine, readLine, setLine } from '../guest/lines.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');

const openLines = lineOpener({ via: 'character-device' }, silentLog);
/** Lines of panel.dts that no driver has. */
const free = { a: 5, b: 6, push: 13 } as const;
/** Lines of the rotary encoder and of the push button in panel.dts. */
const taken = { a: 17, b: 27, push: 22 } as const;

const request = (lines: readonly number[], more: Partial<LineRequest> = {}): LineRequest => ({
  chip: null,
  lines,
  bias: 'pull-down',
  isActiveLow: false,
  debounceMs: null,
  consumer: 'check',
  ...more,
});

/** Collects what a device reports, and waits for it. */
class Reports<Item> {
  readonly items: Item[] = [];
  #onChange = () => {};

  add(...items: readonly Item[]): void {
    this.items.push(...items);
    this.#onChange();
  }

  async until(isEnough: (items: readonly Item[]) => boolean): Promise<readonly Item[]> {
    while (!isEnough(this.items)) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
    return this.items;
  }
}

type LineReport =
  | LineEdge
  | { readonly levels: readonly (boolean | null)[]; readonly lostCount: number }
  | { readonly problem: Error };

const recordLines = (reports: Reports<LineReport>): LineHandlers => ({
  onEdges: (edges) => reports.add(...edges),
  onMissed: (levels, lostCount) => reports.add({ levels, lostCount }),
  onLost: (problem) => reports.add({ problem }),
});

async function hold(wanted: LineRequest, open: OpenLines = openLines) {
  const reports = new Reports<LineReport>();
  const group: LineGroup = await open(wanted, recordLines(reports));
  return { reports, group };
}

const wordsOf = (items: readonly LineReport[]) =>
  items.map((item) => ('line' in item ? `${item.line}${item.isHigh ? '+' : '-'}` : 'other'));

/** Turns a knob by edges of its two lines, A leading when clockwise, from wherever the lines are. */
function turn(a: number, b: number, edges: number): void {
  for (let count = 0; count < Math.abs(edges); count += 1) {
    const isEqual = readLine(a) === readLine(b);
    // Equal levels: the leading line goes ahead; else the other one catches up.
    const line = isEqual === edges > 0 ? a : b;
    setLine(line, !readLine(line));
  }
}

t.test('edges, levels and times through the character device', async (t) => {
  const { reports, group } = await hold(request([free.a, free.b]));
  t.same(group.levels(), [false, false]);
  const before = performance.now();
  setLine(free.b, true);
  setLine(free.a, true);
  t.same(group.levels(), [true, true], 'in the order of the request');
  setLine(free.b, false);
  const after = performance.now();
  const items = await reports.until(({ length }) => length >= 3);
  t.same(wordsOf(items), ['6+', '5+', '6-'], 'in the order of the edges');
  const times = items.map((item) => ('at' in item ? item.at : Number.NaN));
  t.same(
    times,
    times.toSorted((one, other) => one - other),
  );
  // The two clocks are set side by side once, which is good to a fraction of a millisecond.
  t.ok(
    times.every((at) => at > before - 1 && at < after + 1),
    `${before} ${times.join(' ')} ${after}`,
  );
  await group.close();
  await group.close();
});

t.test('pulls and active-low', async (t) => {
  const { reports, group } = await hold(request([free.push], { bias: 'pull-up', isActiveLow: true }));
  t.equal(readLine(free.push), true, 'pulled up');
  t.same(group.levels(), [false], 'not pressed');
  setLine(free.push, false);
  t.same(wordsOf(await reports.until(({ length }) => length >= 1)), ['13+'], 'pressed');
  t.same(group.levels(), [true]);
  await group.close();
});

t.test('a line that somebody has', async (t) => {
  const { group } = await hold(request([free.a], { consumer: 'a tenant' }));
  await t.rejects(hold(request([free.b, free.a])), {
    code: 'E_HW_GPIO',
    message: /line 5 is held by "a tenant"$/,
  });
  await t.rejects(hold(request([taken.a])), { code: 'E_HW_GPIO', message: /line 17 is held by "rotary@11"/ });
  await group.close();
  const again = await hold(request([free.a]));
  await again.group.close();
});

t.test('chips and lines that are not there', async (t) => {
  await t.rejects(hold(request([28])), { code: 'E_HW_GPIO', message: /pinctrl-bcm2711.* has no line 28/ });
  await t.rejects(hold(request([1], { chip: 'pinctrl-rp1' })), {
    code: 'E_HW_GPIO',
    message: /no GPIO chip has the label pinctrl-rp1: gpiochip0 is pinctrl-bcm2711/,
  });
  for (const chip of ['gpiochip0', '/dev/gpiochip0', 'pinctrl-bcm2711']) {
    const { group } = await hold(request([free.a], { chip }));
    await group.close();
  }
});

t.test('the kernel debounces', async (t) => {
  const { reports, group } = await hold(request([free.a], { debounceMs: 200 }));
  bounceLine(free.a, true, 5);
  t.same(wordsOf(await reports.until(({ length }) => length >= 1)), ['5+']);
  bounceLine(free.a, false, 5);
  t.same(
    wordsOf(await reports.until(({ length }) => length >= 2)),
    ['5+', '5-'],
    'no bounce came in between',
  );
  await group.close();
});

t.test('a queue that overflows', async (t) => {
  const { reports, group } = await hold(request([free.a, free.b]));
  setLine(free.b, true);
  await reports.until(({ length }) => length === 1);
  // The queue holds 1024; nothing is read before this function waits.
  for (let count = 0; count < 1501; count += 1) setLine(free.a, count % 2 === 0);
  const told = 1 + 1 + 1024 + 1;
  const items = await reports.until(({ length }) => length >= told);
  t.same(items[1], { levels: [null, null], lostCount: 1501 - 1024 }, 'the oldest were pushed out');
  t.same(new Set(wordsOf(items.slice(2, -1))), new Set(['5+', '5-']), 'the others are told');
  t.same(
    items.at(-1),
    { levels: [true, true], lostCount: 0 },
    'and how the line stands that was silent since',
  );
  setLine(free.a, false);
  setLine(free.b, false);
  t.same(wordsOf((await reports.until(({ length }) => length >= told + 2)).slice(told)), ['5-', '6-']);
  await group.close();
});

t.test('a queue that is full to the brim loses nothing', async (t) => {
  const { reports, group } = await hold(request([free.a]));
  for (let count = 0; count < 1024; count += 1) setLine(free.a, count % 2 === 0);
  const items = await reports.until(({ length }) => length >= 1024);
  t.ok(items.every((item, index) => 'line' in item && item.isHigh === (index % 2 === 0)));
  t.equal(items.length, 1024);
  await group.close();
});

t.test('a chip that goes away', async (t) => {
  const folder = '/sys/kernel/config/gpio-sim/spare';
  mkdirSync(`${folder}/bank0`, { recursive: true });
  writeFileSync(`${folder}/bank0/num_lines`, '4');
  writeFileSync(`${folder}/bank0/label`, 'spare');
  writeFileSync(`${folder}/live`, '1');
  const { reports, group } = await hold(request([2], { chip: 'spare' }));
  writeFileSync(`${folder}/live`, '0');
  const items = await reports.until(({ length }) => length >= 1);
  t.match(items, [{ problem: { code: 'E_HW_GPIO', message: /line 2 of spare: the chip went away/ } }]);
  t.throws(() => group.levels(), { code: 'E_HW_GPIO' });
  await group.close();
  rmdirSync(`${folder}/bank0`);
  rmdirSync(folder);
});

t.test('the old interface', async (t) => {
  const openOld = lineOpener({ via: 'sysfs' }, silentLog);
  // As a program that crashed leaves it.
  const base = Number(readFileSync('/sys/class/gpio/gpiochip512/base', 'utf8'));
  setLine(free.a, false);
  setLine(free.b, false);
  writeFileSync('/sys/class/gpio/export', String(base + free.a));
  await t.rejects(hold(request([free.a])), { code: 'E_HW_GPIO', message: /line 5 is held by "sysfs"/ });
  const { reports, group } = await hold(request([free.a, free.b], { isActiveLow: true }), openOld);
  setLine(free.b, true);
  t.same(wordsOf(await reports.until(({ length }) => length >= 1)), ['6-']);
  setLine(free.a, true);
  t.same(wordsOf(await reports.until(({ length }) => length >= 2)).slice(1), ['5-']);
  t.same(group.levels(), [false, false]);
  setLine(free.b, false);
  t.same(wordsOf(await reports.until(({ length }) => length >= 3)).slice(2), ['6+']);
  await group.close();
  await group.close();
  t.notOk(existsSync(`/sys/class/gpio/gpio${base + free.a}`), 'given back');
  await t.rejects(hold(request([free.b, taken.a]), openOld), { code: 'E_HW_GPIO', message: /line 17/ });
  t.notOk(existsSync(`/sys/class/gpio/gpio${base + free.b}`), 'given back');
});

type InputReport = InputEvent | 'dropped' | { readonly problem: Error };

const recordInput = (reports: Reports<InputReport>): InputHandlers => ({
  onEvents: (events) => reports.add(...events),
  onDropped: () => reports.add('dropped'),
  onLost: (problem) => reports.add({ problem }),
});

t.test("the kernel's gpio-keys", async (t) => {
  setLine(taken.push, false);
  const reports = new Reports<InputReport>();
  const device = await openSystemInput('button@16', recordInput(reports));
  t.same(device.keysDown(), new Set());
  const before = performance.now();
  setLine(taken.push, true);
  const [event] = await reports.until(({ length }) => length >= 1);
  t.match(event, { type: 1, code: 28, value: 1 });
  const at = typeof event === 'object' && 'at' in event ? event.at : Number.NaN;
  t.ok(at > before - 1 && at < performance.now() + 1, `${before} ${at} ${performance.now()}`);
  t.same(device.keysDown(), new Set([28]));
  writeFileSync('/sys/bus/platform/drivers/gpio-keys/unbind', 'button@16');
  const items = await reports.until((all) =>
    all.some((item) => typeof item === 'object' && 'problem' in item),
  );
  t.match(items.at(-1), { problem: { code: 'E_HW_INPUT', message: /button@16: / } });
  t.throws(() => device.keysDown(), { code: 'E_HW_INPUT' });
  await device.close();
  await device.close();
  await t.rejects(openSystemInput('button@16', recordInput(reports)), {
    code: 'E_HW_INPUT',
    message: /no input device is named button@16: there are .*rotary@11/,
  });
  writeFileSync('/sys/bus/platform/drivers/gpio-keys/bind', 'button@16');
  const back = await openSystemInput('button@16', recordInput(reports));
  t.same(back.keysDown(), new Set([28]), 'still held');
  await back.close();
});

t.test('a device is for this process alone; two of its parts both hear it', async (t) => {
  setLine(taken.push, false);
  const [first, second, stranger] = [0, 1, 2].map(() => new Reports<InputReport>()) as [
    Reports<InputReport>,
    Reports<InputReport>,
    Reports<InputReport>,
  ];
  const one = await openSystemInput('button@16', recordInput(first));
  // As another program would read it.
  const other = await systemInput(silentLog)('button@16', recordInput(stranger));
  setLine(taken.push, true);
  await first.until(({ length }) => length >= 1);
  const two = await openSystemInput('button@16', recordInput(second));
  setLine(taken.push, false);
  await first.until(({ length }) => length >= 2);
  t.match(await second.until(({ length }) => length >= 1), [{ code: 28, value: 0 }]);
  const heard = await stranger.until(({ length }) => length >= 1);
  t.match(heard, [{ code: 28, value: 0 }], 'the press was for the first alone');
  for (const device of [one, two, other]) await device.close();
});

t.test("the kernel's rotary-encoder, and its queue when it overflows", async (t) => {
  const reports = new Reports<InputReport>();
  const device = await openSystemInput('rotary@11', recordInput(reports));
  turn(taken.a, taken.b, 8);
  const items = await reports.until(({ length }) => length >= 8);
  t.same(
    new Set(items.map((item) => (typeof item === 'object' && 'code' in item ? item.code : 0))),
    new Set([7]),
  );
  turn(taken.a, taken.b, 400);
  await reports.until((all) => all.includes('dropped'));
  await device.close();
});

const partIo = (reports: Reports<RawInput>): PartIo => ({
  time: { now: () => performance.now(), pause: async () => {} },
  report: (inputs) => reports.add(...inputs),
  fail: (problem) => {
    throw problem;
  },
  openLines,
  openInput: openSystemInput,
});

const pulsesIn = (items: readonly RawInput[]) =>
  items.reduce((sum, item) => (item.type === 'turn' ? sum + item.pulses : sum), 0);

t.test('the part gpio-encoder', async (t) => {
  const reports = new Reports<RawInput>();
  const config = gpioEncoder.schema.parse({ name: 'knob', ...free });
  const session = await gpioEncoder.open(config, partIo(reports));
  t.match(reports.items, [{ type: 'switch', control: 'knob', isDown: false }]);
  turn(free.a, free.b, 40);
  await reports.until((items) => pulsesIn(items) === 40);
  turn(free.a, free.b, -44);
  setLine(free.push, false);
  await reports.until((items) => items.some((item) => item.type === 'switch' && item.isDown));
  t.equal(pulsesIn(reports.items), -4);
  // More than the queue holds: the oldest are lost, and of those that follow one cannot tell which way it went.
  turn(free.a, free.b, 1101);
  setLine(free.push, true);
  await reports.until((items) => items.filter((item) => item.type === 'switch').length === 3);
  const kept = 1024 - 1;
  const counted = pulsesIn(reports.items) + 4;
  t.ok(counted === kept || counted === kept - 1, `${counted} of ${kept}`);
  turn(free.a, free.b, -8);
  await reports.until((items) => pulsesIn(items) <= counted - 12);
  t.equal(pulsesIn(reports.items), counted - 12);
  await session.close();
});

t.test('the parts rotary-encoder and gpio-keys', async (t) => {
  setLine(taken.push, false);
  const knob = new Reports<RawInput>();
  const config = rotaryEncoder.schema.parse({
    name: 'knob',
    device: 'rotary@11',
    pulsesPerDetent: 4,
    invert: true,
    push: { device: 'button@16', code: 28 },
  });
  const encoder = await rotaryEncoder.open(config, partIo(knob));
  const keys = new Reports<RawInput>();
  const button = await gpioKeys.open(
    { device: 'button@16', keys: [{ code: 28, name: 'key' }] },
    partIo(keys),
  );
  t.match(keys.items, [{ type: 'switch', control: 'key', isDown: false }]);
  turn(taken.a, taken.b, 12);
  await knob.until((items) => pulsesIn(items) === 12);
  setLine(taken.push, true);
  await knob.until((items) => items.some((item) => item.type === 'switch' && item.isDown));
  await keys.until((items) => items.length === 2);
  t.match(keys.items[1], { control: 'key', isDown: true });
  setLine(taken.push, false);
  await keys.until((items) => items.length === 3);
  await encoder.close();
  await button.close();
});

t.test('what is open keeps no process from exiting', async (t) => {
  const script = `
    import { lineOpener } from ${JSON.stringify(new URL('../../../daemon/hw/gpio/open.ts', import.meta.url).href)};
    import { openSystemInput } from ${JSON.stringify(new URL('../../../daemon/hw/input/evdev.ts', import.meta.url).href)};
    const nothing = () => {};
    const handlers = { onEdges: nothing, onMissed: nothing, onLost: nothing, onEvents: nothing, onDropped: nothing };
    const log = { warn: nothing, debug: nothing };
    await lineOpener({ via: 'character-device' }, log)(${JSON.stringify(request([free.a]))}, handlers);
    await openSystemInput('rotary@11', handlers);
    setTimeout(() => process.exit(7), 50);
  `;
  const args = ['--import=tsx', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  t.same(await once(child, 'exit'), [7, null]);
});
