import fc from 'fast-check';
import t from 'tap';
import { bootAggregate, compareBootAggregate } from '../../../daemon/attest/logs/boot-aggregate.ts';
import {
  type ImaBankRule,
  type ImaForm,
  imaDigest,
  imaLimits,
  imaPath,
} from '../../../daemon/attest/logs/ima-entry.ts';
import { imaEntries } from '../../../daemon/attest/logs/ima-list.ts';
import {
  findImaPrefix,
  hasListedHash,
  type ImaPrefix,
  imaPrefixAtStart,
} from '../../../daemon/attest/logs/ima-prefix.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import {
  asciiLine,
  binaryEntry,
  failure,
  hexOf,
  measurements,
  pcrValues,
  realLog,
  type SampleBank,
  type SampleMeasurement,
  sha,
  sized,
  templateData,
  text,
  u32,
  withoutRealLogs,
} from './samples.ts';

const entriesOf = (bytes: Uint8Array, form: ImaForm) => [
  ...imaEntries(bytes, { form, pcr: 10, from: logStart }),
];
const listOf = (entries: readonly SampleMeasurement[], form: ImaForm): Buffer =>
  Buffer.concat(entries.map((entry) => (form === 'ascii' ? asciiLine(entry) : binaryEntry(entry))));
const forms = ['ascii', 'binary'] as const;

const find = (
  bytes: Uint8Array,
  quoted: Uint8Array,
  options: {
    readonly form?: ImaForm;
    readonly bank?: SampleBank;
    readonly rule?: ImaBankRule;
    readonly from?: ImaPrefix;
  } = {},
) => {
  const { form = 'binary', bank = 'sha256', rule = 'own-hash' } = options;
  return findImaPrefix({
    ...{ bytes, form, bank, rule, quoted, pcr: 10 },
    from: options.from ?? imaPrefixAtStart(bank),
  });
};

interface Expected {
  readonly entries: number;
  readonly pcr10: Readonly<Record<'sha1' | 'sha256', string>>;
  readonly afterEntry?: Readonly<Record<string, Expected['pcr10']>>;
  readonly pcr10_sha256_pre_5_8_zero_padded_sha1?: string;
}
const realNames = {
  rust_keylime: 'rust_keylime_ascii_runtime_measurements',
  'keylime_ima-log-sha256': 'keylime_ima-log-sha256',
} as const;

t.test('real lists: every known value is found at its entry', { skip: withoutRealLogs }, async (t) => {
  const expected = JSON.parse(realLog('ima/expected.json').toString()) as Record<
    keyof typeof realNames,
    Expected
  >;
  for (const [key, file] of Object.entries(realNames)) {
    const want = expected[key as keyof typeof realNames];
    const bytes = realLog(`ima/${file}`);
    t.equal(entriesOf(bytes, 'ascii').length, want.entries);
    const known: Readonly<Record<string, Expected['pcr10']>> = {
      ...want.afterEntry,
      [want.entries]: want.pcr10,
    };
    for (const [entries, values] of Object.entries(known))
      for (const [bank, value] of Object.entries(values) as ['sha1' | 'sha256', string][]) {
        const finding = find(bytes, Buffer.from(value, 'hex'), { form: 'ascii', bank });
        t.equal(finding.prefix.position.records, Number(entries), `${key} ${bank}`);
        t.equal(finding.prefix.wrongHashes, 0);
        // The larger list begins with a boot_aggregate of zeros: it was taken without a TPM.
        t.equal(finding.verdict, key === 'rust_keylime' ? 'ima-not-anchored' : 'anchored');
      }
  }
  const padded = Buffer.from(expected.rust_keylime.pcr10_sha256_pre_5_8_zero_padded_sha1!, 'hex');
  const list = realLog(`ima/${realNames.rust_keylime}`);
  t.equal(find(list, padded, { form: 'ascii', rule: 'padded-sha1' }).prefix.position.records, 826);
  t.equal(find(list, padded, { form: 'ascii' }).verdict, 'no-prefix');
});

for (const form of forms)
  t.test(`${form}: every template says what it holds, and is hashed as the kernel does`, async (t) => {
    const list = listOf(measurements, form);
    const entries = entriesOf(list, form);
    t.equal(entries.length, measurements.length);
    t.equal(entries.at(-1)?.end.bytes, list.length);
    for (const [index, entry] of entries.entries()) {
      const want = measurements[index]!;
      t.equal(entry.template, want.template);
      t.equal(entry.file.algorithm, want.algorithm);
      t.equal(hexOf(entry.file.digest), hexOf(want.digest));
      t.equal(imaPath(entry), want.name.toString());
      const extra = hexOf(want.extra ?? Buffer.alloc(0));
      t.equal(entry.signature && hexOf(entry.signature), want.template === 'ima-sig' ? extra : null);
      t.equal(entry.buffer && hexOf(entry.buffer), want.template === 'ima-buf' ? extra : null);
      t.equal(entry.isViolation, want.isViolation === true);
      t.equal(hexOf(entry.templateData), hexOf(templateData(want)));
      t.ok(hasListedHash(entry));
      t.equal(entry.start.records, index);
    }
  });

t.test('the prefix that a quote proves is found, whatever has been added since', async (t) => {
  for (const form of forms)
    for (const bank of ['sha1', 'sha256', 'sha384'] as const) {
      const list = listOf(measurements, form);
      const values = pcrValues(measurements, bank);
      for (const [records, value] of values.entries()) {
        if (records === 0) continue;
        const { verdict, prefix } = find(list, value, { form, bank });
        t.equal(verdict, 'anchored');
        t.equal(prefix.position.records, records);
        t.equal(prefix.position.bytes, listOf(measurements.slice(0, records), form).length);
        t.equal(prefix.violations, records >= 5 ? 1 : 0);
        t.equal(hexOf(prefix.bootAggregate!.digest), hexOf(measurements[0]!.digest));
      }
      t.match(find(list, sha(bank, 'other'), { form, bank }), {
        verdict: 'no-prefix',
        prefix: { violations: 0 },
      });
    }
});

t.test('only what is new is sent, and found behind what is known', async (t) => {
  for (const form of forms) {
    const list = listOf(measurements, form);
    const values = pcrValues(measurements, 'sha256');
    const first = find(list, values[2]!, { form }).prefix;
    const rest = list.subarray(first.position.bytes);
    const same = find(rest, values[2]!, { form, from: first });
    t.same(same.prefix, first, 'nothing happened since');
    t.equal(same.verdict, 'anchored');
    const last = find(rest, values.at(-1)!, { form, from: first });
    t.same(last.prefix, find(list, values.at(-1)!, { form }).prefix, 'as if the whole list had been sent');
    t.equal(find(rest, values[1]!, { form, from: first }).verdict, 'no-prefix', 'never back');
    const cut = failure(() => find(rest.subarray(0, -1), sha('sha256', 'x'), { form, from: first }));
    t.match(cut, /^IMA list, byte \d+, /);
    const byte = Number(/byte (\d+)/.exec(cut ?? '')?.[1]);
    t.ok(byte > first.position.bytes && byte <= list.length, 'the byte is that of the whole list');
  }
});

t.test('a list that no TPM has seen is never a pass', async (t) => {
  const zero = Buffer.alloc(32);
  const list = listOf(measurements, 'binary');
  t.match(find(list, zero), { verdict: 'ima-not-anchored', reason: /PCR 10 is zero/ });
  t.equal(find(Buffer.alloc(0), zero).verdict, 'empty');
  t.equal(find(Buffer.alloc(0), sha('sha256', 'x')).verdict, 'no-prefix');
  const known = find(list, pcrValues(measurements, 'sha256')[3]!).prefix;
  t.equal(find(Buffer.alloc(0), zero, { from: known }).verdict, 'ima-not-anchored', 'a TPM that was reset');
  const noTpm = [{ ...measurements[0]!, digest: Buffer.alloc(32) }, measurements[1]!];
  t.match(find(listOf(noTpm, 'binary'), pcrValues(noTpm, 'sha256')[2]!), {
    verdict: 'ima-not-anchored',
    reason: /boot_aggregate is zero/,
  });
  const headless = measurements.slice(1);
  t.match(find(listOf(headless, 'binary'), pcrValues(headless, 'sha256')[1]!), {
    verdict: 'ima-not-anchored',
    reason: /first entry is not boot_aggregate/,
  });
});

t.test('what is edited in a list is not proven', async (t) => {
  const quoted = pcrValues(measurements, 'sha256').at(-1)!;
  const edited = (index: number, change: Partial<SampleMeasurement>) =>
    listOf(
      measurements.map((entry, at) => (at === index ? { ...entry, ...change } : entry)),
      'binary',
    );
  t.equal(find(edited(1, { name: text('/usr/bin/other') }), quoted).verdict, 'no-prefix');
  t.equal(find(edited(1, { digest: sha('sha256', 'evil') }), quoted).verdict, 'no-prefix');
  t.equal(find(edited(2, { extra: text('x') }), quoted).verdict, 'no-prefix');
  t.equal(find(edited(1, { isViolation: true }), quoted).verdict, 'no-prefix');
  t.equal(find(edited(4, { isViolation: false }), quoted).verdict, 'no-prefix');
  t.equal(find(listOf(measurements.toReversed(), 'binary'), quoted).verdict, 'no-prefix');
  const wrong = listOf(measurements, 'binary');
  wrong[4]! ^= 1;
  t.match(find(wrong, quoted), { verdict: 'anchored', prefix: { wrongHashes: 1 } });
});

t.test('newer lists have the hash of a bank in each line; older kernels pad SHA-1', async (t) => {
  const list = Buffer.concat(measurements.map((entry) => asciiLine(entry, 'sha256')));
  const finding = find(list, pcrValues(measurements, 'sha256').at(-1)!, { form: 'ascii' });
  t.match(finding, { verdict: 'anchored', prefix: { wrongHashes: 0, violations: 1 } });
  const [entry] = entriesOf(list, 'ascii');
  t.equal(
    hexOf(imaDigest(entry!, 'sha256', 'padded-sha1')),
    hexOf(sha('sha1', templateData(measurements[0]!))) + '00'.repeat(12),
  );
});

t.test('boot_aggregate is compared with the quoted PCRs of its own bank', async (t) => {
  const value = (pcr: number) => sha('sha256', String(pcr));
  const ten = Array.from({ length: 10 }, (_, pcr) => value(pcr));
  const digest = bootAggregate('sha256', value);
  t.equal(hexOf(digest), hexOf(sha('sha256', ...ten)));
  const quoted = (bank: string, pcr: number) => (bank === 'sha256' ? value(pcr) : null);
  t.equal(compareBootAggregate({ algorithm: 'sha256', digest }, quoted), 'same');
  t.equal(compareBootAggregate({ algorithm: 'sha256', digest: sha('sha256') }, quoted), 'different');
  t.equal(compareBootAggregate({ algorithm: 'sha1', digest: sha('sha1') }, quoted), 'not-quoted');
  t.equal(compareBootAggregate({ algorithm: 'sm3', digest }, quoted), 'not-quoted');
  t.equal(compareBootAggregate({ algorithm: 'sm3', digest: Buffer.alloc(32) }, quoted), 'zero');
  t.equal(
    compareBootAggregate({ algorithm: 'sha256', digest }, (_, pcr) => (pcr === 9 ? null : value(pcr))),
    'not-quoted',
  );
  const eight = Array.from({ length: 8 }, () => Buffer.alloc(20));
  t.equal(hexOf(bootAggregate('sha1', () => Buffer.alloc(20))), hexOf(sha('sha1', ...eight)));
});

t.test('what the readers refuse, and how they say so', async (t) => {
  const hash = 'ab'.repeat(20);
  const digest = `sha256:${'cd'.repeat(32)}`;
  const lines: readonly (readonly [line: string, message: RegExp])[] = [
    ['\n', /pcr: , not 10/],
    [`11 ${hash} ima-ng ${digest} /x\n`, /pcr: 11, not 10/],
    [`10 ${hash} ima-ng ${digest} /x`, /line: no end/],
    [`10 ${hash} d-ng|n-ng ${digest} /x\n`, /template: d-ng\|n-ng is not known/],
    [`10 ${hash} toString ${digest} /x\n`, /template: toString is not known/],
    [`10 ${hash} ima-ng ${digest}\n`, /fields: not the number/],
    [`10 ${hash} ima-ng ${digest} /x y\n`, /fields: not the number/],
    [`10 ${hash} ima-sig ${digest} /x\n`, /fields: not the number/],
    [`10 ${hash}0 ima-ng ${digest} /x\n`, /template hash/],
    [`10 ${'ab'.repeat(21)} ima-ng ${digest} /x\n`, /template hash/],
    [`10 ${hash} ima-ng sha256:cd /x\n`, /digest: sha256:cd is none/],
    [`10 ${hash} ima ${digest} /x\n`, /digest/],
    [`10 ${hash} ima ${hash} /${'x'.repeat(255)}\n`, /name/],
    [`10 ${hash} ima-ng ${digest} /x\0y\n`, /name: \/x\\u0000y cannot be one/],
    [`10 ${hash} ima-sig ${digest} /x 0g\n`, /signature: not hex/],
    [
      `10 ${hash} ima-buf ${digest} /x ${'00'.repeat(imaLimits.mostFieldBytes + 1)}\n`,
      /buffer: not hex, or too long/,
    ],
  ];
  for (const [line, message] of lines)
    t.match(
      failure(() => entriesOf(text(line), 'ascii')),
      message,
    );

  const entry = (template: string, data: Buffer) =>
    Buffer.concat([u32(10), Buffer.alloc(20, 1), sized(template), sized(data)]);
  const ng = (digestField: string, name: string) =>
    Buffer.concat([sized(text(digestField)), sized(text(name))]);
  const good = `sha256:\0${'d'.repeat(32)}`;
  const binaries: readonly (readonly [bytes: Buffer, message: RegExp])[] = [
    [Buffer.concat([u32(0x0a000000), Buffer.alloc(40)]), /pcr: 167772160, not 10/],
    [entry('ima-xyz', ng(good, '/x\0')), /template: ima-xyz is not known/],
    [entry('x'.repeat(65), ng(good, '/x\0')), /template: 65 bytes, at most 64/],
    [entry('ima-ng', ng('sha256', '/x\0')), /digest: sha256 is none/],
    [entry('ima-ng', ng(`SHA:\0${'d'.repeat(32)}`, '/x\0')), /is none/],
    [entry('ima-ng', ng('sha256:\0d', '/x\0')), /is none/],
    [entry('ima-ng', ng(good, '/x')), /name: does not end with a NUL/],
    [entry('ima-ng', ng(good, '')), /name: does not end with a NUL/],
    [entry('ima-ng', ng(good, '/x\0y\0')), /name: holds a NUL/],
    [entry('ima-ng', Buffer.concat([ng(good, '/x\0'), sized('')])), /template data: 4 bytes too many/],
    [entry('ima-sig', ng(good, '/x\0')), /size of signature: 4 bytes, 0 are left/],
    [Buffer.concat([u32(10), Buffer.alloc(20), sized('ima-ng'), u32(0xffffffff)]), /at most 196608/],
  ];
  for (const [bytes, message] of binaries)
    t.match(
      failure(() => entriesOf(bytes, 'binary')),
      message,
    );

  for (const form of forms) {
    t.match(
      failure(() => entriesOf(Buffer.alloc(imaLimits.mostBytes + 1), form)),
      /size: 16777217 bytes/,
    );
    const from = { bytes: 5, records: imaLimits.mostRecords };
    t.match(
      failure(() => [...imaEntries(listOf(measurements, form), { form, pcr: 10, from })]),
      /byte 5, entries: more than 100000/,
    );
  }
});

t.test('cut at any byte: whole entries or the one error', async (t) => {
  for (const form of forms) {
    const list = listOf(measurements, form);
    const ends = new Set([0, ...entriesOf(list, form).map((entry) => entry.end.bytes)]);
    const faults: number[] = [];
    for (let length = 0; length < list.length; length++)
      if ((failure(() => entriesOf(list.subarray(0, length), form)) === null) !== ends.has(length))
        faults.push(length);
    t.same(faults, [], form);
  }
});

t.test('whatever comes: entries within bounds or the one error', async (t) => {
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
  const changes = fc.array(change, { maxLength: 5 });
  const result = fc.check(
    fc.property(
      fc.constantFrom(...forms),
      changes,
      fc.uint8Array({ maxLength: 200 }),
      (form, edits, noise) => {
        const list = listOf(measurements, form);
        for (const { at, value } of edits) list[at % list.length] = value;
        for (const bytes of [list, noise, Buffer.concat([list, noise])])
          failure(() => {
            let end = 0;
            for (const entry of imaEntries(bytes, { form, pcr: 10, from: logStart })) {
              if (entry.end.bytes <= end || entry.end.bytes > bytes.length) throw new Error('not forward');
              end = entry.end.bytes;
              hasListedHash(entry);
              imaDigest(entry, 'sha256', 'own-hash');
            }
          });
      },
    ),
    { numRuns: 600 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('both forms say the same of any entry', async (t) => {
  const name = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0 && byte !== 0x0a && byte !== 0x20)));
  const entry = fc.record({
    template: fc.constantFrom('ima-ng', 'ima-sig', 'ima-buf'),
    algorithm: fc.constantFrom('sha1', 'sha256', 'sha3-256', 'streebog256'),
    digest: fc.uint8Array({ minLength: 16, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    name,
    extra: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    isViolation: fc.boolean(),
  });
  const result = fc.check(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (entries) => {
      const list: readonly SampleMeasurement[] = [measurements[0]!, ...entries];
      const quoted = pcrValues(list, 'sha256').at(-1)!;
      return forms.every((form) => {
        const { verdict, prefix } = find(listOf(list, form), quoted, { form });
        return verdict === 'anchored' && prefix.position.records === list.length && prefix.wrongHashes === 0;
      });
    }),
    { numRuns: 200 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('a list of 20,000 entries is searched in one pass, without holding it', async (t) => {
  const count = 20_000;
  const entries = [
    measurements[0]!,
    ...Array.from({ length: count - 1 }, (_, index): SampleMeasurement => {
      const name = text(`/usr/lib/some/longer/path/to/a/file-${index}.so`);
      return { template: 'ima-ng', algorithm: 'sha256', digest: sha('sha256', name), name };
    }),
  ];
  const quoted = pcrValues(entries, 'sha256').at(-1)!;
  for (const form of forms) {
    const list = listOf(entries, form);
    const startedAt = performance.now();
    const { verdict, prefix } = find(list, quoted, { form });
    t.comment(`${form}: ${Math.round(performance.now() - startedAt)} ms, ${list.length} bytes`);
    t.equal(verdict, 'anchored');
    t.equal(prefix.position.records, count);
    t.not(prefix.bootAggregate?.digest.buffer, list.buffer, 'what is kept does not keep the list');
  }
});
