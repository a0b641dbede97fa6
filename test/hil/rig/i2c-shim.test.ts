import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { ensureAdapter } from '../../../hil/rig/adapters/build.mjs';
import { shimMissing } from './shim.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const server = path.resolve(here, '../../../hil/rig/guest/register-chips.ts');
type Call = readonly [name: string, ...rest: readonly unknown[]];

const skip = shimMissing();
const toolSkip = skip || (spawnSync('i2ctransfer', ['-V']).error ? 'i2c-tools is not installed' : false);

/** A chip server in a process of its own; the calls are synchronous and would wait for themselves. */
class Chips {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'surfaced-shim-'));
  readonly socket = path.join(this.folder, 'chips');
  /** What the server saw. */
  readonly seen: unknown[] = [];
  readonly #told = new EventEmitter();
  #child: ChildProcess | null = null;

  /** What the server saw, once it has told of so many requests. */
  async seenAll(count: number): Promise<readonly unknown[]> {
    while (this.seen.length < count) await once(this.#told, 'request');
    return this.seen;
  }

  async start() {
    const child = spawn(process.execPath, ['--import=tsx', server, this.socket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const isListening = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        if (line === 'listening') resolve();
        else {
          this.seen.push(JSON.parse(line));
          this.#told.emit('request');
        }
      });
    });
    await isListening;
  }

  async stop() {
    const child = this.#child;
    this.#child = null;
    if (child !== null) {
      const isOver = once(child, 'close');
      child.kill('SIGKILL');
      await isOver;
    }
    rmSync(this.folder, { recursive: true });
  }

  environment(buses: string) {
    return {
      ...process.env,
      LD_PRELOAD: ensureAdapter('i2c-shim.so'),
      SURFACED_I2C_SHIM: this.socket,
      SURFACED_I2C_BUSES: buses,
    };
  }

  /** The outcome of each call, made by the real i2c-bus in a process of its own. */
  async call(bus: number, ...calls: Call[]): Promise<unknown[]> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [path.join(here, 'i2c-calls.cjs'), String(bus), JSON.stringify(calls)],
      { env: this.environment('1,3') },
    );
    return stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  }
}

async function startChips(test: Pick<typeof t, 'teardown'>) {
  const chips = new Chips();
  test.teardown(() => chips.stop());
  await chips.start();
  return chips;
}
t.test('every call of i2c-bus becomes the messages that a Pi would send', { skip }, async (t) => {
  const chips = await startChips(t);
  const cases: readonly (readonly [call: Call, outcome: unknown, messages: readonly string[]])[] = [
    [['sendByteSync', 0x48, 0x21], null, ['w:21']],
    [['receiveByteSync', 0x48], 0, ['r:1']],
    [['writeByteSync', 0x48, 1, 0x5a], null, ['w:015a']],
    [['readByteSync', 0x48, 1], 0x5a, ['w:01', 'r:1']],
    [['writeWordSync', 0x48, 2, 0x1234], null, ['w:023412']],
    [['readWordSync', 0x48, 2], 0x1234, ['w:02', 'r:2']],
    [['writeQuickSync', 0x48, 0], null, ['w:']],
    [['writeQuickSync', 0x48, 1], null, ['r:0']],
    [['writeI2cBlockSync', 0x48, 0x10, 4, '01020304'], null, ['w:1001020304']],
    [['readI2cBlockSync', 0x48, 0x10, 4], '01020304', ['w:10', 'r:4']],
    [['i2cWriteSync', 0x48, 3, '11aabb'], 3, ['w:11aabb']],
    [['i2cWriteSync', 0x48, 1, '10'], 1, ['w:10']],
    [['i2cReadSync', 0x48, 4], '01aabb04', ['r:4']],
    [['deviceIdSync', 0x48], { manufacturer: 0, product: 0, name: 'NXP Semiconductors' }, ['w:90', 'r:3']],
  ];
  const outcomes = await chips.call(1, ...cases.map(([call]) => call));
  await chips.seenAll(cases.length);
  for (const [index, [call, outcome, messages]] of cases.entries()) {
    const name = `${call[0]} ${call.slice(2).join(' ')}`;
    t.same(outcomes[index], outcome, `${name}: outcome`);
    t.same(chips.seen[index], [1, call[0] === 'deviceIdSync' ? 0x7c : 0x48, messages], `${name}: messages`);
  }
  t.equal(chips.seen.length, cases.length, 'one transfer a call');
});

t.test('funcs, scan, faults and other files', { skip }, async (t) => {
  const chips = await startChips(t);
  const [functions, found, absent, absentRaw, fault, late, lateAgain, after, hostname] = await chips.call(
    3,
    ['i2cFuncsSync'],
    ['scanSync'],
    ['readByteSync', 0x55, 1],
    ['i2cReadSync', 0x55, 1],
    ['readByteSync', 0x50, 1],
    ['readByteSync', 0x51, 1],
    ['readByteSync', 0x51, 1],
    ['readByteSync', 0x70, 1],
    ['readFile', '/proc/sys/kernel/ostype'],
  );
  t.match(functions, { i2c: true, smbusQuick: true, smbusReadI2cBlock: true, smbusPec: false });
  t.same(found, [0x48, 0x70]);
  t.match(absent, { error: /Remote I\/O error/ }, 'what a Pi says of an absent address');
  t.match(absentRaw, { error: /EREMOTEIO|Unknown system error -121/ });
  t.match(fault, { error: /Input\/output error/ });
  t.match(late, { error: /timed out/ }, 'a server that does not answer in time is no hang');
  t.match(lateAgain, { error: /timed out/ }, 'its late answer is not taken for that of the next transfer');
  t.equal(after, 0, 'the next transfer has its own answer');
  t.equal(hostname, 'Linux', 'other files are untouched');
  t.ok((chips.seen as [number][]).every(([bus]) => bus === 3));
});

t.test('without a chip server, and with one that breaks off, a transfer fails', { skip }, async (t) => {
  const chips = new Chips();
  t.teardown(() => chips.stop());
  const [absent] = await chips.call(1, ['readByteSync', 0x48, 0]);
  t.match(absent, { error: /No such device or address/ });

  const answers: Record<string, Buffer | null> = {
    'breaks off': null,
    'has a wrong length': Buffer.from('06000000000000000102', 'hex'),
    'has a positive result': Buffer.from('0400000001000000', 'hex'),
    'is half': Buffer.from('050000', 'hex'),
  };
  for (const [name, bytes] of Object.entries(answers)) {
    const broken = createServer((socket) => {
      // The adapter closes its end without having read everything.
      socket.on('error', () => socket.destroy());
      socket.once('data', () => (bytes === null ? socket.destroy() : socket.end(bytes)));
    }).listen(chips.socket);
    await once(broken, 'listening');
    const [outcome] = await chips.call(1, ['readByteSync', 0x48, 0]);
    t.match(outcome, { error: /No such device or address|Input\/output error/ }, `an answer that ${name}`);
    broken.close();
    await once(broken, 'close');
  }
});

t.test('a bus that is not claimed is that of the host', { skip }, async (t) => {
  const chips = await startChips(t);
  const [outcome] = await chips.call(250, ['readByteSync', 0x48, 0]);
  t.match(outcome, { error: /ENOENT.*i2c-250/ });
});

t.test('calls from many threads at once each get their own answer', { skip }, async (t) => {
  const chips = await startChips(t);
  const program = `
    const i2c = require('i2c-bus');
    (async () => {
      const wires = await Promise.all([i2c.openPromisified(1), i2c.openPromisified(3)]);
      await Promise.all([...Array(64).keys()].map(async (register) => {
        const wire = wires[register & 1];
        await wire.writeByte(0x48, register, register ^ 0xa5);
      }));
      const read = await Promise.all([...Array(64).keys()].map((register) => wires[register & 1].readByte(0x48, register)));
      if (read.some((value, register) => value !== (register ^ 0xa5))) throw new Error(JSON.stringify(read));
      // A child that shares nothing but the library.
      require('node:child_process').execFileSync(process.execPath, ['-e', "require('i2c-bus').openSync(1).readByteSync(0x48, 1)"]);
      console.log((await wires[0].readByte(0x48, 1)).toString(16));
    })();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
    cwd: here,
    env: { ...chips.environment('1,3'), UV_THREADPOOL_SIZE: '8' },
  });
  t.equal(stdout.trim(), (1 ^ 0xa5).toString(16));
  t.equal((await chips.seenAll(64 + 64 + 2)).length, 64 + 64 + 2);
});

t.test('the tools of i2c-tools work through it', { skip: toolSkip }, async (t) => {
  const chips = await startChips(t);
  const tool = async (name: string, ...rest: string[]) => {
    const { stdout } = await promisify(execFile)(name, ['-y', ...rest], { env: chips.environment('1') });
    return stdout.trim();
  };
  await tool('i2ctransfer', '1', 'w4@0x48', '0x20', '2', '7', '8');
  t.equal(await tool('i2ctransfer', '1', 'w1@0x48', '0x20', 'r3'), '0x02 0x07 0x08');
  t.equal(await tool('i2cget', '1', '0x48', '0x21', 'w'), '0x0807');
  await t.rejects(
    tool('i2ctransfer', '1', 'r1@0x48', 'w1@0x48', '1'),
    /not supported/,
    'as i2c-bcm2835 says',
  );
});

t.test('the calls that no package makes, and wrong ones, end as in the kernel', { skip }, async (t) => {
  const chips = await startChips(t);
  const program = ensureAdapter('smbus-calls');
  const { stdout } = await promisify(execFile)(program, ['/dev/i2c-1', '0x48'], {
    env: chips.environment('1'),
  });
  t.equal(stdout, readFileSync(path.join(here, '../../../hil/rig/adapters/smbus-calls.txt'), 'utf8'));
  t.same(
    (await chips.seenAll(10)).map((request) => (request as [number, number, string[]])[2].join(' ')),
    [
      'w:20030a0b0c',
      'w:20 r:33',
      'w:21 r:33',
      'w:23ff',
      'w:23 r:33',
      'w:200177 r:2',
      'w:400155 r:33',
      'w:20 r:32',
      'w:',
      'r:1',
    ],
  );
  t.same((chips.seen.at(-1) as unknown[])[1], 0x148, 'a ten-bit address goes on as it is');
});
