import fc from 'fast-check';
import t from 'tap';
import { parseBootConfig } from '../../../daemon/hw/doctor/boot-config.ts';
import {
  decodeRawMidiName,
  encodeRawMidiInfo,
  listMidiPorts,
  parseMidiPage,
} from '../../../daemon/hw/doctor/midi-ports.ts';
import { consolesOf, lookAtMidi, lookAtSerial } from '../../../daemon/hw/doctor/ports.ts';
import type { Program } from '../../../daemon/hw/doctor/processes.ts';
import { checkOf, linesOf, MadeUpMachine } from './made-up.ts';

const midi = (path: string) => ({ preset: 'mackie-control', port: { type: 'raw-midi', path } });
const serial = (path: string) => ({ preset: 'mackie-control', port: { type: 'serial', path } });

/** As sound/core/rawmidi.c writes it. */
const page = (title: string, owners: readonly (number | null)[]) =>
  [
    title,
    '',
    'Type: Legacy',
    ...['Output', 'Input'].flatMap((direction) =>
      owners.flatMap((owner, subdevice) => [
        `${direction} ${subdevice}`,
        '  Tx bytes     : 0',
        ...(owner === null ? [] : [`  Owner PID    : ${owner}`, '  Mode         : native']),
      ]),
    ),
    '',
  ].join('\n');

const launchpad = (made: MadeUpMachine, owners: readonly (number | null)[]) => {
  made
    .put('/dev/snd/midiC1D0')
    .put('/dev/snd/controlC1')
    .put('/proc/asound/card1/midi0', page('Launchpad Mini MK3', owners))
    .put('/proc/812/comm', 'amidi\n');
  made.midiNames
    .set('1 0 0', 'Launchpad Mini MK3 LPMiniMK3 DA')
    .set('1 0 1', 'Launchpad Mini MK3 LPMiniMK3 MI');
  return made;
};

t.test('ports as amidi -l lists them', async (t) => {
  const made = launchpad(new MadeUpMachine(t), [null, 812]).put('/dev/snd/midiC0D3');
  t.same(linesOf(await lookAtMidi(made.context(null))), [
    'ok hw:0,3,0: without a name (/dev/snd/midiC0D3)',
    'ok hw:1,0,0: Launchpad Mini MK3 LPMiniMK3 DA (/dev/snd/midiC1D0)',
    'ok hw:1,0,1: Launchpad Mini MK3 LPMiniMK3 MI (/dev/snd/midiC1D0), in use by amidi (process 812)',
  ]);
  const plain = await listMidiPorts(made.machine, null);
  t.same(
    plain.map(({ title }) => title),
    ['without a name', 'Launchpad Mini MK3', 'Launchpad Mini MK3'],
    'without koffi',
  );
  const none = new MadeUpMachine(t);
  t.match((await lookAtMidi(none.context(null))).checks, [{ result: 'skipped' }]);
});

t.test('the port of a config', async (t) => {
  const made = launchpad(new MadeUpMachine(t), [null, null]).link('/proc/asound/MK3', 'card1');
  const opened: string[] = [];
  made.change = { openMidi: async (name) => void opened.push(name) };
  for (const name of ['hw:1,0,1', 'hw:MK3,0,1'])
    t.match((await lookAtMidi(made.context(midi(name)))).checks, [
      { result: 'ok', found: 'Launchpad Mini MK3 LPMiniMK3 MI, can be opened' },
    ]);
  t.same(opened, ['hw:1,0,1', 'hw:MK3,0,1']);
  const file = await lookAtMidi(made.context(midi('/dev/snd/midiC1D0')));
  t.match(checkOf(file, '/dev/snd/midiC1D0 ports'), { result: 'warning', remedy: /`hw:` name/ });
  t.equal(checkOf(file, '/dev/snd/midiC1D0').result, 'ok');
  for (const name of ['hw:2,0,0', 'hw:MK2,0,0', '/dev/snd/midiC2D0'])
    t.match((await lookAtMidi(made.context(midi(name)))).checks, [
      { result: 'fault', found: /no such port; there are hw:1,0,0 Launchpad/, remedy: /panel.port.path/ },
    ]);
  made.change = { openMidi: () => Promise.reject(new Error('ENODEV')) };
  t.match((await lookAtMidi(made.context(midi('hw:1,0,0')))).checks, [{ result: 'fault', found: /ENODEV/ }]);
  made.forbidden.add('/dev/snd/midiC1D0');
  t.match((await lookAtMidi(made.context(midi('hw:1,0,0')))).checks, [
    { result: 'fault', remedy: /GROUP="audio"/ },
  ]);
  t.match((await lookAtMidi(made.context({ preset: 'sense-hat' }))).checks, [{ result: 'skipped' }]);
});

t.test('of many ports eight are listed beside one that is missing', async (t) => {
  const made = launchpad(
    new MadeUpMachine(t),
    Array.from({ length: 10 }, () => null),
  );
  const found = checkOf(await lookAtMidi(made.context(midi('hw:2,0,0'))), 'hw:2,0,0').found;
  t.match(found, /hw:1,0,7 Launchpad Mini MK3 and 2 more$/);
});

t.test('a port that somebody has', async (t) => {
  const made = launchpad(new MadeUpMachine(t), [null, 812]);
  const look = (programs: Program[] = []) => lookAtMidi(made.context(midi('hw:1,0,1'), { programs }));
  t.match((await look()).checks, [{ result: 'fault', found: /in use by amidi \(process 812\)/ }]);
  const self = { id: 812, label: 'surfaced (process 812)', hasPanel: true, files: null };
  t.match((await look([self])).checks, [{ result: 'ok', found: /in use by surfaced \(process 812\)/ }]);
});

t.test('the page of the kernel: any text', async (t) => {
  t.same(parseMidiPage(page('X', [null, 7])), {
    title: 'X',
    subdevices: new Map([
      [0, null],
      [1, 7],
    ]),
  });
  const lines = fc.constantFrom('Output 0', 'Input 3', '  Owner PID    : 12', 'Owner PID', 'Output x', '');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(lines).map((all) => all.join('\n')),
      ),
      (text) => {
        const { subdevices } = parseMidiPage(text);
        return [...subdevices].every(
          ([number, owner]) => Number.isInteger(number) && (owner === null || Number.isInteger(owner)),
        );
      },
    ),
  );
});

t.test('the names of sub-devices: any bytes', async (t) => {
  const asked = encodeRawMidiInfo(2, 3, 1);
  t.equal(asked.length, 268);
  t.equal(Buffer.from(asked.subarray(0, 12)).toString('hex'), '020000000300000001000000');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 268, maxLength: 268 }), (bytes) => {
      const name = decodeRawMidiName(bytes);
      return !name.includes('\0') && name.length <= 80;
    }),
  );
});

t.test('serial ports', async (t) => {
  const none = new MadeUpMachine(t);
  t.match((await lookAtSerial(none.context(null))).checks, [{ result: 'skipped' }]);
  const made = new MadeUpMachine(t).put('/dev/ttyAMA0').link('/dev/serial0', 'ttyAMA0').put('/dev/ttyS1');
  t.same(linesOf(await lookAtSerial(made.context(null))), ['ok ports: /dev/serial0, /dev/ttyAMA0']);
  t.match((await lookAtSerial(made.context(serial('/dev/serial0')))).checks, [
    { result: 'ok', found: '/dev/ttyAMA0: is there and may be used; not opened' },
  ]);
  t.match((await lookAtSerial(made.context({ preset: 'sense-hat' }))).checks, [{ result: 'skipped' }]);
  t.match((await lookAtSerial(made.context(serial('/dev/ttyUSB0')))).checks, [
    { result: 'fault', remedy: /^Plug the device in/ },
  ]);
  const boot = parseBootConfig('', '/boot/firmware/config.txt', null);
  t.match((await lookAtSerial(made.context(serial('/dev/ttyS0')))).checks, [
    { result: 'fault', remedy: /^Plug the device in/ },
  ]);
  t.match((await lookAtSerial(made.context(serial('/dev/ttyS0'), { boot }))).checks, [
    {
      result: 'fault',
      remedy: /`enable_uart=1` \(on a Pi 5 `dtparam=uart0=on`\) to \/boot\/firmware\/config.txt/,
    },
  ]);
  const remedyOn = async (model: string, text: string) => {
    const given = { boot: parseBootConfig(text, '/boot/firmware/config.txt', model) };
    return checkOf(await lookAtSerial(made.context(serial('/dev/ttyS0'), given)), '/dev/ttyS0').remedy;
  };
  t.match(await remedyOn('Raspberry Pi 4 Model B Rev 1.4', 'enable_uart=1'), /^Plug/);
  t.match(await remedyOn('Raspberry Pi 5 Model B Rev 1.0', 'enable_uart=1'), /^Add/, 'that is another port');
  t.match(await remedyOn('Raspberry Pi 5 Model B Rev 1.0', 'dtparam=uart0=on'), /^Plug/);
  const image = 'upstream_kernel=1\nenable_uart=1';
  const pi4 = 'Raspberry Pi 4 Model B Rev 1.4';
  t.match(await remedyOn(pi4, image), /^Add `dtoverlay=serial-midi` to .* \/dev\/ttyAMA0 then/);
  t.match(await remedyOn(pi4, `${image}\ndtoverlay=serial-midi`), /^Plug/);
  made.forbidden.add('/dev/serial0');
  t.match((await lookAtSerial(made.context(serial('/dev/serial0')))).checks, [
    { result: 'fault', remedy: /GROUP="dialout"/ },
  ]);
});

t.test('a serial port that is a console, or that somebody has', async (t) => {
  const made = new MadeUpMachine(t).put('/dev/ttyAMA0').link('/dev/serial0', 'ttyAMA0');
  made.put('/proc/cmdline', 'console=ttyAMA0,115200 console=tty1 root=/dev/mmcblk0p2');
  t.match((await lookAtSerial(made.context(serial('/dev/serial0')))).checks, [
    { result: 'fault', found: /writes its console/, remedy: /cmdline.txt/ },
  ]);
  made.put('/proc/cmdline', 'console=tty1');
  const program = (label: string, hasPanel = false): Program => ({
    id: 9,
    label,
    hasPanel,
    files: ['/dev/ttyAMA0'],
  });
  const with_ = async (one: Program) =>
    (await lookAtSerial(made.context(serial('/dev/serial0'), { programs: [one] }))).checks;
  t.match(await with_(program('agetty (process 9)')), [{ result: 'fault', remedy: /serial-getty@ttyAMA0/ }]);
  t.match(await with_(program('minicom (process 9)')), [{ result: 'fault', remedy: /^End that program/ }]);
  t.match(await with_(program('surfaced (process 9)', true)), [{ result: 'ok' }]);
  t.match(await with_({ ...program('bash (process 9)'), files: null }), [
    { result: 'ok', found: /not opened; holders not known: only root sees who has it open$/ },
  ]);
  const pty = { preset: 'mackie-control', port: { type: 'pty', path: '/dev/ttyAMA0' } };
  const seen = await lookAtSerial(made.context(pty, { programs: [program('socat (process 9)')] }));
  t.match(seen.checks, [{ result: 'ok' }], 'who made a pseudo-terminal has it');
  const gone = { preset: 'mackie-control', port: { type: 'pty', path: '/run/panel' } };
  t.match((await lookAtSerial(made.context(gone))).checks, [
    { result: 'fault', remedy: /^Start the program/ },
  ]);
});

t.test('consoles of a command line', async (t) => {
  t.same(consolesOf('console=ttyS0,115200n8 noconsole=x  console=tty1'), ['ttyS0', 'tty1']);
  fc.assert(fc.property(fc.string(), (text) => consolesOf(text).every((name) => !/[\s,]/.test(name))));
});
