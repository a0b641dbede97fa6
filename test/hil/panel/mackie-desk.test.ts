import fc from 'fast-check';
import t from 'tap';
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';
import { mackieControl } from '../../../daemon/hw/panels/mackie-control.ts';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import { MackieDesk } from '../../../hil/sim/panel/mackie-desk.ts';
import { frameOf } from '../../hw/panels/frames.ts';

/** What the driver makes of what hands do. */
function eventsOf(desk: MackieDesk, line: string): ControlEvent[] {
  const session = mackieControl.open();
  const bytes = (desk.hands(line) ?? []).flatMap((move) => move.bytes);
  const messages = new MidiParser(256).push(Uint8Array.from(bytes));
  return messages.flatMap((message) => session.receive(message).events);
}

t.test('the display says what the driver shows', async (t) => {
  const desk = new MackieDesk();
  desk.take(
    mackieControl.open().render(frameOf({ strips: [{ control: 'fader1', name: 'cart', ready: 2 }] })),
  );
  t.match(desk.rows[0], /^cart /);
  t.match(desk.rows[1], /^2\/3 /);
});

t.test('hands on controls', async (t) => {
  const desk = new MackieDesk();
  const moved = eventsOf(desk, 'fader2 50');
  t.match(moved[0], { type: 'touch', control: 'fader2', isTouched: true });
  t.match(moved.at(-1), { type: 'touch', control: 'fader2', isTouched: false });
  const places = moved.flatMap((event) => (event.type === 'position' ? [event.value] : []));
  t.equal(places[0], 0, 'from where it was');
  t.ok(Math.abs((places.at(-1) ?? 0) - 0.5) < 0.001, `to the middle: ${places.at(-1)}`);
  t.match(eventsOf(desk, 'encoder3 -2'), [
    { type: 'turn', control: 'encoder3', pulses: -1 },
    { type: 'turn', control: 'encoder3', pulses: -1 },
  ]);
  t.match(eventsOf(desk, 'press undo'), [
    { type: 'press', control: 'undo' },
    { type: 'release', control: 'undo' },
  ]);
  t.equal(desk.hands('hold enter 1.5')?.[0]?.restMs, 1500);
});

t.test('a fader is where its motor has put it', async (t) => {
  const desk = new MackieDesk();
  desk.take([0xe0, 0x70, 0x7f]);
  const places = eventsOf(desk, 'fader1 0').flatMap((event) =>
    event.type === 'position' ? [event.value] : [],
  );
  t.equal(places[0], 1, 'its way begins at the top');
  t.equal(places.at(-1), 0);
});

t.test('words that mean nothing', async (t) => {
  const desk = new MackieDesk();
  const lines = [
    'fader1',
    'fader1 101',
    'fader9 5',
    'encoder1 2',
    'encoder1 +0',
    'press',
    'press toString',
    'hold enter',
    'hold enter 31',
    'hold enter x',
  ];
  for (const line of lines) t.equal(desk.hands(line), null, line);
});

t.test('no bytes and no words do harm', async (t) => {
  const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 400 });
  fc.assert(
    fc.property(bytes, fc.string(), (noise, line) => {
      const desk = new MackieDesk();
      desk.take(noise);
      desk.hands(line);
      t.equal(desk.rows.join('').length, 112);
    }),
    { numRuns: 50 },
  );
});
