/** Runs on the host: boots the guest by UEFI firmware with a TPM, twice, and looks at what was measured. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { type EventRecord, eventLogFormat, eventRecords } from '../../../daemon/attest/logs/event-log.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import { bootGuest } from '../boot.ts';

/** Firmware and kernel on an emulated processor take half a minute; the machine may be busy. */
const timeoutMs = 280_000;
/** EV_EVENT_TAG, and the tag of the kernel's command line: Linux drivers/firmware/efi/libstub/efistub.h. */
const taggedEvent = 6;
const loadOptionsTag = 0x8f3b22ed;

const script = `
set -e
base64 -w0 /sys/kernel/security/tpm0/binary_bios_measurements; echo
cat /proc/cmdline
for pcr in 0 1 2 3 4 5 6 7 8 9; do cat /sys/class/tpm/tpm0/pcr-sha256/$pcr; done
cat /proc/uptime`;

interface Measured {
  readonly events: readonly EventRecord[];
  readonly commandLine: string;
  /** PCR 0 to 9, in hexadecimal. */
  readonly registers: readonly string[];
  readonly words: string;
}

async function boot(kernelArguments: readonly string[]): Promise<Measured> {
  const startedAt = performance.now();
  const { exitCode, output } = await bootGuest({
    program: ['/bin/sh', '-c', script],
    environment: {},
    kernelArguments,
    isMeasured: true,
    timeoutMs,
    onOutput: () => {},
    signal: null,
  });
  if (exitCode !== 0) throw new Error(`The guest could not read its TPM:\n${output}`);
  const [log = '', commandLine = '', ...rest] = output.split('\n');
  const wallSeconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  return {
    events: eventsOf(Buffer.from(log, 'base64')),
    commandLine,
    registers: rest.slice(0, 10).map((line) => line.toLowerCase()),
    words: `${rest[10]?.split(' ')[0]} s since the kernel's start, ${wallSeconds} s with firmware and power-off`,
  };
}

function eventsOf(log: Buffer): EventRecord[] {
  const format = eventLogFormat(log);
  return [...eventRecords(log.subarray(format.first.bytes), format, format.first)];
}

/** What the registers hold after these events, in hexadecimal. */
function replay(events: readonly EventRecord[]): { get(pcr: number): string } {
  const replayed = new Replay(['sha256'], null);
  for (const event of events) replayed.event(event);
  return { get: (pcr) => Buffer.from(replayed.value('sha256', pcr)).toString('hex') };
}

const digestOf = ({ digests }: EventRecord): Buffer => Buffer.from(digests.get('sha256')!);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const zero = '0'.repeat(64);

t.test('measured boot', async (t) => {
  const first = await boot(['surfaced.boot=first']);
  t.comment(first.words);

  await t.test('the log, replayed, comes to what the TPM holds', async (t) => {
    t.ok(first.events.length > 15, `${first.events.length} events`);
    const replayed = replay(first.events);
    for (const [pcr, value] of first.registers.entries()) t.equal(replayed.get(pcr), value, `PCR ${pcr}`);
    for (const pcr of [0, 1, 2, 3, 4, 5, 6, 7, 9]) t.not(first.registers[pcr], zero, `PCR ${pcr} is used`);
  });

  await t.test('a log that was touched does not', async (t) => {
    const last = first.events.findLast(({ pcr }) => pcr === 4)!;
    const touched = digestOf(last);
    touched[0] = touched[0]! ^ 1;
    const events = first.events.map((event) =>
      event === last ? { ...event, digests: new Map([['sha256' as const, touched]]) } : event,
    );
    t.not(replay(events).get(4), first.registers[4]);
    t.equal(replay(events).get(7), first.registers[7]);
  });

  await t.test("the kernel's command line is in PCR 9", async (t) => {
    const isLoadOptions = ({ type, data }: EventRecord) =>
      type === taggedEvent && Buffer.from(data).readUInt32LE(0) === loadOptionsTag;
    const [event] = first.events.filter(isLoadOptions);
    t.equal(event?.pcr, 9);
    t.match(first.commandLine, /surfaced\.boot=first/);
    t.equal(
      event && digestOf(event).toString('hex'),
      sha256(Buffer.from(`${first.commandLine}\0`, 'utf16le')),
    );
  });

  await t.test('another command line changes PCR 9 and no other', async (t) => {
    const second = await boot(['surfaced.boot=other']);
    t.comment(second.words);
    t.equal(replay(second.events).get(9), second.registers[9]);
    const changed = first.registers.flatMap((value, pcr) => (value === second.registers[pcr] ? [] : [pcr]));
    t.same(changed, [9]);
  });
});
