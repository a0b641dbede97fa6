/** `surfaced monitor`: every control of a panel live in the terminal, and a light for what is touched. */
import { once } from 'node:events';
import { createPanel } from '../hw/panels.ts';
import { counterLines, type PanelCounters } from '../hw/parts/counters.ts';
import type { Log, LogLevel } from '../log.ts';
import type { ControlEvent, Panel, PanelState } from '../surface/types.ts';
import type { Output } from './cli.ts';
import { loadDevice } from './load-device.ts';
import { MonitorView } from './monitor-view.ts';

const frameIntervalMs = 40;
/** The terminal is drawn anew at most this often. */
const drawIntervalMs = 100;

/** Where a monitor writes; `process.stdout` is one. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** What a monitor is made of. */
export interface MonitorOptions {
  readonly panel: Panel;
  /** What the panel has counted on its buses; null: it has none. */
  readonly counters: (() => PanelCounters) | null;
  readonly output: Output;
  readonly screen: Screen;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** Calls the start off: the monitor is then given at once, to be stopped. */
  readonly signal: AbortSignal;
}

/**
 * Opens the panel of a Device file and shows what it does until it is stopped. Text on a terminal is a table that is
 * drawn in place; elsewhere, and with `json`, it is one line an event. What was counted on the I2C buses is the end of it.
 * @throws SurfacedError E_CFG_READ, E_CFG_INVALID
 */
export async function runMonitor(
  file: string,
  output: Output,
  screen: Screen,
  logFor: (level: LogLevel) => Promise<Log>,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const config = await loadDevice(file);
  const log = await logFor('warn');
  const panel = await createPanel(config.panel, { log, openPort: null, random: Math.random });
  const counters = 'counters' in panel ? () => panel.counters() : null;
  return startMonitor({ panel, counters, output, screen, now: () => performance.now(), signal });
}

/** Starts a monitor on a panel. */
export async function startMonitor(options: MonitorOptions): Promise<{ stop(): Promise<void> }> {
  const { panel, counters, output, screen, now, signal } = options;
  const view = new MonitorView(panel.spec);
  const isTable = output === 'text' && screen.isTTY === true;
  const ending = new AbortController();
  let lastState = '';
  let drawnLines = 0;
  let drawTimer: NodeJS.Timeout | null = null;
  let frameTimer: NodeJS.Timeout | null = null;

  const print = (line: object, text: string): void => {
    screen.write(output === 'json' ? `${JSON.stringify(line)}\n` : `${text}\n`);
  };
  const tellState = (): void => {
    const { isOpen, problem }: PanelState = panel.state;
    const text = JSON.stringify({ isOpen, problem });
    if (text === lastState) return;
    lastState = text;
    const at = now();
    if (!isTable)
      print({ type: 'panel', at, isOpen, problem }, `panel ${problem ?? (isOpen ? 'open' : 'closed')}`);
  };
  const draw = (): void => {
    drawTimer = null;
    const { isOpen, problem } = panel.state;
    const status = problem ?? (isOpen ? 'open' : 'opening');
    const counts = counters === null ? [] : ['', ...counterLines(counters())];
    const lines = [`${panel.spec.model}: ${status}`, '', ...view.lines(now()), ...counts, '', 'Ctrl-C ends.'];
    // Back to the first line of the last drawing; each line clears what was longer before.
    const up = drawnLines > 0 ? `\x1b[${drawnLines}A` : '';
    screen.write(`${up}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
    drawnLines = lines.length;
  };
  const show = (): void => {
    frameTimer = null;
    if (ending.signal.aborted) return;
    const frame = view.frame(now());
    panel.show(frame);
    if (frame.isAnimated) frameTimer = setTimeout(show, frameIntervalMs);
    else if (isTable) draw();
  };
  const take = (event: ControlEvent): void => {
    const at = now();
    view.take(event, at);
    tellState();
    if (!isTable) print({ ...event, at }, lineOf(event));
    else drawTimer ??= setTimeout(draw, drawIntervalMs);
    frameTimer ??= setTimeout(show, 0);
  };

  if (!signal.aborted) await Promise.race([panel.start(ending.signal, take), once(signal, 'abort')]);
  tellState();
  show();
  const watch = setInterval(() => {
    tellState();
    if (isTable) drawTimer ??= setTimeout(draw, drawIntervalMs);
  }, 1000);
  return {
    stop: async () => {
      ending.abort();
      clearInterval(watch);
      if (drawTimer !== null) clearTimeout(drawTimer);
      if (frameTimer !== null) clearTimeout(frameTimer);
      await panel.stop();
      if (counters === null || isTable) return;
      const counted = counters();
      print({ type: 'counters', at: now(), ...counted }, counterLines(counted).join('\n'));
    },
  };
}

function lineOf(event: ControlEvent): string {
  switch (event.type) {
    case 'position':
      return `${event.control} ${(event.value * 100).toFixed(1)} %`;
    case 'touch':
      return `${event.control} ${event.isTouched ? 'touched' : 'let go'}`;
    case 'turn':
      return `${event.control} ${event.pulses > 0 ? '+' : ''}${event.pulses}`;
    case 'press':
    case 'release':
      return `${event.control}${event.index === undefined ? '' : ` ${event.index + 1}`} ${event.type}`;
    case 'reset':
      return `first reading next: ${event.controls?.join(', ') ?? 'all'}`;
    case 'missing':
      return `missing: ${event.controls.length === 0 ? 'none' : event.controls.join(', ')}`;
  }
}
