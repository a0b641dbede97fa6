import t from 'tap';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import type { Verdict } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import {
  agileLog,
  asciiLine,
  binaryEntry,
  boot,
  extension,
  locality,
  oldRecord,
  type SampleEvent,
  type SampleMeasurement,
  sha,
  text,
} from '../logs/samples.ts';
import {
  bytesOf,
  caseOf,
  fileRecord,
  imaList,
  measuredMachine,
  Pcrs,
  referencesOf,
  refused,
  rulesOf,
  systemdRecord,
} from './world.ts';

const bank = 'sha256' as const;
const whole = measuredMachine();
const none: WholeLogs = { firmware: null, ima: null, measured: null, systemd: null };
const lenient = rulesOf({ assertedLevel: 0, requiredLevel: 0, references: null });

/** Judges logs against PCRs; at level 0 unless `rules` say something else. */
const judged = (logs: Partial<WholeLogs>, pcrs: Pcrs = whole.pcrs, rules = lenient): Verdict =>
  verify(caseOf({ logs: { ...none, ...logs }, pcrs: pcrs.values }), rules);
const outcome = (verdict: Verdict, check: string) => verdict.checks.find(({ name }) => name === check);
const pcrs = (change: (made: Pcrs) => void): Pcrs => {
  const made = new Pcrs(bank);
  change(made);
  return made;
};
const file = (path: string, recnum = 0, pcr = 14) => fileRecord(path, path, { pcr, recnum, bank });
const fileDigest = (path: string) => file(path).digests.get(bank) ?? Buffer.alloc(0);
const event = (pcr: number, data: string): SampleEvent => ({ pcr, type: 0x0d, data: text(data) });
const phase = (pcr: number, string: string) => systemdRecord(pcr, bank, sha(bank, string), string);

t.test('at level 0 nothing is demanded of logs, and what is there is told', async (t) => {
  const verdict = judged({});
  t.match(verdict, { isTrusted: true, level: 0, reference: null });
  t.match(outcome(verdict, 'firmware-log'), {
    outcome: 'skipped',
    reason: /was not sent; no event of the firmware explains PCR 0, 1, 2, 3, 4, 5, 6, 7/,
  });
  t.match(outcome(verdict, 'reference'), { outcome: 'skipped', reason: /names no policy/ });
  const stock = judged({}, new Pcrs(bank));
  t.match(outcome(stock, 'firmware-log')?.reason, /was not sent$/);
});

t.test('empty logs are no logs', async (t) => {
  const empty = Buffer.alloc(0);
  const verdict = judged({ firmware: empty, measured: empty, systemd: empty, ima: empty }, new Pcrs(bank));
  t.equal(verdict.isTrusted, true);
  for (const name of ['firmware-log', 'measured-log', 'systemd-log', 'ima-list'])
    t.match(outcome(verdict, name), { outcome: 'skipped', reason: /is empty|nothing is listed/ });
  const area = judged({ firmware: Buffer.alloc(65_536, 0xff) }, new Pcrs(bank));
  t.match(outcome(area, 'firmware-log'), { outcome: 'skipped', reason: /is empty/ }, 'an area of fixed size');
});

t.test('a log that does not replay fails at every level, and names the PCR', async (t) => {
  const swappedBoot = [boot[1]!, boot[0]!, ...boot.slice(2)];
  const sent: readonly [string, Partial<WholeLogs>, string, RegExp][] = [
    [
      'an event is missing',
      { firmware: agileLog([bank], boot.slice(0, -1)) },
      'firmware-log',
      /PCR 1 is [0-9a-f]{64}, and [0-9a-f]{64} by the log/,
    ],
    ['events in another order', { firmware: agileLog([bank], swappedBoot) }, 'firmware-log', /PCR 0 is/],
    [
      'an event more',
      { firmware: agileLog([bank], [...boot, event(5, 'more')]) },
      'firmware-log',
      /PCR 5 is/,
    ],
    ['another locality', { firmware: agileLog([bank], [locality(3), ...boot]) }, 'firmware-log', /PCR 0 is/],
    ['another bank', { firmware: agileLog(['sha384'], boot) }, 'firmware-log', /none of sha256/],
    ['SHA-1 alone', { firmware: Buffer.concat(boot.map(oldRecord)) }, 'firmware-log', /none of sha256/],
    ['a cut log', { firmware: whole.logs.firmware!.subarray(0, -1) }, 'firmware-log', /are left|byte/],
    [
      'garbage',
      { firmware: Buffer.from('garbage that is no log at all, long enough') },
      'firmware-log',
      /event log, byte/,
    ],
    ['too much', { firmware: Buffer.alloc(4 * 1024 * 1024 + 1, 1) }, 'firmware-log', /size/],
    ['a file is missing', { measured: file('/opt/surfaced/main.js').bytes }, 'measured-log', /PCR 14 is/],
    ['a cut record', { measured: whole.logs.measured!.subarray(0, -3) }, 'measured-log', /measure log, byte/],
    [
      'systemd in the log of files',
      { measured: phase(14, 'it') },
      'measured-log',
      /measured log, byte 0, content_type: record 0/,
    ],
    [
      'a file in the log of systemd',
      { systemd: file('/a').bytes },
      'systemd-log',
      /systemd log, byte 0, content_type/,
    ],
    ['another phase', { systemd: phase(11, 'leave-initrd') }, 'systemd-log', /PCR 11 is/],
    ['no JSON', { systemd: Buffer.from('it\n') }, 'systemd-log', /record: not JSON/],
    [
      'entries in another order',
      { ima: Buffer.concat([...imaList(new Pcrs(bank))].reverse().map(binaryEntry)) },
      'ima-list',
      /no prefix of the list gives PCR 10/,
    ],
    ['a cut list', { ima: whole.logs.ima!.subarray(0, -1) }, 'ima-list', /IMA list, byte/],
    [
      'the list as text',
      { ima: Buffer.concat(imaList(new Pcrs(bank)).map((entry) => asciiLine(entry))) },
      'ima-list',
      /IMA list, byte/,
    ],
    ['a list of nothing', { ima: Buffer.alloc(0) }, 'ima-list', /no prefix/],
  ];
  for (const [what, logs, check, reason] of sent) refused(t, judged(logs), check as 'level', reason, what);
});

t.test('a file record must be covered by its digest', async (t) => {
  const { bytes } = file('/opt/evil');
  const lying = Buffer.from(bytes.toString().replace('/opt/evil', '/opt/good'));
  const made = pcrs((one) => one.extend(14, fileDigest('/opt/evil')));
  t.equal(judged({ measured: bytes }, made).isTrusted, true);
  refused(t, judged({ measured: lying }, made), 'measured-log', /record 0: its sha256 digest is another one/);
});

t.test('records of PCRs that are not quoted count for nothing', async (t) => {
  const made = pcrs((one) => one.extend(14, fileDigest('/a')));
  made.values.delete(15);
  const measured = Buffer.concat([file('/a').bytes, file('/b', 1, 15).bytes]);
  let seen: unknown[] = [];
  const references = referencesOf({ files: true, firmwareGap: 'not listed', ima: false }, (proven) => {
    seen = proven.measured as unknown[];
  });
  const rules = rulesOf({ assertedLevel: 1, requiredLevel: 1, references });
  const verdict = judged({ measured }, made, rules);
  t.match(verdict, { isTrusted: true, level: 1, measured: { files: 1 } });
  t.match(
    outcome(verdict, 'measured-log')?.reason,
    /replays to PCR 14; PCR 15 not quoted and counts for nothing/,
  );
  t.match(seen, [{ content: { path: '/a' } }]);
  t.equal(seen.length, 1);
  // Nothing but such records: no proven log at all.
  const aside = judged({ measured: file('/b', 0, 15).bytes }, made, rules);
  refused(t, aside, 'reference', /no files/);
  t.match(outcome(aside, 'measured-log'), {
    outcome: 'skipped',
    reason: /none of its records is of a quoted PCR/,
  });
});

t.test('EV_NO_ACTION and NV indices extend nothing, so they are not proven', async (t) => {
  let seen: { [name: string]: unknown } = {};
  const references = referencesOf(undefined, (proven) => {
    seen = proven;
  });
  const nv = Buffer.from(
    `{"nv_index":25165824,"digests":[{"hashAlg":"sha256","digest":"${'ab'.repeat(32)}"}],"content_type":"systemd","content":{}}\n`,
  );
  const firmware = agileLog([bank], [{ pcr: 0, type: 3, data: text('for the reader') }, ...boot]);
  const logs = { ...whole.logs, firmware, systemd: Buffer.concat([nv, whole.logs.systemd!]) };
  t.equal(judged(logs, whole.pcrs, rulesOf({ references })).isTrusted, true);
  t.equal((seen.firmware as unknown[]).length, boot.length);
  t.equal((seen.systemd as unknown[]).length, 2);
});

t.test('two logs of one PCR', async (t) => {
  const shim = agileLog([bank], [event(14, 'MokList'), event(4, 'kernel')]);
  const started = pcrs((one) => {
    one.extend(14, sha(bank, 'MokList'));
    one.extend(4, sha(bank, 'kernel'));
  });
  const later = (change: (one: Pcrs) => void) =>
    pcrs((one) => {
      for (const [pcr, value] of started.values) one.values.set(pcr, value);
      change(one);
    });
  const seen: { [name: string]: unknown[] | null } = {};
  const references = referencesOf({ files: false, firmwareGap: null, ima: false }, (proven) =>
    Object.assign(seen, proven),
  );
  const rules = rulesOf({ assertedLevel: 0, requiredLevel: 0, references });

  const shared = later((one) => one.extend(14, fileDigest('/a')));
  const both = judged({ firmware: shim, measured: file('/a').bytes }, shared, rules);
  t.match(both, { isTrusted: true, measured: { firmwareEvents: 2, files: 1 } }, 'firmware, then files');
  const alone = judged({ firmware: shim }, shared, rules);
  refused(t, alone, 'firmware-log', /PCR 14 is/, 'without the log of files');
  const before = pcrs((one) => {
    one.extend(4, sha(bank, 'kernel'));
    one.extend(14, fileDigest('/a'));
    one.extend(14, sha(bank, 'MokList'));
  });
  refused(
    t,
    judged({ firmware: shim, measured: file('/a').bytes }, before),
    'measured-log',
    /PCR 14 is/,
    'files first',
  );

  // A bad kernel, said to be something that systemd measured.
  const hidden = later((one) => one.extend(4, bytesOf('another kernel')));
  const logs = { firmware: shim, systemd: systemdRecord(4, bank, bytesOf('another kernel'), 'harmless') };
  const passedOff = judged(logs, hidden, rules);
  t.match(passedOff, { isTrusted: true, measured: { firmwareEvents: 1, systemdRecords: 1 } });
  t.match(seen.firmware, [{ pcr: 14 }], 'of PCR 4 no event is proven');
  t.equal(seen.firmware?.length, 1);
  refused(
    t,
    judged(logs, hidden, rulesOf({ references })),
    'firmware-log',
    /no event explains PCR 4, which level 3 needs/,
  );

  const order = pcrs((one) => {
    one.extend(14, fileDigest('/a'));
    one.extend(14, sha(bank, 'it'));
  });
  const mixed = judged({ measured: file('/a').bytes, systemd: phase(14, 'it') }, order);
  refused(t, mixed, 'measured-log', /PCR 14 extended by another log, too/);
  t.match(outcome(mixed, 'systemd-log'), { outcome: 'failed', reason: /PCR 14 extended by another log/ });

  const ima = imaList(new Pcrs(bank));
  for (const [name, log] of Object.entries({
    systemd: phase(10, 'it'),
    firmware: agileLog([bank], [event(10, 'it')]),
  })) {
    const ten = pcrs((one) => one.extend(10, sha(bank, 'it')));
    refused(
      t,
      judged({ [name]: log, ima: Buffer.concat(ima.map(binaryEntry)) }, ten),
      'ima-list',
      /PCR 10 extended by another log/,
    );
  }
});

t.test('IMA', async (t) => {
  const machine = (list: readonly SampleMeasurement[], firmware = false) =>
    pcrs((one) => {
      if (firmware) for (const made of boot) one.extend(made.pcr, sha(bank, made.hashed ?? made.data));
      for (const entry of list) one.extend(10, extension(entry, bank));
    });
  const bytes = (list: readonly SampleMeasurement[]) => Buffer.concat(list.map(binaryEntry));
  const ima = imaList(new Pcrs(bank));
  const evil: SampleMeasurement = {
    template: 'ima-ng',
    algorithm: 'sha256',
    digest: bytesOf('evil'),
    name: text('/evil'),
  };
  const violation = { ...evil, isViolation: true };
  const rules = rulesOf({
    assertedLevel: 1,
    requiredLevel: 1,
    references: referencesOf({ files: false, firmwareGap: 'not listed', ima: true }),
  });

  const good = judged({ ima: bytes(ima) }, machine(ima), rules);
  t.match(good, { isTrusted: true, level: 1, measured: { imaEntries: 3, imaViolations: 0 } });
  const grown = judged({ ima: bytes([...ima, evil]) }, machine(ima), rules);
  t.match(
    grown,
    { isTrusted: true, measured: { imaEntries: 3 } },
    'what came after the quote is not looked at',
  );
  t.equal(
    judged({ ima: Buffer.concat([bytes(ima), text('half an ent')]) }, machine(ima), rules).isTrusted,
    true,
  );
  const violated = judged({ ima: bytes([...ima, violation]) }, machine([...ima, violation]), rules);
  t.match(
    violated,
    { isTrusted: true, measured: { imaEntries: 4, imaViolations: 1 } },
    'violations are counted',
  );

  // The listed SHA-1 stands behind the PCR number.
  const edited = bytes(ima);
  edited[4] = (edited[4] ?? 0) ^ 1;
  refused(t, judged({ ima: edited }, machine(ima)), 'ima-list', /template hash of 1 entries/);
  const padded = pcrs((one) => {
    for (const entry of ima) one.extend(10, Buffer.concat([extension(entry, 'sha1'), Buffer.alloc(12)]));
  });
  refused(t, judged({ ima: bytes(ima) }, padded), 'ima-list', /no prefix/, 'padded SHA-1');
  refused(
    t,
    judged({ ima: bytes(ima) }, machine(ima, true)),
    'ima-list',
    /boot_aggregate is not that of/,
    'of another boot',
  );

  const bypassed = [{ ...ima[0]!, digest: Buffer.alloc(32) }, ...ima.slice(1)];
  const unanchored: readonly [string, Pcrs, Buffer][] = [
    ['PCR 10 is zero', new Pcrs(bank), bytes(ima)],
    ['boot_aggregate is zero', machine(bypassed), bytes(bypassed)],
    ['there is no boot_aggregate', machine(ima.slice(1)), bytes(ima.slice(1))],
  ];
  for (const [what, made, list] of unanchored) {
    const verdict = judged({ ima: list }, made);
    t.match(outcome(verdict, 'ima-list'), { outcome: 'skipped', reason: /ima-not-anchored/ }, what);
    t.match(
      verdict,
      { isTrusted: true, level: 0, measured: { imaEntries: 0 } },
      `${what}, which level 0 does not need`,
    );
    refused(
      t,
      judged({ ima: list }, made, rules),
      'reference',
      /no ima/,
      `${what}, and the policy needs IMA`,
    );
  }

  const unquoted = machine(ima);
  unquoted.values.delete(10);
  refused(t, judged({ ima: bytes(ima) }, unquoted, rules), 'reference', /no ima/, 'PCR 10 is not quoted');
  const few = machine(ima);
  few.values.delete(9);
  const told = judged({ ima: bytes(ima) }, few, rules);
  t.equal(told.isTrusted, true);
  t.match(outcome(told, 'ima-list')?.reason, /boot_aggregate cannot be compared/);

  // Files were measured into a PCR that the kernel had read before.
  const nine = machine(ima);
  nine.extend(9, fileDigest('/a'));
  refused(t, judged({ ima: bytes(ima) }, nine), 'ima-list', /boot_aggregate/, 'and nobody says so');
  t.equal(
    judged({ ima: bytes(ima), measured: file('/a', 0, 9).bytes }, nine).isTrusted,
    true,
    'the log says so',
  );
});
