import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readUpdateKey } from '../../../daemon/attest/secrets/policy.ts';
import {
  boundedText,
  parseSealed,
  readSealed,
  secretLimits,
  writeSealed,
} from '../../../daemon/attest/secrets/sealed-file.ts';
import { unseal } from '../../../daemon/attest/secrets/secret.ts';
import { Tpm } from '../../../daemon/attest/tpm2/index.ts';

const base64 = (length: number) => Buffer.alloc(length, 7).toString('base64');
const values = { 8: 'a'.repeat(64), 14: 'b'.repeat(64) };
const good = {
  format: 'surfaced.dev/sealed-secret/v1',
  id: base64(16),
  parent: `000b${'c'.repeat(64)}`,
  pcrs: [8, 14],
  updateKey: 'a key',
  sealed: { at: '2026-05-01T00:00:00.000Z', values },
  approvals: [{ at: '2026-05-02T00:00:00.000Z', values, signature: base64(64) }],
  key: base64(200),
  text: { iv: base64(12), tag: base64(16), data: base64(5) },
};
const parsed = (change: object) => parseSealed('f', JSON.stringify({ ...good, ...change }));

t.test('comes back as it was written', async (t) => {
  const name = path.join(t.testdir({}), 'f');
  const file = parsed({});
  await writeSealed(name, file, true);
  t.same(await readSealed(name), file);
  t.same(await readSealed(name), parseSealed('f', JSON.stringify(good)));
});

t.test('what is refused, and how', async (t) => {
  const [approval] = good.approvals;
  const cases: readonly (readonly [change: object, message: RegExp])[] = [
    [{ format: 'surfaced.dev/sealed-secret/v2' }, /^f: format: /],
    [{ id: base64(15) }, /id: not base64 of 16 to 16 bytes/],
    [{ id: undefined }, /id: /],
    [{ parent: 'c'.repeat(68) }, /parent: the Name of a key/],
    [{ pcrs: [14, 8] }, /pcrs: not ascending/],
    [{ pcrs: [8, 8] }, /pcrs: not ascending/],
    [{ pcrs: [] }, /sealed: values of other PCRs/],
    [{ pcrs: [8, 16] }, /pcrs\.1: /],
    [{ pcrs: [8] }, /sealed: values of other PCRs/],
    [{ sealed: { ...good.sealed, values: { ...values, 16: values[8] } } }, /sealed\.values\.16: /],
    [
      { sealed: { ...good.sealed, values: { 8: 'A'.repeat(64), 14: values[14] } } },
      /sealed\.values\.8: a SHA-256/,
    ],
    [{ sealed: { ...good.sealed, at: 'today' } }, /sealed\.at: /],
    [{ approvals: [{ ...approval, values: { 14: values[14] } }] }, /approvals: values of other PCRs/],
    [{ approvals: [{ ...approval, signature: base64(63) }] }, /signature: not base64 of 64 to 64 bytes/],
    [{ approvals: Array(secretLimits.mostApprovals + 1).fill(approval) }, /approvals: /],
    [{ updateKey: null }, /approvals: without an update key/],
    [{ key: base64(1025) }, /key: /],
    [{ key: 'AAA' }, /key: not base64/],
    [{ text: { ...good.text, iv: base64(11) } }, /text\.iv: not base64 of 12/],
    [{ text: { ...good.text, data: '' } }, /text\.data: not base64 of 1/],
    [{ 'more\u001b[2J': 1 }, /file: Unrecognized key: "more\\u001b\[2J"/],
  ];
  for (const [change, message] of cases) t.throws(() => parsed(change), { code: 'E_SECRET', message });
  t.throws(() => parseSealed('f', '{'), { message: /^f: not JSON/ });
  t.throws(() => parseSealed('f', 'null'), { message: /^f: file: / });
  const name = path.join(t.testdir({}), 'f');
  await t.rejects(readSealed(name), { code: 'E_SECRET', message: `${name}: cannot be read (ENOENT)` });
  writeFileSync(name, Buffer.alloc(secretLimits.mostFileBytes + 1, ' '));
  await t.rejects(readSealed(name), { code: 'E_SECRET', message: /more than 262144 bytes/ });
  await t.rejects(boundedText(path.dirname(name), 5), { code: 'E_SECRET', message: /EISDIR/ });
});

t.test('whatever a file holds: E_SECRET, before any TPM is asked', async (t) => {
  const transport = {
    name: 'none',
    hasResourceManager: false,
    exchange: async () => new Uint8Array(10),
    close: async () => {},
  };
  const tpm = new Tpm({ transport });
  const { signal } = new AbortController();
  const codes = new Set<unknown>();
  const seen = async (work: () => unknown) => {
    try {
      await work();
    } catch (problem) {
      codes.add((problem as { readonly code?: unknown }).code ?? problem);
    }
  };
  const field = fc.constantFrom(...Object.keys(good));
  await fc.assert(
    fc.asyncProperty(field, fc.oneof(fc.jsonValue(), fc.base64String().map(String)), async (name, value) => {
      await seen(() => unseal(tpm, 'f', parsed({ [name]: value }), signal));
    }),
    { numRuns: 300 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => seen(() => parseSealed('f', text))),
  );
  t.same([...codes], ['E_SECRET']);
});

t.test('update keys', async (t) => {
  const { generateKeyPairSync } = await import('node:crypto');
  const pem = (curve: string, type: 'public' | 'private') => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
    return type === 'public'
      ? publicKey.export({ type: 'spki', format: 'pem' }).toString()
      : privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  };
  t.equal(readUpdateKey(pem('P-256', 'public'), 'public').type, 'public');
  t.equal(readUpdateKey(pem('P-256', 'private'), 'private').type, 'private');
  t.equal(readUpdateKey(pem('P-256', 'private'), 'public').type, 'public', 'never more than is needed');
  t.throws(() => readUpdateKey(pem('P-256', 'public'), 'private'), {
    code: 'E_USAGE',
    message: /no private key/,
  });
  t.throws(() => readUpdateKey(pem('P-384', 'public'), 'public'), { code: 'E_USAGE', message: /P-256/ });
  const { publicKey } = generateKeyPairSync('ed25519');
  const other = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  t.throws(() => readUpdateKey(other, 'public'), { code: 'E_USAGE', message: /P-256/ });
  t.throws(() => readUpdateKey('', 'public'), { code: 'E_USAGE', message: /no public key in PEM/ });
});
