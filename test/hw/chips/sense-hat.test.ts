/** The joystick of a Sense HAT against its model: readings, the interrupt line, faults. */
import fc from 'fast-check';
import t from 'tap';
import { senseHat, senseHatKeys, senseHatSpec } from '../../../daemon/hw/chips/sense-hat.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';
import { PartRig, partRig } from './part-rig.ts';

t.test('the first poll tells all keys, the next ones what changed', async () => {
  const key = fc.record({ name: fc.constantFrom(...senseHatKeys), isDown: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(key, { maxLength: 4 }), { maxLength: 8 }), async (steps) => {
      const model = new SenseHatModel();
      const rig = new PartRig(senseHat, {}, model);
      await rig.open();
      const told = new Map<string, boolean>();
      const held = new Map<string, boolean>(senseHatKeys.map((name) => [name, false]));
      for (const keys of [[], ...steps]) {
        for (const { name, isDown } of keys) {
          model.key(name, isDown);
          held.set(name, isDown);
        }
        for (const input of await rig.poll()) {
          if (input.type !== 'switch' || told.get(input.control) === input.isDown) return false;
          told.set(input.control, input.isDown);
        }
        if (model.interruptIsHigh) return false;
        if ([...held].some(([name, isDown]) => told.get(name) !== isDown)) return false;
      }
      return true;
    }),
  );
});

t.test('garbage is a fault and presses nothing', async (t) => {
  const rig = partRig(t, senseHat, {}, new SenseHatModel());
  await rig.open();
  await rig.poll();
  rig.bus.fault(0x46, 'garbage');
  for (let poll = 0; poll < 100; poll++) {
    const inputs = await rig.poll().catch((error: unknown) => {
      t.match(error, { code: 'E_HW_PART' });
      return [];
    });
    t.same(inputs, []);
  }
});

t.test('without its line it is polled often, with it as a safety net', async (t) => {
  const rig = partRig(t, senseHat, {}, new SenseHatModel());
  await rig.open();
  t.equal(rig.session.pollMs, 20);
  t.ok(rig.session.pollWithInterruptMs > rig.session.pollMs);
  t.same(
    senseHatSpec.controls.map(({ name, kind }) => `${kind} ${name}`),
    ['button up', 'button down', 'button left', 'button right', 'button enter'],
  );
});
