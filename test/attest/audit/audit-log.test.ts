import { EventEmitter, once } from 'node:events';
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import pino from 'pino';
import t from 'tap';
import { openAudit, openAuditOn } from '../../../daemon/attest/audit/audit-log.ts';
import {
  chainStart,
  eventText,
  LineError,
  lineOf,
  readEnvelope,
  readEvent,
} from '../../../daemon/attest/audit/record.ts';
import { markFile } from '../../../daemon/attest/audit/signed-mark.ts';
import { keySigner, type Signer } from '../../../daemon/attest/audit/signers.ts';
import type { AuditEvent } from '../../../daemon/attest/audit/types.ts';
import { silentLog } from '../../../daemon/log.ts';
import {
  certificate,
  command,
  diskWith,
  openIn,
  PretendTpm,
  placeIn,
  quickDisk,
  recordsIn,
  sha256,
  started,
  trust,
  verifyIn,
  write,
} from './rig.ts';

const fault = (code: string) => Object.assign(new Error(code), { code });

t.test('every event is read back as it was written', async (t) => {
  const place = await placeIn(t.testdir());
  const tpm = new PretendTpm();
  const quoted = tpm.verdict('e1');
  const events: readonly AuditEvent[] = [
    started,
    quoted,
    { ...quoted, surface: null, why: 'policy', quote: null },
    certificate(1),
    trust,
    command,
    {
      kind: 'command',
      command: { ...(command as { command: object }).command, target: null, slot: null },
    } as AuditEvent,
  ];
  await write(place, events);
  const records = await recordsIn(place.folder);
  t.same(
    records.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  t.equal(records[0]!.event.kind, 'segment');
  t.same(
    records.slice(1).map(({ event }) => event),
    events,
  );
  const text = await readFile(path.join(place.folder, '000001.jsonl'), 'utf8');
  const lines = text.split('\n').slice(0, -1);
  t.equal(records[0]!.prev, '0'.repeat(64));
  for (const [index, { prev }] of records.slice(1).entries())
    t.equal(prev, sha256(lines[index]!).toString('hex'), 'the hash of the line before');
  t.equal((await stat(path.join(place.folder, '000001.jsonl'))).mode & 0o777, 0o600);
  t.equal((await stat(place.folder)).mode & 0o777, 0o700);
});

t.test('any text and any bytes survive; what is no event is refused before it is written', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  const base = new PretendTpm().verdict('e1');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), bytes, bytes, (text, one, other) => {
      const event = {
        ...base,
        evidence: text,
        quote: { ...base.quote!, nonce: one, pcrs: new Map([[3, other]]) },
      };
      const { bytes: line } = lineOf(chainStart, 5, eventText(event));
      t.equal(line.indexOf(10), line.length - 1, 'one line');
      const { json, place } = readEnvelope(line.subarray(0, -1));
      t.equal(place.seq, 1);
      const read = readEvent(json) as typeof event;
      // What is no Unicode comes as U+FFFD from UTF-8, or as an escape.
      t.equal(read.evidence, text);
      t.ok(Buffer.from(one).equals(read.quote.nonce) && Buffer.from(other).equals(read.quote.pcrs.get(3)!));
    }),
    { numRuns: 50 },
  );
  const place = await placeIn(t.testdir());
  const audit = await openIn(place);
  await t.rejects(audit.append({ kind: 'gateway', what: 'asleep', version: '1' } as never), {
    code: 'E_AUDIT_WRITE',
  });
  await t.rejects(audit.append({ ...certificate(1), notAfter: Number.NaN } as never), {
    code: 'E_AUDIT_WRITE',
  });
  await t.rejects(audit.append({ ...started, version: 'x'.repeat(140_000) } as never), {
    code: 'E_AUDIT_WRITE',
    message: /at most 131072/,
  });
  await audit.append(started);
  await audit.close();
  await audit.close();
  await t.rejects(audit.append(started), { code: 'E_AUDIT_WRITE', message: /closed/ });
  t.equal((await recordsIn(place.folder)).length, 2);
});

t.test('lines that are no records throw LineError and nothing else', async (t) => {
  const line = lineOf(chainStart, 5, eventText(new PretendTpm().verdict('e1'))).bytes.subarray(0, -1);
  const read = (bytes: Uint8Array) => {
    try {
      readEvent(readEnvelope(bytes).json);
    } catch (problem) {
      if (!(problem instanceof LineError)) throw problem;
    }
  };
  fc.assert(
    fc.property(fc.nat(line.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(line);
      changed[at] = value;
      read(changed);
    }),
  );
  fc.assert(fc.property(fc.uint8Array(), read));
  fc.assert(fc.property(fc.json(), (text) => read(Buffer.from(text))));
  t.throws(() => readEnvelope(Buffer.from('[]')), LineError);
  t.throws(() => readEnvelope(Buffer.from([0x7b, 0xff, 0x7d])), LineError);
});

t.test('waiting records share one write, and are acknowledged in order once it is synced', async (t) => {
  const place = await placeIn(t.testdir());
  let syncs = 0;
  let isSynced = false;
  const disk = diskWith((file) => ({
    ...file,
    write: async (bytes, position) => {
      isSynced = false;
      await file.write(bytes, position);
    },
    sync: async () => {
      syncs++;
      await file.sync();
      isSynced = true;
    },
  }));
  const audit = await openIn(place, disk);
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      await audit.append(certificate(index));
      t.ok(isSynced);
      order.push(index);
    }),
  );
  t.same(
    order,
    Array.from({ length: 100 }, (_, index) => index),
  );
  t.ok(syncs <= 2, `${syncs} syncs for 100 records`);
  await audit.close();
  t.equal(audit.last.seq, 101);
  t.equal(audit.signedSeq, 101);
  t.ok((await verifyIn(place.folder)).isSound);
});

t.test('a disk that is full or broken', async (t) => {
  for (const method of ['write', 'half a write', 'sync', 'truncate too', 'open'] as const)
    await t.test(method, async (t) => {
      const place = await placeIn(t.testdir());
      let isBroken = false;
      const base = diskWith((file) => ({
        ...file,
        async write(bytes, position) {
          if (!isBroken || method === 'sync' || method === 'open') return file.write(bytes, position);
          if (method !== 'write') await file.write(bytes.subarray(0, bytes.length / 2), position);
          throw fault('ENOSPC');
        },
        async sync() {
          if (isBroken && method === 'sync') throw fault('EIO');
          await file.sync();
        },
        async truncate(bytes) {
          if (isBroken && method === 'truncate too') throw fault('EIO');
          await file.truncate(bytes);
        },
      }));
      const disk = {
        open: async (file: string) => {
          if (isBroken && method === 'open') throw fault('EMFILE');
          return base.open(file);
        },
      };
      const file = path.join(place.folder, '000001.jsonl');
      const audit = await openIn(place, disk);
      if (method !== 'open') await audit.append(started);
      const good = await readFile(file).catch(() => Buffer.alloc(0));
      isBroken = true;
      // Both in one group, both are told.
      const both = await Promise.allSettled([audit.append(certificate(1)), audit.append(certificate(2))]);
      for (const result of both)
        t.match(result, {
          status: 'rejected',
          reason: { code: 'E_AUDIT_WRITE', message: /ENOSPC|EIO|EMFILE/ },
        });
      t.notOk(audit.health().ok);
      if (method !== 'truncate too')
        t.ok(good.equals(await readFile(file).catch(() => Buffer.alloc(0))), 'as it was');
      await t.rejects(audit.append(certificate(3)), { code: 'E_AUDIT_WRITE' });
      isBroken = false;
      await audit.append(certificate(4));
      t.ok(audit.health().ok);
      await audit.close();
      const kept = (await recordsIn(place.folder)).map(({ event }) =>
        'serial' in event ? event.serial : event.kind,
      );
      t.same(kept, ['segment', ...(method === 'open' ? [] : ['gateway']), '4']);
      t.match(await verifyIn(place.folder), { isSound: true, unsigned: 0 });
    });
});

t.test('a full disk while a new file is begun', async (t) => {
  const place = await placeIn(t.testdir());
  let isFull = false;
  const disk = diskWith((file) => ({
    ...file,
    async write(bytes, position) {
      if (isFull) {
        await file.write(bytes.subarray(0, 10), position);
        throw fault('ENOSPC');
      }
      await file.write(bytes, position);
    },
    async truncate(bytes) {
      if (isFull) throw fault('EIO');
      await file.truncate(bytes);
    },
  }));
  const audit = await openIn(place, disk, 100);
  await audit.append(started);
  isFull = true;
  await t.rejects(audit.append(certificate(1)), { code: 'E_AUDIT_WRITE' });
  await t.rejects(audit.append(certificate(1)), { code: 'E_AUDIT_WRITE' });
  isFull = false;
  await audit.append(certificate(2));
  await audit.close();
  t.match(await verifyIn(place.folder), { isSound: true, files: 2, records: 4, unsigned: 0 });
});

t.test('files follow each other, and a log goes on where it ended', async (t) => {
  const place = await placeIn(t.testdir());
  for (let round = 0; round < 3; round++)
    await write(
      place,
      Array.from({ length: 4 }, (_, index) => certificate(round * 4 + index)),
      800,
    );
  const names = (await readdir(place.folder)).sort();
  t.same(names.slice(0, 2), ['000001.jsonl', '000002.jsonl']);
  t.ok(names.length > 4);
  const records = await recordsIn(place.folder);
  const serials = records.flatMap(({ event }) => (event.kind === 'certificate' ? [event.serial] : []));
  t.same(
    serials,
    Array.from({ length: 12 }, (_, index) => `${index}`),
  );
  t.match(await verifyIn(place.folder), { isSound: true, files: names.length - 1, unsigned: 0 });
  // Old files are moved away, and it still goes on.
  await rm(path.join(place.folder, '000001.jsonl'));
  await write(place, [certificate('last')], 800);
  t.match(await verifyIn(place.folder), { isSound: true, first: { seq: 5 } });
});

t.test('opened, a log that is not whole is refused by name', async (t) => {
  const base = t.testdir();
  const make = async (name: string) => {
    const place = await placeIn(base, name);
    await write(place, [started, certificate(1), certificate(2)]);
    return { place, file: path.join(place.folder, '000001.jsonl') };
  };
  const cases: readonly [string, (file: string, text: string) => Promise<void>, RegExp][] = [
    [
      'changed',
      (file, text) => writeFile(file, text.replace('"serial":"1"', '"serial":"7"')),
      /000001\.jsonl, line 4, record 4: it does not chain/,
    ],
    [
      'the newest record changed',
      (file, text) => writeFile(file, text.replace('"serial":"2"', '"serial":"7"')),
      /line 4, record 4: .*head was signed for/,
    ],
    [
      'a record gone',
      (file, text) => writeFile(file, text.split('\n').toSpliced(2, 1).join('\n')),
      /line 3, record 4: it is record 4, and 3 is due/,
    ],
    [
      'the newest gone',
      (file, text) => writeFile(file, `${text.split('\n').slice(0, 3).join('\n')}\n`),
      /ends with record 3, and the head was signed for 4/,
    ],
    ['cut in a signed record', (file) => truncate(file, 700), /the head was signed for 4/],
    ['no JSON', (file) => appendFile(file, '{"seq"\n'), /line 5: it is not JSON/],
    ['all gone', (file) => rm(file), /ends with record 0/],
    ['head', (file, text) => writeFile(path.join(path.dirname(file), 'head.json'), text), /head\.json: /],
    [
      'a forged head',
      async (file) => {
        const head = path.join(path.dirname(file), 'head.json');
        await writeFile(head, (await readFile(head, 'utf8')).replace('"seq":4', '"seq":3'));
      },
      /head\.json: the signature does not hold/,
    ],
    [
      'the head gone',
      (file) => rm(path.join(path.dirname(file), 'head.json')),
      /head\.json: is missing, and the log was signed before/,
    ],
    ['a line without end', (file) => appendFile(file, 'x'.repeat(200_000)), /line 5: a line has more than/],
  ];
  for (const [name, change, message] of cases) {
    const { place, file } = await make(name.replaceAll(' ', '-'));
    await change(file, await readFile(file, 'utf8'));
    await t.rejects(openIn(place), { code: 'E_AUDIT_BROKEN', message }, name);
  }
  const folder = path.join(base, 'file');
  await writeFile(folder, '');
  const place = await placeIn(base, 'none');
  await t.rejects(openIn({ ...place, folder }), { code: 'E_STATE_DIR' });
});

t.test('a log without a head starts if none was ever signed', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  const { folder } = place;
  const silent: Signer = {
    known: null,
    pauseMs: 0,
    sign: async () => {
      throw fault('nobody is there');
    },
  };
  // A TPM that is away for long: several files, and no head.
  const unsigned = { ...place, signer: silent };
  for (let start = 0; start < 2; start++) await write(unsigned, [certificate(1), certificate(2)], 300);
  t.same((await readdir(base)).sort(), ['log', 'log.pem']);
  await write(place, [certificate(3)]);
  t.match(await verifyIn(folder), { isSound: true, unsigned: 0 });

  const head = path.join(folder, 'head.json');
  const signed = await readFile(head);
  await rm(head);
  const missing = { code: 'E_AUDIT_BROKEN', message: /head\.json: is missing/ };
  await t.rejects(openIn(place), missing);
  await t.rejects(openIn(place), missing, 'and again: nothing is forgotten');
  await writeFile(head, signed);
  await write(place, []);

  // Made by a crash between the first head and the mark.
  await rm(markFile(folder));
  await write(place, []);
  await rm(head);
  await t.rejects(openIn(place), missing, 'marked at the next start');

  // Moved away, as docs/audit.md says: another log begins, and may have no head yet when it crashes.
  await rename(folder, path.join(base, 'kept'));
  await write(unsigned, [started]);
  await write(place, [certificate(4)]);
  t.match(await verifyIn(folder), { isSound: true, unsigned: 0, first: { seq: 1 } });
  await rm(head);
  await t.rejects(openIn(place), missing);

  await rm(folder, { recursive: true });
  await rm(markFile(folder));
  await mkdir(markFile(folder));
  await t.rejects(openIn(place), { code: 'E_STATE_DIR' }, 'a mark that cannot be removed');
});

t.test('somebody else who writes to the same log is noticed', async (t) => {
  const place = await placeIn(t.testdir());
  await write(place, [started]);
  const [one, other] = await Promise.all([openIn(place), openIn(place)]);
  await one.append(certificate(1));
  await t.rejects(other.append(certificate(2)), { code: 'E_AUDIT_WRITE', message: /somebody else/ });
  await one.append(certificate(3));
  await Promise.all([one.close(), other.close()]);
  t.match(await verifyIn(place.folder), { isSound: true, records: 4 });
});

t.test('the signer: a file of its own, another key, none that answers', async (t) => {
  const folder = t.testdir();
  const file = path.join(folder, 'key.pem');
  const [one, other] = await Promise.all([keySigner(file), keySigner(file)]);
  t.same(one.known, other.known, 'made once');
  t.equal((await stat(file)).mode & 0o777, 0o600);
  await writeFile(path.join(folder, 'bad.pem'), 'no key');
  await t.rejects(keySigner(path.join(folder, 'bad.pem')), { code: 'E_AUDIT_BROKEN' });
  await t.rejects(keySigner(path.join(folder, 'none', 'key.pem')), { code: 'E_STATE_DIR' });

  const place = await placeIn(folder);
  await write(place, [started]);
  await write({ ...(await placeIn(folder, 'second')), folder: place.folder }, [certificate(1)]);
  const kinds = (await recordsIn(place.folder)).map(({ event }) => event.kind);
  t.same(kinds, ['segment', 'gateway', 'signer', 'certificate']);
  const report = await verifyIn(place.folder);
  t.ok(report.isSound);
  t.equal(report.notes.filter(({ what }) => what.startsWith('from here on')).length, 2);

  // One that is known only once it has signed: the log names it first.
  const shy = await placeIn(folder, 'shy');
  let known: Signer['known'] = null;
  const shySigner: Signer = {
    get known() {
      return known;
    },
    pauseMs: 0,
    async sign(head, signal) {
      const signed = await shy.signer.sign(head, signal);
      known = signed.signer;
      return signed;
    },
  };
  await write({ ...shy, signer: shySigner }, [started]);
  const named = (await recordsIn(shy.folder)).map(({ event }) => event.kind);
  t.same(named, ['segment', 'gateway', 'signer']);
  t.match(await verifyIn(shy.folder), { isSound: true, unsigned: 0, head: { seq: 3 } });

  let asked = 0;
  const silent: Signer = {
    known: null,
    pauseMs: 0,
    sign: async () => {
      asked++;
      throw fault('nobody is there');
    },
  };
  const told = new EventEmitter();
  const log = pino({ level: 'warn' }, { write: (line: string) => told.emit('line', line) });
  const isTold = once(told, 'line');
  const third = { ...(await placeIn(folder, 'third')), signer: silent };
  const audit = await openAuditOn({ ...third, segmentBytes: 65_536, log }, quickDisk);
  await audit.append(started);
  await audit.append(certificate(1));
  t.match((await isTold)[0], /"error":"nobody is there".*cannot be signed/);
  t.match(audit.health(), { ok: false, detail: /^\d+ audit records, 3 of them not signed yet: nobody/ });
  await audit.close();
  t.ok(asked >= 1 && asked < 60, `asked ${asked} times: the next attempt is only due in a second`);
  t.equal(audit.signedSeq, 0);
});

t.test('the real disk, a head soon after the record', async (t) => {
  const folder = t.testdir();
  const place = await placeIn(folder);
  const told = new EventEmitter();
  const isSigned = once(told, 'signed');
  const signer: Signer = {
    ...place.signer,
    async sign(head, signal) {
      if (head.seq === 2) told.emit('signed');
      return place.signer.sign(head, signal);
    },
  };
  const audit = await openAudit({ ...place, signer, segmentBytes: 65_536, log: silentLog });
  await audit.append(started);
  await isSigned;
  await audit.close();
  t.match(await verifyIn(place.folder), { isSound: true, unsigned: 0, head: { seq: 2 } });
  await writeFile(path.join(place.folder, 'head.json.0a0b0c0d0e0f.tmp'), 'what a crash left');
  await write(place, []);
  t.same((await readdir(place.folder)).sort(), ['000001.jsonl', 'head.json']);
});
