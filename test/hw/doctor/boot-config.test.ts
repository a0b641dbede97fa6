import fc from 'fast-check';
import t from 'tap';
import {
  doubtOf,
  headerBusNames,
  headerBusSpeedNames,
  isOn,
  overlayOf,
  overlayWithLine,
  parameterOf,
  parseBootConfig,
  readBootConfig,
  reservedLines,
} from '../../../daemon/hw/doctor/boot-config.ts';
import { boardProfiles } from '../../../image/card/boards.ts';
import { configText } from '../../../image/card/config-txt.ts';
import { MadeUpMachine } from './made-up.ts';

const sample = `# For more options see the documentation
dtparam=i2c_arm=on,i2c_arm_baudrate=400000
#dtparam=spi=on
dtoverlay=rotary-encoder,pin_a=17,pin_b=27,relative_axis=1
arm_64bit=1

[pi4]
dtoverlay=tpm-slb9673
[none]
dtoverlay=never
[all]
dtparam=audio
enable_uart=1
`;

const all = { name: 'all', counts: 'yes' };
const pi4 = 'Raspberry Pi 4 Model B Rev 1.4';

t.test('parameters, overlays, filters', async (t) => {
  const boot = parseBootConfig(sample, '/boot/config.txt', pi4);
  t.same(boot.parameters, [
    { name: 'i2c_arm', value: 'on', section: all, line: 2 },
    { name: 'i2c_arm_baudrate', value: '400000', section: all, line: 2 },
    { name: 'audio', value: 'on', section: all, line: 12 },
    { name: 'enable_uart', value: 'on', section: all, line: 13 },
  ]);
  t.same(
    boot.overlays.map(({ name, section, line }) => [name, section, line]),
    [
      ['rotary-encoder', all, 4],
      ['tpm-slb9673', { name: 'pi4', counts: 'yes' }, 8],
    ],
  );
  t.same([...boot.overlays[0]!.parameters], Object.entries({ pin_a: '17', pin_b: '27', relative_axis: '1' }));
  t.same(boot.lines, [
    'dtparam=i2c_arm=on,i2c_arm_baudrate=400000',
    'dtoverlay=rotary-encoder,pin_a=17,pin_b=27,relative_axis=1',
    '[pi4] dtoverlay=tpm-slb9673',
    '[none] dtoverlay=never (not for this board)',
    'dtparam=audio',
    'enable_uart=1',
  ]);
});

t.test('what stands under the filter of another board does not count', async (t) => {
  const text = '[pi5]\ndtparam=i2c_arm=on\ndtoverlay=gpio-key,gpio=22\n[all]\ndtparam=spi=on';
  const other = parseBootConfig(text, '/boot/config.txt', pi4);
  t.equal(isOn(other, headerBusNames), false);
  t.equal(isOn(other, ['spi']), true);
  t.equal(overlayOf(other, 'gpio-key'), null);
  t.equal(overlayWithLine(other, 22), null);
  t.equal(other.lines[0], '[pi5] dtparam=i2c_arm=on (not for this board)');
  const own = parseBootConfig(text, '/boot/config.txt', 'Raspberry Pi 5 Model B Rev 1.0');
  t.equal(isOn(own, headerBusNames), true);
  t.equal(doubtOf(parameterOf(own, headerBusNames)!), '');
  t.equal(overlayWithLine(own, 22)?.name, 'gpio-key');
  for (const model of [null, 'QEMU virt']) {
    const unknown = parseBootConfig(text, '/boot/config.txt', model);
    t.match(doubtOf(parameterOf(unknown, headerBusNames)!), /filter \[pi5\]: does it fit/, 'counted, unsure');
    t.equal(doubtOf(parameterOf(unknown, ['spi'])!), '');
  }
});

t.test('filters of which board count', async (t) => {
  const filters =
    'pi0 pi0w pi02 pi1 pi2 pi3 pi3+ pi4 pi400 pi5 pi500 cm1 cm3 cm3+ cm4 cm4s cm5 all none'.split(' ');
  const cases: Readonly<Record<string, string>> = {
    'Raspberry Pi Zero Rev 1.3': 'pi0',
    'Raspberry Pi Zero W Rev 1.1': 'pi0 pi0w',
    'Raspberry Pi Zero 2 W Rev 1.0': 'pi0 pi0w pi02',
    'Raspberry Pi Model B Plus Rev 1.2': 'pi1',
    'Raspberry Pi Compute Module Rev 1.0': 'pi1 cm1',
    'Raspberry Pi 2 Model B Rev 1.1': 'pi2',
    'Raspberry Pi 3 Model B Rev 1.2': 'pi3',
    'Raspberry Pi 3 Model A Plus Rev 1.0': 'pi3 pi3+',
    'Raspberry Pi Compute Module 3 Plus Rev 1.0': 'pi3 cm3 cm3+',
    [pi4]: 'pi4',
    'Raspberry Pi 400 Rev 1.0': 'pi4 pi400',
    'Raspberry Pi Compute Module 4 Rev 1.0': 'pi4 cm4',
    'Raspberry Pi Compute Module 4S Rev 1.0': 'pi4 cm4s',
    'Raspberry Pi 5 Model B Rev 1.0': 'pi5',
    'Raspberry Pi 500 Rev 1.0': 'pi5 pi500',
    'Raspberry Pi Compute Module 5 Rev 1.0': 'pi5 cm5',
  };
  for (const [model, wanted] of Object.entries(cases)) {
    const counting = filters.filter(
      (filter) => parseBootConfig(`[${filter}]\ndtparam=spi`, 'x', model).parameters.length > 0,
    );
    t.same(counting, [...wanted.split(' '), 'all'], model);
  }
});

t.test('filters of one kind replace each other, others add up', async (t) => {
  const sectionOf = (filters: string) =>
    parseBootConfig(`${filters}\ndtparam=spi`, 'x', pi4).parameters.map(({ section }) => section);
  t.same(sectionOf('[pi5]\n[pi4]'), [{ name: 'pi4', counts: 'yes' }]);
  t.same(sectionOf('[none]\n[pi4]'), [{ name: 'pi4', counts: 'yes' }]);
  t.same(sectionOf('[gpio4=1]\n[gpio4=0]'), [{ name: 'gpio4=0', counts: 'unsure' }]);
  t.same(sectionOf('[EDID=VSC-TD2220]\n[PI4]'), [{ name: 'edid=vsc-td2220][pi4', counts: 'unsure' }]);
  t.same(sectionOf('[gpio4=1]\n[pi5]'), []);
  t.same(sectionOf('[gpio4=1]\n[pi5]\n[all]'), [all]);
  t.same(sectionOf('[0x1]\n[0x2]'), [{ name: '0x2', counts: 'unsure' }]);
});

t.test('parameters below an overlay are those of the overlay', async (t) => {
  const boot = parseBootConfig(
    'dtoverlay=gpio-key\n[pi5]\ndtoverlay=other\n[all]\ndtparam=gpio=22,i2c_arm\ndtoverlay=\ndtparam=gpio=23',
    '/boot/config.txt',
    pi4,
  );
  t.equal(overlayWithLine(boot, 22)?.name, 'gpio-key');
  t.equal(overlayWithLine(boot, 23), null, 'an overlay without a name ends that');
  t.equal(isOn(boot, headerBusNames), true, 'one that the overlay does not know is for the board');
});

t.test('the last word counts, by any of its names', async (t) => {
  const boot = parseBootConfig('dtparam=i2c_arm=on\ndtparam=i2c1=off\ndtparam=spi', '/boot/config.txt', null);
  t.equal(isOn(boot, headerBusNames), false);
  t.equal(isOn(boot, ['spi']), true);
  t.equal(isOn(null, ['spi']), false);
  t.equal(parameterOf(boot, headerBusSpeedNames), null);
  t.equal(overlayOf(boot, 'spi'), null);
});

t.test('lines that the firmware gives away', async (t) => {
  const boot = parseBootConfig('dtparam=spi=on,i2c_arm=on\nenable_uart=0', '/boot/config.txt', null);
  t.same(
    [...reservedLines(boot).keys()].sort((a, b) => a - b),
    [2, 3, 7, 8, 9, 10, 11],
  );
  t.equal(reservedLines(null).size, 0);
  const unsure = parseBootConfig('[gpio4=1]\ndtparam=spi=on', '/boot/config.txt', null);
  t.match(reservedLines(unsure).get(9), /^SPI \(`dtparam=spi=on`\) \(under the filter \[gpio4=1\]/);
});

t.test('device trees of Linux itself have no parameters, as on the image', async (t) => {
  const text = 'upstream_kernel=1\nenable_uart=1\ndtparam=i2c_arm=on\ndtoverlay=tpm-slb9670\ndtparam=gpio=4';
  const boot = parseBootConfig(text, '/boot/config.txt', pi4);
  t.notOk(boot.hasParameters);
  t.same(boot.parameters, [
    { name: 'enable_uart', value: 'on', section: boot.overlays[0]?.section, line: 2 },
  ]);
  t.match(boot.ignored, [{ name: 'i2c_arm', line: 3 }]);
  t.equal(boot.ignored.length, 1, 'an overlay may have parameters of its own');
  t.equal(boot.overlays[0]?.parameters.get('gpio'), '4');
  const reserved = reservedLines(boot);
  t.same([...reserved.keys()], [2, 3, 7, 8, 9, 10, 11, 14, 15]);
  t.equal(reserved.get(7), 'SPI (`dtoverlay=tpm-slb9670`)');
  const midi = reservedLines(parseBootConfig('upstream_kernel=1\ndtoverlay=serial-midi', 'x', null));
  t.same([...midi.keys()], [2, 3, 14, 15]);
  t.ok(parseBootConfig('[pi5]\nupstream_kernel=1\n[all]\ndtparam=spi', 'x', pi4).hasParameters);
  t.ok(parseBootConfig('upstream_kernel=1\nupstream_kernel=0', 'x', pi4).hasParameters);
  const shipped = parseBootConfig(
    configText(boardProfiles.debian.overlays),
    '/boot/firmware/config.txt',
    pi4,
  );
  t.notOk(shipped.hasParameters);
  t.same(shipped.ignored, []);
  t.ok(overlayOf(shipped, 'header'));
});

t.test('which overlay takes a line', async (t) => {
  const boot = parseBootConfig(sample, '/boot/config.txt', null);
  t.equal(overlayWithLine(boot, 27)?.name, 'rotary-encoder');
  t.equal(overlayWithLine(boot, 1), null, 'an axis is no line');
  t.equal(overlayWithLine(null, 27), null);
});

t.test('where it is', async (t) => {
  const made = new MadeUpMachine(t);
  t.equal(await readBootConfig(made.machine), null);
  made.put('/boot/config.txt', 'dtparam=spi=on');
  t.match(await readBootConfig(made.machine), { path: '/boot/config.txt' });
  made.put('/boot/firmware/config.txt', 'dtparam=spi=on');
  t.match(await readBootConfig(made.machine), { path: '/boot/firmware/config.txt', model: null });
  made.put('/proc/device-tree/model', `${pi4}\0`);
  t.match(await readBootConfig(made.machine), { model: pi4 });
  const moved = new MadeUpMachine(t);
  moved.put('/boot/config.txt', 'DO NOT EDIT THIS FILE\nThe file has moved to /boot/firmware/config.txt');
  t.equal(await readBootConfig(moved.machine), null);
});

t.test('any text can be read', async () => {
  const word = fc.constantFrom(
    'dtparam',
    'dtoverlay',
    '=',
    ',',
    '[',
    ']',
    '#',
    'i2c_arm',
    'on',
    '\n',
    ' ',
    '[none]\n',
    '[pi4]\n',
    '[gpio4=1]\n',
    '[all]\n',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(text, (content) => {
      const { parameters, overlays } = parseBootConfig(content, 'x', null);
      const count = content.split('\n').length;
      // Whatever is no comma can be in the name of an overlay; a parameter ends at its first equals sign.
      if (parameters.some(({ name }) => name.includes('='))) return false;
      return [...parameters, ...overlays].every(
        ({ name, section, line }) =>
          line >= 1 && line <= count && section.counts !== 'no' && !/[#\n,]/.test(name),
      );
    }),
  );
});
