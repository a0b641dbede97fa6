/** What the rig promises, as it is seen from inside. */
import { strict as assert } from 'node:assert';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCharacterDeviceLines } from '../../../daemon/hw/gpio/character-device.ts';
import type { LineEdge } from '../../../daemon/hw/gpio/lines.ts';
import { loadI2cBus } from '../../../daemon/hw/i2c/package.ts';
import { openSystemInput } from '../../../daemon/hw/input/evdev.ts';
import { openRawMidi } from '../../../daemon/hw/ports/raw-midi.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type I2cBus, startI2cBus } from './chips.ts';
import { bounceLine, readLine } from './lines.ts';
import { turnKnob } from './quadrature.ts';
import { UsbMidiDevice } from './usb-midi.ts';
import { waitFor } from './wait.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const timeoutMs = 10_000;
const loadKoffi = async () => (await import('koffi')).default;

/** A word when the check passed, e.g. a figure; `skip` when it cannot be made here. */
type Check = (environment: NodeJS.ProcessEnv) => Promise<string | { readonly skip: string }>;

const checks: Readonly<Record<string, Check>> = {
  'the machine says that it is a Raspberry Pi': async () => {
    const model = readFileSync('/proc/device-tree/model', 'utf8');
    assert.match(model, /^Raspberry Pi 4/);
    return model.replace('\0', '');
  },

  'edges of simulated lines reach the character device, none lost': async ({ SURFACED_QUADRATURE }) => {
    const edges: LineEdge[] = [];
    let lost = 0;
    const open = openCharacterDeviceLines({ loadKoffi, deviceFolder: '/dev', log: silentLog });
    const request = {
      chip: null,
      lines: [5, 6],
      bias: 'none',
      isActiveLow: false,
      debounceMs: null,
    } as const;
    const group = await open(
      { ...request, consumer: 'smoke' },
      {
        onEdges: (more) => edges.push(...more),
        onMissed: (_levels, count) => {
          lost += count;
        },
        onLost: (problem) => assert.fail(problem),
      },
    );
    const turn = { adapter: SURFACED_QUADRATURE!, a: 5, b: 6, edges: 500, edgesPerSecond: 500, bounces: 0 };
    const turned = await turnKnob(turn);
    await waitFor('500 edges', timeoutMs, () => (edges.length >= 500 ? true : null));
    assert.deepEqual(
      edges.slice(0, 4).map(({ line, isHigh }) => [line, isHigh]),
      [
        [5, true],
        [6, true],
        [5, false],
        [6, false],
      ],
    );
    bounceLine(5, true, 3);
    await waitFor('the edges of a bouncing contact', timeoutMs, () => (edges.length >= 507 ? true : null));
    assert.equal(readLine(5), true);
    await group.close();
    assert.equal(lost, 0);
    return `500 edges in ${turned.seconds.toFixed(2)} s`;
  },

  'the kernel reads a rotary encoder': async ({ SURFACED_QUADRATURE }) => {
    let position = 0;
    const device = await openSystemInput('rotary@11', {
      onEvents: (events) => {
        for (const { type, value } of events) if (type === 2) position += value;
      },
      onDropped: () => assert.fail('events were dropped'),
      onLost: (problem) => assert.fail(problem),
    });
    const turn = { adapter: SURFACED_QUADRATURE!, a: 17, b: 27, edgesPerSecond: 200, bounces: 0 };
    await turnKnob({ ...turn, edges: 40 });
    await waitFor('40 steps', timeoutMs, () => (Math.abs(position) === 40 ? true : null));
    const there = position;
    await turnKnob({ ...turn, edges: -40 });
    await waitFor('40 steps back', timeoutMs, () => (position === 0 ? true : null));
    await device.close();
    return `A before B counts ${there > 0 ? 'up' : 'down'}`;
  },

  'the kernel reads a push button, and leaves out its bouncing': async () => {
    const seen: string[] = [];
    const device = await openSystemInput('button@16', {
      onEvents: (events) => seen.push(...events.map(({ type, code, value }) => `${type}:${code}:${value}`)),
      onDropped: () => assert.fail('events were dropped'),
      onLost: (problem) => assert.fail(problem),
    });
    bounceLine(22, true, 5);
    await waitFor('the press', timeoutMs, () => (seen.length > 0 ? true : null));
    bounceLine(22, false, 5);
    await waitFor('the release', timeoutMs, () => (seen.length > 1 ? true : null));
    await device.close();
    assert.deepEqual(seen, ['1:28:1', '1:28:0']);
    return seen.join(' ');
  },

  'I2C buses by CUSE answer the real binding': async ({ SURFACED_CUSE_I2C, SURFACED_SMBUS_CALLS }) => {
    const socket = path.join(mkdtempSync(path.join(tmpdir(), 'smoke-')), 'chips');
    const adapter = SURFACED_CUSE_I2C!;
    const [first, second] = await Promise.all([
      startI2cBus({ adapter, bus: 1, socket }),
      startI2cBus({ adapter, bus: 3, socket }),
    ]);
    const { openPromisified } = await loadI2cBus();
    const wire = await openPromisified(1);
    await assert.rejects(wire.writeQuick(0x48, 0), /No such device or address/);
    const server = await startRegisterChips(socket);

    assert.equal((await wire.i2cFuncs()).i2c, true);
    await wire.i2cWrite(0x48, 4, Buffer.from([0x10, 1, 2, 3]));
    const block = Buffer.alloc(3);
    await wire.readI2cBlock(0x48, 0x10, 3, block);
    assert.equal(block.toString('hex'), '010203');
    await wire.i2cWrite(0x48, 1, Buffer.from([0x11]));
    assert.equal((await wire.i2cRead(0x48, 3, block)).bytesRead, 3);
    assert.equal(block.toString('hex'), '020300');
    await assert.rejects(wire.readI2cBlock(0x55, 0, 3, block), /Remote I\/O error/);
    await assert.rejects(wire.readI2cBlock(0x51, 0, 3, block), /timed out/);
    const other = await openPromisified(3);
    await other.writeQuick(0x70, 0);
    await other.close();

    const { stdout } = await promisify(execFile)(SURFACED_SMBUS_CALLS!, [first.path, '0x70']);
    assert.equal(stdout, readFileSync(path.join(here, '../adapters/smbus-calls.txt'), 'utf8'));

    const begin = performance.now();
    for (let index = 0; index < 200; index += 1) await wire.i2cWrite(0x70, 17, Buffer.alloc(17));
    const eachMs = (performance.now() - begin) / 200;

    await end(server);
    await assert.rejects(wire.writeQuick(0x48, 0), /No such device or address/);
    const again = await startRegisterChips(socket);
    await wire.writeQuick(0x48, 0);
    await assertBusGoes(first, wire);
    assert.ok(existsSync(second.path));
    const back = await startI2cBus({ adapter, bus: 1, socket });
    const fresh = await openPromisified(1);
    await fresh.writeQuick(0x48, 0);
    await fresh.close();
    await Promise.all([back.remove(), second.remove(), end(again)]);
    return `${eachMs.toFixed(2)} ms a write of 17 bytes`;
  },

  'a USB MIDI device is plugged in, passes bytes both ways, is pulled out and comes back': async () => {
    const device = new UsbMidiDevice(0, { name: 'Smoke', vendorId: 0x1d6b, productId: 0x0104 });
    for (const round of [1, 2]) {
      const { hostPath, devicePath } = await device.plug();
      const [host, inner] = [await collect(hostPath), await collect(devicePath)];
      host.port.write(Uint8Array.of(0x90, 60, round));
      inner.port.write(Uint8Array.of(0xb0, 7, round));
      await waitFor('bytes inside the device', timeoutMs, () => (inner.bytes.length >= 3 ? true : null));
      await waitFor('bytes from the device', timeoutMs, () => (host.bytes.length >= 3 ? true : null));
      assert.deepEqual(
        [host.bytes, inner.bytes],
        [
          [0xb0, 7, round],
          [0x90, 60, round],
        ],
      );
      const isUnplugged = device.unplug();
      await waitFor('the end of the port', timeoutMs, () => (host.isLost() ? true : null));
      await Promise.all([host.port.close(), inner.port.close()]);
      await isUnplugged;
      assert.equal(existsSync(hostPath), false);
    }
    return 'twice';
  },

  'virtual MIDI ports exist': async () => {
    assert.match(readFileSync('/proc/asound/cards', 'utf8'), /VirMIDI/);
    assert.ok(
      existsSync('/dev/snd/midiC0D0') && existsSync('/dev/snd/midiC0D1') && existsSync('/dev/snd/seq'),
    );
    return '/dev/snd/midiC0D0';
  },

  'a software TPM is a kernel TPM': async () => {
    const state = mkdtempSync(path.join(tmpdir(), 'smoke-tpm-'));
    const swtpm = spawn(
      'swtpm',
      ['chardev', '--vtpm-proxy', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'startup-clear'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const isSpawned = await Promise.race([
      once(swtpm, 'spawn').then(() => true),
      once(swtpm, 'error').then(() => false),
    ]);
    if (!isSpawned) return { skip: 'swtpm is not installed' };
    await waitFor('/dev/tpmrm0', timeoutMs, () => (existsSync('/dev/tpmrm0') ? true : null));
    const descriptor = openSync('/dev/tpmrm0', 'r+');
    // TPM2_GetRandom, 8 bytes: TPM 2.0 Library, Part 3, 16.1.
    writeSync(descriptor, Buffer.from('80010000000c0000017b0008', 'hex'));
    const answer = Buffer.alloc(64);
    const length = readSync(descriptor, answer, 0, answer.length, null);
    closeSync(descriptor);
    await end(swtpm);
    assert.equal(length, 20);
    assert.equal(answer.readUInt32BE(6), 0);
    return '/dev/tpmrm0';
  },
};

async function startRegisterChips(socket: string): Promise<ChildProcess> {
  const server = spawn(process.execPath, ['--import=tsx', path.join(here, 'register-chips.ts'), socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: server.stdout });
  await Promise.race([
    once(lines, 'line'),
    once(server, 'exit').then(([code]) =>
      Promise.reject(new Error(`The chip server ended with exit code ${code}`)),
    ),
  ]);
  return server;
}

async function end(child: ChildProcess): Promise<void> {
  const isOver = once(child, 'exit');
  child.kill('SIGKILL');
  await isOver;
}

async function assertBusGoes(bus: I2cBus, wire: { writeQuick(address: number, bit: number): Promise<void> }) {
  await bus.remove();
  assert.equal(existsSync(bus.path), false);
  await assert.rejects(wire.writeQuick(0x48, 0), 'an open bus that was pulled out fails');
}

async function collect(file: string) {
  const bytes: number[] = [];
  let isLost = false;
  const port = await openRawMidi(
    { path: file, loadKoffi },
    {
      onData: (more) => bytes.push(...more),
      onClosed: () => {
        isLost = true;
      },
    },
  );
  return { port, bytes, isLost: () => isLost };
}

/** Runs all, prints TAP; 0 when all passed. */
export async function runChecks(environment: NodeJS.ProcessEnv): Promise<number> {
  let failures = 0;
  console.log(`TAP version 14\n1..${Object.keys(checks).length}`);
  for (const [index, [name, check]] of Object.entries(checks).entries()) {
    const begin = performance.now();
    try {
      const seen = await check(environment);
      const took = `${Math.round(performance.now() - begin)} ms`;
      console.log(
        typeof seen === 'string'
          ? `ok ${index + 1} - ${name} # ${seen}; ${took}`
          : `ok ${index + 1} - ${name} # SKIP ${seen.skip}`,
      );
    } catch (error) {
      failures += 1;
      console.log(`not ok ${index + 1} - ${name}`);
      for (const line of String(error instanceof Error ? error.stack : error).split('\n'))
        console.log(`# ${line}`);
    }
  }
  return failures === 0 ? 0 : 1;
}
