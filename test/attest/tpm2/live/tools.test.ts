/** With tpm2-tools on the same TPM: they accept what this library made, and it accepts what they made. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { decode, encode } from '../../../../daemon/attest/tpm2/codec.ts';
import { evictControl } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { makeCredential } from '../../../../daemon/attest/tpm2/credential.ts';
import { publicKeyOf } from '../../../../daemon/attest/tpm2/crypto-keys.ts';
import { type LoadedObject, makePrimary, objectAt } from '../../../../daemon/attest/tpm2/keys.ts';
import { extendPcr, type PcrBank, pcrDigest, readPcrs } from '../../../../daemon/attest/tpm2/registers.ts';
import { encodeSealed, sealData } from '../../../../daemon/attest/tpm2/sealing.ts';
import { isSignedBy, quotePcrs } from '../../../../daemon/attest/tpm2/signing.ts';
import { attest, attestType } from '../../../../daemon/attest/tpm2/structures/attest.ts';
import { opaqueBuffer } from '../../../../daemon/attest/tpm2/structures/common.ts';
import { publicBuffer } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { signature } from '../../../../daemon/attest/tpm2/structures/signature.ts';
import { akEccP256, akRsa2048, ekEccP256 } from '../../../../daemon/attest/tpm2/templates.ts';
import { type Executor, Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import { swtpm } from '../../../../daemon/attest/tpm2/transports/swtpm.ts';
import { endorsement, leftIn, makeAk, makeSrk, owner } from './live.ts';
import { beginSoftwareTpm, isInstalled, withoutSwtpm } from './swtpm.ts';

const withoutTools =
  withoutSwtpm ||
  (isInstalled('tpm2_checkquote')
    ? false
    : 'tpm2-tools are not installed (Debian: apt-get install tpm2-tools)');

const run = promisify(execFile);
const akHandle = 0x81000200;
const ekHandle = 0x81000201;
const srkHandle = 0x81000202;
const pcrs = [{ hash: algorithm.sha256, pcrs: [0, 4, 7, 8, 9, 10, 11, 14, 16, 23] }];
/** tpm2_checkquote 5.4 takes bare values of a few registers; of eight it refuses even what tpm2_quote wrote. */
const few = [{ hash: algorithm.sha256, pcrs: [0, 4, 7] }];
const listOf = (selections: typeof pcrs): string => `sha256:${selections[0]?.pcrs.join(',')}`;
const valuesOf = (selections: typeof pcrs, banks: readonly PcrBank[]): Uint8Array[] =>
  (selections[0]?.pcrs ?? []).map((pcr) => banks[0]?.values.get(pcr) ?? Buffer.alloc(0));

/**
 * The tools' own form: TPML_PCR_SELECTION and some TPML_DIGEST as they lie in memory, little-endian (tpm2-tss,
 * tss2_tpm2_types.h: 16 selections of 8 bytes, 8 digests of 66 bytes).
 */
function serialized(selections: typeof pcrs, values: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(4 + 16 * 8 + 4);
  head.writeUInt32LE(selections.length, 0);
  for (const [index, { hash, pcrs: numbers }] of selections.entries()) {
    const at = 4 + 8 * index;
    head.writeUInt16LE(hash, at);
    head.writeUInt8(3, at + 2);
    for (const pcr of numbers) {
      const byte = at + 3 + (pcr >> 3);
      head.writeUInt8(head.readUInt8(byte) | (1 << (pcr & 7)), byte);
    }
  }
  const lists: Buffer[] = [];
  for (let start = 0; start < values.length; start += 8) {
    const some = values.slice(start, start + 8);
    const list = Buffer.alloc(4 + 8 * 66);
    list.writeUInt32LE(some.length, 0);
    for (const [index, value] of some.entries()) {
      list.writeUInt16LE(value.length, 4 + 66 * index);
      list.set(value, 4 + 66 * index + 2);
    }
    lists.push(list);
  }
  head.writeUInt32LE(lists.length, 4 + 16 * 8);
  return Buffer.concat([head, ...lists]);
}

/** Two clients of one TPM, which is let go before each tool: it serves one at a time. */
interface Shared {
  readonly tpm: Tpm;
  /** A path in a folder that goes with the test. */
  file(name: string): string;
  /** Runs a tool of tpm2-tools; rejects when it does not end with 0. */
  tool(name: string, ...words: readonly string[]): Promise<string>;
}

function together(name: string, work: (t: Test, shared: Shared) => Promise<void>): void {
  t.test(name, { skip: withoutTools }, async (t) => {
    const chip = await beginSoftwareTpm();
    const folder = await mkdtemp(join(tmpdir(), 'surfaced-tools-'));
    const tpm = new Tpm({ transport: swtpm(chip.address) });
    const env = { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${chip.path}` };
    try {
      await work(t, {
        tpm,
        file: (name) => join(folder, name),
        async tool(name, ...words) {
          await tpm.close();
          return (await run(name, words, { env, timeout: 30_000 })).stdout;
        },
      });
      t.same(await leftIn(tpm), []);
      await tpm.close();
    } finally {
      await chip.end();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** Keeps a key where tools find it. */
async function keep(executor: Executor, object: LoadedObject, persistentHandle: number): Promise<void> {
  const handles = { auth: owner, objectHandle: object };
  await executor.execute(evictControl, { handles, parameters: { persistentHandle } });
}

const at = (handle: number): string => `0x${handle.toString(16)}`;

for (const [name, template] of Object.entries({ ECC: akEccP256, RSA: akRsa2048 })) {
  for (const [form, selected] of Object.entries({ values: few, serialized: pcrs }))
    together(`tpm2_checkquote accepts our quotes, ${name}, ${form}`, async (t, { tpm, file, tool }) => {
      await extendPcr(tpm, 7, [{ hash: algorithm.sha256, digest: randomBytes(32) }]);
      const nonce = randomBytes(32);
      await tpm.scope(async (scope) => {
        const key = await makeAk(scope, template);
        const quote = await quotePcrs(scope, { key, qualifyingData: nonce, pcrs: selected });
        const values = valuesOf(selected, await readPcrs(scope, selected));
        await writeFile(file('message'), quote.attest);
        await writeFile(file('signature'), encode(signature, quote.signature));
        await writeFile(
          file('pcrs'),
          form === 'values' ? Buffer.concat(values) : serialized(selected, values),
        );
        await writeFile(file('key.pem'), publicKeyOf(key.publicArea).export({ type: 'spki', format: 'pem' }));
        await writeFile(file('key.tss'), encode(publicBuffer, key.publicArea));
      });
      const check = (key: string, qualification: Uint8Array, message = file('message')) => {
        const files = ['-u', key, '-m', message, '-s', file('signature'), '-f', file('pcrs')];
        const which = form === 'values' ? ['-l', listOf(selected)] : [];
        const asked = ['-g', 'sha256', '-q', Buffer.from(qualification).toString('hex')];
        return tool('tpm2_checkquote', ...files, ...which, ...asked);
      };
      await t.resolves(check(file('key.pem'), nonce), 'with the key as PEM');
      await t.resolves(check(file('key.tss'), nonce), 'with the key as TPM2B_PUBLIC');
      await t.rejects(check(file('key.pem'), randomBytes(32)), 'not with another nonce');
      const changed = await readFile(file('message'));
      changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
      await writeFile(file('changed'), changed);
      await t.rejects(check(file('key.pem'), nonce, file('changed')), 'nor other bytes');
    });

  together(`we accept what tpm2_quote made, ${name}`, async (t, { tpm, file, tool }) => {
    await extendPcr(tpm, 7, [{ hash: algorithm.sha256, digest: randomBytes(32) }]);
    await tpm.scope(async (scope) => keep(scope, await makeAk(scope, template), akHandle));
    const nonce = randomBytes(20);
    const out = ['-m', file('message'), '-s', file('signature'), '-o', file('pcrs'), '-F', 'values'];
    const asked = ['-l', listOf(pcrs), '-q', nonce.toString('hex'), '-g', 'sha256'];
    await tool('tpm2_quote', '-c', at(akHandle), ...asked, ...out);
    const key = await objectAt(tpm, akHandle);
    const message = await readFile(file('message'));
    const signed = decode('signature', signature, await readFile(file('signature')));
    t.ok(isSignedBy(key.publicArea, message, signed));
    const { attested, extraData } = decode('attestation', attest, message);
    t.same(extraData, nonce);
    if (attested.type !== attestType.quote) throw new Error('no quote');
    t.same(attested.pcrSelect, pcrs);
    const banks = await readPcrs(tpm, pcrs);
    t.same(attested.pcrDigest, pcrDigest(algorithm.sha256, pcrs, banks));
    t.same(await readFile(file('pcrs')), Buffer.concat(valuesOf(pcrs, banks)), 'they read the same PCRs');
  });
}

together('names, and keys that tools make from the same template', async (t, { tpm, file, tool }) => {
  const made = await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    await keep(scope, key, akHandle);
    return key;
  });
  await tool('tpm2_readpublic', '-c', at(akHandle), '-n', file('name'), '-f', 'tss', '-o', file('public'));
  t.same(await readFile(file('name')), made.name);
  t.same(await readFile(file('public')), encode(publicBuffer, made.publicArea));
  t.same(decode('public area', publicBuffer, await readFile(file('public'))), made.publicArea);
});

together('tpm2_activatecredential opens what we made', async (t, { tpm, file, tool }) => {
  const secret = randomBytes(32);
  await tpm.scope(async (scope) => {
    const ek = await makePrimary(scope, { hierarchy: endorsement, template: ekEccP256 });
    const ak = await makeAk(scope);
    await keep(scope, ek, ekHandle);
    await keep(scope, ak, akHandle);
    const credential = makeCredential(ek.publicArea, ak.name, secret);
    // The tools' own head: a magic number and a version.
    const head = Buffer.from('badcc0de00000001', 'hex');
    const parts = [encode(opaqueBuffer, credential.credentialBlob), encode(opaqueBuffer, credential.secret)];
    await writeFile(file('credential'), Buffer.concat([head, ...parts]));
  });
  await tool('tpm2_startauthsession', '--policy-session', '-S', file('session'));
  await tool('tpm2_policysecret', '-S', file('session'), '-c', 'e');
  const keys = ['-c', at(akHandle), '-C', at(ekHandle), '-P', `session:${file('session')}`];
  await tool('tpm2_activatecredential', ...keys, '-i', file('credential'), '-o', file('secret'));
  t.same(await readFile(file('secret')), secret);
  await tool('tpm2_flushcontext', file('session'));
});

together('tpm2_unseal opens what we sealed', async (t, { tpm, file, tool }) => {
  const secret = randomBytes(48);
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    await keep(scope, parent, srkHandle);
    const authValue = Buffer.from('pin');
    const data = await sealData(scope, { parent, secret, policy: null, authValue, sessions: [] });
    const both = encodeSealed(data);
    const privateBytes = encode(opaqueBuffer, data.privateArea).length;
    await writeFile(file('private'), both.subarray(0, privateBytes));
    await writeFile(file('public'), both.subarray(privateBytes));
  });
  const sealed = ['-r', file('private'), '-u', file('public'), '-c', file('sealed')];
  await tool('tpm2_load', '-C', at(srkHandle), ...sealed);
  await tool('tpm2_unseal', '-c', file('sealed'), '-p', 'pin', '-o', file('secret'));
  t.same(await readFile(file('secret')), secret);
  await tool('tpm2_flushcontext', '-t');
});
