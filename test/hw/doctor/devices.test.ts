import t from 'tap';
import { lookAtFrameBuffers, lookAtInputs, lookAtTpm } from '../../../daemon/hw/doctor/devices.ts';
import { checkOf, linesOf, MadeUpMachine } from './made-up.ts';

const senseHat = { preset: 'sense-hat' };
const dial = (device: string) => ({
  preset: 'parts',
  parts: [{ part: 'rotary-encoder', name: 'dial', device }],
});
const withDevices = (made: MadeUpMachine) =>
  made
    .put('/sys/class/input/event0/device/name', 'rotary@11\n')
    .put('/dev/input/event0')
    .put('/sys/class/input/event10/device/name', 'Raspberry Pi Sense HAT Joystick\n')
    .put('/dev/input/event10')
    .put('/sys/class/graphics/fb1/name', 'RPi-Sense FB\n')
    .put('/dev/fb1')
    .put('/sys/class/graphics/fbcon/name', 'no frame buffer');

t.test('without a config: a list', async (t) => {
  const bare = new MadeUpMachine(t);
  t.same(linesOf(await lookAtInputs(bare.context(null))), ['skipped devices: there are no input devices']);
  t.same(linesOf(await lookAtFrameBuffers(bare.context(null))), [
    'skipped devices: there are no frame buffers',
  ]);
  const made = withDevices(new MadeUpMachine(t));
  t.same(linesOf(await lookAtInputs(made.context(null))), [
    'ok devices: /dev/input/event0 "rotary@11", /dev/input/event10 "Raspberry Pi Sense HAT Joystick"',
  ]);
  const { found, checks } = await lookAtFrameBuffers(made.context(null));
  t.match(checks, [{ found: '/dev/fb1 "RPi-Sense FB"' }]);
  t.same(found.frameBuffers, [{ path: '/dev/fb1', name: 'RPi-Sense FB' }]);
});

t.test('devices that a config names', async (t) => {
  const made = withDevices(new MadeUpMachine(t));
  for (const look of [lookAtInputs, lookAtFrameBuffers])
    t.match((await look(made.context(senseHat))).checks, [{ result: 'ok', found: /, for sense-hat-kernel/ }]);
  t.match((await lookAtInputs(made.context(dial('rotary@11')))).checks, [{ result: 'ok' }]);
  t.match((await lookAtInputs(made.context(dial('/dev/input/event0')))).checks, [{ result: 'ok' }]);
  t.match((await lookAtFrameBuffers(made.context(dial('rotary@11')))).checks, [{ result: 'skipped' }]);
});

t.test('devices that are not there', async (t) => {
  const made = new MadeUpMachine(t).put('/sys/class/input/event0/device/name', 'rotary@11');
  t.match(checkOf(await lookAtInputs(made.context(dial('rotary@16'))), 'rotary@16'), {
    result: 'fault',
    found: 'it is not there, and rotary-encoder (parts.0) wants it; there are /dev/input/event0 "rotary@11"',
    remedy: /dtoverlay=rotary-encoder/,
  });
  t.match(
    checkOf(await lookAtInputs(made.context(dial('rotary@11'))), 'rotary@11').result,
    'fault',
    'the kernel has it, /dev has not',
  );
  t.match((await lookAtInputs(made.context(dial('/dev/input/event7')))).checks, [{ result: 'fault' }]);
  t.match((await lookAtFrameBuffers(made.context(senseHat))).checks, [
    { result: 'fault', found: /there are no frame buffers/, remedy: /dtoverlay=rpi-sense.*part `sense-hat`/ },
  ]);
});

t.test('devices that are not for this user', async (t) => {
  const made = withDevices(new MadeUpMachine(t));
  made.forbidden.add('/dev/input/event10').add('/dev/fb1');
  t.match((await lookAtInputs(made.context(senseHat))).checks, [
    { result: 'fault', found: 'pi may not use /dev/input/event10', remedy: /GROUP="input"/ },
  ]);
  t.match((await lookAtFrameBuffers(made.context(senseHat))).checks, [
    { result: 'fault', remedy: /GROUP="video"/ },
  ]);
});

t.test('a TPM', async (t) => {
  const made = new MadeUpMachine(t);
  t.match((await lookAtTpm(made.context(null))).checks, [{ result: 'skipped', found: /no \/dev\/tpmrm0; / }]);
  made.put('/dev/tpm0');
  t.match((await lookAtTpm(made.context(null))).checks, [{ result: 'skipped', found: /a TPM 1.2, or/ }]);
  made.put('/dev/tpmrm0');
  t.match(await lookAtTpm(made.context(null)), { checks: [{ result: 'ok' }], found: { tpm: '/dev/tpmrm0' } });
  made.forbidden.add('/dev/tpmrm0');
  t.match((await lookAtTpm(made.context(null))).checks, [{ result: 'warning', remedy: /GROUP="tss"/ }]);
});
