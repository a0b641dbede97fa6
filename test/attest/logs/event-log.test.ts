import fc from 'fast-check';
import t from 'tap';
import {
  type EventRecord,
  eventLogFormat,
  eventLogLimits,
  eventRecords,
} from '../../../daemon/attest/logs/event-log.ts';
import { eventText, eventTypeName, notCovered } from '../../../daemon/attest/logs/event-log-text.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import type { HashName } from '../../../daemon/attest/tpm2/index.ts';
import {
  agileLog,
  agileRecord,
  boot,
  failure,
  hexOf,
  locality,
  oldRecord,
  realLog,
  type SampleEvent,
  sampleBanks,
  sha,
  sized,
  specId,
  text,
  u16,
  u32,
  withoutRealLogs,
} from './samples.ts';

const recordsOf = (bytes: Uint8Array): EventRecord[] => {
  const format = eventLogFormat(bytes);
  return [...eventRecords(bytes.subarray(format.first.bytes), format, format.first)];
};
const replayOf = (bytes: Uint8Array, banks: readonly HashName[]): Replay => {
  const replay = new Replay(banks, null);
  for (const record of recordsOf(bytes)) replay.event(record);
  return replay;
};
const valuesOf = (replay: Replay, bank: HashName) =>
  Object.fromEntries([...replay.values(bank)].map(([pcr, value]) => [pcr, hexOf(value)]));
const separator: SampleEvent = { pcr: 0, type: 4, data: Buffer.alloc(4) };
const tail = (bytes: number, value: number) => Buffer.alloc(bytes, value);

interface Expected {
  readonly format: string;
  readonly algs: readonly HashName[];
  readonly events: number;
  readonly replayedPcrs: Readonly<Record<string, Record<string, string>>>;
  readonly measuredPcrs?: Readonly<Record<string, Record<string, string>>>;
}

t.test('real logs replay to what their machines measured', { skip: withoutRealLogs }, async (t) => {
  const expected = JSON.parse(realLog('eventlogs/expected.json').toString()) as Record<string, Expected>;
  t.equal(Object.keys(expected).length, 5);
  for (const [name, want] of Object.entries(expected)) {
    const bytes = realLog(`eventlogs/${name}`);
    const format = eventLogFormat(bytes);
    t.equal(format.kind, want.format === 'sha1-legacy' ? 'sha1' : 'crypto-agile', name);
    t.same(
      format.banks.map((bank) => bank.name),
      want.algs,
      name,
    );
    const records = recordsOf(bytes);
    t.equal(records.length, want.events, name);
    t.equal(records.at(-1)?.end.bytes, bytes.length, name);
    const replay = replayOf(bytes, want.algs);
    for (const bank of want.algs) t.same(valuesOf(replay, bank), want.replayedPcrs[bank], `${name} ${bank}`);
    for (const [bank, values] of Object.entries(want.measuredPcrs ?? {}))
      for (const [pcr, value] of Object.entries(values))
        t.equal(
          hexOf(replay.value(bank as HashName, Number(pcr))),
          value,
          `${name} ${bank} ${pcr}, measured`,
        );
  }
});

t.test('real logs: only what a digest covers is shown', { skip: withoutRealLogs }, async (t) => {
  const texts = recordsOf(realLog('eventlogs/kl_secureboot.bin')).map((record) => ({
    type: eventTypeName(record.type),
    ...eventText(record, 'sha256'),
  }));
  const covered = texts.filter((item) => item.isCovered);
  t.ok(covered.some((item) => item.text.startsWith('search --no-floppy --fs-uuid')));
  t.ok(covered.some((item) => item.text === 'Exit Boot Services Invocation'));
  t.ok(covered.some((item) => item.text === 'edk2-20240524-7.el9'));
  t.notOk(
    texts.some((item) => item.text.startsWith('grub_cmd')),
    'the prefix is not in the digest',
  );
  for (const type of ['EV_EFI_BOOT_SERVICES_APPLICATION', 'EV_EFI_PLATFORM_FIRMWARE_BLOB'])
    t.ok(
      texts.filter((item) => item.type === type).every((item) => item.text === notCovered),
      type,
    );
});

t.test('a log with one bank and with several', async (t) => {
  for (const banks of [['sha256'], ['sha1', 'sha256', 'sha384']] as const) {
    const bytes = agileLog(banks, boot);
    const records = recordsOf(bytes);
    t.equal(records.length, boot.length);
    for (const [index, record] of records.entries()) {
      const event = boot[index]!;
      t.equal(record.pcr, event.pcr);
      t.equal(record.type, event.type);
      t.equal(hexOf(event.data), hexOf(record.data));
      t.equal(record.data.buffer, bytes.buffer, 'a view, not a copy');
      t.equal(record.start.records, index + 1);
      t.same([...record.digests.keys()], banks);
    }
    for (const bank of banks) {
      const replay = replayOf(bytes, [bank]);
      const zero = Buffer.alloc(sha(bank).length);
      const kernel = sha(bank, zero, sha(bank, 'the kernel itself'));
      t.equal(hexOf(replay.value(bank, 8)), hexOf(sha(bank, kernel, sha(bank, 'linux /vmlinuz'))));
      t.equal(hexOf(replay.value(bank, 9)), hexOf(zero), 'untouched');
      t.equal(replay.values(bank).has(9), false);
    }
  }
});

t.test('the value of a PCR with nothing but a separator is the well-known one', async (t) => {
  t.equal(
    hexOf(replayOf(agileLog(['sha256'], [separator]), ['sha256']).value('sha256', 0)),
    '3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969',
  );
});

t.test('starts: StartupLocality, EV_NO_ACTION of any PCR, PCR 17 to 22', async (t) => {
  const events = [
    { pcr: 0xffffffff, type: 3, data: text('for the reader') },
    { pcr: 4, type: 3, data: text('StartupLocality\0\x03') },
    locality(3),
    separator,
    locality(4),
  ];
  const replay = replayOf(agileLog(['sha256'], events), ['sha256']);
  const start = Buffer.alloc(32);
  start[31] = 3;
  t.equal(hexOf(replay.value('sha256', 0)), hexOf(sha('sha256', start, sha('sha256', Buffer.alloc(4)))));
  t.same([...replay.values('sha256').keys()], [0]);
  const launch = replayOf(agileLog(['sha256'], [{ ...separator, pcr: 17 }]), ['sha256']);
  t.equal(
    hexOf(launch.value('sha256', 17)),
    hexOf(sha('sha256', Buffer.alloc(32, 0xff), sha('sha256', Buffer.alloc(4)))),
  );
  t.equal(hexOf(launch.value('sha256', 22)), 'ff'.repeat(32));
  t.equal(hexOf(launch.value('sha256', 23)), '00'.repeat(32));
});

t.test('the old form has SHA-1 only, and says so when another bank is asked for', async (t) => {
  const bytes = Buffer.concat([locality(3), ...boot].map(oldRecord));
  t.equal(eventLogFormat(bytes).kind, 'sha1');
  t.equal(hexOf(replayOf(bytes, ['sha1']).value('sha1', 2)), 'b2a83b0ebf2f8374299a5b2bdfc31ea955ad7236');
  t.match(
    failure(() => replayOf(bytes, ['sha256'])),
    /has none of sha256/,
  );
});

t.test('a log that goes on: nothing is read twice', async (t) => {
  const whole = agileLog(['sha256'], boot);
  const format = eventLogFormat(whole);
  for (const split of recordsOf(whole)) {
    const first = new Replay(['sha256'], null);
    for (const record of eventRecords(
      whole.subarray(format.first.bytes, split.end.bytes),
      format,
      format.first,
    ))
      first.event(record);
    const second = new Replay(['sha256'], new Map([['sha256', first.values('sha256')]]));
    let end = split.end;
    for (const record of eventRecords(whole.subarray(split.end.bytes), format, split.end)) {
      second.event(record);
      end = record.end;
    }
    t.same(end, { bytes: whole.length, records: boot.length + 1 });
    t.same(valuesOf(second, 'sha256'), valuesOf(replayOf(whole, ['sha256']), 'sha256'));
  }
});

t.test('tails of 00 and ff end the log, others do not', async (t) => {
  const log = agileLog(['sha256'], boot);
  for (const value of [0x00, 0xff])
    for (const length of [1, 7, 8, 64, 65536]) {
      const records = recordsOf(Buffer.concat([log, tail(length, value)]));
      t.equal(records.length, boot.length, `${length} bytes of ${value}`);
      t.equal(records.at(-1)?.end.bytes, log.length);
    }
  t.same(recordsOf(tail(64, 0)), []);
  t.same(recordsOf(tail(0, 0)), []);
  t.match(
    failure(() => recordsOf(Buffer.concat([log, text('more')]))),
    /event log, byte \d+, /,
  );
  t.ok(failure(() => recordsOf(Buffer.concat([log, tail(64, 0), tail(1, 0xff)]))));
});

t.test('what the reader refuses, and how it says so', async (t) => {
  const head = specId(sampleBanks(['sha1', 'sha256']));
  const record = agileRecord(['sha256'], separator);
  const sm3 = { algorithm: 0x12, size: 32 };
  const cases: readonly (readonly [name: string, bytes: Buffer, message: RegExp])[] = [
    ['no bank', specId([]), /Spec ID number of banks: 0/],
    [
      'many banks',
      specId(Array.from({ length: 17 }, (_, algorithm) => ({ algorithm, size: 32 }))),
      /17, not 1/,
    ],
    ['a bank twice', specId([sm3, sm3]), /0x0012 stands there twice/],
    ['a wrong size', specId([{ algorithm: 0x0b, size: 20 }]), /digest size: 20 for algorithm 0x000b/],
    ['size 0', specId([{ ...sm3, size: 0 }]), /digest size: 0/],
    ['size 65', specId([{ ...sm3, size: 65 }]), /digest size: 65/],
    [
      'pcr 24',
      Buffer.concat([head, agileRecord(['sha256'], { ...separator, pcr: 24 })]),
      /pcr: 24, at most 23/,
    ],
    [
      'an unknown algorithm',
      Buffer.concat([head, agileRecord(['sha384'], separator)]),
      /algorithm: 0x000c is not in the Spec ID/,
    ],
    ['no digest', Buffer.concat([head, agileRecord([], separator)]), /number of digests: 0/],
    ['a digest twice', Buffer.concat([head, agileRecord(['sha256', 'sha256'], separator)]), /twice/],
    [
      'more digests than banks',
      Buffer.concat([head, agileRecord(['sha1', 'sha256', 'sha384'], separator)]),
      /3, the Spec ID names 2 banks/,
    ],
    [
      'data longer than the log',
      Buffer.concat([head, record.subarray(0, -8), u32(5), Buffer.alloc(4, 1)]),
      /data: 5 bytes, 4 are left/,
    ],
    [
      'data of 4 GiB',
      Buffer.concat([head, record.subarray(0, -8), u32(0xffffffff), text('x')]),
      /at most 1048576/,
    ],
    ['a log of more than 4 MiB', Buffer.alloc(eventLogLimits.mostBytes + 1, 1), /size: 4194305 bytes/],
    [
      'Spec ID with too much',
      oldRecord({ pcr: 0, type: 3, data: Buffer.concat([head.subarray(32), text('x')]) }),
      /Spec ID: 1 bytes too many/,
    ],
  ];
  for (const [name, bytes, message] of cases)
    t.match(
      failure(() => recordsOf(bytes)),
      message,
      name,
    );
  const short = oldRecord({ pcr: 1, type: 5, data: text('x') });
  const many = Buffer.concat(Array.from({ length: eventLogLimits.mostRecords + 1 }, () => short));
  t.match(
    failure(() => recordsOf(many)),
    /more than 20000/,
  );
  const position = head.length + 8;
  t.match(
    failure(() => recordsOf(Buffer.concat([head, u32(0), u32(4), u32(3), text('x')]))),
    new RegExp(`byte ${position + 4}, number of digests`),
  );
});

t.test('banks of unknown hashes are passed over, a second Spec ID is not special', async (t) => {
  const head = specId([{ algorithm: 0x12, size: 32 }, ...sampleBanks(['sha256'])]);
  const event = Buffer.concat([
    ...[u32(1), u32(5), u32(2), u16(0x12), Buffer.alloc(32, 7)],
    ...[u16(0x0b), sha('sha256', 'a'), sized('a')],
  ]);
  const again = agileRecord(['sha256'], { pcr: 0, type: 3, data: head.subarray(32) });
  const records = recordsOf(Buffer.concat([head, event, again]));
  t.same([...records[0]!.digests.keys()], ['sha256']);
  t.equal(records.length, 2);
  t.throws(() => new Replay(['sha256'], null).value('sha1', 0), RangeError);
  t.match(
    failure(() => new Replay(['sha256'], null).extend(24, records[0]!.digests)),
    /pcr: 24/,
  );
});

t.test('texts: covered ones are safe to show, forged ones are not shown', async (t) => {
  const textOf = (event: SampleEvent) => eventText(recordsOf(agileLog(['sha256'], [event]))[0]!, 'sha256');
  const variable = Buffer.concat([
    ...[Buffer.alloc(16, 9), u32(4), u32(0), u32(2), u32(0)],
    ...[Buffer.from('Boot', 'utf16le'), text('ok')],
  ]);
  t.same(textOf({ pcr: 5, type: 0x80000007, data: text('Exit Boot Services') }), {
    isCovered: true,
    text: 'Exit Boot Services',
  });
  t.same(textOf({ pcr: 1, type: 0x0d, data: text('console=ttyS0\0') }).text, 'console=ttyS0');
  t.same(textOf(boot.at(-2)!).text, 'linux /vmlinuz', 'without the prefix, which is not digested');
  t.same(textOf({ pcr: 0, type: 8, data: Buffer.from('v1\0', 'utf16le') }).text, 'v1');
  t.same(textOf({ pcr: 0, type: 8, data: text('\x1b[2Jx') }).text, hexOf(text('\x1b[2Jx')));
  t.same(textOf({ pcr: 0, type: 8, data: text('a\\b\nc') }).text, 'a\\\\b\\u000ac');
  t.same(textOf({ pcr: 1, type: 0x80000002, data: variable, hashed: text('ok') }).text, 'ok');
  t.same(textOf(separator).text, '00000000');
  t.match(
    textOf({ pcr: 1, type: 1, data: Buffer.alloc(5000, 1) }).text,
    /^(?:01){100}\.\.\. \(5000 bytes\)$/,
  );
  for (const forged of [
    { pcr: 4, type: 0x80000007, data: text('all is well'), hashed: text('evil') },
    { pcr: 8, type: 0x0c, data: text('linux'), hashed: text('the kernel itself') },
    { pcr: 8, type: 0x0d, data: text('grub_cmd: linux /good\0'), hashed: text('linux /evil') },
    locality(3),
  ])
    t.same(textOf(forged), { isCovered: false, text: notCovered });
  const record = recordsOf(agileLog(['sha256'], [separator]))[0]!;
  t.same(eventText(record, 'sha384'), { isCovered: false, text: notCovered }, 'another bank proves nothing');
  t.equal(
    eventText({ ...record, type: 3 }, 'sha256').isCovered,
    false,
    'what is not extended proves nothing',
  );
  t.equal(eventTypeName(0x80000001), 'EV_EFI_VARIABLE_DRIVER_CONFIG');
  t.equal(eventTypeName(0x12345678), '0x12345678');
});

t.test('cut at any byte: whole records or the one error', async (t) => {
  const log = agileLog(['sha1', 'sha256'], boot);
  const ends = [0, eventLogFormat(log).first.bytes, ...recordsOf(log).map((record) => record.end.bytes)];
  const faults: number[] = [];
  for (let length = 1; length < log.length; length++) {
    const cut = log.subarray(0, length);
    if (failure(() => recordsOf(cut)) !== null) continue;
    // What is left of a record may look like a tail: then it is one, and the replay will not give the quote.
    const end = recordsOf(cut).at(-1)?.end.bytes ?? eventLogFormat(cut).first.bytes;
    if (!ends.includes(end) || new Set(cut.subarray(end)).size > 1) faults.push(length);
  }
  t.same(faults, []);
});

t.test('whatever comes: records within bounds or the one error', async (t) => {
  const log = agileLog(['sha1', 'sha256', 'sha384'], boot);
  const old = Buffer.concat(boot.map(oldRecord));
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
  const mutated = fc
    .tuple(fc.constantFrom(log, old), fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([base, changes]) => {
      const bytes = Buffer.from(base);
      for (const { at, value } of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const random = fc.uint8Array({ maxLength: 400 });
  const behindHead = random.map((bytes) => Buffer.concat([specId(sampleBanks(['sha256'])), bytes]));
  const result = fc.check(
    fc.property(fc.oneof(mutated, random, behindHead), (bytes) => {
      failure(() => {
        let end = 0;
        for (const record of recordsOf(bytes)) {
          if (record.end.bytes <= end || record.end.bytes > bytes.length) throw new Error('not forward');
          end = record.end.bytes;
          eventText(record, 'sha256');
        }
        replayOf(bytes, ['sha1']);
      });
    }),
    { numRuns: 2000 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('a digest that is changed changes the PCR', async (t) => {
  const log = agileLog(['sha256'], boot);
  const good = valuesOf(replayOf(log, ['sha256']), 'sha256');
  const index = fc.integer({ min: 0, max: boot.length - 1 });
  const offsets = recordsOf(log).map((record) => record.start.bytes);
  const result = fc.check(
    fc.property(index, fc.nat(31), fc.integer({ min: 1, max: 255 }), (record, byte, flip) => {
      const bytes = Buffer.from(log);
      bytes[offsets[record]! + 14 + byte]! ^= flip;
      return valuesOf(replayOf(bytes, ['sha256']), 'sha256')[boot[record]!.pcr] !== good[boot[record]!.pcr];
    }),
    { numRuns: 100 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('a log made to be slow is not', async (t) => {
  // In the old form, records that look like the beginning of a tail of zeros, with something else at the very end.
  const zeros = Array.from({ length: eventLogLimits.mostRecords - 1 }, () => Buffer.alloc(32));
  const bytes = Buffer.concat([...zeros, oldRecord({ pcr: 1, type: 5, data: text('x') })]);
  t.equal(recordsOf(bytes).length, eventLogLimits.mostRecords);
});
