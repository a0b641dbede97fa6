import t from 'tap';
import { coloursOf, resolveBindings, SlotTable, targetKey } from '../../../daemon/bridge/gateway/slots.ts';
import type { BindingConfig } from '../../../daemon/config/schema.ts';
import { type BindingInput, cart, surfaceOf } from './bed.ts';

const bindingsOf = (bindings: readonly BindingInput[]): readonly BindingConfig[] =>
  surfaceOf('desk', bindings).spec.bindings;
const named = (...names: string[]): readonly BindingConfig[] =>
  bindingsOf(names.map((name) => ({ control: 'fader1', target: { name } })));

t.test('slots follow the order of the file at first, and then keep their target', (t) => {
  const table = new SlotTable();
  const slotsOf = (...names: string[]): Record<string, number> =>
    Object.fromEntries(
      table.assign(named(...names), 1000).map(({ slot, binding }) => [binding.target.name, slot]),
    );
  t.same(slotsOf('a', 'b', 'c'), { a: 0, b: 1, c: 2 });
  t.same(slotsOf('c', 'a'), { a: 0, c: 2 });
  t.same(
    slotsOf('d', 'c', 'a'),
    { a: 0, c: 2, d: 3 },
    'the number of b is not given to d while others are free',
  );
  t.same(slotsOf('b', 'a'), { a: 0, b: 1 }, 'b gets its own number back');
  t.end();
});

t.test('when all numbers have been used the one free the longest is taken, and its time is kept', (t) => {
  const table = new SlotTable();
  const all = Array.from({ length: 64 }, (_, index) => `t${index}`);
  table.assign(named(...all), 1000);
  table.assign(named(...all.filter((name) => name !== 't5')), 2000);
  table.assign(named(...all.filter((name) => name !== 't5' && name !== 't9')), 3000);
  const slots = table.assign(named(...all.filter((name) => name !== 't5' && name !== 't9'), 'new'), 4000);
  t.match(slots.at(-1), { slot: 5, since: 4000, binding: { target: { name: 'new' } } });
  t.equal(slots[0]?.since, 0);
  t.end();
});

t.test('one object has one key, whatever version names it', (t) => {
  t.equal(targetKey(cart), targetKey({ ...cart, apiVersion: 'apps/v1beta2' }));
  t.not(targetKey(cart), targetKey({ ...cart, kind: 'StatefulSet' }));
  t.equal(
    targetKey({ ...cart, apiVersion: 'v1', kind: 'ReplicationController' }),
    '/ReplicationController/shop/cart',
  );
  t.end();
});

t.test('colours: what is named stays, the rest is told apart, one target has one hue', (t) => {
  const table = new SlotTable();
  const slots = table.assign(
    bindingsOf([
      { target: { name: 'a' } },
      { target: { name: 'b' }, colour: 'blue' },
      { target: { name: 'c' } },
      { control: 'fader2', bank: 1, target: { name: 'a' } },
      { control: 'fader3', bank: 1, target: { name: 'b' } },
    ]),
    0,
  );
  t.same([...coloursOf(slots).values()], ['orange', 'blue', 'green', 'orange', 'blue']);
  const many = new SlotTable().assign(named(...Array.from({ length: 10 }, (_, index) => `t${index}`)), 0);
  t.equal(new Set(coloursOf(many).values()).size, 8, 'and begins again when all are given');
  t.end();
});

t.test('what is left out follows from the panel', (t) => {
  const slots = new SlotTable().assign(
    bindingsOf([
      { control: 'fader1' },
      { control: 'fader2' },
      { control: 'knob' },
      { control: 'row' },
      { control: 'fader1', bank: 1, takeover: 'jump', invert: true, name: 'Shop cart' },
    ]),
    0,
  );
  const { bindings, problems } = resolveBindings(slots, [
    { name: 'fader1', kind: 'fader' },
    { name: 'fader2', kind: 'fader', hasMotor: true },
    { name: 'knob', kind: 'encoder' },
    { name: 'row', kind: 'pads' },
  ]);
  t.same(problems, []);
  t.same(
    bindings.map(({ takeover }) => takeover),
    ['pickup', 'motor', 'relative', 'relative', 'jump'],
  );
  t.match(bindings[4], { name: 'Shop cart', isInverted: true, bank: 1, slot: 4 });
  t.equal(bindings[0]?.name, 'cart');
  t.end();
});

t.test('what does not fit the panel is named and left out', (t) => {
  const slots = new SlotTable().assign(
    bindingsOf([
      { control: 'fader9' },
      { control: 'mute' },
      { control: 'fader1' },
      { control: 'fader1', target: { name: 'b' } },
    ]),
    0,
  );
  const { bindings, problems } = resolveBindings(slots, [
    { name: 'fader1', kind: 'fader' },
    { name: 'mute', kind: 'button' },
  ]);
  t.same(
    bindings.map(({ slot }) => slot),
    [2],
  );
  t.match(problems, [/fader9 on bank 0: the panel has no control/, /mute .*button/, /fader1 .*bound twice/]);
  t.end();
});
