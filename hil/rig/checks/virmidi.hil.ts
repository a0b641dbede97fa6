/** Runs inside the rig: raw MIDI ports by every name that a config allows, on cards whose files have sixteen ports. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { parseConfig } from '../../../daemon/config/load.ts';
import { createPanel, isMidi } from '../../../daemon/hw/panels.ts';
import { portOpener } from '../../../daemon/hw/ports/open.ts';
import type { Port } from '../../../daemon/hw/ports/port.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { ControlEvent } from '../../../daemon/surface/types.ts';
import { waitFor } from '../guest/wait.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');

const limitMs = 20_000;
/** Ports of one device file of a virtual card (sound/drivers/virmidi.c: its rawmidi has 16 sub-devices). */
const portsOfFile = 16;
const folder = mkdtempSync(path.join(tmpdir(), 'virmidi-'));
/** The virtual card by its id, as /proc/asound links it to its number. */
const id = readdirSync('/proc/asound').find((name) => /^VirMIDI/.test(name)) ?? 'VirMIDI';
const card = Number(readlinkSync(`/proc/asound/${id}`).replace('card', ''));

/** The port of a panel as its config names it, read by the config's own schema. */
function portOf(name: string) {
  const text = JSON.stringify({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'Device',
    panel: { preset: 'mackie-control', port: { type: 'raw-midi', path: name } },
  });
  const { panel } = parseConfig('Device', text, path.join(folder, 'device.yaml'));
  if (!isMidi(panel)) throw new Error('not a MIDI panel');
  return panel;
}

async function open(name: string) {
  const { port } = portOf(name);
  const bytes: number[] = [];
  const handlers = { onData: (more: Uint8Array) => void bytes.push(...more), onClosed: () => {} };
  return { port: await portOpener(port)(port.path, handlers), bytes };
}

t.test('every name of a port opens that port', async (t) => {
  for (const name of [`hw:${card},0,0`, `hw:${id},1,0`, `hw:${id},1,15`, `/dev/snd/midiC${card}D0`]) {
    const { port } = await open(name);
    t.equal(portOf(name).port.path, name);
    await port.close();
  }
});

t.test('names of what is not there, each told with what is wrong', async (t) => {
  for (const [name, reason] of [
    [`hw:${card},7,0`, /hw:\d+,7,0: ENOENT.*midiC\d+D7/],
    ['hw:Nothing,0,0', /hw:Nothing,0,0: ENOENT.*Nothing/],
    ['hw:29,0,0', /hw:29,0,0: ENOENT.*controlC29/],
    [`hw:${card},0,${portsOfFile}`, new RegExp(`hw:${card},0,${portsOfFile}: `)],
    ['/dev/snd/midiC29D0', /midiC29D0: ENOENT/],
  ] as const)
    await t.rejects(open(name), { code: 'E_HW_PORT_OPEN', message: reason }, name);
});

t.test('a port has one user, its neighbours are free', async (t) => {
  const ports: Port[] = [];
  for (let subdevice = 0; subdevice < portsOfFile; subdevice++)
    ports.push((await open(`hw:${card},0,${subdevice}`)).port);
  await t.rejects(open(`hw:${card},0,3`), { code: 'E_HW_PORT_OPEN', message: /hw:\d+,0,3: EAGAIN|EBUSY/ });
  await t.rejects(open(`/dev/snd/midiC${card}D0`), { code: 'E_HW_PORT_OPEN' }, 'a file has no more ports');
  await ports[3]?.close();
  const { port } = await open(`hw:${card},0,3`);
  await t.rejects(open(`hw:${card},0,4`), { code: 'E_HW_PORT_OPEN' });
  await Promise.all([...ports, port].map((each) => each.close()));
});

t.test(
  'what goes into one port comes out of the other that it is connected to, and of no other',
  {
    skip:
      spawnSync('aconnect', ['--help']).error === undefined
        ? false
        : 'aconnect is not installed (alsa-utils)',
  },
  async (t) => {
    const connect = async (...words: string[]) => {
      const child = spawn('aconnect', words, { stdio: ['ignore', 'ignore', 'inherit'] });
      const [code] = await once(child, 'exit');
      return code;
    };
    const clients = clientsOf();
    const [first, second] = clients;
    if (first === undefined || second === undefined) throw new Error(`sequencer clients: ${clients}`);
    t.equal(await connect(`${first}:0`, `${second}:0`), 0);
    const from = await open(`hw:${id},0,0`);
    const to = await open(`hw:${id},1,0`);
    from.port.write(Uint8Array.of(0x90, 60, 100, 0xb0, 7, 1));
    await waitFor('six bytes', limitMs, () => (to.bytes.length >= 6 ? true : null));
    t.same(to.bytes, [0x90, 60, 100, 0xb0, 7, 1]);
    t.same(from.bytes, []);
    await Promise.all([from.port.close(), to.port.close()]);
  },
);

t.test('a panel on a port that somebody has waits, says so, and opens when it is free', async (t) => {
  const name = `hw:${id},1,5`;
  const holders = Array.from({ length: portsOfFile }, () =>
    openSync(`/dev/snd/midiC${card}D1`, constants.O_RDWR | constants.O_NONBLOCK),
  );
  const events: ControlEvent[] = [];
  const panel = await createPanel(portOf(name), { log: silentLog, openPort: null, random: () => 0.5 });
  await panel.start(new AbortController().signal, (event) => void events.push(event));
  t.equal(panel.state.isOpen, false);
  t.match(panel.state.problem, /^hw:\w+,1,5: .*(busy|EBUSY|EAGAIN|temporarily)/i);
  for (const holder of holders) closeSync(holder);
  await waitFor('the panel', limitMs, () => (panel.state.isOpen ? true : null));
  t.equal(panel.state.problem, null);
  t.same(events, [{ type: 'reset', controls: null }]);
  await panel.stop();
});

/** Numbers of the sequencer's clients of the two virtual device files, in their order. */
function clientsOf(): string[] {
  const text = readFileSync('/proc/asound/seq/clients', 'utf8');
  return [...text.matchAll(/^Client\s+(\d+) : "Virtual Raw MIDI/gm)].flatMap(([, number]) => number ?? []);
}
