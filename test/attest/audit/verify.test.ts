import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { signerSha256 } from '../../../daemon/attest/audit/head.ts';
import type { AuditEvent } from '../../../daemon/attest/audit/types.ts';
import {
  certificate,
  command,
  openIn,
  PretendTpm,
  placeIn,
  recordsIn,
  refused,
  sha256,
  started,
  trust,
  verifyIn,
  write,
} from './rig.ts';

type VerdictEvent = ReturnType<PretendTpm['verdict']>;
const attestedCertificate = (evidence: string): AuditEvent => ({
  ...(certificate(evidence) as Extract<AuditEvent, { kind: 'certificate' }>),
  trust: 'tpm',
  evidence,
});

t.test('a sound log: what is counted and said', async (t) => {
  const place = await placeIn(t.testdir());
  const tpm = new PretendTpm();
  const enrolled = tpm.verdict('e1');
  const renewed = tpm.verdict('e2', {}, { secret: null, why: 'renew' });
  const bad = tpm.verdict('e3', { nonce: sha256('another') });
  await write(place, [
    started,
    enrolled,
    attestedCertificate('e1'),
    command,
    renewed,
    attestedCertificate('e2'),
    { ...bad, verdict: refused(bad.verdict, 'binding') },
    { ...renewed, why: 'policy', quote: null },
    { ...enrolled, surface: null, quote: null, verdict: refused(enrolled.verdict, 'ek-public') },
    trust,
  ]);
  const report = await verifyIn(place.folder);
  t.match(report, {
    isSound: true,
    files: 1,
    records: 11,
    first: { seq: 1 },
    last: { seq: 11 },
    unsigned: 0,
    quotes: { held: 2, refused: 1, none: 2 },
    kinds: { segment: 1, gateway: 1, verdict: 5, certificate: 2, command: 1, trust: 1 },
    head: { seq: 11, signerType: 'ed25519', clock: null },
    faults: [],
  });
  t.equal(report.head?.hash, report.last?.hash);
  const lines = (await readFile(path.join(place.folder, '000001.jsonl'), 'utf8')).split('\n');
  t.equal(report.last?.hash, sha256(lines[10]!).toString('hex'));
});

t.test('verdicts that rest on nothing', async (t) => {
  const base = t.testdir();
  const tpm = new PretendTpm();
  const good = tpm.verdict('e1');
  const other = new PretendTpm();
  const change = (event: VerdictEvent, quote: Partial<VerdictEvent['quote'] & object>): VerdictEvent => ({
    ...event,
    quote: { ...event.quote!, ...quote },
  });
  const flipped = (bytes: Uint8Array, at = bytes.length - 1) => {
    const copy = Buffer.from(bytes);
    copy[at] = copy[at]! ^ 1;
    return copy;
  };
  const { attest, signature, pcrs, claims, logs } = good.quote!;
  const shorter = new Map([[0, pcrs.get(0)!]]);
  const log = { ...logs.ima!, length: 6 };
  const cases: readonly [string, readonly AuditEvent[], RegExp | null][] = [
    ['good', [good], null],
    ['nonce', [change(good, { nonce: sha256('x') })], /^binding: /],
    ['key', [change(good, { keySha256: sha256('x') })], /^binding: /],
    ['channel', [change(good, { channel: sha256('x') })], /^binding: /],
    ['short nonce', [change(good, { nonce: Buffer.alloc(3) })], /^binding: /],
    ['secret', [change(good, { secret: null })], /^binding: /],
    ['logs', [change(good, { logs: { ...logs, ima: log } })], /^binding: /],
    ['attest', [change(good, { attest: flipped(attest) })], /^signature: /],
    ['signature', [change(good, { signature: flipped(signature) })], /^signature: /],
    ['no signature', [change(good, { signature: Buffer.alloc(0) })], /^signature: /],
    ['PCR value', [change(good, { pcrs: new Map([...pcrs, [0, sha256('x')]]) })], /^pcr-values: /],
    ['PCR missing', [change(good, { pcrs: shorter })], /^selection: /],
    ['no PCR', [change(good, { pcrs: new Map() })], /^selection: /],
    ['bank', [change(good, { bank: 'sha384' })], /^selection: /],
    [
      'AK',
      [change(good, { claims: { ...claims, akPublic: other.verdict('x').quote!.claims.akPublic } })],
      /^ak-public: /,
    ],
    [
      'EK',
      [change(good, { claims: { ...claims, ekPublic: other.verdict('x').quote!.claims.ekPublic } })],
      /^ek-public: /,
    ],
    [
      'clock',
      [{ ...good, verdict: { ...good.verdict, clock: { ...good.verdict.clock!, clock: '5' } } }],
      /^clock: /,
    ],
    ['no quote', [{ ...good, quote: null }], /without a quote/],
    ['policy on nothing', [{ ...good, why: 'policy', quote: null }], /rests on evidence that is not here/],
    ['policy on other evidence', [good, { ...good, why: 'policy', quote: null, evidence: 'e9' }], /rests on/],
    ['policy on evidence', [good, { ...good, why: 'policy', quote: null }], null],
    [
      'failed check',
      [{ ...good, verdict: { ...refused(good.verdict, 'clock'), isTrusted: true, level: 1 } }],
      /check clock failed/,
    ],
    ['no level', [{ ...good, verdict: { ...good.verdict, level: null } }], /without a level/],
    [
      'refused for the same',
      [{ ...change(good, { nonce: sha256('x') }), verdict: refused(good.verdict, 'binding') }],
      null,
    ],
    [
      'refused for another',
      [{ ...change(good, { nonce: sha256('x') }), verdict: refused(good.verdict, 'clock') }],
      /^binding: /,
    ],
    ['never activated', [tpm.verdict('e2', {}, { secret: null })], /no credential was opened/],
    ['certificate', [good, attestedCertificate('e1')], null],
    ['certificate of nothing', [good, attestedCertificate('e7')], /no trusted verdict names/],
    [
      'certificate of refused evidence',
      [{ ...good, verdict: refused(good.verdict, 'level') }, attestedCertificate('e1')],
      /no trusted/,
    ],
  ];
  for (const [name, events, what] of cases) {
    const place = await placeIn(base, name.replaceAll(' ', '-'));
    await write(place, [started, ...events]);
    const report = await verifyIn(place.folder);
    t.equal(report.isSound, what === null, `${name}: ${report.faults[0]?.what ?? 'sound'}`);
    if (what === null) continue;
    t.match(report.faults[0], {
      file: '000001.jsonl',
      line: events.length + 2,
      seq: events.length + 2,
      what,
    });
    t.equal(report.unsigned, 0, 'the chain is read to its end all the same');
  }
  // Another epoch needs another activation.
  const place = await placeIn(base, 'epochs');
  const first = tpm.verdict('e10');
  tpm.resetCount++;
  await write(place, [first, tpm.verdict('e11', {}, { secret: null })]);
  t.match(await verifyIn(place.folder), { faultCount: 1, faults: [{ seq: 3 }] });
  const restarted = await placeIn(base, 'restarts');
  const before = tpm.verdict('e12');
  tpm.restartCount++;
  await write(restarted, [before, tpm.verdict('e13', {}, { secret: null })]);
  t.match(await verifyIn(restarted.folder), { faultCount: 1, faults: [{ seq: 3 }] });
});

t.test('any change of what is signed is found', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  await write(place, [started, certificate(1), trust, certificate(2)]);
  await write(place, [certificate(3), certificate(4)], 900);
  const names = (await readdir(place.folder)).sort();
  const files = new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(path.join(place.folder, name))] as const),
    ),
  );
  t.equal(files.size, 3);
  const folder = path.join(base, 'changed');
  await mkdir(folder);
  const isFound = async (name: string, content: Buffer | null): Promise<boolean> => {
    for (const [each, bytes] of files) await writeFile(path.join(folder, each), bytes);
    if (content === null) await rm(path.join(folder, name));
    else await writeFile(path.join(folder, name), content);
    const { isSound, faults } = await verifyIn(folder);
    return !isSound && faults.length > 0;
  };
  t.notOk(await isFound(names[0]!, files.get(names[0]!)!), 'as it was');
  for (const name of names.filter((name) => name !== '000001.jsonl'))
    t.ok(await isFound(name, null), `${name} is gone`);
  const anyFile = fc.constantFrom(...files.keys());
  await fc.assert(
    fc.asyncProperty(anyFile, fc.nat(), fc.integer({ min: 1, max: 255 }), async (name, at, bits) => {
      const changed = Buffer.from(files.get(name)!);
      const index = at % changed.length;
      changed[index] = changed[index]! ^ bits;
      // The newline behind a head is not of it.
      const isSpace =
        name === 'head.json' &&
        index === changed.length - 1 &&
        ' \t\r\n'.includes(String.fromCharCode(changed[index]!));
      return isSpace || (await isFound(name, changed));
    }),
    { numRuns: 200 },
  );
  const logs = names.filter((name) => name.endsWith('.jsonl'));
  const newest = files.get(logs.at(-1)!)!;
  const unseen: number[] = [];
  for (let at = newest.lastIndexOf(10, newest.length - 2) + 1; at < newest.length; at++) {
    const changed = Buffer.from(newest);
    changed[at] = changed[at]! ^ 1;
    if (!(await isFound(logs.at(-1)!, changed))) unseen.push(at);
  }
  t.same(unseen, [], 'any byte of the newest record');
  const linesOf = (name: string) => files.get(name)!.toString().split('\n').slice(0, -1);
  const textOf = (lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(''));
  for (const name of logs) {
    const lines = linesOf(name);
    for (const index of lines.keys()) {
      t.ok(await isFound(name, textOf(lines.toSpliced(index, 1))), `${name}: line ${index + 1} is gone`);
      const twice = textOf(lines.toSpliced(index, 0, lines[index]!));
      t.ok(await isFound(name, twice), `${name}: line ${index + 1} is there twice`);
      const [one, other] = [lines[index]!, lines[index + 1]];
      if (other === undefined) continue;
      t.ok(await isFound(name, textOf(lines.toSpliced(index, 2, other, one))), `${name}: lines are swapped`);
    }
    const text = files.get(name)!;
    for (let cut = 0; cut < text.length; cut += 37)
      t.ok(await isFound(name, text.subarray(0, cut)), `${name} is cut at byte ${cut}`);
    t.ok(await isFound(name, Buffer.concat([text, Buffer.from('{}\n')])), `${name}: with another line`);
  }
});

t.test('what is not signed yet must chain, and is told', async (t) => {
  const place = await placeIn(t.testdir());
  await write(place, [started, certificate(1)]);
  const head = await readFile(path.join(place.folder, 'head.json'));
  await write(place, [certificate(2), certificate(3)]);
  await writeFile(path.join(place.folder, 'head.json'), head);
  const file = path.join(place.folder, '000001.jsonl');
  const whole = await readFile(file, 'utf8');
  t.match(await verifyIn(place.folder), { isSound: true, unsigned: 2, head: { seq: 3 } });
  await writeFile(file, whole.slice(0, -20));
  t.match(await verifyIn(place.folder), {
    isSound: true,
    unsigned: 1,
    notes: [{}, { line: 5, seq: null, what: /an incomplete line of \d+ bytes/ }],
  });
  await writeFile(file, whole.replace('"serial":"2"', '"serial":"9"'));
  t.match(await verifyIn(place.folder), {
    isSound: false,
    faults: [{ file: '000001.jsonl', line: 5, seq: 5, what: /does not chain/ }],
  });
  // The newest of all: nobody could know.
  await writeFile(file, whole.replace('"serial":"3"', '"serial":"9"'));
  t.match(await verifyIn(place.folder), { isSound: true, unsigned: 2 });
  await rm(path.join(place.folder, 'head.json'));
  t.match(await verifyIn(place.folder), {
    isSound: false,
    unsigned: 5,
    faults: [{ what: /no signed head/ }],
  });
});

t.test('part of a log, and what is known from outside', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  const tpm = new PretendTpm();
  const enrolled = tpm.verdict('e1');
  await write(place, [started, enrolled], 1000);
  const before = await verifyIn(place.folder);
  const published = before.last!.hash;
  const renewed = tpm.verdict('e2', {}, { secret: null, why: 'renew' });
  const later = [
    attestedCertificate('e1'),
    renewed,
    attestedCertificate('e2'),
    { ...enrolled, why: 'policy', quote: null },
  ] as const;
  await write(place, later, 1000);
  const files = (await readdir(place.folder)).filter((name) => name.endsWith('.jsonl')).sort();
  t.ok(files.length >= 3);
  const { head } = await verifyIn(place.folder);
  const signer = signerSha256(place.signer.known!);
  t.match(await verifyIn(place.folder, { publishedHash: published, signer }), {
    isSound: true,
    head: { signer },
  });
  t.match(await verifyIn(place.folder, { publishedHash: sha256('x').toString('hex') }), {
    faults: [{ file: null, what: /hash that was published/ }],
  });
  t.match(await verifyIn(place.folder, { signer: '00' }), {
    faults: [{ what: `the head is signed by ${signer}` }],
  });

  // One file alone: bound to the head only if it has the record of it.
  const [oldest, newest] = [files[0]!, files.at(-1)!].map((name) => path.join(place.folder, name));
  t.match(await verifyIn(oldest!), {
    isSound: true,
    files: 1,
    unsigned: 0,
    notes: [{}, { what: /in another file/ }],
  });
  t.match(await verifyIn(newest!), {
    isSound: true,
    unsigned: 0,
    notes: [{ what: /records before it are not here/ }, {}],
  });

  // The oldest are moved away.
  const records = await recordsIn(place.folder);
  const second = files[1]!;
  const index = records.findIndex(({ event }) => event.kind === 'segment' && event.segment === 2);
  await rm(oldest!);
  const startHash = records[index]!.prev;
  const part = await verifyIn(place.folder);
  t.match(part, {
    isSound: true,
    first: { seq: index + 1 },
    unproven: 3,
    notes: [{ file: second, line: 1, what: new RegExp(startHash) }, {}],
    head: { seq: head!.seq },
  });
  t.ok((await verifyIn(place.folder, { startHash })).isSound);
  t.match(await verifyIn(place.folder, { startHash: published.replace(/./g, '0') }), {
    faults: [{ file: second, line: 1, what: /should go on from/ }],
  });
  await rm(path.join(place.folder, files[2]!));
  if (files.length > 3)
    t.match(await verifyIn(place.folder), {
      faults: [{ file: files[3], line: null, what: /file 3 should be before/ }],
    });
  await t.rejects(verifyIn(path.join(base, 'nothing')), { code: 'E_USAGE', message: /ENOENT/ });
  await t.rejects(verifyIn(base), { code: 'E_USAGE', message: /no file of an audit log/ });
  await t.rejects(verifyIn(path.join(place.folder, 'head.json')), { code: 'E_USAGE' });
});

t.test('an old head of a log whose records are others now', async (t) => {
  const place = await placeIn(t.testdir());
  await write(place, [started, certificate(1)]);
  const headFile = path.join(place.folder, 'head.json');
  const head = await readFile(headFile);
  const signer = signerSha256(place.signer.known!);
  // Made by somebody without the key, who has taken the files away that the head is for.
  const forged = { ...(await placeIn(t.testdirName, 'forged')), folder: path.join(t.testdirName, 'forged') };
  await write(forged, [started, certificate(6), certificate(7), certificate(8)], 100);
  const files = (await readdir(forged.folder)).filter((name) => name.endsWith('.jsonl')).sort();
  t.equal(files.length, 4);
  await rm(path.join(place.folder, '000001.jsonl'));
  const later = files.at(-1)!;
  await writeFile(path.join(place.folder, later), await readFile(path.join(forged.folder, later)));
  t.match(await verifyIn(place.folder, { signer }), {
    isSound: false,
    faults: [
      { seq: 3, what: /signed for record 3, and the log begins with record 7: nothing of it is signed/ },
    ],
  });
  await t.rejects(openIn(place), { code: 'E_AUDIT_BROKEN', message: /record 7: .*signed for 3: nothing/ });
  t.ok(head.equals(await readFile(headFile)), 'and nobody signs it');
});

t.test('clocks that jump, and keys that change, are told', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  const audit = await openIn(place);
  await audit.append(started);
  place.clock.advance(-3_600_000);
  await audit.append(certificate(1));
  place.clock.advance(86_400_000);
  await audit.append(certificate(2));
  await audit.close();
  const tpm = new PretendTpm();
  const [early, late] = [tpm.verdict('e1'), tpm.verdict('e2')];
  const other = { ...(await placeIn(base, 'other')), folder: place.folder };
  await write(other, [late, early]);
  const report = await verifyIn(place.folder);
  t.ok(report.isSound);
  t.match(
    report.notes.map(({ seq, what }) => `${seq}: ${what}`),
    [
      /^1: from here on heads are signed by ed25519 /,
      /^3: the clock of the gateway went back by 3600000 ms/,
      /^5: the clock of the gateway went back/,
      /^5: from here on heads are signed by ed25519 /,
      /^7: the clock of the TPM is before that of its last quote/,
    ],
  );
  // A head by a key that the log does not name.
  await write({ ...(await placeIn(base, 'third')), folder: path.join(base, 'foreign') }, [started]);
  const foreign = await placeIn(base, 'fourth');
  const head = JSON.parse(await readFile(path.join(place.folder, 'head.json'), 'utf8'));
  const text = { seq: head.seq, hash: head.hash, at: head.at };
  const signed = await foreign.signer.sign(text, AbortSignal.timeout(1000));
  const { headJson } = await import('../../../daemon/attest/audit/head.ts');
  await writeFile(path.join(place.folder, 'head.json'), headJson({ ...text, ...signed }));
  t.match(await verifyIn(place.folder), {
    faults: [{ seq: 7, what: /not signed by the key that the log names/ }],
  });
});
