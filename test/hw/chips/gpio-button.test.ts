import t from 'tap';
import { gpioButton } from '../../../daemon/hw/chips/gpio-button.ts';
import { FakeHost } from './host-io.ts';

const parse = (config: object) => gpioButton.schema.parse(config);

t.test('a button', async (t) => {
  const config = parse({ name: 'key', line: 5 });
  t.same(gpioButton.declare(config), { controls: [{ name: 'key', kind: 'button' }], lights: null });
  t.same(gpioButton.needs(config), { lines: [5], inputs: [], files: [] });
  t.notOk(gpioButton.schema.safeParse({ name: 'key' }).success);
  const host = new FakeHost();
  host.levels = [true];
  const session = await gpioButton.open(config, host.io);
  t.match(host.request, { chip: null, lines: [5], bias: 'pull-up', isActiveLow: true, debounceMs: null });
  t.same(host.words(), ['key down'], 'how it stands');
  host.edges('5-', '5+', '5-');
  t.match(host.inputs[1], { type: 'switch', control: 'key', isDown: true, at: 11 });
  t.same(host.words(), ['key up', 'key down', 'key up'], 'bounces included');
  host.lines?.onMissed([true], 3);
  t.same(host.words(), ['key down']);
  host.lines?.onLost(new Error('gone'));
  t.equal(host.problems.length, 1);
  await session.close();
  t.ok(host.isClosed);
});

t.test('a contact to the supply', async (t) => {
  const host = new FakeHost();
  host.levels = [false];
  await gpioButton.open(parse({ name: 'key', line: 5, bias: 'pull-down', activeLow: false }), host.io);
  t.match(host.request, { bias: 'pull-down', isActiveLow: false });
});

t.test('levels that cannot be read', async (t) => {
  const host = new FakeHost();
  host.areLevelsGone = true;
  await t.rejects(gpioButton.open(parse({ name: 'key', line: 5 }), host.io), { message: 'no levels' });
  t.ok(host.isClosed);
});
