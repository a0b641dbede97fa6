import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { caseText, parseCase, readCase } from '../../../daemon/attest/policy/evidence-file.ts';
import { parseImaContents } from '../../../daemon/attest/policy/ima-contents.ts';
import type { NewSet } from '../../../daemon/attest/policy/learn.ts';
import { learn, ownKeyRules } from '../../../daemon/attest/policy/learn.ts';
import { createReferences } from '../../../daemon/attest/policy/match.ts';
import { parseReferenceSet, readReference, reference } from '../../../daemon/attest/policy/reference-set.ts';
import type { Case } from '../../../daemon/attest/verifier/types.ts';
import { firstFailure } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { binaryEntry, extension, hexOf, type SampleMeasurement, sha, text } from '../logs/samples.ts';
import { bytesOf, caseOf, fileRecord, imaList, measuredMachine, now, Pcrs } from '../verifier/world.ts';
import { messageOf, rejectionOf } from './sets.ts';

const options = { name: 'pi-baseline', version: 3, days: 90, now };
const noLogs = { firmware: null, ima: null, measured: null, systemd: null };

function judge(subject: Case, made: NewSet, at = now) {
  const bytes = Buffer.from(made.text);
  const set = parseReferenceSet(bytes, 'set.yaml');
  const contents = made.list && parseImaContents(made.list.bytes, { name: 'list', isPathCompared: false });
  const references = createReferences('pi-baseline', [
    reference(set, { file: 'set.yaml', bytes, signer: null, contents }),
  ]);
  const rules = { assertedLevel: 3, requiredLevel: 1, references } as const;
  return verify(subject, { ...ownKeyRules(subject, at), ...rules });
}

for (const bank of ['sha256', 'sha384'] as const)
  t.test(`what is learned from a surface, it matches; ${bank}`, async (t) => {
    const subject = caseOf({ bank });
    const made = learn(subject, options);
    const verdict = judge(subject, made);
    t.same(firstFailure(verdict), null);
    t.equal(verdict.level, 3);
    t.match(verdict.reference, { name: 'pi-baseline', version: 3 });
    t.match(made.text, /# U-Boot 2026\.01\n/, 'texts that digests cover are there for the reader');
    t.match(made.notes, [/^PCR 11: systemd measured there/]);
    const set = parseReferenceSet(Buffer.from(made.text), 'set.yaml');
    t.equal(set.spec.bank, bank);
    t.equal(Date.parse(set.spec.notAfter ?? ''), now + 90 * 24 * 60 * 60 * 1000);
    t.equal(judge(subject, made, now + 91 * 24 * 60 * 60 * 1000).isTrusted, false, 'and not for ever');
  });

/** A machine with these files, and more in its list of IMA. */
function machine(files: Record<string, string>, more: readonly SampleMeasurement[] = []) {
  const pcrs = new Pcrs('sha256');
  const ima = [...imaList(pcrs), ...more];
  for (const entry of ima) pcrs.extend(10, extension(entry, 'sha256'));
  const measured = Object.entries(files).map(([file, content], recnum) => {
    const { digests, bytes } = fileRecord(file, content, { pcr: 14, recnum, bank: 'sha256' });
    pcrs.extend(14, digests.get('sha256')!);
    return bytes;
  });
  const logs = { ...noLogs, measured: Buffer.concat(measured), ima: Buffer.concat(ima.map(binaryEntry)) };
  return { pcrs, logs, subject: () => caseOf({ pcrs: pcrs.values, logs }) };
}

t.test('another file, another content, another program do not match', async (t) => {
  const good = { '/a': 'one', '/b': 'two' };
  const made = learn(machine(good).subject(), options);
  const reason = (files: Record<string, string>, more: readonly SampleMeasurement[] = []) => {
    const verdict = judge(machine(files, more).subject(), made);
    return verdict.isTrusted ? null : firstFailure(verdict)?.reason;
  };
  t.equal(judge(machine(good).subject(), made).level, 1);
  t.match(
    reason({ ...good, '/b': 'x' }),
    new RegExp(`version 3: file /b has the SHA-256 ${hexOf(bytesOf('x'))}`),
  );
  t.match(reason({ ...good, '/c': 'x' }), /file \/c is not listed/);
  t.match(reason({ '/a': 'one' }), /file \/b was not measured/);
  const evil = {
    template: 'ima-ng',
    algorithm: 'sha256',
    digest: bytesOf('evil'),
    name: text('/tmp/x'),
  } as const;
  t.match(reason(good, [evil]), /IMA entry 3, \/tmp\/x, has the unknown digest sha256:/);
});

t.test('paths of any form are learned', async (t) => {
  const files = {
    '/a b': '1',
    '/it\'s "quoted" # \\ {}: \u00e4\u{1f39a}': '2',
    '/new\nline\u001b': '3',
    '/u\u2028\u009b2J\u202e': '4',
  };
  const name = Buffer.from('/usr/bin/\u00e4 \\\n\u001b[2J');
  const entry = { template: 'ima-ng', algorithm: 'sha512', digest: sha('sha512', 'x'), name } as const;
  const { subject } = machine(files, [entry]);
  const made = learn(subject(), options);
  t.same(
    parseReferenceSet(Buffer.from(made.text), 's').spec.files.map((file) => file.path),
    Object.keys(files),
  );
  t.equal(judge(subject(), made).isTrusted, true);
  t.notMatch(made.text, /[^\n -~\u00a0-\u1fff\u{1f000}-\u{1ffff}]/u, 'nothing of it does harm on a terminal');
});

t.test('what no log explains is listed as it is; what cannot be listed is told', async (t) => {
  const one = machine({ '/a': '1' }, [
    { template: 'ima', algorithm: 'sha1', digest: sha('sha1', 'x'), name: text('/bin/old') },
  ]);
  one.pcrs.extend(9, bytesOf('somebody'));
  const subject = caseOf({ pcrs: one.pcrs.values, logs: { ...one.logs, ima: null } });
  const made = learn(subject, options);
  t.match(made.notes, [/^PCR 9: no log says/]);
  t.same(parseReferenceSet(Buffer.from(made.text), 's').spec.pcrs, [
    { pcr: 9, values: [hexOf(one.pcrs.of(9))] },
  ]);
  t.equal(judge(subject, made).isTrusted, true);
  const old = machine({ '/a': '1' }, [
    { template: 'ima', algorithm: 'sha1', digest: sha('sha1', 'x'), name: text('/bin/old') },
  ]);
  const without = learn(old.subject(), options);
  t.match(without.notes, [/^IMA is left out: its list has digests of sha1/]);
  t.equal(without.list, null);
});

t.test('nothing is learned from evidence that does not hold, or that says nothing', async (t) => {
  const { pcrs } = measuredMachine();
  const wrong = caseOf({ quoting: { pcrs: new Map([...pcrs.values, [14, bytesOf('another value')]]) } });
  t.match(
    messageOf(() => learn(wrong, options), 'E_POLICY_SET'),
    /does not hold: (?:pcr-values|selection): /,
  );
  const stolen = caseOf({
    expected: { secret: bytesOf('another secret') },
    evidence: { secret: bytesOf('secret') },
  });
  t.match(
    messageOf(() => learn(stolen, options), 'E_POLICY_SET'),
    /does not hold: activation: /,
  );
  const nothing = caseOf({ pcrs: new Pcrs('sha256').values, logs: noLogs });
  t.match(
    messageOf(() => learn(nothing, options), 'E_POLICY_SET'),
    /nothing was measured/,
  );
});

t.test('evidence as a file is the evidence that it was', async (t) => {
  const previous = { resetCount: 7, restartCount: 1, clock: '4000', isSafe: true, firmwareVersion: '1' };
  for (const draft of [{}, { logs: noLogs, previous, isIncremental: true }, { bank: 'sha384' as const }]) {
    const subject = caseOf(draft);
    const read = parseCase(caseText(subject), 'e.json');
    t.equal(caseText(read), caseText(subject));
    t.same(
      verify(read, { ...ownKeyRules(read, now), assertedLevel: 0, requiredLevel: 0, references: null }),
      verify(subject, { ...ownKeyRules(subject, now), assertedLevel: 0, requiredLevel: 0, references: null }),
    );
  }
});

t.test('what is no evidence is told with its field', async (t) => {
  const good = JSON.parse(caseText(caseOf())) as Record<string, object>;
  const fault = (value: unknown) => messageOf(() => parseCase(JSON.stringify(value), 'e.json'), 'E_USAGE');
  t.match(
    messageOf(() => parseCase('{', 'e.json'), 'E_USAGE'),
    /^e\.json: not JSON/,
  );
  t.match(fault(null), /^e\.json: evidence: /);
  t.match(fault({ ...good, v: 2 }), /^e\.json: v: /);
  t.match(fault({ ...good, kind: 'x' }), /^e\.json: kind: /);
  t.match(
    fault({ ...good, expected: { ...good.expected, nonce: 'AA==' } }),
    /expected\.nonce: expected 32 bytes/,
  );
  t.match(fault({ ...good, logs: { ...good.logs, ima: '!' } }), /logs\.ima: not base64/);
  t.match(fault({ ...good, more: 1 }), /evidence: /);
  const folder = t.testdir({ 'e.json': caseText(caseOf()) });
  t.equal(
    caseText(await readCase(path.join(folder, 'e.json'))).length,
    (await stat(path.join(folder, 'e.json'))).size,
  );
  t.match(await rejectionOf(readCase(path.join(folder, 'no')), 'E_CFG_READ'), /no: cannot be read/);
  fc.assert(
    fc.property(fc.json(), fc.string(), (json, other) => {
      for (const value of [json, other]) messageOf(() => parseCase(value, 'e'), 'E_USAGE');
      return true;
    }),
  );
});

t.test('a set with its list lies in a folder as it was learned', async (t) => {
  const made = learn(caseOf(), options);
  const folder = t.testdir({ 'set.yaml': made.text });
  t.equal(made.list?.name, 'pi-baseline-3.ima');
  await writeFile(path.join(folder, made.list!.name), made.list!.bytes);
  const set = await readReference(path.join(folder, 'set.yaml'), { signers: [], acceptUnsigned: true });
  t.equal(set.ima?.contents.count, 2);
});
