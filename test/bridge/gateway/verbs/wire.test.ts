/** How surfaces are told of bindings of other verbs: older ones go on with what they know. */
import fc from 'fast-check';
import t from 'tap';
import { resolveBindings, SlotTable } from '../../../../daemon/bridge/gateway/slots.ts';
import { Inbox } from '../../../../daemon/bridge/link/inbox.ts';
import { type CtlMessage, ctlMessage, decode, encode } from '../../../../daemon/bridge/wire/messages.ts';
import { verbNames, verbShapes } from '../../../../daemon/config/verbs.ts';
import { Bed, type BindingInput, cart, surfaceOf } from '../bed.ts';

const node = { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'n1' };
const nodes = (count: number): BindingInput[] =>
  Array.from({ length: count }, (_, index) => ({
    control: `fader${(index % 4) + 1}`,
    bank: Math.floor(index / 4),
    verb: 'cordon',
    max: undefined,
    target: { ...node, name: `node-${index}` },
  }));

async function told(bindings: readonly BindingInput[]): Promise<readonly CtlMessage[]> {
  const bed = new Bed();
  bed.cluster.add(cart, { desired: 3 });
  bed.registry.set('desk', surfaceOf('desk', bindings));
  bed.start();
  bed.birth('desk');
  await bed.time.settle();
  const messages = bed.ctl();
  await bed.relay.close();
  return messages;
}

t.test('what scales comes as ever, the rest before it in messages of their own', async (t) => {
  const messages = await told([{}, ...nodes(16).slice(1)]);
  const bindings = messages.filter(({ type }) => type === 'bindings' || type === 'verbs');
  t.same(
    bindings.map(({ type }) => type),
    ['verbs', 'verbs', 'bindings'],
  );
  const last = bindings.at(-1);
  t.equal(last?.type === 'bindings' && last.bindings.length, 1);
  t.same(
    Object.keys((last?.type === 'bindings' && last.bindings[0]) || {}).sort(),
    ['bank', 'colour', 'control', 'isInverted', 'max', 'min', 'name', 'slot', 'step', 'takeover', 'zero'],
    'nothing in it that an older surface does not read',
  );

  const inbox = new Inbox();
  for (const message of messages) if (message.type === 'verbs') inbox.verbs(message);
  const all = last?.type === 'bindings' ? inbox.bindings(last) : null;
  t.equal(all?.bindings.length, 16);
  t.equal(all?.bindings.filter(({ verb }) => verb === 'cordon').length, 15);
  t.match(
    all?.bindings.find(({ verb }) => verb === 'cordon'),
    { min: 0, max: 1, step: 1, zero: 'arm' },
  );
});

t.test('those of another revision are not taken', async (t) => {
  const messages = await told([{}, ...nodes(2).slice(1)]);
  const inbox = new Inbox();
  for (const message of messages)
    if (message.type === 'verbs') inbox.verbs({ ...message, rev: message.rev - 1 });
  for (const message of messages)
    if (message.type === 'bindings') t.equal(inbox.bindings(message)?.bindings.length, 1);
});

t.test('which control a verb can be on', async (t) => {
  const controls = [
    { name: 'key', kind: 'button' },
    { name: 'knob', kind: 'encoder' },
    { name: 'row', kind: 'pads' },
  ] as const;
  const misfits = (verb: string, target: object, max?: number): string[] =>
    controls.flatMap(({ name }) => {
      const binding = { control: name, verb, max, target } as BindingInput;
      const slots = new SlotTable().assign(surfaceOf('desk', [binding]).spec.bindings, 0);
      return resolveBindings(slots, controls).bindings.length === 1 ? [] : [name];
    });
  t.same(misfits('cordon', node), []);
  t.same(misfits('restart', {}), ['knob']);
  t.same(misfits('scale', {}, 5), ['key']);
});

t.test('any binding of any verb survives the wire, and a number that is not its own is refused', async () => {
  const binding = fc.record({
    slot: fc.integer({ min: 0, max: 63 }),
    control: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
    bank: fc.integer({ min: 0, max: 63 }),
    name: fc.string({ maxLength: 63 }),
    colour: fc.constantFrom('blue' as const, 'white' as const),
    min: fc.nat(),
    max: fc.nat(),
    step: fc.integer({ min: 1, max: 1000 }),
    takeover: fc.constantFrom('pickup' as const, 'relative' as const),
    zero: fc.constantFrom('never' as const, 'arm' as const),
    isInverted: fc.boolean(),
    verb: fc.constantFrom(...verbNames),
  });
  fc.assert(
    fc.property(binding, (one) => {
      const of = { v: 1 as const, rev: 1, part: 0, parts: 1 };
      const asVerbs = decode(ctlMessage, encode({ ...of, type: 'verbs', bindings: [one] } as { v: 1 }));
      const asScale = decode(
        ctlMessage,
        encode({ ...of, type: 'bindings', trust: 'tpm', bindings: [one] } as { v: 1 }),
      );
      return asVerbs.ok === (one.verb !== 'scale') && !asScale.ok;
    }),
  );
});

t.test('slots keep verbs apart: another verb on the same control is another meaning', async (t) => {
  const table = new SlotTable();
  const of = (verb: 'scale' | 'restart') =>
    surfaceOf('desk', [{ verb, max: verbShapes[verb].number === 'count' ? 5 : undefined }]).spec.bindings;
  const [first] = table.assign(of('scale'), 1);
  const [second] = table.assign(of('restart'), 2);
  t.not(second?.slot, first?.slot);
});
