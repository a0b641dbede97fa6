/** What starts the image, on a small system of its own: U-Boot's choice, dm-verity, measured start, data partition. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { fileMeasurement } from '../../../daemon/attest/logs/measure-log.ts';
import { readLog, standingOf } from '../../../daemon/attest/measure/standing.ts';
import { buildBootScript } from '../../../image/boot/boot-script.ts';
import { type BootState, initialBootState, readBootStateSector } from '../../../image/boot/boot-state.ts';
import { bootState, cardBytes, partitions, sectorBytes } from '../../../image/layout.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { type Machine, startMachine } from '../machine.ts';
import { makeMinimalCard } from '../minimal-card.ts';
import { makeMinimalSystem } from '../minimal-system.ts';

/** Of one start on a busy machine; half a minute is usual. */
const startMs = 600_000;
const mebibyte = 2 ** 20;

const toolbox = await ensureToolbox();
const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-boot-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);
const system = await makeMinimalSystem(toolbox, folder);
const { rootHash } = await system.slot('0.1.0', at('slot-1'));
await system.slot('0.2.0', at('slot-2'));
await buildBootScript({ toolbox, epoch: 0, output: at('boot.scr') });

const card = at('card');
const firmware = `${card}@@${partitions.firmware.startBytes}`;

/** A new card: version 0.1.0 in slot a, 0.2.0 in slot b, and what the system does when it has started. */
const newCard = (state: BootState | null, script: string) =>
  makeMinimalCard({
    ...{ toolbox, bootScript: at('boot.scr'), state, output: card },
    slots: { a: at('slot-1'), b: at('slot-2') },
    files: { 'check.sh': script },
  });

const turnOn = (withTpm: boolean): Promise<Machine> =>
  startMachine({
    ...{
      toolbox,
      card,
      isCardWritten: true,
      serialPanel: null,
      usbStick: null,
      hostForwards: [],
      memoryMiB: 1024,
      clock: null,
    },
    tpm: withTpm ? { folder: at('tpm'), kernelVersion: system.kernelVersion } : null,
    consoleFile: process.env.SURFACED_CONSOLE ?? null,
    signal: null,
  });

/** Lets a machine run until it turns itself off; all lines of its console. */
async function run(machine: Machine): Promise<readonly string[]> {
  try {
    await machine.waitForLine(/^check: end/, { from: 0, timeoutMs: startMs });
    await machine.ended;
    return machine.console.lines;
  } finally {
    await machine.stop();
  }
}

const started = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => /^check: started slot=(\S+ version=\S+)/.exec(line)?.[1] ?? []);
const has = (lines: readonly string[], pattern: RegExp): boolean => lines.some((line) => pattern.test(line));
const value = (lines: readonly string[], name: string): string =>
  lines.flatMap((line) => new RegExp(`^check: .*\\b${name}=(\\S*)`).exec(line)?.[1] ?? []).at(-1) ?? '';
/** Seconds since the start of the kernel. */
const kernelTime = (lines: readonly string[], pattern: RegExp): string =>
  lines.flatMap((line) => (pattern.test(line) ? (/^\[ *([\d.]+)\]/.exec(line)?.[1] ?? []) : [])).at(0) ?? '?';

async function copies(): Promise<Buffer[]> {
  const file = await open(card);
  try {
    const found = bootState.copies.map(async (offset) => {
      const { buffer } = await file.read(Buffer.alloc(sectorBytes), 0, sectorBytes, offset);
      return buffer;
    });
    return await Promise.all(found);
  } finally {
    await file.close();
  }
}
const states = async () => (await copies()).map(readBootStateSector);

/** Changes one byte of the card. */
async function flip(offset: number): Promise<void> {
  const file = await open(card, 'r+');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, offset);
  } finally {
    await file.close();
  }
}

const dataScript = 'echo "check: data-kib=$(stat -f -c %b /data) log=$(cat /data/shared/log/boot | wc -l)"\n';

t.test(
  'the first start: data partition, grown to the card; measured; the second one leaves all as it is',
  async (t) => {
    const script = `
for bank in sha1 sha256 sha384 sha512; do
  [ ! -e /sys/class/tpm/tpm0/pcr-$bank/14 ] || echo "check: pcr $bank=$(cat /sys/class/tpm/tpm0/pcr-$bank/14)"
done
echo "check: log-hex=$(od -An -v -tx1 /run/surfaced/measure.log | tr -d ' \\n')"
echo "check: root-hash=$(cat /run/surfaced/boot/root-hash)"
echo "check: data-blocks=$(stat -f -c %b /data)"
echo "check: mounts=$(cat /proc/mounts | tr ' \\n' ',;')"
`;
    await newCard(initialBootState, script);
    await truncate(card, cardBytes + 512 * mebibyte + 12_345);
    const before = await copies();
    const startedAt = performance.now();
    const first = await run(await turnOn(true));
    t.comment(
      `kernel to systemd ${kernelTime(first, /goes on with systemd/)} s; ` +
        `on to off ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
    );
    t.same(started(first), ['a version=0.1.0']);
    t.ok(has(first, /growing the data partition to 548 MiB/));
    t.ok(Number(value(first, 'data-blocks')) * 4096 > 480 * mebibyte, 'the file system has grown too');
    t.equal(value(first, 'root-hash'), rootHash);

    const log = readLog(Buffer.from(value(first, 'log-hex'), 'hex'), false);
    const banks = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
    const registers = new Map(
      banks.flatMap((bank) => {
        const held = value(first, bank);
        return held === '' ? [] : [[bank, new Map([[14, Buffer.from(held, 'hex')]])] as const];
      }),
    );
    t.ok(registers.has('sha256'), 'the kernel shows the bank');
    t.same(standingOf({ records: log.records, registers, pcr: 14, marked: null }), {
      kind: 'extended',
      extended: 2,
    });
    t.same(
      log.records.map(({ content }) => content.kind === 'file' && content.path),
      ['/run/surfaced/boot/root-hash', '/run/surfaced/boot/cmdline'],
    );
    const [record] = log.records;
    if (record?.content.kind === 'file') {
      const again = fileMeasurement({
        path: record.content.path,
        sha256: Buffer.from(record.content.sha256, 'hex'),
        ...{ pcr: 14, banks: ['sha256'], recnum: 0 },
      });
      t.same(record.digests.get('sha256'), again.digests.get('sha256'), 'as `surfaced measure` extends it');
    }

    const mounts = value(first, 'mounts');
    t.match(mounts, /;\/dev\/mapper\/root,\/,ext4,ro,/);
    t.match(mounts, /;var,\/var,tmpfs,rw,[^;]*size=65536k/);
    for (const place of ['/data', '/etc/machine-id', '/var/lib/systemd/timesync', '/var/lib/surfaced'])
      t.match(mounts, `;/dev/vda4,${place},ext4,rw,`);

    const second = await run(await turnOn(true));
    t.same(started(second), ['a version=0.1.0']);
    t.notOk(has(second, /growing|making the data partition anew/));
    t.match(value(second, 'machine-id'), /^[0-9a-f]{32}$/);
    t.equal(value(second, 'machine-id'), value(first, 'machine-id'));
    t.equal(value(second, 'sha256'), value(first, 'sha256'), 'the same start, the same measurements');
    t.same(await copies(), before, 'the boot state was not written');
  },
);

t.test('a trial counts down, and when it has no start left the good slot runs', async (t) => {
  await newCard(
    { good: 'a', trial: 'b', left: 2 },
    '[ "$(cat /run/surfaced/boot/slot)" = a ] || reboot -f\n',
  );
  const lines = await run(await turnOn(false));
  t.same(started(lines), ['b version=0.2.0', 'b version=0.2.0', 'a version=0.1.0']);
  t.ok(has(lines, /no TPM, nothing is measured/));
  t.same(await states(), Array(2).fill({ good: 'a', trial: 'b', left: 0 }));
});

t.test('a trial whose file system has one wrong byte ends at once', async (t) => {
  await newCard({ good: 'a', trial: 'b', left: 3 }, '');
  await flip(partitions.slotB.startBytes + 1024 + 0x60);
  const lines = await run(await turnOn(false));
  t.same(started(lines), ['a version=0.1.0']);
  t.ok(has(lines, /slot b: its file system is not the one that its root hash names/));
  t.same(await states(), Array(2).fill({ good: 'a', trial: null, left: 0 }));
});

t.test(
  'a good slot that has lost a bit somewhere: after three starts without success it is read, and left',
  async (t) => {
    const script =
      'echo "a 3" >/data/shared/starts; cat /data/shared/log/boot | while read -r line; do echo "check: log $line"; done\n';
    await newCard(initialBootState, script);
    t.same(started(await run(await turnOn(false))), ['a version=0.1.0']);
    await flip(partitions.slotA.startBytes + 500 * mebibyte);
    const lines = await run(await turnOn(false));
    t.same(started(lines), ['b version=0.2.0']);
    t.ok(has(lines, /checking all of slot a/));
    t.ok(has(lines, /^check: log 0\.1\.0 slot a: blocks of this slot are not as they were built/));
    t.same(await states(), Array(2).fill({ good: 'a', trial: 'b', left: 2 }));
  },
);

t.test('no boot state can be read, and slot a cannot be loaded: slot b runs', async (t) => {
  await newCard(null, '');
  const file = await open(card, 'r+');
  await file.write(randomBytes(sectorBytes), 0, sectorBytes, bootState.copies[0]);
  await file.write(Buffer.alloc(mebibyte), 0, mebibyte, partitions.slotA.startBytes);
  await file.close();
  const lines = await run(await turnOn(false));
  t.ok(has(lines, /no boot state can be read/));
  t.same(started(lines), ['b version=0.2.0']);
});

t.test('the first copy of the boot state is broken: the second one counts', async (t) => {
  await newCard({ good: 'b', trial: null, left: 0 }, '');
  await flip(bootState.copies[0] + 100);
  const lines = await run(await turnOn(false));
  t.ok(has(lines, /boot state, second copy: good b/));
  t.same(started(lines), ['b version=0.2.0']);
});

t.test('factory reset, with the power cut while the data partition is made', async (t) => {
  await newCard(initialBootState, `echo mine >/data/shared/mine\n${dataScript}`);
  const first = await run(await turnOn(false));
  await toolbox.run('mcopy', ['-i', firmware, '-', '::/factory-reset'], {
    binds: [folder],
    input: 'reset\n',
  });
  await toolbox.run('mcopy', ['-o', '-i', firmware, '-', '::/check.sh'], {
    binds: [folder],
    input: 'echo "check: left=$(ls /data/shared | tr "\\n" ,)"\n',
  });
  const cut = await turnOn(false);
  await cut.waitForLine(/making the data partition anew: reset/, { from: 0, timeoutMs: startMs });
  await cut.cutPower();
  t.notOk(await cut.ended, 'it did not turn itself off');
  const files = () => toolbox.run('mdir', ['-b', '-i', firmware, '::/'], { binds: [folder] });
  t.match(await files(), /factory-reset/, 'the reset is still asked for');

  const second = await run(await turnOn(false));
  t.ok(has(second, /making the data partition anew: reset/));
  t.notMatch(value(second, 'left'), /mine/);
  t.match(value(second, 'left'), /log,machine-id,/);
  t.not(value(second, 'machine-id'), value(first, 'machine-id'));
  t.notMatch(await files(), /factory-reset/);
});

t.test('the reset button starts the same machine anew', async (t) => {
  await newCard(initialBootState, 'sleep 600\n');
  const machine = await turnOn(false);
  try {
    const { number } = await machine.waitForLine(/^check: started/, { from: 0, timeoutMs: startMs });
    await machine.reset();
    const again = await machine.waitForLine(/boot state: good/, { from: number, timeoutMs: startMs });
    t.match(again.line, /good a/);
  } finally {
    await machine.stop();
  }
});
