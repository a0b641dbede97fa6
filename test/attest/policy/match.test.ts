import t from 'tap';
import type { EventRecord } from '../../../daemon/attest/logs/event-log.ts';
import { eventLogFormat, eventRecords } from '../../../daemon/attest/logs/event-log.ts';
import type { ImaEntry } from '../../../daemon/attest/logs/ima-entry.ts';
import { imaEntries } from '../../../daemon/attest/logs/ima-list.ts';
import { logError, logStart } from '../../../daemon/attest/logs/log.ts';
import { type MeasureRecord, measureRecords } from '../../../daemon/attest/logs/measure-log.ts';
import { createReferences } from '../../../daemon/attest/policy/match.ts';
import type { Proven } from '../../../daemon/attest/policy/types.ts';
import { agileLog, binaryEntry, hexOf, measurements, type SampleEvent, sha, text } from '../logs/samples.ts';
import { bytesOf, fileRecord, systemdRecord } from '../verifier/world.ts';
import { type SetDraft, setOf } from './sets.ts';

const now = Date.UTC(2027, 0, 1);

/** Gives its records once; a second run is an error, as a quote of a large log is not replayed twice. */
function* once<T>(records: Iterable<T>): Generator<T> {
  yield* records;
}
function single<T>(records: Iterable<T>): Iterable<T> {
  const run = once(records);
  let isUsed = false;
  return {
    [Symbol.iterator]: () => {
      if (isUsed) throw new Error('iterated twice');
      isUsed = true;
      return run;
    },
  };
}

const firmware = (...events: SampleEvent[]): Iterable<EventRecord> => {
  const bytes = agileLog(['sha256'], events);
  const format = eventLogFormat(bytes);
  return single(eventRecords(bytes.subarray(format.first.bytes), format, format.first));
};
const measured = (
  ...files: (readonly [path: string, content: string, pcr?: number])[]
): Iterable<MeasureRecord> =>
  single(
    measureRecords(
      Buffer.concat(
        files.map(
          ([path, content, pcr = 14], recnum) =>
            fileRecord(path, content, { pcr, recnum, bank: 'sha256' }).bytes,
        ),
      ),
      logStart,
    ),
  );
/** Each of `phase`, unless it says something else; `covered`: then its digest is of that. */
const systemd = (
  ...records: (readonly [pcr: number, says?: string, digest?: 'covered'])[]
): Iterable<MeasureRecord> =>
  single(
    measureRecords(
      Buffer.concat(
        records.map(([pcr, says = 'phase', digest]) =>
          systemdRecord(pcr, 'sha256', sha('sha256', digest === 'covered' ? says : 'phase'), says),
        ),
      ),
      logStart,
    ),
  );
const ima = (entries = measurements): Iterable<ImaEntry> =>
  single(imaEntries(Buffer.concat(entries.map(binaryEntry)), { form: 'binary', pcr: 10, from: logStart }));

const value = bytesOf('value');
/** PCR 8 and 14 have been extended, the others not. */
const quoted = new Map(
  Array.from({ length: 16 }, (_, pcr) => [pcr, pcr === 8 || pcr === 14 ? value : Buffer.alloc(32)] as const),
);
/** PCR 8 alone. */
const booted = new Map([...quoted, [14, Buffer.alloc(32)]] as const);
const proven = (changes: Partial<Proven> = {}): Proven => ({
  bank: 'sha256',
  pcrs: quoted,
  firmware: null,
  measured: null,
  systemd: null,
  ima: null,
  imaViolations: 0,
  ...changes,
});
const match = (draft: SetDraft['spec'], given: Partial<Proven>, list: string | null = null) =>
  createReferences('pi', [setOf({ spec: draft }, list)]).match(proven(given), now);
const hex = (content: string) => hexOf(bytesOf(content));

const kernel: SampleEvent = {
  pcr: 8,
  type: 0x0d,
  data: text('linux /vmlinuz\0'),
  hashed: text('linux /vmlinuz'),
};
const initrd: SampleEvent = {
  pcr: 8,
  type: 0x0d,
  data: text('evil\u001b[2J'),
  hashed: text('something else'),
};
const noAction: SampleEvent = { pcr: 8, type: 3, data: text('not extended') };
const kernelDigest = hexOf(sha('sha256', 'linux /vmlinuz'));
const initrdDigest = hexOf(sha('sha256', 'something else'));
const kernelSet = { firmware: [{ pcr: 8, digests: [kernelDigest] }] };

const file = (path: string, ...contents: string[]) => ({ path, sha256: contents.map(hex) });
const fileSet = {
  files: [file('/a', 'one', 'two'), { ...file('/b', 'three'), isRequired: false }],
  pcrs: [{ pcr: 8, values: [hexOf(value)] }],
};
const openSet = { ...fileSet, mayHaveOtherFiles: true };

const listed = (...contents: [content: string, path: string][]) =>
  contents.map(([content, path]) => `${hex(content)}  ${path}\n`).join('');
const init = listed(['init', '/usr/lib/systemd/systemd']);
const run = measurements.slice(0, 2);
const imaSet = (more: object = {}) => ({ ima: { list: 'l', listSha256: '00'.repeat(32), ...more } });

/** `firmwareLog`: why it is not covered; false: there is none. */
const covers = (files: boolean, firmwareLog: boolean | RegExp, list: boolean) => ({
  files,
  firmwareGap: firmwareLog === true ? null : firmwareLog || /^there is no event log of the firmware$/,
  ima: list,
});
const zero = '00'.repeat(32);

type Row = readonly [
  name: string,
  spec: object,
  given: () => Partial<Proven>,
  expected: ReturnType<typeof covers> | RegExp,
  list?: string,
];
const rows: readonly Row[] = [
  [
    'a PCR has its value',
    { pcrs: [{ pcr: 14, values: [zero, hexOf(value)] }] },
    () => ({}),
    covers(true, false, false),
  ],
  [
    'a PCR that nothing has extended proves no files',
    { pcrs: [{ pcr: 9, values: [zero] }] },
    () => ({}),
    covers(false, false, false),
  ],
  [
    'a PCR has another value',
    { pcrs: [{ pcr: 14, values: [zero] }] },
    () => ({}),
    new RegExp(`PCR 14 has the value ${hexOf(value)}$`),
  ],
  [
    'a PCR is not quoted',
    { pcrs: [{ pcr: 14, values: [zero] }] },
    () => ({ pcrs: new Map([[8, value]]) }),
    /PCR 14 is not in the quote/,
  ],
  [
    'another bank',
    { bank: 'sha384', pcrs: [{ pcr: 14, values: ['00'.repeat(48)] }] },
    () => ({}),
    /it is for sha384, the quote is of sha256/,
  ],

  [
    'all events known',
    kernelSet,
    () => ({ pcrs: booted, firmware: firmware(noAction, kernel, kernel) }),
    covers(false, true, false),
  ],
  [
    'an event of a PCR that is not listed',
    kernelSet,
    () => ({ firmware: firmware(kernel, { pcr: 4, type: 4, data: text('x') }) }),
    covers(false, /^firmware event 2 extended PCR 4, which is listed neither under/, false),
  ],
  [
    'an event of a PCR with a fixed value',
    { ...kernelSet, pcrs: [{ pcr: 4, values: [zero] }] },
    () => ({ pcrs: booted, firmware: firmware(kernel, { pcr: 4, type: 4, data: text('x') }) }),
    covers(false, true, false),
  ],
  [
    'an unknown event, with the text that its digest covers',
    { firmware: [{ pcr: 8, digests: [initrdDigest] }] },
    () => ({ firmware: firmware(initrd, kernel) }),
    new RegExp(`firmware event 2 of PCR 8 has the unknown digest ${kernelDigest} \\(linux /vmlinuz\\)$`),
  ],
  [
    'an unknown event, without the text that nothing covers',
    kernelSet,
    () => ({ firmware: firmware(kernel, initrd) }),
    new RegExp(`firmware event 2 of PCR 8 has the unknown digest ${initrdDigest}$`),
  ],
  [
    'events that may be left out: a PCR that was extended and is not listed',
    kernelSet,
    () => ({ firmware: firmware(kernel) }),
    covers(false, /^PCR 14 was extended, is listed neither under firmware nor pcrs/, false),
  ],
  [
    'unless it is that of files',
    kernelSet,
    () => ({ firmware: firmware(kernel), measured: measured(['/a', 'one']) }),
    covers(false, true, false),
  ],
  [
    'or of systemd, in its own words',
    kernelSet,
    () => ({ pcrs: new Map([...booted, [11, value]]), firmware: firmware(kernel), systemd: systemd([11]) }),
    covers(false, true, false),
  ],
  [
    'and not in words that its digest does not cover',
    kernelSet,
    () => ({
      pcrs: new Map([...booted, [11, value]]),
      firmware: firmware(kernel),
      systemd: systemd([11], [11, 'another']),
    }),
    covers(false, /^PCR 11 was extended/, false),
  ],
  [
    'nor in a PCR of boot loaders',
    kernelSet,
    () => ({ pcrs: new Map([...booted, [9, value]]), firmware: firmware(kernel), systemd: systemd([9]) }),
    covers(false, /^PCR 9 was extended/, false),
  ],
  [
    'files told as events, where a fixed value stands for them',
    { pcrs: [8, 14].map((pcr) => ({ pcr, values: [hexOf(value)] })) },
    () => ({ firmware: firmware(kernel) }),
    covers(true, /^the log has no firmware event that is compared$/, false),
  ],
  [
    'no event may be there, and the PCR was extended',
    { firmware: [...kernelSet.firmware, { pcr: 14, digests: [] }] },
    () => ({ firmware: firmware(kernel) }),
    covers(false, /^PCR 14 was extended/, false),
  ],
  ['no event log', kernelSet, () => ({}), /no event log of the firmware/],
  [
    'a log without events of the PCR',
    kernelSet,
    () => ({ firmware: firmware(noAction) }),
    /PCR 8 has no firmware event/,
  ],
  [
    'no event may be there',
    { firmware: [{ pcr: 9, digests: [] }] },
    () => ({ firmware: firmware() }),
    covers(false, /^PCR 8 was extended/, false),
  ],
  [
    'the PCR of the events is not quoted',
    kernelSet,
    () => ({ pcrs: new Map(), firmware: firmware(kernel) }),
    /PCR 8 is not in the quote/,
  ],

  [
    'files known',
    fileSet,
    () => ({ measured: measured(['/a', 'two'], ['/b', 'three']) }),
    covers(true, false, false),
  ],
  [
    'a file that is not required',
    fileSet,
    () => ({ measured: measured(['/a', 'one']) }),
    covers(true, false, false),
  ],
  [
    'a file with another content',
    fileSet,
    () => ({ measured: measured(['/a', 'evil']) }),
    new RegExp(`file /a has the SHA-256 ${hex('evil')}$`),
  ],
  [
    'good once, bad once',
    fileSet,
    () => ({ measured: measured(['/a', 'one'], ['/a', 'evil']) }),
    /file \/a has the SHA-256/,
  ],
  [
    'a file is missing',
    fileSet,
    () => ({ measured: measured(['/b', 'three']) }),
    /file \/a was not measured$/,
  ],
  [
    'a file that is not listed',
    fileSet,
    () => ({ measured: measured(['/a', 'one'], ['/c\u001b', 'x']) }),
    /file \/c\\u001b is not listed$/,
  ],
  [
    'other files may be',
    openSet,
    () => ({ measured: measured(['/a', 'one'], ['/c', 'x']) }),
    covers(true, false, false),
  ],
  [
    'but not other contents',
    openSet,
    () => ({ measured: measured(['/a', 'x']) }),
    /file \/a has the SHA-256/,
  ],
  ['no log', fileSet, () => ({}), /no log of measured files/],
  [
    'into a PCR that is not quoted',
    { files: fileSet.files },
    () => ({ pcrs: new Map([[8, value]]), measured: measured(['/a', 'one']) }),
    /file \/a was measured into PCR 14, which is not in the quote/,
  ],
  [
    'files are not looked at',
    { pcrs: fileSet.pcrs },
    () => ({ measured: measured(['/c', 'x']) }),
    covers(true, false, false),
  ],
  [
    'a PCR that no log explains',
    { files: fileSet.files },
    () => ({ measured: measured(['/a', 'one']) }),
    /PCR 8 has the value .*, and no log says what extended it/,
  ],
  [
    'nor where other files may be',
    { ...openSet, pcrs: [] },
    () => ({ measured: measured(['/a', 'one']) }),
    /PCR 8 has the value [0-9a-f]+, and no log says what extended it/,
  ],
  [
    'a file hidden among events, where other files may be',
    { ...openSet, pcrs: [] },
    () => ({ measured: measured(['/a', 'one']), firmware: firmware(kernel) }),
    /firmware event 1 extended PCR 8, which is listed neither/,
  ],
  [
    'a file hidden among events',
    { files: fileSet.files },
    () => ({ measured: measured(['/a', 'one']), firmware: firmware(kernel) }),
    /firmware event 1 extended PCR 8, which is listed neither/,
  ],
  [
    'a file hidden in the log of systemd',
    fileSet,
    () => ({ measured: measured(['/a', 'one']), systemd: systemd([15, 'machine-id']) }),
    /record 0 of systemd, which extended PCR 15, does not say what, and the PCR is not listed/,
  ],
  [
    'a file in the log of systemd, in plain words',
    fileSet,
    () => ({ measured: measured(['/a', 'one']), systemd: systemd([15, 'file:sha256:00:/a', 'covered']) }),
    /record 0 of systemd, which extended PCR 15, is that of a file/,
  ],
  [
    'systemd with a text that its digest does not cover, in a PCR that is listed',
    { ...fileSet, pcrs: [...fileSet.pcrs, { pcr: 15, values: [zero] }] },
    () => ({ measured: measured(['/a', 'one']), systemd: systemd([15, 'another']) }),
    covers(true, false, false),
  ],
  [
    'systemd in its own PCR',
    fileSet,
    () => ({ measured: measured(['/a', 'one']), systemd: systemd([11]) }),
    covers(true, false, false),
  ],
  [
    'a file hidden as a record of systemd',
    fileSet,
    () => ({ measured: systemd([14]) }),
    /record 0 of the measured files is not that of a file/,
  ],

  ['contents may run', imaSet(), () => ({ ima: ima(run) }), covers(false, false, true), init],
  [
    'an unknown content',
    imaSet(),
    () => ({ ima: ima(run) }),
    new RegExp(
      `IMA entry 1, /usr/lib/systemd/systemd, has the unknown digest sha256:${hexOf(sha('sha256', 'init'))}$`,
    ),
    listed(['x', '/x']),
  ],
  [
    'the path does not count',
    imaSet(),
    () => ({ ima: ima(run) }),
    covers(false, false, true),
    listed(['init', '/elsewhere']),
  ],
  [
    'unless it is wanted',
    imaSet({ isPathCompared: true }),
    () => ({ ima: ima(run) }),
    /IMA entry 1, /,
    listed(['init', '/elsewhere']),
  ],
  [
    'the path is right',
    imaSet({ isPathCompared: true }),
    () => ({ ima: ima(run) }),
    covers(false, false, true),
    init,
  ],
  [
    'boot_aggregate counts as such only at the start',
    imaSet(),
    () => ({ ima: ima([run[1]!, run[0]!]) }),
    /IMA entry 1, boot_aggregate/,
    init,
  ],
  ['no list', imaSet(), () => ({}), /no list of IMA/, init],
  [
    'violations',
    imaSet(),
    () => ({ ima: ima(run), imaViolations: 1 }),
    /has 1 violations, at most 0 may be/,
    init,
  ],
  [
    'violations that may be',
    imaSet({ mostViolations: 1 }),
    () => ({ ima: ima([run[0]!, run[1]!, measurements[4]!]), imaViolations: 1 }),
    covers(false, false, true),
    init,
  ],
];

t.test('what differs first is told, what was compared is covered', async (t) => {
  for (const [name, spec, given, expected, list = null] of rows) {
    const found = match(spec, given(), list);
    if (expected instanceof RegExp) {
      t.equal(found.isMatch, false, name);
      t.match(found.isMatch ? '' : found.reasons.join('\n'), expected, name);
    } else t.match(found, { isMatch: true, covers: expected }, name);
  }
});

t.test('a log that says something else than its digests is no file', async (t) => {
  const [record] = [
    ...measureRecords(fileRecord('/a', 'evil', { pcr: 14, recnum: 0, bank: 'sha256' }).bytes, logStart),
  ];
  const lie = { ...record!, content: { kind: 'file' as const, path: '/a', sha256: hex('one') } };
  for (const set of [fileSet, openSet])
    t.match(match(set, { measured: [lie] }), {
      isMatch: false,
      reasons: [/says something else than its digest/],
    });
});

t.test('several versions are compared in one pass, the newest that matches counts', async (t) => {
  const version = (number: number, content: string, more: object = {}) =>
    setOf({ version: number, spec: { ...fileSet, files: [file('/a', content)], ...more } });
  const [old, young] = [version(1, 'one'), version(2, 'two')];
  const references = createReferences('pi', [old, young]);
  const given = (content: string) => proven({ measured: measured(['/a', content]) });
  t.match(references.match(given('one'), now), {
    isMatch: true,
    reference: { name: 'pi', version: 1, sha256: old.sha256 },
  });
  t.match(references.match(given('two'), now), {
    isMatch: true,
    reference: { version: 2, sha256: young.sha256 },
  });
  t.same(references.match(given('x'), now), {
    isMatch: false,
    reasons: [
      `version 2: file /a has the SHA-256 ${hex('x')}`,
      `version 1: file /a has the SHA-256 ${hex('x')}`,
    ],
  });
  const both = createReferences('pi', [version(3, 'one'), version(12, 'one'), version(4, 'one')]);
  t.match(
    both.match(given('one'), now),
    { reference: { version: 12 } },
    'newest by number, whatever the order',
  );
});

t.test('a version counts from its beginning until before its end', async (t) => {
  const instant = (offset: number) => new Date(now + offset).toISOString();
  const spec = { pcrs: [{ pcr: 14, values: [hexOf(value)] }] };
  const references = createReferences('pi', [
    setOf({ version: 1, spec: { ...spec, notAfter: instant(0) } }),
    setOf({ version: 2, spec: { ...spec, notBefore: instant(10), notAfter: instant(20) } }),
  ]);
  const at = (offset: number) => {
    const found = references.match(proven(), now + offset);
    return found.isMatch ? found.reference.version : found.reasons;
  };
  t.equal(at(-1), 1);
  t.match(at(0), [
    `no version of pi is valid now: version 2 begins ${instant(10)}, version 1 ended ${instant(0)}`,
  ]);
  t.match(at(9), [/^no version of pi is valid now/]);
  t.equal(at(10), 2);
  t.equal(at(19), 2);
  t.match(at(20), [/version 2 ended/]);
});

t.test('a log that cannot be read to its end matches nothing', async (t) => {
  function* broken(): Generator<MeasureRecord> {
    yield* measured(['/a', 'one']);
    throw logError('measure log', 7, 'record', 'not JSON');
  }
  t.match(match(fileSet, { measured: broken() }), {
    isMatch: false,
    reasons: [/measure log, byte 7, record/],
  });
});
