import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { parseReferenceSet, readReference } from '../../../daemon/attest/policy/reference-set.ts';
import { parseSigner, signSet } from '../../../daemon/attest/policy/signature.ts';
import { alice, bob, messageOf, rejectionOf, setOf, setText } from './sets.ts';

const digest = 'ab'.repeat(32);
const pcrs = [{ pcr: 8, values: [digest] }];
const signing = { signers: [parseSigner(alice.publicPem, 'alice')], acceptUnsigned: false };
const signedBy = (who: typeof alice, text: string) =>
  signSet(Buffer.from(text), createPrivateKey(who.privatePem));

t.test('every kind of fault is told with line and field', async (t) => {
  const faults = (spec: object) =>
    messageOf(() => parseReferenceSet(Buffer.from(setText({ spec })), 'set.yaml'), 'E_CFG_INVALID');
  const cases: readonly (readonly [name: string, spec: object, expected: RegExp])[] = [
    ['nothing', {}, /^set\.yaml:1:\d+ spec: has nothing to compare/],
    ['unknown field', { pcrs, file: [] }, /spec\.file: unknown field; did you mean "files"\?/],
    [
      'PCR 10 fixed',
      { pcrs: [{ pcr: 10, values: [digest] }] },
      /spec\.pcrs\.0\.pcr: PCR 10 has no fixed values/,
    ],
    ['PCR 10 as firmware', { firmware: [{ pcr: 10, digests: [] }] }, /spec\.firmware\.0\.pcr: PCR 10/],
    ['PCR 16', { pcrs: [{ pcr: 16, values: [digest] }] }, /spec\.pcrs\.0\.pcr: expected at most 15/],
    ['no value', { pcrs: [{ pcr: 8, values: [] }] }, /spec\.pcrs\.0\.values: expected at least 1/],
    ['a PCR twice', { pcrs: [...pcrs, ...pcrs] }, /spec\.pcrs\.1\.pcr: PCR 8 is given twice/],
    [
      'firmware twice',
      {
        firmware: [
          { pcr: 0, digests: [] },
          { pcr: 0, digests: [] },
        ],
      },
      /spec\.firmware\.1\.pcr: PCR 0 is given twice/,
    ],
    [
      'digest of another bank',
      { bank: 'sha384', pcrs },
      /spec\.pcrs\.0\.values\.0: expected 96 hex digits for sha384, got 64/,
    ],
    [
      'firmware of another bank',
      { firmware: [{ pcr: 0, digests: [digest, 'ab'.repeat(48)] }] },
      /spec\.firmware\.0\.digests\.1: expected 64 hex digits for sha256, got 96/,
    ],
    ['upper case', { pcrs: [{ pcr: 8, values: [digest.toUpperCase()] }] }, /in hex, lower case/],
    [
      'a path twice',
      {
        files: [
          { path: '/a\u001b', sha256: [digest] },
          { path: '/a\u001b', sha256: [digest] },
        ],
      },
      /spec\.files\.1\.path: "\/a\\u001b" is given twice/,
    ],
    [
      'ends before it begins',
      { pcrs, notBefore: '2027-01-02T00:00:00Z', notAfter: '2027-01-02T01:00:00+01:00' },
      /spec\.notAfter: must be later/,
    ],
    ['no time', { pcrs, notAfter: 'tomorrow' }, /spec\.notAfter/],
    [
      'list in another folder',
      { ima: { list: '../list', listSha256: digest } },
      /spec\.ima\.list: expected a file name without/,
    ],
  ];
  for (const [name, spec, expected] of cases) t.match(faults(spec), expected, name);
  const both = faults({
    pcrs: [...pcrs, ...pcrs],
    notBefore: '2027-01-02T00:00:00Z',
    notAfter: '2027-01-01T00:00:00Z',
  });
  t.equal(both.split('\n').length, 2, 'all faults at once');
  t.match(
    messageOf(
      () =>
        parseReferenceSet(
          Buffer.from(`${setText({ spec: { pcrs } })}---\n${setText({ spec: { pcrs } })}`),
          'a',
        ),
      'E_CFG_INVALID',
    ),
    /one ReferenceSet document, got 2/,
  );
  t.match(
    messageOf(() => parseReferenceSet(Buffer.from([0xff]), 'a'), 'E_CFG_INVALID'),
    /not UTF-8/,
  );
});

t.test('a set is ready for comparisons', async (t) => {
  const set = setOf({ name: 'pi', version: 7, spec: { pcrs, notAfter: '2027-01-01T00:00:00+01:00' } });
  t.match(set, {
    name: 'pi',
    version: 7,
    notBefore: null,
    notAfter: Date.UTC(2026, 11, 31, 23),
    bank: 'sha256',
  });
  t.same([...(set.pcrs.get(8) ?? [])], [digest]);
  t.match(set.sha256, /^[0-9a-f]{64}$/);
});

t.test('only what a signer has signed is read', async (t) => {
  const text = setText({ spec: { pcrs } });
  const folder = t.testdir({ 'set.yaml': text });
  const file = path.join(folder, 'set.yaml');
  const fault = () =>
    rejectionOf(readReference(file, signing), 'E_POLICY_SET', 'E_CFG_READ', 'E_CFG_INVALID');
  t.match(await fault(), /set\.yaml: not signed: there is no set\.yaml\.sig/);
  t.equal((await readReference(file, { ...signing, acceptUnsigned: true })).signer, null);
  t.equal((await readReference(file, null)).signer, null);

  await writeFile(`${file}.sig`, signedBy(alice, text));
  t.equal((await readReference(file, signing)).signer, alice.sha256);

  await writeFile(`${file}.sig`, signedBy(bob, text));
  t.match(await fault(), new RegExp(`set\\.yaml: signed by ${bob.sha256}, who is not among the signers`));
  t.match(
    await rejectionOf(readReference(file, { ...signing, acceptUnsigned: true }), 'E_POLICY_SET'),
    /not among the signers/,
    'a wrong signature is worse than none',
  );

  await writeFile(`${file}.sig`, signedBy(alice, text));
  await writeFile(file, text.replace('"version":1', '"version":2'));
  t.match(await fault(), /is not for this content; sign the file again/);
  await writeFile(file, `${text} `);
  t.match(await fault(), /is not for this content/, 'a blank counts');

  // Not even looked at: a parser is no place for what nobody has signed.
  await writeFile(file, 'a: [');
  t.match(await fault(), /is not for this content/);
  await writeFile(`${file}.sig`, 'x'.repeat(2000));
  t.match(await fault(), /larger than 1024 bytes/);
  t.match(
    await rejectionOf(readReference(path.join(folder, 'no.yaml'), signing), 'E_CFG_READ'),
    /there is no such file/,
  );
});

t.test('the list of IMA is the one that was signed with the set', async (t) => {
  const list = `${digest}  /bin/a\n`;
  const listSha256 = createHash('sha256').update(list).digest('hex');
  const text = setText({ spec: { ima: { list: 'list.ima', listSha256 } } });
  const folder = t.testdir({ 'set.yaml': text, 'set.yaml.sig': signedBy(alice, text), 'list.ima': list });
  const file = path.join(folder, 'set.yaml');
  t.match(await readReference(file, signing), {
    list: path.join(folder, 'list.ima'),
    ima: { contents: { count: 1 } },
  });
  await writeFile(path.join(folder, 'list.ima'), list.replace('a\n', 'b\n'));
  t.match(
    await rejectionOf(readReference(file, signing), 'E_POLICY_SET'),
    /spec\.ima\.listSha256: list\.ima has SHA-256/,
  );
  const missing = setText({ spec: { ima: { list: 'no.ima', listSha256 } } });
  await writeFile(file, missing);
  await writeFile(`${file}.sig`, signedBy(alice, missing));
  t.match(
    await rejectionOf(readReference(file, signing), 'E_POLICY_SET'),
    /spec\.ima\.list: .*no\.ima: there is no such/,
  );
  // Opening a pipe that nobody writes to would wait for ever.
  execFileSync('mkfifo', [path.join(folder, 'no.ima')]);
  t.match(await rejectionOf(readReference(file, signing), 'E_POLICY_SET'), /no\.ima: not a file/);
});
