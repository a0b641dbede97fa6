/** What is kept on the disk, through power cuts at every step, damage of every byte, and hands that were in it. */
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { disk } from '../../../daemon/attest/trust/disk.ts';
import { type Dossier, dossierText, parseDossier } from '../../../daemon/attest/trust/dossier.ts';
import { openDossiers, readDossier } from '../../../daemon/attest/trust/dossiers.ts';
import { allFromStart, logEnds } from '../../../daemon/attest/trust/log-ends.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { silentLog } from '../../../daemon/log.ts';
import { caseOf, measuredMachine, now, rulesOf } from '../verifier/world.ts';
import { type Cut, cutDisk } from './cut-disk.ts';
import { newFolder } from './rig.ts';

const subject = caseOf();
const verdict = verify(subject, rulesOf());
const ekSha256 = verdict.ekSha256 ?? '';
const dossierOf = (
  evidence: string,
  ima: Uint8Array | null,
  previous: Dossier['case']['previous'] = null,
): Dossier => {
  const logs = { ...subject.logs, ima };
  return {
    ekSha256,
    surface: 'desk',
    firmware: '1.0.0',
    receivedAt: now,
    evidence,
    case: { ...subject, logs, previous, isIncremental: previous !== null },
    ends: logEnds(logs, allFromStart),
    verdict,
    accepted: { at: now, evidence, clock: verdict.clock },
  };
};
const whole = subject.logs.ima ?? Buffer.alloc(0);
const first = dossierOf('first', whole.subarray(0, 120));
const longer = dossierOf('longer', whole, verdict.clock);
const other = dossierOf('other', Buffer.from(whole).reverse());

const open = (stateDir: string, on = disk) => openDossiers({ stateDir, disk: on, log: silentLog });
const folderIn = (stateDir: string) => path.join(stateDir, 'surfaces', ekSha256);
const logsIn = async (stateDir: string) =>
  (await readdir(folderIn(stateDir))).filter((name) => name.endsWith('.log')).sort();

t.test('written and read, with logs that grow or begin anew', async (t) => {
  const stateDir = newFolder(t);
  const dossiers = open(stateDir);
  t.equal(await dossiers.read(ekSha256), null);
  t.equal(await readDossier(stateDir, ekSha256), null);
  await dossiers.write(first);
  t.same(await dossiers.read(ekSha256), first);
  const files = await logsIn(stateDir);
  t.equal(files.length, 4);
  await dossiers.write(longer);
  t.same(await dossiers.read(ekSha256), longer);
  t.same(await logsIn(stateDir), files, 'appended to the same files');
  await dossiers.write(other);
  t.same(await readDossier(stateDir, ekSha256), other);
  const after = await logsIn(stateDir);
  t.equal(after.length, 4, 'old files are gone');
  t.equal(after.filter((name) => files.includes(name)).length, 3, 'only the log that is another one');
  t.equal((await stat(path.join(folderIn(stateDir), 'dossier.json'))).mode & 0o777, 0o600);
  const filed = await dossiers.glance(ekSha256);
  if (filed === null) throw new Error('no dossier');
  await dossiers.rewrite({ ...filed, accepted: null });
  t.same(await dossiers.read(ekSha256), { ...other, accepted: null });
  await dossiers.write({ ...other, case: { ...other.case, logs: { ...other.case.logs, ima: null } } });
  t.equal((await logsIn(stateDir)).length, 3, 'a log that is not there any more');
});

t.test('the power is cut at every step: the old dossier or the new one', async (t) => {
  const pairs = {
    grows: [first, longer],
    'begins anew': [longer, other],
    'is the first': [null, first],
  } as const;
  for (const [what, [before, after]] of Object.entries(pairs)) {
    const begin = async () => {
      const stateDir = newFolder(t);
      if (before) await open(stateDir).write(before);
      return stateDir;
    };
    const counting = cutDisk(Number.POSITIVE_INFINITY, 'before');
    await open(await begin(), counting).write(after);
    let seen = 0;
    for (let at = 0; at < counting.steps(); at++)
      for (const cut of ['before', 'within', 'behind'] as const satisfies readonly Cut[]) {
        const stateDir = await begin();
        await open(stateDir, cutDisk(at, cut))
          .write(after)
          .catch(() => {});
        const found = await open(stateDir).read(ekSha256);
        const name = `${what}, step ${at}, ${cut}`;
        t.ok([before?.evidence, after.evidence].includes(found?.evidence), `${name}: ${found?.evidence}`);
        t.same(found, found?.evidence === after.evidence ? after : before, name);
        if (found?.evidence === after.evidence) seen++;
        await open(stateDir).write(after);
        t.same(await open(stateDir).read(ekSha256), after, `${name}: and then it goes on`);
        const names = await readdir(folderIn(stateDir));
        t.equal(names.length, 5, `${name}: nothing is left lying about`);
      }
    t.ok(seen > 0 && seen < 3 * counting.steps(), `${what}: both happen`);
  }
});

t.test('a damaged dossier is none', async (t) => {
  const stateDir = newFolder(t);
  const dossiers = open(stateDir);
  await dossiers.write(first);
  const folder = folderIn(stateDir);
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const bytes = await readFile(file);
    const damages = [
      Buffer.alloc(0),
      bytes.subarray(0, bytes.length - 1),
      Buffer.from(bytes).fill(bytes[9]! ^ 4, 9, 10),
      Buffer.alloc(bytes.length),
    ];
    for (const damage of damages) {
      await writeFile(file, damage);
      t.equal(await dossiers.read(ekSha256), null, `${name}, ${damage.length} bytes`);
      await t.rejects(readDossier(stateDir, ekSha256));
    }
    await writeFile(file, Buffer.concat([bytes, Buffer.from(name.endsWith('.log') ? 'tail' : '')]));
    t.same(await dossiers.read(ekSha256), first, 'what was being appended does not count');
  }
  await writeFile(path.join(folder, 'dossier.json'), Buffer.alloc(2 * 1024 * 1024, 32));
  t.equal(await dossiers.glance(ekSha256), null, 'too large');
  await dossiers.write(longer);
  t.same(await dossiers.read(ekSha256), longer, 'the next evidence mends it');
  const stranger = 'ab'.repeat(32);
  await mkdir(path.join(stateDir, 'surfaces', stranger));
  await writeFile(
    path.join(stateDir, 'surfaces', stranger, 'dossier.json'),
    await readFile(path.join(folder, 'dossier.json')),
  );
  t.equal(await dossiers.glance(stranger), null, 'that of another key');
});

t.test('whatever stands in the file, it is read or refused', async (t) => {
  const filed = await (async () => {
    const stateDir = newFolder(t);
    await open(stateDir).write(first);
    return await open(stateDir).glance(ekSha256);
  })();
  if (filed === null) throw new Error('no dossier');
  const text = dossierText(filed);
  t.same(parseDossier(text), filed);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 3 }), fc.nat(3), (at, put, cut) => {
      const changed = text.slice(0, at) + put + text.slice(at + cut);
      if (changed !== text) t.throws(() => parseDossier(changed));
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.string(), (garbage) => void t.throws(() => parseDossier(garbage))),
    { numRuns: 100 },
  );
});

t.test('put aside, and removed when nobody looks for it any more', async (t) => {
  const stateDir = newFolder(t);
  const dossiers = open(stateDir);
  await dossiers.withdraw(ekSha256);
  await dossiers.write(first);
  await dossiers.withdraw(ekSha256);
  t.equal(await dossiers.read(ekSha256), null, 'it counts for nothing');
  t.same(await readDossier(stateDir, ekSha256), first, 'and can be looked at');
  await dossiers.write(other);
  t.same(await readDossier(stateDir, ekSha256), other);

  const day = 24 * 60 * 60 * 1000;
  await mkdir(path.join(stateDir, 'surfaces', 'of somebody else'));
  await dossiers.sweep(() => false, Date.now() + 29 * day);
  t.same(await dossiers.read(ekSha256), other, 'a registry that is gone for a while removes nothing');
  await utimes(folderIn(stateDir), 0, 0);
  await dossiers.sweep((key) => key === ekSha256, Date.now());
  t.same(await dossiers.read(ekSha256), other, 'what is known stays');
  await dossiers.sweep(() => false, Date.now());
  t.same(await readdir(path.join(stateDir, 'surfaces')), ['of somebody else']);
});

t.test('where logs go on', async (t) => {
  const { logs } = measuredMachine();
  const ends = logEnds(logs, allFromStart);
  for (const name of ['firmware', 'ima', 'measured', 'systemd'] as const)
    t.equal(ends[name].bytes, logs[name]?.length, name);
  t.match(ends, {
    firmware: { records: 13 },
    ima: { records: 3 },
    measured: { records: 2 },
    systemd: { records: 2 },
  });
  t.same(logEnds(logs, ends), ends, 'nothing new');
  const padded = Buffer.concat([logs.firmware ?? Buffer.alloc(0), Buffer.alloc(100)]);
  t.same(
    logEnds({ ...logs, firmware: padded }, allFromStart).firmware,
    ends.firmware,
    'fixed areas end before',
  );
  t.same(logEnds({ ...logs, firmware: padded }, ends).firmware, ends.firmware);
  const broken = Buffer.concat([logs.ima ?? Buffer.alloc(0), Buffer.from('x')]);
  t.same(logEnds({ ...logs, ima: broken, systemd: null }, allFromStart), {
    ...ends,
    ima: logStart,
    systemd: logStart,
  });
});
