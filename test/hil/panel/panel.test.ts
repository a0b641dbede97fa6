import fc from 'fast-check';
import t from 'tap';
import type { ControlEvent, ControlFeedback } from '../../../daemon/surface/types.ts';
import type { Face, PageMessage, ServerMessage } from '../../../hil/sim/panel/messages.ts';
import { createSimPanel, type SimPanel } from '../../../hil/sim/panel/panel.ts';
import { simPanelSpec } from '../../../hil/sim/panel/spec.ts';
import { frame, strip } from './rig.ts';

function page(panel: SimPanel, isListening = { value: true }) {
  const got: ServerMessage[] = [];
  const connection = panel.connect({
    send(message) {
      if (isListening.value) got.push(message);
      return isListening.value;
    },
  });
  return { ...connection, got };
}

async function started(): Promise<{ panel: SimPanel; events: ControlEvent[]; abort: AbortController }> {
  const panel = createSimPanel();
  const events: ControlEvent[] = [];
  const abort = new AbortController();
  await panel.start(abort.signal, (event) => events.push(event));
  return { panel, events, abort };
}

/** The face in a message of a kind. */
function faceIn(message: ServerMessage | undefined, type: 'hello' | 'frame'): Partial<Face> {
  if (message?.type !== type || !('face' in message)) throw new Error(`no ${type}`);
  return message.face;
}

const motor = (position: number): ControlFeedback => ({
  position,
  ring: null,
  light: [0, 0, 0],
  hint: null,
});

t.test('the panel shows faders with and without motor, encoders with push, and every role', async (t) => {
  const names = new Set(simPanelSpec.controls.map((control) => control.name));
  t.equal(names.size, simPanelSpec.controls.length, 'names are unique');
  const faders = simPanelSpec.controls.filter((control) => control.kind === 'fader');
  t.ok(faders.some((fader) => fader.hasMotor && fader.hasTouch));
  t.ok(faders.some((fader) => !fader.hasMotor && !fader.hasTouch));
  for (const role of Object.values(simPanelSpec.roles)) t.ok(names.has(role), role);
  for (const control of simPanelSpec.controls) {
    if (control.kind === 'encoder') t.ok(names.has(`${control.name}-push`));
  }
});

t.test('opening gives a first reading of every fader, with or without a page', async (t) => {
  const { panel, events } = await started();
  t.same(panel.state, { isOpen: true, problem: null });
  t.equal(panel.pageCount, 0);
  t.same(
    events,
    [1, 2, 3, 4].map((fader) => ({ type: 'position', control: `fader${fader}`, value: 0 })),
  );
});

t.test('what a page does comes out as events of the panel', async (t) => {
  const { panel, events } = await started();
  const { receive } = page(panel);
  events.length = 0;
  const messages: PageMessage[] = [
    { type: 'position', control: 'fader3', value: 0.5 },
    { type: 'touch', control: 'fader1', isTouched: true },
    { type: 'touch', control: 'fader1', isTouched: false },
    { type: 'turn', control: 'encoder2', pulses: -3 },
    { type: 'press', control: 'encoder2-push' },
    { type: 'release', control: 'encoder2-push' },
    { type: 'press', control: 'arm' },
    { type: 'release', control: 'arm' },
  ];
  for (const message of messages) t.ok(receive(message));
  const whereItWas = { type: 'position', control: 'fader1', value: 0 };
  t.same(
    events,
    messages.toSpliced(2, 0, whereItWas as PageMessage),
    'a touch tells where the hand found it',
  );
});

t.test('what a control cannot do is refused', async (t) => {
  const { panel, events } = await started();
  const { receive } = page(panel);
  events.length = 0;
  t.notOk(receive({ type: 'position', control: 'encoder1', value: 0.5 }));
  t.notOk(receive({ type: 'position', control: 'fader9', value: 0.5 }));
  t.notOk(receive({ type: 'touch', control: 'fader3', isTouched: true }), 'no touch sensor');
  t.notOk(receive({ type: 'turn', control: 'fader1', pulses: 1 }));
  t.notOk(receive({ type: 'press', control: 'fader1' }));
  t.same(events, []);
});

t.test('a page gets the whole face first, then only what changed', async (t) => {
  const { panel } = await started();
  panel.show(frame({ strips: [strip('fader1')] }));
  const { got } = page(panel);
  const whole = faceIn(got[0], 'hello');
  t.equal(whole.strips?.[0]?.name, 'cart');
  t.equal(whole.matrix?.hex, '000000'.repeat(64));

  panel.show(frame({ strips: [strip('fader1')] }));
  t.equal(got.length, 1, 'an equal frame is not sent');
  panel.show(frame({ strips: [strip('fader1')] }, new Map([[9, [1, 2, 255]]])));
  const changed = faceIn(got[1], 'frame');
  t.same(Object.keys(changed), ['matrix']);
  t.equal(changed.matrix?.hex.slice(54, 60), '0102ff');
});

t.test('pages agree on positions: all of them hear of a move, and a new one learns of it', async (t) => {
  const { panel } = await started();
  const one = page(panel);
  const two = page(panel);
  one.receive({ type: 'position', control: 'fader3', value: 0.25 });
  for (const { got } of [one, two]) {
    t.match(faceIn(got.at(-1), 'frame').positions, { fader3: 0.25 });
  }
  const hello = page(panel).got[0];
  t.match(hello, { type: 'hello', face: { positions: { fader3: 0.25 } } });
});

t.test('motors follow the frame, are not felt as a hand, and stop under one', async (t) => {
  const { panel, events } = await started();
  const { got, receive } = page(panel);
  events.length = 0;
  const show = (position: number) =>
    panel.show(
      frame({
        controls: new Map([
          ['fader1', motor(position)],
          ['fader3', motor(position)],
        ]),
      }),
    );
  const last = () => faceIn(got.at(-1), 'frame').positions;
  show(0.5);
  t.match(last(), { fader1: 0.5, fader3: 0 }, 'a fader without a motor stays');
  t.same(events, []);
  receive({ type: 'touch', control: 'fader1', isTouched: true });
  receive({ type: 'position', control: 'fader1', value: 0.7 });
  show(0.2);
  t.match(last(), { fader1: 0.7 }, 'not against a hand');
  receive({ type: 'touch', control: 'fader1', isTouched: false });
  show(0.2);
  t.match(last(), { fader1: 0.2 });
});

t.test('a page that is behind gets what it missed, and only that', async (t) => {
  const { panel } = await started();
  const isListening = { value: true };
  const { got, catchUp } = page(panel, isListening);
  isListening.value = false;
  panel.show(frame({ isLocked: true }));
  panel.show(frame({ isLocked: true }, new Map([[0, [9, 9, 9]]])));
  t.equal(got.length, 1);
  isListening.value = true;
  catchUp();
  t.match(got[1], { type: 'frame', face: { isLocked: true, matrix: { hex: /^090909/ } } });
  catchUp();
  t.equal(got.length, 2);
});

t.test('stopped, the panel is dark, silent and closed; twice is once', async (t) => {
  const { panel, events, abort } = await started();
  const { got, receive } = page(panel);
  panel.show(frame({ strips: [strip('fader1')] }));
  receive({ type: 'press', control: 'arm' });
  events.length = 0;
  abort.abort();
  await panel.stop();
  t.match(got.at(-1), { type: 'frame', face: { matrix: null, strips: [], link: { state: 'offline' } } });
  t.equal(panel.state.isOpen, false);
  receive({ type: 'release', control: 'arm' });
  receive({ type: 'position', control: 'fader1', value: 1 });
  const count = got.length;
  panel.show(frame({ isLocked: true }));
  t.equal(got.length, count, 'nothing is shown any more');
  t.same(events, []);
});

t.test(
  'however many pages press, let go and leave: press and release take turns, none stays down',
  async () => {
    const step = fc.tuple(
      fc.nat(2),
      fc.constantFrom('press', 'release', 'leave'),
      fc.constantFrom('arm', 'undo'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { panel, events } = await started();
        const pages = [page(panel), page(panel), page(panel)];
        for (const [who, what, control] of steps) {
          const one = pages[who];
          if (what !== 'leave') one?.receive({ type: what as 'press' | 'release', control });
          else {
            one?.close();
            pages[who] = page(panel);
          }
        }
        for (const one of pages) one.close();
        for (const name of ['arm', 'undo']) {
          const seen = events.filter((event) => 'control' in event && event.control === name);
          for (const [index, event] of seen.entries()) {
            if (event.type !== (index % 2 === 0 ? 'press' : 'release')) throw new Error('out of turn');
          }
          if (seen.length % 2 !== 0) throw new Error(`${name} stays down`);
        }
      }),
      { numRuns: 200 },
    );
  },
);
