import fc from 'fast-check';
import t from 'tap';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import {
  fileMeasurement,
  isMeasurablePcr,
  isMeasureCovered,
  type MeasureRecord,
  measureLogLimits,
  measureRecords,
  measureText,
} from '../../../daemon/attest/logs/measure-log.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import { failure, hexOf, sha, text } from './samples.ts';

const recordsOf = (bytes: Uint8Array): MeasureRecord[] => [...measureRecords(bytes, logStart)];
const banks = ['sha256', 'sha384'] as const;
const sha256 = sha('sha256', 'the content');
const files = [
  '/usr/lib/surfaced/daemon/main.js',
  '/etc/surfaced/device.yaml',
  '/tmp/a\nb "\u00e4" \u{1f39a}',
];
const measurement = (path: string, recnum: number) =>
  fileMeasurement({ path, sha256, pcr: 9, banks, recnum });
const log = Buffer.concat(files.map((path, recnum) => measurement(path, recnum).bytes));

/** A record as systemd 257 writes it: no recnum, RS in front. */
const systemdRecord = (change: object = {}, content: object = {}): Buffer =>
  text(
    `\x1e${JSON.stringify({
      pcr: 11,
      digests: [
        { hashAlg: 'sha1', digest: hexOf(sha('sha1', 'enter-initrd')) },
        { hashAlg: 'sha256', digest: hexOf(sha('sha256', 'enter-initrd')) },
      ],
      content_type: 'systemd',
      content: {
        string: 'enter-initrd',
        bootId: 'a'.repeat(32),
        timestamp: 1234567,
        eventType: 'phase',
        ...content,
      },
      ...change,
    })}\n`,
  );

t.test('what is written is read again, and replays to what was extended', async (t) => {
  const records = recordsOf(log);
  const replay = new Replay(banks, null);
  const value = { sha256: Buffer.alloc(32), sha384: Buffer.alloc(48) };
  for (const [index, record] of records.entries()) {
    const path = files[index]!;
    t.same(record.content, { kind: 'file', path, sha256: hexOf(sha256) });
    t.equal(record.pcr, 9);
    t.equal(record.start.records, index);
    replay.extend(record.pcr ?? -1, record.digests);
    for (const bank of banks) {
      const digest = sha(bank, `file:sha256:${hexOf(sha256)}:${path}`);
      t.equal(hexOf(measurement(path, index).digests.get(bank)!), hexOf(digest));
      value[bank] = sha(bank, value[bank], digest) as Buffer<ArrayBuffer>;
      t.equal(hexOf(replay.value(bank, 9)), hexOf(value[bank]));
      t.ok(isMeasureCovered(record, bank));
    }
    t.notOk(isMeasureCovered(record, 'sha512'), 'a bank that it does not have');
  }
  t.equal(records.length, files.length);
  t.equal(records.at(-1)?.end.bytes, log.length);
  t.equal(measureText(records[2]!, 'sha256').text, '/tmp/a\\u000ab "\\u00e4" \\ud83c\\udf9a');
});

t.test('a path or digest that is edited is not covered any more', async (t) => {
  for (const [from, to] of [
    ['main.js', 'evil.js'],
    [hexOf(sha256), hexOf(sha('sha256', 'another content'))],
  ] as const) {
    const [record] = recordsOf(text(log.toString('latin1').replace(`${from}`, to)));
    t.equal(isMeasureCovered(record!, 'sha256'), false);
    t.same(measureText(record!, 'sha256'), { isCovered: false, text: 'not covered by its digest' });
  }
});

t.test('the log of systemd', async (t) => {
  const volumeKey = systemdRecord(
    { pcr: 15, digests: [{ hashAlg: 'sha256', digest: 'ab'.repeat(32) }] },
    { string: 'cryptsetup:root:1234', eventType: 'volume-key' },
  );
  const { pcr: _, ...nv } = JSON.parse(systemdRecord().toString().slice(1)) as Record<string, unknown>;
  const nvIndex = text(`\x1e${JSON.stringify({ ...nv, nv_index: 0x01d10000 })}\n`);
  const sm3 = systemdRecord({ digests: [{ hashAlg: 'sm3_256', digest: 'ab'.repeat(32) }] });
  const records = recordsOf(Buffer.concat([systemdRecord(), volumeKey, nvIndex, sm3]));
  t.same(records[0]?.content, { kind: 'systemd', eventType: 'phase', text: 'enter-initrd' });
  t.same(measureText(records[0]!, 'sha256'), { isCovered: true, text: 'enter-initrd' });
  t.equal(hexOf(records[0]!.digests.get('sha1')!), hexOf(sha('sha1', 'enter-initrd')));
  t.equal(measureText(records[1]!, 'sha256').isCovered, false, 'the key is measured, not its name');
  t.equal(records[2]?.pcr, null, 'an NV index is no PCR');
  t.equal(records[3]?.digests.size, 0);
  const bare = recordsOf(systemdRecord({ content: {} }));
  t.same(bare[0]?.content, { kind: 'systemd', eventType: null, text: null });
  t.equal(isMeasureCovered(bare[0]!, 'sha256'), false);
  t.equal(recordsOf(systemdRecord().subarray(1)).length, 1, 'without RS: one object a line');
});

t.test('a log that grows is read from where it was left', async (t) => {
  const [first, ...rest] = recordsOf(log);
  t.same([...measureRecords(log.subarray(first!.end.bytes), first!.end)], rest);
  const last = rest.at(-1)!.end;
  t.same([...measureRecords(Buffer.alloc(0), last)], []);
  const more = measurement('/new', last.records).bytes;
  t.equal([...measureRecords(more, last)][0]?.end.bytes, log.length + more.length);
});

t.test('what the reader refuses, and how it says so', async (t) => {
  const digest = (hashAlg: string, hex: string) => ({ digests: [{ hashAlg, digest: hex }] });
  const own = (change: object) =>
    text(`${JSON.stringify({ ...JSON.parse(log.toString().split('\n')[0]!.slice(1)), ...change })}\n`);
  const cases: readonly (readonly [bytes: Buffer, message: RegExp])[] = [
    [text('{}\n'), /^measure log, byte 0, content_type: /],
    [text('\n'), /record: not JSON/],
    [text('\x1e\x1e{}\n'), /record: not JSON/],
    [text('[]\n'), /record: /],
    [text('{"pcr":1}'), /record: no end within 9 bytes/],
    [text(`${'['.repeat(measureLogLimits.mostRecordBytes)}\n`), /record: no end within 65536 bytes/],
    [text(`${'['.repeat(measureLogLimits.mostRecordBytes - 1)}\n`), /record: not JSON/],
    [own({ recnum: 1 }), /recnum: 1, not 0/],
    [Buffer.concat([log, own({})]), /recnum: 0, not 3/],
    [own({ pcr: 24 }), /pcr: /],
    [own({ pcr: 1.5 }), /pcr: /],
    [own({ pcr: '9' }), /pcr: /],
    [own({ pcr: undefined }), /pcr: either pcr or nv_index/],
    [own({ nv_index: 1 }), /pcr: either pcr or nv_index/],
    [own({ 'what\u001b[2J': 1 }), /Unrecognized key: "what\\u001b\[2J"/],
    [own({ digests: [] }), /digests: /],
    [own(digest('sha256', 'ab'.repeat(20))), /digests: 20 bytes for sha256/],
    [own(digest('sha256', 'AB'.repeat(32))), /digests\.0\.digest: /],
    [own({ digests: Array.from({ length: 2 }, () => digest('sha1', 'ab'.repeat(20)).digests[0]) }), /twice/],
    [own({ content_type: 'cel' }), /content_type: /],
    [own({ content: { path: '', sha256: hexOf(sha256) } }), /content\.path: /],
    [own({ content: { path: '/x', sha256: 'ab' } }), /content\.sha256: /],
    [own({ content: { path: '/x', sha256: hexOf(sha256), size: 1 } }), /content: Unrecognized key/],
    [Buffer.alloc(measureLogLimits.mostBytes + 1), /size: 4194305 bytes/],
  ];
  for (const [bytes, message] of cases)
    t.match(
      failure(() => recordsOf(bytes)),
      message,
    );
  const from = { bytes: 7, records: measureLogLimits.mostRecords };
  t.match(
    failure(() => [...measureRecords(log, from)]),
    /byte 7, records: more than 10000/,
  );
});

t.test('the writer refuses what no reader would take, and PCRs that prove nothing', async (t) => {
  t.same(
    Array.from({ length: 26 }, (_, index) => index - 1).filter(isMeasurablePcr),
    [8, 9, 11, 12, 13, 14, 15],
  );
  const good = { path: '/x', sha256, pcr: 8, banks, recnum: 0 };
  t.throws(() => fileMeasurement({ ...good, pcr: 16 }), RangeError);
  t.throws(() => fileMeasurement({ ...good, pcr: 9.5 }), RangeError);
  t.throws(() => fileMeasurement({ ...good, path: '' }), /content\.path/);
  t.throws(() => fileMeasurement({ ...good, path: 'x'.repeat(4097) }), /content\.path/);
  t.throws(() => fileMeasurement({ ...good, sha256: sha('sha1') }), /content\.sha256/);
  t.throws(() => fileMeasurement({ ...good, banks: [] }), /digests/);
  t.throws(() => fileMeasurement({ ...good, recnum: -1 }), /recnum/);
  const longest = fileMeasurement({ ...good, path: '\u0001'.repeat(4096) });
  t.equal(recordsOf(longest.bytes).length, 1, 'the longest record is within the bounds of the reader');
});

t.test('any path comes back as it was', async (t) => {
  const result = fc.check(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 50 }), (path) => {
      const [record] = recordsOf(measurement(path, 0).bytes);
      return (
        record?.content.kind === 'file' && record.content.path === path && isMeasureCovered(record, 'sha384')
      );
    }),
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('cut at any byte: whole records or the one error', async (t) => {
  const ends = new Set([0, ...recordsOf(log).map((record) => record.end.bytes)]);
  const faults: number[] = [];
  for (let length = 0; length < log.length; length++)
    if ((failure(() => recordsOf(log.subarray(0, length))) === null) !== ends.has(length))
      faults.push(length);
  t.same(faults, []);
});

t.test('whatever comes: records within bounds or the one error', async (t) => {
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
  const json = fc.json({ maxDepth: 4 }).map((value) => text(`\x1e${value}\n`));
  const result = fc.check(
    fc.property(
      fc.array(change, { maxLength: 4 }),
      fc.oneof(fc.uint8Array({ maxLength: 100 }), json),
      (edits, noise) => {
        const edited = Buffer.concat([log, systemdRecord()]);
        for (const { at, value } of edits) edited[at % edited.length] = value;
        for (const bytes of [edited, noise])
          failure(() => {
            for (const record of measureRecords(bytes, logStart)) measureText(record, 'sha256');
          });
      },
    ),
    { numRuns: 800 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});
