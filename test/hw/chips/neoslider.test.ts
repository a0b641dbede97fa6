/** The NeoSlider against its model: levels, garbage, and what its four lights say. */
import t from 'tap';
import { neoslider, sliderBar } from '../../../daemon/hw/chips/neoslider.ts';
import type { ControlFeedback, Rgb } from '../../../daemon/surface/types.ts';
import { NeoSliderModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { partRig } from './part-rig.ts';

const hue: Rgb = [0, 158, 115];
const feedback = (changes: Partial<ControlFeedback>): ControlFeedback => ({
  position: null,
  ring: null,
  light: hue,
  hint: null,
  ...changes,
});

t.test('every place of the fader, either way up', async (t) => {
  const model = new NeoSliderModel();
  const rig = partRig(t, neoslider, { name: 'left', invert: true }, model);
  await rig.open();
  for (const place of [0, 1 / 1023, 0.25, 0.5, 1]) {
    model.move(place);
    const [reading, ...others] = await rig.poll();
    t.same(others, []);
    t.match(reading, { type: 'level', control: 'left', at: rig.time.now() });
    const value = reading?.type === 'level' ? reading.value : Number.NaN;
    t.ok(Math.abs(value - (1 - place)) <= 0.5 / 1023 + Number.EPSILON, `${place}: ${value}`);
  }
});

t.test('more than full scale is not a level; one in between starts the count over', async (t) => {
  const rig = partRig(t, neoslider, {}, new NeoSliderModel());
  await rig.open();
  const poll = async (isGarbage: boolean) => {
    rig.bus.fault(0x30, isGarbage ? 'garbage' : 'none');
    return rig.poll();
  };
  for (const isGarbage of [true, true, false, true, true])
    t.equal((await poll(isGarbage)).length, isGarbage ? 0 : 1);
  await t.rejects(poll(true), { code: 'E_HW_PART' });
  await t.rejects(poll(false), { code: 'E_HW_PART' });
  await rig.open();
  t.equal((await rig.poll()).length, 1);
});

t.test('the bar: as long as the value, the last light as bright as its part', async (t) => {
  const dark: Rgb = [0, 0, 0];
  const half: Rgb = [0, 79, 58];
  t.same(sliderBar(feedback({})), [dark, dark, dark, dark]);
  t.same(sliderBar(feedback({ ring: 0 })), [dark, dark, dark, dark]);
  t.same(sliderBar(feedback({ ring: 0.125 })), [half, dark, dark, dark]);
  t.same(sliderBar(feedback({ ring: 0.625 })), [hue, hue, half, dark]);
  t.same(sliderBar(feedback({ ring: 1 })), [hue, hue, hue, hue]);
});

t.test('the hint: white at the end to move to, beside a bar that stepped back', async (t) => {
  const white: Rgb = [255, 255, 255];
  const dim: Rgb = [0, 40, 29];
  t.same(sliderBar(feedback({ ring: 0.5, hint: 'up' })), [dim, dim, [0, 0, 0], white]);
  t.same(sliderBar(feedback({ ring: 0.75, hint: 'down' })), [white, dim, dim, [0, 0, 0]]);
  const full = sliderBar(feedback({ ring: 1, light: white, hint: 'up' }));
  t.same(full, [[64, 64, 64], [64, 64, 64], [64, 64, 64], white], 'to be told from a white bar');
});

t.test('lights: idle sends nothing, upside down, dark at the end', async (t) => {
  const model = new NeoSliderModel();
  const rig = partRig(t, neoslider, { invertLights: true }, model);
  await rig.open();
  const show = () =>
    rig.show({ controls: new Map([['fader1', feedback({ ring: 0.25, light: [255, 0, 0] })]]) });
  await show();
  t.same([...model.lights().rgb], [0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0]);
  rig.lines();
  await show();
  t.same(rig.lines(), []);
  await rig.session.close();
  t.ok(model.lights().rgb.every((level) => level === 0));
  await rig.session.close();
});

t.test('config', async (t) => {
  t.same(neoslider.schema.parse({}), { name: 'fader1', invert: false, invertLights: false });
  t.same(neoslider.declare(neoslider.schema.parse({})).controls, [{ name: 'fader1', kind: 'fader' }]);
  t.same(neoslider.addresses.slice(0, 1).concat(neoslider.addresses.at(-1) ?? 0), [0x30, 0x3f]);
});
