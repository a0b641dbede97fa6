import fc from 'fast-check';
import t from 'tap';
import { type Screen, startMonitor } from '../../daemon/commands/monitor.ts';
import { MonitorView } from '../../daemon/commands/monitor-view.ts';
import type { PanelCounters } from '../../daemon/hw/parts/counters.ts';
import type { ControlEvent, Frame, Panel, PanelSpec } from '../../daemon/surface/types.ts';

const spec: PanelSpec = {
  model: 'desk',
  controls: [
    { name: 'fader1', kind: 'fader' },
    { name: 'encoder1', kind: 'encoder', pulsesPerDetent: 4 },
    { name: 'row1', kind: 'pads', steps: 8 },
    { name: 'arm', kind: 'button' },
  ],
  matrix: { width: 8, height: 4 },
  roles: {},
};

const sound = { noAcks: 0, errors: 0, timeouts: 0, lastError: null };
const counted: PanelCounters = {
  buses: [
    {
      bus: 1,
      ...{ openings: 2, losses: 1, refused: 0 },
      parts: [
        { address: '0x20', transfers: 4, bytes: 12, ...sound },
        { address: '0x48', transfers: 3, bytes: 6, ...sound, noAcks: 2, errors: 1 },
      ],
    },
  ],
  open: { parts: 2, of: 2 },
  ignored: 3,
};

/** A panel that the test plays on. */
class PanelDouble implements Panel {
  readonly spec = spec;
  readonly frames: Frame[] = [];
  state: Panel['state'] = { isOpen: true, problem: null };
  isStopped = false;
  emit: (event: ControlEvent) => void = () => {};

  async start(_signal: AbortSignal, emit: (event: ControlEvent) => void): Promise<void> {
    this.emit = emit;
  }
  show(frame: Frame): void {
    this.frames.push(frame);
  }
  async stop(): Promise<void> {
    this.isStopped = true;
  }
}

class ScreenDouble implements Screen {
  readonly isTTY: boolean;
  text = '';
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

const lightsOf = (frame: Frame): string[] => {
  const { width = 0, height = 0, rgb = new Uint8Array() } = frame.matrix ?? {};
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => (rgb[(row * width + column) * 3] ? '#' : '.')).join(''),
  );
};

t.test('the table says what each control does', async (t) => {
  const view = new MonitorView(spec);
  t.same(view.lines(0), [
    '  control   kind     state',
    '  fader1    fader    not moved yet',
    '  encoder1  encoder  0 detents (0 pulses)',
    '  row1      pads     -',
    '  arm       button   -',
  ]);
  view.take({ type: 'position', control: 'fader1', value: 0.5 }, 1000);
  view.take({ type: 'turn', control: 'encoder1', pulses: -9 }, 1000);
  view.take({ type: 'press', control: 'row1', index: 2 }, 1000);
  view.take({ type: 'press', control: 'arm' }, 1000);
  view.take({ type: 'release', control: 'arm' }, 1000);
  view.take({ type: 'missing', controls: ['arm'] }, 1000);
  t.same(view.lines(1100).slice(1), [
    '* fader1    fader    [############............] 50.0 %',
    '* encoder1  encoder  -2 detents (-9 pulses)',
    '* row1      pads     down: 3, pressed 1 times',
    '? arm       button   missing: its part does not answer, or it jumps',
  ]);
});

t.test('what is touched lights, for a moment', async (t) => {
  const view = new MonitorView(spec);
  view.take({ type: 'position', control: 'fader1', value: 0.5 }, 0);
  view.take({ type: 'turn', control: 'encoder1', pulses: 8 }, 0);
  view.take({ type: 'press', control: 'row1', index: 7 }, 0);
  view.take({ type: 'press', control: 'arm' }, 0);
  t.same(lightsOf(view.frame(10)), ['####....', '..#.....', '.......#', '########']);
  t.same(view.frame(10).controls.get('arm')?.light, [255, 255, 255]);
  t.equal(view.frame(10).isAnimated, true);
  view.take({ type: 'reset', controls: null }, 20);
  t.same(lightsOf(view.frame(5000)), ['........', '........', '........', '........']);
  t.equal(view.frame(5000).isAnimated, false);
});

t.test('without a terminal it is one line an event, as text or as JSON', async (t) => {
  for (const output of ['text', 'json'] as const) {
    const panel = new PanelDouble();
    const screen = new ScreenDouble(false);
    const monitor = await startMonitor({
      panel,
      counters: () => counted,
      output,
      screen,
      now: () => 5,
      signal: new AbortController().signal,
    });
    panel.emit({ type: 'turn', control: 'encoder1', pulses: 4 });
    panel.emit({ type: 'press', control: 'row1', index: 0 });
    panel.state = { isOpen: false, problem: 'the panel was unplugged' };
    panel.emit({ type: 'reset', controls: null });
    await monitor.stop();
    t.equal(panel.isStopped, true);
    const lines = screen.text.trimEnd().split('\n');
    if (output === 'text') {
      t.same(lines, [
        'panel open',
        'encoder1 +4',
        'row1 1 press',
        'panel the panel was unplugged',
        'first reading next: all',
        'I2C bus 1: 7 transfers; 0x48 2 without an answer, 1 failed; lost 1 times',
        '3 readings that no control can have made',
      ]);
      continue;
    }
    t.same(
      lines.map((line) => JSON.parse(line)),
      [
        { type: 'panel', at: 5, isOpen: true, problem: null },
        { type: 'turn', control: 'encoder1', pulses: 4, at: 5 },
        { type: 'press', control: 'row1', index: 0, at: 5 },
        { type: 'panel', at: 5, isOpen: false, problem: 'the panel was unplugged' },
        { type: 'reset', controls: null, at: 5 },
        { type: 'counters', at: 5, ...counted },
      ],
    );
  }
});

t.test('on a terminal the table is drawn in place', async (t) => {
  const panel = new PanelDouble();
  const screen = new ScreenDouble(true);
  const monitor = await startMonitor({
    panel,
    counters: () => counted,
    output: 'text',
    screen,
    now: () => 5,
    signal: new AbortController().signal,
  });
  t.match(screen.text, 'desk: open');
  t.match(screen.text, 'I2C bus 1: 7 transfers');
  t.notMatch(screen.text, '\x1b[12A', 'drawn where the cursor is');
  panel.emit({ type: 'turn', control: 'encoder1', pulses: 4 });
  while (!screen.text.includes('1 detents')) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(screen.text, '\x1b[12A', 'over the first drawing');
  await monitor.stop();
});

t.test('any events leave a table of one line a control', async () => {
  const control = fc.constantFrom('fader1', 'encoder1', 'row1', 'arm', 'nobody');
  const event: fc.Arbitrary<ControlEvent> = fc.oneof(
    fc.record({ type: fc.constant('position' as const), control, value: fc.double() }),
    fc.record({ type: fc.constant('turn' as const), control, pulses: fc.integer() }),
    fc.record({ type: fc.constantFrom('press' as const, 'release' as const), control, index: fc.nat(9) }),
    fc.record({ type: fc.constant('missing' as const), controls: fc.array(control) }),
    fc.record({ type: fc.constant('reset' as const), controls: fc.option(fc.array(control)) }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(5000))), (events) => {
      const view = new MonitorView(spec);
      for (const [what, at] of events) view.take(what, at);
      return view.lines(1000).length === 5 && lightsOf(view.frame(1000)).length === 4;
    }),
  );
});
