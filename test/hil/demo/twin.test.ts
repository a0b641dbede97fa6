/** A panel and its twin on a page: one surface under two pairs of hands. */
import t from 'tap';
import type { ControlEvent, Frame, Panel, PanelSpec } from '../../../daemon/surface/types.ts';
import { createSimPanel, type SimPanel } from '../../../hil/sim/panel/panel.ts';
import { pageSpecOf, twinPanel } from '../../../hil/sim/panel/twin.ts';
import { frame } from '../panel/rig.ts';

const spec: PanelSpec = {
  model: 'a real one',
  controls: [
    { name: 'fader1', kind: 'fader' },
    { name: 'motor1', kind: 'fader', hasMotor: true, hasTouch: true },
    { name: 'row1', kind: 'pads', steps: 8 },
    { name: 'knob1', kind: 'encoder', pulsesPerDetent: 4 },
    { name: 'arm', kind: 'button' },
  ],
  matrix: null,
  roles: { arm: 'arm' },
};

interface Twins {
  readonly panel: Panel;
  readonly page: SimPanel;
  readonly shown: Frame[];
  readonly stopped: string[];
  /** What the real panel reports. */
  readonly real: (event: ControlEvent) => void;
  /** What hands on the page do. */
  readonly hand: ReturnType<SimPanel['connect']>;
  /** What came of it since it was looked at last. */
  readonly events: () => ControlEvent[];
}

async function start(): Promise<Twins> {
  let real: (event: ControlEvent) => void = () => {};
  const shown: Frame[] = [];
  const stopped: string[] = [];
  const desk: Panel = {
    spec,
    state: { isOpen: false, problem: 'unplugged' },
    start: async (_signal, emit) => {
      real = emit;
    },
    show: (frame) => shown.push(frame),
    stop: async () => {
      stopped.push('real');
    },
  };
  const page = createSimPanel(pageSpecOf(spec, new Set()));
  const panel = twinPanel(desk, page);
  const events: ControlEvent[] = [];
  await panel.start(new AbortController().signal, (event) => events.push(event));
  events.length = 0;
  return {
    ...{ panel, page, shown, stopped, real },
    hand: page.connect({ send: () => true }),
    events: () => events.splice(0),
  };
}

const position = (control: string, value: number) => ({ type: 'position', control, value }) as const;
const reset = (control: string) => ({ type: 'reset', controls: [control] }) as const;

t.test('the page shows what is bound, and pads as knobs', async (t) => {
  const names = (bound: string[]) => pageSpecOf(spec, new Set(bound)).controls.map(({ name }) => name);
  t.same(names([]), ['fader1', 'motor1', 'row1', 'knob1', 'arm']);
  t.same(names(['row1']), ['row1', 'arm'], 'buttons always');
  const page = pageSpecOf(spec, new Set());
  t.same(page.controls[2], { name: 'row1', kind: 'encoder', pulsesPerDetent: 1 });
  t.same(page.controls[3], spec.controls[3]);
  t.same(page.roles, spec.roles);
});

t.test('both show every frame; the real one says whether it is open', async (t) => {
  const { panel, page, shown, stopped } = await start();
  t.equal(panel.spec, spec);
  t.same(panel.state, { isOpen: false, problem: 'unplugged' });
  panel.show(frame());
  t.equal(shown.length, 1);
  await panel.stop();
  t.same(stopped, ['real']);
  t.notOk(page.state.isOpen);
});

t.test('a fader without a motor never jumps from one hand to the other', async (t) => {
  const { real, hand, events } = await start();
  real(position('fader1', 0.8));
  t.same(events(), [reset('fader1'), position('fader1', 0.8)], 'the page had the first reading');
  real(position('fader1', 0.7));
  t.same(events(), [position('fader1', 0.7)]);
  hand.receive(position('fader1', 0.1));
  hand.receive(position('fader1', 0.2));
  t.same(
    events(),
    [reset('fader1'), position('fader1', 0.1), position('fader1', 0.2)],
    'it has to be picked up',
  );
  real(position('fader1', 0.71));
  t.same(events(), [reset('fader1'), position('fader1', 0.71)], 'and so it has to be back there');
});

t.test('a fader with a motor stands in the same place on both', async (t) => {
  const { real, hand, events } = await start();
  real(position('motor1', 0.8));
  t.same(events(), [position('motor1', 0.8)]);
  hand.receive(position('motor1', 0.3));
  t.same(events(), [position('motor1', 0.3)]);
});

t.test('the page follows the real faders', async (t) => {
  const { real, page } = await start();
  real(position('fader1', 0.8));
  const got: unknown[] = [];
  page.connect({ send: (message) => got.push(message) > 0 });
  t.match(got[0], { face: { positions: { fader1: 0.8 } } });
});

t.test('two hands on one key are one press', async (t) => {
  const { real, hand, events } = await start();
  const press = { type: 'press', control: 'arm' } as const;
  const release = { type: 'release', control: 'arm' } as const;
  real(press);
  hand.receive(press);
  real(release);
  t.same(events(), [press]);
  hand.receive(release);
  t.same(events(), [release]);

  const pad = (type: 'press' | 'release', index: number) => ({ type, control: 'row1', index }) as const;
  real(pad('press', 1));
  real(pad('press', 2));
  real(pad('release', 1));
  t.same(events(), [pad('press', 1), pad('press', 2), pad('release', 1)], 'each pad is a key');

  const touch = (isTouched: boolean) => ({ type: 'touch', control: 'motor1', isTouched }) as const;
  real(touch(true));
  hand.receive(touch(true));
  hand.receive(touch(false));
  t.same(
    events().filter(({ type }) => type === 'touch'),
    [touch(true)],
    'the finger on the desk keeps the motor off',
  );
  real(touch(false));
  t.same(events(), [touch(false)]);
});

t.test('what was held on a panel that went away is not held any more', async (t) => {
  const { real, hand, events } = await start();
  const press = { type: 'press', control: 'arm' } as const;
  real(press);
  real({ type: 'reset', controls: null });
  events();
  hand.receive(press);
  t.same(events(), [press]);
});
