import { createDecipheriv, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Test, test } from 'tap';
import { measure, predictPcr, readContents } from '../../../daemon/attest/measure/measure.ts';
import { pemOf } from '../../../daemon/attest/secrets/policy.ts';
import { readSealed, type SealedFile, writeSealed } from '../../../daemon/attest/secrets/sealed-file.ts';
import {
  currentValues,
  differing,
  seal,
  unseal,
  withApproval,
} from '../../../daemon/attest/secrets/secret.ts';
import { algorithm, extendPcr, statusOf, Tpm } from '../../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../../daemon/attest/tpm2/transports/swtpm.ts';
import { SoftwareTpm } from '../../../hil/software-tpm.ts';
import { lockOut } from '../lock-out.ts';
import { live } from '../tpm2/live/live.ts';
import { withoutSwtpm } from '../tpm2/live/swtpm.ts';

const never = new AbortController().signal;
const now = Date.UTC(2026, 4, 1);
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { publicKey: updateKey, privateKey } = pair();
const password = Buffer.from(`correct horse ${randomBytes(8).toString('hex')}`);
const all = { pcrs: [14], updateKey, now, text: password };

const extend = (tpm: Tpm, pcr: number, byte = 1) =>
  extendPcr(tpm, pcr, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, byte) }]);
const open = (tpm: Tpm, file: SealedFile) => unseal(tpm, 'wifi.sealed', file, never);
const refused = (t: Test, work: Promise<unknown>, message: RegExp, what = String(message)) =>
  t.rejects(work, { code: 'E_SECRET', message }, what);

live('the folder alone opens nothing, nor does another TPM or other software', async (t, { tpm, wire }) => {
  const folder = t.testdir({});
  const name = path.join(folder, 'wifi.sealed');
  await extend(tpm, 14);
  await writeSealed(name, await seal(tpm, all, never), true);
  t.equal(statSync(name).mode & 0o777, 0o600);
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const bytes = readFileSync(path.join(folder, entry));
    for (const coded of ['utf8', 'hex', 'base64', 'base64url'] as const)
      t.notOk(bytes.includes(password.toString(coded)), `${entry} does not tell, as ${coded}`);
  }
  const file = await readSealed(name);
  t.same(await open(tpm, file), password);
  t.notOk(wire.saw(password), 'nor does the bus');

  const other = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  const stranger = new Tpm({ transport: swtpm(other.address) });
  try {
    await extend(stranger, 14);
    await refused(t, open(stranger, file), /^wifi\.sealed: another TPM has sealed it/);
    // Whoever writes its name into the file comes no further.
    const { parent } = await seal(stranger, all, never);
    await refused(t, open(stranger, { ...file, parent }), /key: was changed/);
  } finally {
    await stranger.close();
    await other.end();
  }

  await extend(tpm, 14, 2);
  const { 14: value } = await currentValues(tpm, [14]);
  await refused(
    t,
    open(tpm, file),
    new RegExp(`not what they were when it was sealed: PCR 14, now ${value}$`),
  );
  t.same(differing(file, await currentValues(tpm, [14])), [14]);
  const approved = withApproval(name, file, { values: await currentValues(tpm, [14]), privateKey, now });
  await writeSealed(name, approved, false);
  const stored = await readSealed(name);
  t.same(await open(tpm, stored), password, 'approved, it opens');
  t.same(differing(stored, await currentValues(tpm, [14])), []);
});

live('what the TPM keeps is not on the bus', async (t, { tpm, wire }) => {
  const file = await seal(tpm, all, never);
  t.same(await open(tpm, file), password);
  // With no 32 bytes that were to be seen does the text open.
  const seen = [...wire.sent, ...wire.received];
  let opened = 0;
  for (const message of seen)
    for (let at = 0; at + 32 <= message.length; at++)
      try {
        const cipher = createDecipheriv('aes-256-gcm', message.subarray(at, at + 32), file.text.iv);
        cipher.setAAD(file.key).setAuthTag(Buffer.from(file.text.tag));
        cipher.update(file.text.data);
        cipher.final();
        opened++;
      } catch {
        // As it should be.
      }
  t.equal(opened, 0);
});

live('approved before the update is there, on a machine without the TPM', async (t, { tpm, chip }) => {
  const folder = t.testdir({ bundle: { 'main.js': 'version 1' } });
  const bundle = path.join(folder, 'bundle');
  const predicted = async () => {
    const value = predictPcr(await readContents([bundle], never), 14).get('sha256')!;
    return { 14: Buffer.from(value).toString('hex') };
  };
  const boot = async () => {
    await tpm.close();
    await chip.cutPower();
    await chip.start();
    const log = path.join(t.testdirName, `measure-${randomBytes(4).toString('hex')}.log`);
    await measure({ names: [bundle], pcr: 14, log, saved: null, tpm }, never);
  };
  await boot();
  const file = await seal(tpm, { ...all, pcrs: [0, 14] }, never);
  writeFileSync(path.join(bundle, 'main.js'), 'version 2');
  const values = { ...(await predicted()), 0: file.sealed.values[0]! };
  const approved = withApproval('x', file, { values, privateKey, now });
  t.same(await open(tpm, approved), password, 'the version that runs opens it still');
  await boot();
  t.same(await open(tpm, approved), password, 'and so does the next one');
  await refused(t, open(tpm, file), /PCR 14, now/);
  writeFileSync(path.join(bundle, 'main.js'), 'version 3');
  await boot();
  await refused(t, open(tpm, approved), /when it was sealed or approved: PCR 14, now/);
});

live('without an update key', async (t, { tpm }) => {
  const file = await seal(tpm, { ...all, updateKey: null }, never);
  t.same(await open(tpm, file), password);
  const values = await currentValues(tpm, [14]);
  t.throws(() => withApproval('x', file, { values, privateKey, now }), {
    code: 'E_SECRET',
    message: 'x: was sealed without an update key: nothing but sealing it again helps',
  });
  await extend(tpm, 14);
  await refused(t, open(tpm, file), /PCR 14, now/);
});

live('without PCRs it opens whatever is measured, and in this TPM only', async (t, { tpm }) => {
  const name = path.join(t.testdir({}), 'wifi.sealed');
  await writeSealed(name, await seal(tpm, { ...all, pcrs: [], updateKey: null }, never), true);
  await extend(tpm, 14);
  const file = await readSealed(name);
  t.same(await open(tpm, file), password);
  const other = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  const stranger = new Tpm({ transport: swtpm(other.address) });
  try {
    await refused(t, open(stranger, file), /another TPM has sealed it/);
  } finally {
    await stranger.close();
    await other.end();
  }
});

live('which PCRs differ is told, from the values that are nearest', async (t, { tpm }) => {
  const file = await seal(tpm, { ...all, pcrs: [8, 11, 14] }, never);
  await extend(tpm, 11);
  await refused(t, open(tpm, file), /when it was sealed: PCR 11, now [0-9a-f]{64}$/);
  const approved = withApproval('x', file, { values: await currentValues(tpm, file.pcrs), privateKey, now });
  await extend(tpm, 14);
  await refused(t, open(tpm, approved), /approved: PCR 14, now [0-9a-f]{64}$/, 'nearest is the approval');
  await extend(tpm, 8);
  await refused(t, open(tpm, approved), /approved: PCR 8, now [0-9a-f]{64}; PCR 14, now/);
});

live('an approval by somebody else, or for other values', async (t, { tpm }) => {
  const file = await seal(tpm, all, never);
  await extend(tpm, 14);
  const values = await currentValues(tpm, [14]);
  const stranger = pair();
  t.throws(() => withApproval('x', file, { values, privateKey: stranger.privateKey, now }), {
    message: 'x: was sealed for another update key',
  });
  t.throws(() => withApproval('x', file, { values: { 8: values[14]! }, privateKey, now }), {
    message: 'x: no value of PCR 14 was given',
  });
  const theirs = { ...file, updateKey: pemOf(stranger.publicKey) };
  const forged = withApproval('x', theirs, { values, privateKey: stranger.privateKey, now });
  await refused(t, open(tpm, { ...forged, updateKey: file.updateKey }), /was not signed with the update key/);
  await refused(t, open(tpm, forged), /was changed: id, values or update key are not those/);
  const good = withApproval('x', file, { values, privateKey, now });
  const beside = { ...good, approvals: [...forged.approvals, ...good.approvals] };
  t.same(await open(tpm, beside), password, 'a wrong one does no harm beside a good one');
  const moved = { ...file.sealed, values };
  await refused(t, open(tpm, { ...file, sealed: moved }), /was changed: id, values or update key/);
  t.equal(withApproval('x', good, { values, privateKey, now }).approvals.length, 1, 'not twice');
});

live(
  'an approval of one secret opens no other, though update key and PCRs are the same',
  async (t, { tpm }) => {
    const [one, other] = [await seal(tpm, all, never), await seal(tpm, all, never)];
    await extend(tpm, 14);
    const approved = withApproval('x', one, { values: await currentValues(tpm, [14]), privateKey, now });
    const { id, approvals } = approved;
    t.same(await open(tpm, approved), password);
    await refused(t, open(tpm, { ...other, approvals }), /with the update key, or for another secret/);
    await refused(t, open(tpm, { ...other, id, approvals }), /was changed: id, values or update key/);
  },
);

live('a file that was changed anywhere', async (t, { tpm }) => {
  const file = await seal(tpm, all, never);
  const bent = (bytes: Uint8Array, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  const { text, key } = file;
  for (const field of ['iv', 'tag', 'data'] as const)
    await refused(
      t,
      open(tpm, { ...file, text: { ...text, [field]: bent(text[field], 3) } }),
      /text: was changed/,
    );
  const kinds = new Set<string>();
  for (let at = 0; at < key.length; at++) {
    const problem = await open(tpm, { ...file, key: bent(key, at) }).catch((reason: unknown) => reason);
    if (!(problem instanceof Error) || !('code' in problem) || problem.code !== 'E_SECRET')
      t.fail(`byte ${at} of ${key.length}`, { got: problem });
    else kinds.add(problem.message.replace(/^wifi\.sealed: /, ''));
  }
  t.ok(kinds.size >= 2, [...kinds].join(', '));
  const other = await seal(tpm, all, never);
  const { id } = other;
  await refused(t, open(tpm, { ...file, id }), /was changed: id, values/);
  await refused(t, open(tpm, { ...file, id, key: other.key }), /text: was changed/, 'the key of another');
});

live('a TPM in lockout opens it all the same', async (t, { tpm }) => {
  const file = await seal(tpm, all, never);
  await lockOut(tpm);
  t.ok((await statusOf(tpm)).lockout.isLocked);
  t.same(await open(tpm, file), password);
});

test('text of any length', { skip: withoutSwtpm }, async (t) => {
  const chip = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  try {
    for (const length of [1, 128, 129, 65_536]) {
      const text = randomBytes(length);
      const name = path.join(t.testdir({}), 'file');
      await writeSealed(name, await seal(tpm, { ...all, text }, never), true);
      t.same(await open(tpm, await readSealed(name)), text, `${length} bytes`);
      await refused(t, writeSealed(name, await readSealed(name), true), /is there already/);
    }
    for (const length of [0, 65_537])
      await refused(t, seal(tpm, { ...all, text: randomBytes(length) }, never), /can be sealed/);
  } finally {
    await tpm.close();
    await chip.end();
  }
});
