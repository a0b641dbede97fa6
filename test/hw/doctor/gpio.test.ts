import t from 'tap';
import { parseBootConfig } from '../../../daemon/hw/doctor/boot-config.ts';
import { lookAtGpio } from '../../../daemon/hw/doctor/gpio.ts';
import { checkOf, linesOf, MadeUpMachine } from './made-up.ts';

const panel = (gpio: object = {}) => ({
  preset: 'parts',
  parts: [
    { part: 'gpio-encoder', name: 'knob', a: 17, b: 27 },
    { part: 'mcp23017', interrupt: 4, buttons: [{ pin: 'A0', name: 'key' }] },
  ],
  gpio,
});
const holders = new Map([
  [22, 'button@16'],
  [42, ''],
]);

t.test('without a config: chips, and who has which line', async (t) => {
  const made = new MadeUpMachine(t)
    .chip('gpiochip0', { held: holders })
    .chip('gpiochip10', { label: '', lineCount: 8 })
    .chip('gpiochip2', { label: 'old', refusal: 'ENOTTY' });
  const look = await lookAtGpio(made.context(null));
  t.same(linesOf(look), [
    'ok gpiochip0: pinctrl-bcm2711, 58 lines; held: 22 by "button@16", 42 by something without a name',
    'warning gpiochip2: old, 8 lines; the kernel has no version 2 of the interface'.replace('8', '58'),
    'ok gpiochip10: without a label, 8 lines, all free',
  ]);
  t.match(look.found.gpioChips?.[0]?.held, [
    { line: 22, by: 'button@16' },
    { line: 42, by: '' },
  ]);
});

t.test('lines of a config: free, held, of surfaced itself, not there', async (t) => {
  const lines = async (held: ReadonlyMap<number, string>, lineCount = 58, boot = '') => {
    const made = new MadeUpMachine(t).chip('gpiochip0', { held, lineCount });
    const context = made.context(panel(), { boot: parseBootConfig(boot, '/boot/config.txt', null) });
    return lookAtGpio(context);
  };
  const free = await lines(new Map());
  t.same(linesOf(free), [
    'ok chip: /dev/gpiochip0 is pinctrl-bcm2711, 58 lines',
    'ok line 17: free, for gpio-encoder (parts.0)',
    'ok line 27: free, for gpio-encoder (parts.0)',
    'ok line 4: free, for the interrupt of mcp23017 at 0x20 on bus 1',
  ]);
  const held = await lines(
    new Map([
      [17, 'rotary@11'],
      [27, 'sysfs'],
      [4, 'surfaced'],
    ]),
  );
  t.match(checkOf(held, 'line 17'), {
    result: 'fault',
    found: 'held by "rotary@11", and gpio-encoder (parts.0) wants it',
    remedy: /overlay/,
  });
  t.match(checkOf(held, 'line 27').remedy, /unexport/);
  t.match(checkOf(held, 'line 4'), { result: 'ok', found: /surfaced itself/ });
  t.match(checkOf(await lines(new Map(), 20), 'line 27'), {
    result: 'fault',
    found: 'pinctrl-bcm2711 has no such line, which gpio-encoder (parts.0) wants',
  });
  const reserved = await lines(new Map(), 58, 'dtparam=i2c_arm=on\nenable_uart=1');
  t.ok(
    reserved.checks.every(({ result }) => result === 'ok'),
    'other lines are reserved',
  );
});

t.test('the overlay that has a line is named', async (t) => {
  const made = new MadeUpMachine(t).chip('gpiochip0', {
    held: new Map([
      [27, 'rotary@11'],
      [17, 'rotary@11'],
    ]),
  });
  const boot = parseBootConfig(
    'dtoverlay=x,other=27\ndtoverlay=rotary-encoder,pin_a=22,pin_b=27',
    '/boot/config.txt',
    null,
  );
  const look = await lookAtGpio(made.context(panel(), { boot }));
  t.match(
    checkOf(look, 'line 27').remedy,
    /^Line 2 of \/boot\/config\.txt gives it to the overlay rotary-encoder: remove that and restart, or use/,
  );
  t.match(checkOf(look, 'line 17').remedy, /^End the program/);
});

t.test('a line that the firmware gives to something else', async (t) => {
  const made = new MadeUpMachine(t).chip('gpiochip0', {});
  const config = { preset: 'parts', parts: [{ part: 'gpio-button', name: 'key', line: 9 }] };
  const boot = parseBootConfig('dtparam=spi=on', '/boot/config.txt', null);
  t.match(checkOf(await lookAtGpio(made.context(config, { boot })), 'line 9'), {
    result: 'warning',
    found: /it belongs to SPI/,
  });
});

t.test('which chip', async (t) => {
  const made = new MadeUpMachine(t)
    .chip('gpiochip0', { label: 'gpio-mockup-A' })
    .chip('gpiochip1', { label: 'spare' });
  t.match(checkOf(await lookAtGpio(made.context(panel())), 'chip'), {
    result: 'fault',
    found: /no chip is pinctrl-bcm2835 or .*: \/dev\/gpiochip0 is gpio-mockup-A, \/dev\/gpiochip1 is spare/,
    remedy: /`gpio.chip`/,
  });
  for (const chip of ['spare', 'gpiochip1', '/dev/gpiochip1'])
    t.match(checkOf(await lookAtGpio(made.context(panel({ chip }))), 'chip').found, /gpiochip1 is spare/);
  t.match(checkOf(await lookAtGpio(made.context(panel({ chip: 'other' }))), 'chip').remedy, /Correct/);
});

t.test('a kernel without version 2', async (t) => {
  for (const refusal of ['ENOTTY', 'EINVAL']) {
    const made = new MadeUpMachine(t).chip('gpiochip0', { refusal });
    t.match((await lookAtGpio(made.context(panel()))).checks, [
      { result: 'fault', remedy: /gpio.via: sysfs/ },
    ]);
  }
});

t.test('not for this user, without koffi, without chips', async (t) => {
  const made = new MadeUpMachine(t).chip('gpiochip0', {});
  made.forbidden.add('/dev/gpiochip0');
  t.match((await lookAtGpio(made.context(panel()))).checks, [
    { result: 'fault', found: 'pi may not use /dev/gpiochip0', remedy: /GROUP="gpio"/ },
  ]);
  t.match((await lookAtGpio(made.context(null))).checks, [{ result: 'warning' }]);
  made.missingPackages.add('koffi');
  t.match((await lookAtGpio(made.context(panel()))).checks, [{ result: 'fault', found: /package koffi/ }]);
  t.match((await lookAtGpio(made.context(null))).checks, [{ result: 'skipped' }]);
  const bare = new MadeUpMachine(t).put('/dev/null');
  t.match((await lookAtGpio(bare.context(panel()))).checks, [{ result: 'fault', remedy: /hand .* in/ }]);
  t.match((await lookAtGpio(bare.context(null))).checks, [{ result: 'skipped', remedy: null }]);
  bare.put('/sys/class/gpio/gpiochip0/label', 'pinctrl-bcm2835');
  t.match((await lookAtGpio(bare.context(panel()))).checks, [{ result: 'fault', remedy: /gpio.via: sysfs/ }]);
});

t.test('a panel without lines', async (t) => {
  const made = new MadeUpMachine(t).chip('gpiochip0', {});
  const config = { preset: 'sense-hat' };
  t.match((await lookAtGpio(made.context(config))).checks, [{ result: 'skipped' }]);
});

t.test('the old interface', async (t) => {
  const old = { via: 'sysfs' };
  const made = new MadeUpMachine(t).put('/dev/null');
  t.match((await lookAtGpio(made.context(panel(old)))).checks, [
    { result: 'fault', found: /no \/sys\/class\/gpio/ },
  ]);
  made.put('/sys/class/gpio/export').put('/sys/class/gpio/gpiochip512/label', 'other\n');
  t.match((await lookAtGpio(made.context(panel(old)))).checks, [
    { result: 'fault', found: /there are other$/ },
  ]);
  made.put('/sys/class/gpio/gpiochip512/label', 'pinctrl-bcm2711\n');
  t.match((await lookAtGpio(made.context(panel(old)))).checks, [{ result: 'ok', found: /loses edges/ }]);
  made.chip('gpiochip0', {});
  t.match((await lookAtGpio(made.context(panel(old)))).checks, [
    { result: 'warning', remedy: /Leave `gpio.via` out/ },
  ]);
  made.forbidden.add('/sys/class/gpio/export');
  t.match((await lookAtGpio(made.context(panel(old)))).checks, [
    { result: 'fault', found: /pi may not use/ },
  ]);
});
