import fc from 'fast-check';
import t from 'tap';
import { gpioEncoder } from '../../../daemon/hw/chips/gpio-encoder.ts';
import { FakeHost } from './host-io.ts';

const wiring = { name: 'knob', a: 17, b: 27, push: 22 };
const parse = (config: object) => gpioEncoder.schema.parse(config);

async function open(config: object = wiring, levels = [false, false, false]) {
  const host = new FakeHost();
  host.levels = levels;
  const session = await gpioEncoder.open(parse(config), host.io);
  return { host, session };
}

t.test('what it is and needs', async (t) => {
  t.same(gpioEncoder.declare(parse(wiring)), {
    controls: [{ name: 'knob', kind: 'encoder', pulsesPerDetent: 4 }],
    lights: null,
  });
  t.same(gpioEncoder.needs(parse(wiring)), { lines: [17, 27, 22], inputs: [], files: [] });
  t.same(gpioEncoder.needs(parse({ name: 'knob', a: 1, b: 2 })).lines, [1, 2]);
  for (const wrong of [
    { ...wiring, b: 17 },
    { ...wiring, push: 27 },
    { ...wiring, a: 64 },
    { ...wiring, name: 'Knob' },
    { ...wiring, pulsesPerDetent: 0 },
    { ...wiring, color: 1 },
  ]) {
    t.notOk(gpioEncoder.schema.safeParse(wrong).success, JSON.stringify(wrong));
  }
});

t.test('all lines are one request', async (t) => {
  const { host, session } = await open();
  t.same(host.request, {
    chip: null,
    lines: [17, 27, 22],
    bias: 'pull-up',
    isActiveLow: true,
    debounceMs: null,
    consumer: 'surfaced:knob',
  });
  await session.close();
  t.ok(host.isClosed);
  t.match((await open({ ...wiring, bias: 'none' })).host.request, { bias: 'none', isActiveLow: true });
  t.match((await open({ ...wiring, bias: 'pull-down' })).host.request, { isActiveLow: false });
});

t.test('turns and presses keep their order', async (t) => {
  const { host } = await open();
  t.same(host.words(), ['knob up'], 'how the switch stands');
  host.edges('17+', '27+', '22+', '17-', '22-', '27-');
  t.same(host.words(), ['knob +2', 'knob down', 'knob +1', 'knob up', 'knob +1']);
  host.edges('27+', '17+');
  t.match(host.inputs, [{ type: 'turn', control: 'knob', pulses: -2, at: 11 }]);
  t.same(host.words(), ['knob -2']);
  host.edges('27-', '27+', '27-', '27+');
  t.same(host.words(), [], 'bounces come out even');
});

t.test('the other way round, without a push, and from other levels', async (t) => {
  const { host } = await open({ name: 'knob', a: 17, b: 27, invert: true }, [true, true]);
  t.same(host.words(), []);
  host.edges('17-', '27-');
  t.same(host.words(), ['knob -2']);
});

t.test('a loss: nothing is counted for it, and it counts on from the levels', async (t) => {
  const { host } = await open();
  host.words();
  host.lines?.onMissed([true, true, true], 7);
  t.same(host.words(), ['knob down']);
  host.edges('17-');
  t.same(host.words(), ['knob +1']);
  const { host: other } = await open({ name: 'knob', a: 17, b: 27 });
  other.lines?.onMissed([true, true], 7);
  t.same(other.words(), []);
});

t.test('the lines are lost, or their levels cannot be read', async (t) => {
  const { host } = await open();
  const problem = new Error('gone');
  host.lines?.onLost(problem);
  t.same(host.problems, [problem]);
  const broken = new FakeHost();
  broken.areLevelsGone = true;
  await t.rejects(gpioEncoder.open(parse(wiring), broken.io), { message: 'no levels' });
  t.ok(broken.isClosed);
});

t.test('however the edges come in queues, the sum is where the knob is', async () => {
  const period = ['17+', '27+', '17-', '27-'];
  const queues = fc.array(fc.array(fc.constantFrom(1, -1), { maxLength: 30 }), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(queues, async (steps) => {
      const { host } = await open({ name: 'knob', a: 17, b: 27 });
      let position = 0;
      for (const queue of steps) {
        const words = queue.map((step) => {
          const from = ((position % 4) + 4) % 4;
          position += step;
          if (step > 0) return period[from]!;
          // Back over the edge that led here.
          const word = period[(from + 3) % 4]!;
          return word.endsWith('+') ? word.replace('+', '-') : word.replace('-', '+');
        });
        host.edges(...words);
      }
      const counted = host.inputs.reduce((sum, input) => sum + (input.type === 'turn' ? input.pulses : 0), 0);
      const isNeverZero = host.inputs.every((input) => input.type !== 'turn' || input.pulses !== 0);
      return counted === position && isNeverZero;
    }),
  );
});
