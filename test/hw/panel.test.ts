import { once } from 'node:events';
import t from 'tap';
import { SurfacedError } from '../../daemon/errors.ts';
import { MidiPanel, type Timers } from '../../daemon/hw/panel.ts';
import type { PanelDriver } from '../../daemon/hw/panels/driver.ts';
import { launchpad } from '../../daemon/hw/panels/launchpad.ts';
import { createPanel } from '../../daemon/hw/panels.ts';
import type { Port, PortHandlers } from '../../daemon/hw/ports/port.ts';
import { silentLog } from '../../daemon/log.ts';
import type { ControlEvent, Rgb } from '../../daemon/surface/types.ts';
import { frameOf } from './panels/frames.ts';
import { noSocat, SocatDevice } from './ports/socat.ts';

const driver = launchpad({ model: 'launchpad-mini-mk3', brightness: () => 1 });
const enter = 'f0002029020d0e01f7';
const leave = 'f0002029020d0e00f7';
/** The first frame after opening: all 81 lights. */
const wholeFrameBytes = 8 + 5 * 81;

/** Time that stands until it is moved. */
class ManualTimers implements Timers {
  #now = 1000;
  #waiting: { at: number; run: () => void }[] = [];

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { at: this.#now + delayMs, run };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }

  /** Delays that run, soonest first. */
  get delays(): number[] {
    return this.#waiting.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Lets time pass, and what it sets off happen. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await new Promise(setImmediate);
    for (;;) {
      const next = this.#waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#waiting = this.#waiting.filter((entry) => entry !== next);
      this.#now = next.at;
      next.run();
      await new Promise(setImmediate);
    }
    this.#now = end;
  }
}

/** A port that keeps what is written and does what the test says. */
class PortDouble implements Port {
  pendingBytes = 0;
  isClosed = false;
  readonly written: string[] = [];
  readonly bytesPerSecond: number | null;
  readonly handlers: PortHandlers;

  constructor(handlers: PortHandlers, bytesPerSecond: number | null) {
    this.handlers = handlers;
    this.bytesPerSecond = bytesPerSecond;
  }

  write(bytes: Uint8Array): void {
    if (!this.isClosed) this.written.push(Buffer.from(bytes).toString('hex'));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** A panel on doubles of ports; `fail` says what the next openings reject with. */
function bench(options: { driver: PanelDriver; bytesPerSecond: number | null; redrawMs?: number }) {
  const timers = new ManualTimers();
  const ports: PortDouble[] = [];
  const failures: Error[] = [];
  const events: ControlEvent[] = [];
  const panel = new MidiPanel({
    driver: options.driver,
    path: '/dev/panel',
    openPort: async (_path, handlers) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      const port = new PortDouble(handlers, options.bytesPerSecond);
      ports.push(port);
      return port;
    },
    redrawMs: options.redrawMs ?? null,
    log: silentLog,
    random: () => 1,
    timers,
  });
  const abort = new AbortController();
  const start = async () => {
    const started = panel.start(abort.signal, (event) => events.push(event));
    await timers.pass(driver.open().settleMs);
    await started;
  };
  return { panel, timers, ports, failures, events, abort, start };
}

function pad(column: number, colour: Rgb) {
  return frameOf({ matrix: { [`0,${column}`]: colour } });
}

const red: Rgb = [255, 0, 0];
const absent = new SurfacedError('E_HW_PORT_OPEN', '/dev/panel: no such file');
const reset: ControlEvent = { type: 'reset', controls: null };

t.test('enters the mode, waits, then shows the frame that came meanwhile', async (t) => {
  const { panel, timers, ports, events, abort } = bench({ driver, bytesPerSecond: null });
  panel.show(pad(0, red));
  const started = panel.start(abort.signal, (event) => events.push(event));
  await timers.pass(9);
  t.same(ports[0]?.written, [enter], 'no light within 10 ms of the change of mode');
  t.notOk(panel.state.isOpen);
  await timers.pass(1);
  await started;
  t.equal(ports[0]?.written[1]?.length, 2 * wholeFrameBytes);
  t.same(events, [reset], 'what it reports first is a first reading');
  t.same(panel.state, { isOpen: true, problem: null });
});

t.test('at most 30 frames a second, and the newest wins', async (t) => {
  const { panel, timers, ports, start } = bench({ driver, bytesPerSecond: null });
  await start();
  panel.show(pad(0, red));
  for (let column = 1; column < 8; column += 1) panel.show(pad(column, red));
  t.equal(ports[0]?.written.length, 2, 'mode and first frame');
  await timers.pass(32);
  t.equal(ports[0]?.written.length, 2);
  await timers.pass(1);
  const [, , second] = ports[0]?.written ?? [];
  t.equal(second, 'f0002029020d03' + '0351000000' + '03587f0000' + 'f7', 'only the last of seven');
  await timers.pass(1000);
  panel.show(pad(7, red));
  t.equal(ports[0]?.written.length, 3, 'the same frame again sends nothing');
  panel.show(pad(6, red));
  t.equal(ports[0]?.written.length, 4, 'after a rest a frame goes out at once');
});

t.test('waits for a line that is slow, and for a device that has not taken the last frame', async (t) => {
  const { panel, timers, ports, start } = bench({ driver, bytesPerSecond: 3125 });
  await start();
  panel.show(pad(0, red));
  panel.show(pad(1, red));
  const [port] = ports;
  await timers.pass(132);
  t.equal(port?.written.length, 2, '413 bytes take 132.2 ms at 31250 baud');
  if (port !== undefined) port.pendingBytes = 5;
  await timers.pass(1000);
  t.equal(port?.written.length, 2, 'nothing is queued behind bytes that wait');
  panel.show(pad(2, red));
  if (port !== undefined) port.pendingBytes = 0;
  await timers.pass(33);
  t.equal(port?.written.length, 3);
  t.match(port?.written[2], /03537f0000/, 'then the newest');
});

t.test('a device that takes nothing for five seconds is opened again', async (t) => {
  const { panel, timers, ports, events, start } = bench({ driver, bytesPerSecond: null });
  await start();
  const [port] = ports;
  if (port !== undefined) port.pendingBytes = 5;
  panel.show(pad(0, red));
  await timers.pass(5033);
  t.ok(port?.isClosed);
  t.match(panel.state, { isOpen: false, problem: /takes no data.*Check its power/ });
  await timers.pass(300);
  t.equal(ports.length, 2);
  t.same(events, [reset, reset, reset], 'when opened, lost and opened anew');
});

t.test('a lost device is opened again with jittered back-off and shown the whole frame', async (t) => {
  const { panel, timers, ports, failures, events, start } = bench({ driver, bytesPerSecond: null });
  await start();
  panel.show(pad(0, red));
  failures.push(absent, absent, absent, absent, absent);
  ports[0]?.handlers.onClosed(new SurfacedError('E_HW_PORT_LOST', '/dev/panel was closed'));
  t.same(events, [reset, reset]);
  panel.show(pad(1, red));
  await timers.pass(0);
  t.ok(ports[0]?.isClosed, 'its descriptor is given back');
  const waits: number[] = [];
  for (let tries = 0; tries < 6; tries += 1) {
    t.match(panel.state, { isOpen: false, problem: tries === 0 ? /was closed/ : /no such file/ });
    const [wait] = timers.delays;
    waits.push(wait ?? -1);
    await timers.pass(wait ?? 0);
  }
  t.same(waits, [250, 500, 1000, 2000, 2000, 2000]);
  await timers.pass(10);
  t.equal(ports.length, 2);
  t.equal(ports[1]?.written[0], enter);
  t.equal(ports[1]?.written[1]?.length, 2 * wholeFrameBytes, 'nothing is taken for shown');
  t.match(ports[1]?.written[1], /03527f0000/, 'the newest frame');
  t.same(panel.state, { isOpen: true, problem: null });
  ports[0]?.handlers.onData(Uint8Array.of(0x90, 0x51, 0x7f));
  t.equal(events.length, 3, 'the old port is not listened to');
  ports[1]?.handlers.onClosed(new SurfacedError('E_HW_PORT_LOST', '/dev/panel was closed'));
  await timers.pass(0);
  t.same(timers.delays, [250], 'the next loss starts from the shortest wait');
});

t.test('a panel that is not there at start does not hold up the rest', async (t) => {
  const { panel, timers, ports, failures, start } = bench({ driver, bytesPerSecond: null });
  failures.push(absent);
  await start();
  t.match(panel.state, { isOpen: false, problem: /no such file\. Check that the panel is plugged in/ });
  panel.show(pad(0, red));
  await timers.pass(300);
  t.equal(ports.length, 1);
});

t.test('what trying again will not mend is not tried again', async (t) => {
  const { panel, timers, failures, start } = bench({ driver, bytesPerSecond: null });
  failures.push(new SurfacedError('E_HW_PACKAGE', 'this port needs the package koffi'));
  await start();
  t.match(panel.state.problem, /koffi\. Install with/);
  t.same(timers.delays, []);
});

t.test('events come in order, and what the lights show of them at once', async (t) => {
  const { panel, timers, ports, events, start } = bench({ driver, bytesPerSecond: null });
  await start();
  panel.show(pad(0, red));
  await timers.pass(100);
  // A pad's press cut in two, and the modifier, whose light follows it.
  ports[0]?.handlers.onData(Uint8Array.of(0x90, 0x51));
  ports[0]?.handlers.onData(Uint8Array.of(0x7f, 0x51, 0x00, 0xb0, 0x5f, 0x7f));
  t.same(events.slice(1), [
    { type: 'press', control: 'row1', index: 0 },
    { type: 'release', control: 'row1', index: 0 },
  ]);
  t.equal(ports[0]?.written.at(-1), 'f0002029020d03' + '035f7f7f7f' + 'f7');
});

t.test('stop leaves it dark and in its own mode, and nothing running', async (t) => {
  const { panel, timers, ports, events, abort, start } = bench({ driver, bytesPerSecond: null });
  await start();
  panel.show(pad(0, red));
  panel.show(pad(1, red));
  abort.abort();
  await panel.stop();
  await panel.stop();
  t.ok(ports[0]?.written.at(-1)?.endsWith(leave));
  t.match(ports[0]?.written.at(-1), /0351000000/);
  t.ok(ports[0]?.isClosed);
  t.same(timers.delays, []);
  t.notOk(panel.state.isOpen);
  const count = events.length;
  ports[0]?.handlers.onData(Uint8Array.of(0x90, 0x51, 0x7f));
  panel.show(pad(2, red));
  await timers.pass(5000);
  t.equal(events.length, count);
  t.equal(ports.length, 1);
});

t.test('a brightness that changes is shown without a new frame', async (t) => {
  let brightness = 1;
  const dimmed = launchpad({ model: 'launchpad-mini-mk3', brightness: () => brightness });
  const { panel, timers, ports, start } = bench({ driver: dimmed, bytesPerSecond: null, redrawMs: 30_000 });
  panel.show(pad(0, red));
  await start();
  await timers.pass(100_000);
  t.equal(ports[0]?.written.length, 2, 'nothing is sent while it stays');
  brightness = 0.5;
  await timers.pass(30_000);
  t.match(ports[0]?.written.at(-1), '0351400000');
  await panel.stop();
  t.same(timers.delays, []);
});

t.test('stop while it is away, while it settles, and before it starts', async (t) => {
  const away = bench({ driver, bytesPerSecond: null });
  away.failures.push(absent);
  await away.start();
  await away.panel.stop();
  await away.timers.pass(5000);
  t.equal(away.ports.length, 0);

  const settling = bench({ driver, bytesPerSecond: null });
  const started = settling.start();
  const stopped = settling.panel.stop();
  await settling.timers.pass(10);
  await Promise.all([started, stopped]);
  t.ok(settling.ports[0]?.written.at(-1)?.endsWith(leave), 'it may be in our mode already');
  t.ok(settling.ports[0]?.isClosed);
  t.same(settling.events, []);

  const early = bench({ driver, bytesPerSecond: null });
  early.abort.abort();
  await early.panel.start(early.abort.signal, () => {});
  t.equal(early.ports.length, 0);
});

t.test('a plug pulled and put back, on a real pseudo-terminal', { skip: noSocat }, async (t) => {
  const path = `${t.testdir()}/panel`;
  let device = await SocatDevice.plug(path);
  t.teardown(() => device.unplug());
  const seen = new EventTarget();
  const panel = await createPanel(
    { preset: 'launchpad-mini-mk3', port: { type: 'pty', path }, brightness: 1 },
    { log: silentLog, openPort: null, random: Math.random },
  );
  const next = (type: ControlEvent['type']) => once(seen, type);
  await panel.start(new AbortController().signal, (event) => seen.dispatchEvent(new Event(event.type)));
  t.teardown(() => panel.stop());
  panel.show(pad(0, red));
  const shown = enter.length / 2 + wholeFrameBytes;
  const first = Buffer.from(await device.received(shown)).toString('hex');
  t.ok(first.startsWith(enter));

  const lost = next('reset');
  await device.unplug();
  await lost;
  t.notOk(panel.state.isOpen);
  const back = next('reset');
  device = await SocatDevice.plug(path);
  await back;
  t.equal(
    Buffer.from(await device.received(shown)).toString('hex'),
    first,
    'mode and lights are there again',
  );

  const press = next('press');
  device.send(0x90, 0x51, 0x7f);
  await press;
  await panel.stop();
  // One SysEx that puts out the pad, the modifier and the logo, then the device's own mode.
  const dark = 8 + 5 * 3;
  const end = leave.length / 2;
  const all = await device.received(shown + dark + end);
  t.equal(Buffer.from(all.slice(-end)).toString('hex'), leave);
});
