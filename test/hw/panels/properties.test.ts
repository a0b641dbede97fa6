/** What holds for every panel, whatever it is shown and whatever it sends. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type MidiPanelConfig, midiPresets, panelSchema } from '../../../daemon/config/panel.ts';
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';
import { encode } from '../../../daemon/hw/midi/writer.ts';
import type { PanelDriver } from '../../../daemon/hw/panels/driver.ts';
import { panelDriver } from '../../../daemon/hw/panels.ts';
import type { ControlFeedback, Frame, PanelSpec, Rgb, Strip } from '../../../daemon/surface/types.ts';
import { anyMessage } from '../midi/arbitraries.ts';
import { frameOf } from './frames.ts';
import { Lights } from './lights.ts';

const presets = midiPresets;

const controls = [
  { name: 'fader1', type: 'fader', cc: 1, ccLsb: 33 },
  { name: 'fader2', type: 'pitch-bend-fader', channel: 3, touchNote: 104, hasMotor: true },
  { name: 'encoder1', type: 'encoder', cc: 16, encoding: 'offset-binary', pushNote: 3, ringCc: 48 },
  { name: 'button1', type: 'button', note: 60, hasLight: true },
  { name: 'button2', type: 'button', cc: 61, hasLight: true },
];

function driverOf(preset: MidiPanelConfig['preset']): PanelDriver {
  const port = { type: 'pty', path: '/nowhere' };
  const map = preset === 'generic-midi' ? { controls } : {};
  return panelDriver(panelSchema.parse({ preset, port, ...map }) as MidiPanelConfig);
}

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const part = fc.nat(255);
const colour: fc.Arbitrary<Rgb> = fc.tuple(part, part, part);
const hint = fc.constantFrom('up' as const, 'down' as const, null);

function anyFrame(spec: PanelSpec): fc.Arbitrary<Frame> {
  const name = fc.constantFrom(...spec.controls.map((control) => control.name));
  const feedback: fc.Arbitrary<ControlFeedback> = fc.record({
    // Far enough apart that a motor's tolerance never leaves one where another was asked for.
    position: fc.option(fc.nat(100).map((step) => step / 100)),
    ring: fc.option(unit),
    light: colour,
    hint,
  });
  return fc
    .record({
      feedback: fc.dictionary(name, feedback),
      pads: fc.dictionary(
        fc.tuple(fc.nat(7), fc.nat(7)).map((place) => place.join()),
        colour,
      ),
      names: fc.array(
        fc.record({ control: name, name: fc.string({ unit: 'binary', maxLength: 20 }), hue: colour, hint }),
      ),
      link: fc.record({
        state: fc.constantFrom('online' as const, 'stale' as const, 'offline' as const),
        detail: fc.string({ maxLength: 80 }),
        isAttested: fc.boolean(),
      }),
    })
    .map(({ feedback, pads, names, link }) =>
      frameOf({ controls: feedback, matrix: pads, strips: names as Partial<Strip>[], link }),
    );
}

for (const preset of presets) {
  t.test(preset, async (t) => {
    const driver = driverOf(preset);

    t.doesNotThrow(
      () =>
        fc.assert(
          fc.property(fc.array(anyFrame(driver.spec), { minLength: 1, maxLength: 6 }), (frames) => {
            const session = driver.open();
            const lights = new Lights();
            lights.take(session.enter);
            for (const frame of frames) {
              const bytes = session.render(frame);
              lights.take(bytes);
              assert.deepEqual(session.render(frame), [], 'a frame that is shown is not sent again');
            }
            const last = frames.at(-1);
            assert.ok(last);
            const fresh = new Lights();
            const begun = driver.open();
            fresh.take(begun.enter);
            fresh.take(begun.render(last));
            for (const [light, value] of fresh.shown) assert.equal(lights.shown.get(light), value, light);

            lights.take(session.leave());
            fresh.take(begun.leave());
            const dark = (shown: Lights) =>
              [...shown.shown].filter(([light]) => !light.startsWith('motor')).sort();
            assert.deepEqual(dark(lights), dark(fresh), 'whatever was shown, it is as dark at the end');
          }),
          { numRuns: 40 },
        ),
      'changes add up to the frame',
    );

    t.doesNotThrow(() => {
      const names = new Set(driver.spec.controls.map((control) => control.name));
      const noise = fc.oneof(
        fc.array(anyMessage).map((messages) => messages.flatMap(encode)),
        fc.array(fc.nat(255), { maxLength: 300 }),
      );
      fc.assert(
        fc.property(noise, (bytes) => {
          const session = driver.open();
          for (const message of new MidiParser(1024).push(Uint8Array.from(bytes))) {
            for (const event of session.receive(message).events) {
              assert.ok('control' in event && names.has(event.control), 'a control of the panel');
              if (event.type === 'position') assert.ok(event.value >= 0 && event.value <= 1, 'within 0..1');
              if (event.type === 'turn') assert.ok(event.pulses !== 0 && Math.abs(event.pulses) <= 64);
            }
          }
        }),
        { numRuns: 200 },
      );
    }, 'any bytes give events of its controls, within their ranges');

    t.test('its own words', async (t) => {
      const { controls: specs, roles } = driver.spec;
      t.equal(new Set(specs.map(({ name }) => name)).size, specs.length, 'names are unique');
      for (const { name } of specs) t.match(name, /^[a-z0-9-]{1,32}$/);
      for (const name of Object.values(roles)) {
        t.equal(specs.find((control) => control.name === name)?.kind, 'button', `${name} is a button`);
      }
    });
  });
}
