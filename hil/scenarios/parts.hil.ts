/** Every part of the panel: its inputs arrive exactly once, its lights follow what is touched, it is dark in the end. */
import t from 'tap';
import { Hands, restFaders } from './hands.ts';
import { Monitor, openRig } from './open-rig.ts';
import { hasLights, nameOf, panelOf } from './wired-parts.ts';

const rig = await openRig();
const panel = await panelOf(rig);
await restFaders(rig, panel);
const monitor = new Monitor(rig);
t.teardown(async () => {
  await monitor.stop();
  await rig.close();
});
const hands = new Hands({ rig, panel, monitor, say: (text) => t.comment(text) });
const lit = rig.abilities.has('lights') ? panel.parts.filter(hasLights) : [];
const noLights =
  lit.length > 0 ? false : `the ${rig.name} rig has not the ability lights, or no part has any`;

t.test('the panel opens, whole', async (t) => {
  const lines = await hands.ready();
  t.notOk(
    lines.some(({ type }) => type === 'press' || type === 'turn'),
    'nothing was touched',
  );
});

t.test('the inputs of every part', async (t) => {
  for (const part of panel.parts) await t.test(part.label, (t) => hands.touch(t, part, 'all'));
});

t.test('the lights of every part', { skip: noLights }, async (t) => {
  for (const part of lit) await t.test(part.label, (t) => hands.light(t, part));
});

t.test('all that was touched was told once', async (t) => hands.assertToldOnce(t));

t.test('the end: dark, and nothing that a real part would not have taken', async (t) => {
  await hands.lightAll(lit);
  t.equal(await monitor.stop(), 0);
  for (const part of lit) {
    const { rgb } = await rig.lights(nameOf(part));
    t.ok(
      rgb.every((level) => level === 0),
      `${part.label} is dark`,
    );
  }
  t.same(await rig.protocolErrors(), []);
});
