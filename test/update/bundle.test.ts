import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { checkBundle, mostBundleBytes, readBundle } from '../../daemon/update/bundle.ts';
import { authority, newKeys, usage } from '../attest/certificates/making.ts';
import {
  type CmsRecipe,
  caWithPath,
  cms,
  codeSigner,
  fileOf,
  hashTree,
  manifestFor,
  payloadOf,
  pemOf,
  references,
  rootAuthority,
  signedAt,
} from './making.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'sd-b-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const day = 24 * 60 * 60 * 1000;
const never = new AbortController().signal;
let files = 0;
const written = (bytes: Uint8Array): string => {
  files += 1;
  const file = path.join(folder, `${files}.raucb`);
  writeFileSync(file, bytes);
  return file;
};

const root = await rootAuthority();
const signer = await codeSigner({ signer: root });
const trusted = pemOf(root);
const payload = payloadOf(300);
const content = Buffer.from(manifestFor(payload));
const good = fileOf(payload, await cms({ content, signer }));

/** Code and text of the error with which a file is refused. */
async function refusal(bytes: Uint8Array, options: Partial<Parameters<typeof readBundle>[1]> = {}) {
  try {
    await readBundle(written(bytes), { trusted, at: null, ...options });
    return 'taken';
  } catch (error) {
    if (error instanceof SurfacedError) return `${error.code} ${error.message}`;
    throw error;
  }
}
const signed = async (recipe: Partial<CmsRecipe> = {}): Promise<Buffer> =>
  fileOf(payload, await cms({ content, signer, ...recipe }));

t.test('a good bundle', async (t) => {
  const file = written(good);
  const bundle = await readBundle(file, { trusted, at: null });
  t.match(bundle, {
    ...{ version: '1.2.3', compatible: 'surfaced-pi-arm64', rootHash: 'ab'.repeat(32), references },
    ...{ bytes: good.length, payloadBytes: payload.length, signedAt, datesJudgedBy: 'signing time' },
    verity: { hash: hashTree(payload).root.toString('hex'), treeBytes: 4 * 4096 },
    signer: { name: 'CN=signer of updates' },
    image: { bytes: 4096, sha256: 'cd'.repeat(32) },
  });
  await checkBundle(file, bundle, never);
  t.match(await readBundle(file, { trusted, at: new Date(signedAt) }), { datesJudgedBy: 'clock' });
  const again = await readBundle(written(await signed({ signedAt: signedAt + 1000 })), { trusted, at: null });
  t.equal(again.manifestSha256, bundle.manifestSha256, 'however often it is signed');
});

t.test('keys of RSA, and CAs between', async (t) => {
  const rsa = {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  };
  const keys = (await webcrypto.subtle.generateKey(rsa, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  t.equal(await refusal(await signed({ signer: await codeSigner({ signer: root, keys }) })), 'taken');
  const between = await authority({ subject: 'CN=between', signer: root });
  const below = await codeSigner({ signer: between });
  t.equal(await refusal(await signed({ signer: below, certificates: [below, between] })), 'taken');
  t.match(await refusal(await signed({ signer: below })), /E_UPDATE_SIGNER .*no trusted CA is "CN=between"/);
  t.equal(
    await refusal(good, { trusted: pemOf(await rootAuthority('CN=next'), root) }),
    'taken',
    'two CAs, while keys change',
  );
});

t.test('signers who are not trusted', async (t) => {
  const other = await rootAuthority();
  t.match(await refusal(good, { trusted: pemOf(other) }), /E_UPDATE_SIGNER .*not signed by the CN=update CA/);
  const theirs = await codeSigner({ signer: other });
  t.match(
    await refusal(await signed({ signer: theirs, certificates: [theirs, other] })),
    /E_UPDATE_SIGNER/,
    'brings its own CA',
  );
  const { digitalSignature, keyAgreement } = x509.KeyUsageFlags;
  const purpose = (...ids: string[]) => new x509.ExtendedKeyUsageExtension(ids);
  const odd = async (...extensions: x509.Extension[]) =>
    signed({ signer: await codeSigner({ signer: root, extensions }) });
  const code = '1.3.6.1.5.5.7.3.3';
  t.match(await refusal(await odd(usage(digitalSignature))), /E_UPDATE_SIGNER .*not for signing code/);
  t.match(await refusal(await odd(purpose('1.3.6.1.5.5.7.3.1'))), /not for signing code/, 'a server');
  t.match(await refusal(await odd(usage(keyAgreement), purpose(code))), /not for digital signatures/);
  t.match(await refusal(await odd(caWithPath(), purpose(code))), /a CA, which signs no bundles/);
  t.match(
    await refusal(await odd(purpose(code), new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0])))),
    /critical/,
  );
  const forged = await codeSigner({ signer: signer });
  t.match(await refusal(await signed({ signer: forged, certificates: [forged, signer] })), /not a CA/);
  t.match(await refusal(good, { trusted: pemOf(signer) }), /in the keyring, but not self-signed/);
  t.match(await refusal(good, { trusted: '' }), /E_UPDATE_SIGNER .*no certificate/);
  t.match(
    await refusal(good, { trusted: '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----' }),
    /E_UPDATE_SIGNER .*cannot be read/,
  );
});

t.test('a CA that allows none below it', async (t) => {
  const flat = await authority({
    ...{ subject: 'CN=flat', signer: null },
    extensions: [caWithPath(0), usage(x509.KeyUsageFlags.keyCertSign)],
  });
  const between = await authority({ subject: 'CN=between', signer: flat });
  const below = await codeSigner({ signer: between });
  const bytes = await signed({ signer: below, certificates: [below, between] });
  t.match(await refusal(bytes, { trusted: pemOf(flat) }), /too many CAs/);
  t.equal(
    await refusal(await signed({ signer: await codeSigner({ signer: flat }) }), { trusted: pemOf(flat) }),
    'taken',
  );
});

t.test('dates', async (t) => {
  const late = new Date(signedAt + 2 * day);
  t.match(await refusal(good, { at: late }), /E_UPDATE_SIGNER .*ended/);
  t.match(await refusal(good, { at: new Date(0) }), /valid from/, 'a clock that is given is believed');
  t.equal(await refusal(good), 'taken', 'without a clock the time of signing counts');
  t.match(await refusal(await signed({ signedAt: signedAt + 2 * day })), /ended .*judged at 2027-06-03/);
  t.match(await refusal(await signed({ signedAt: null })), /E_UPDATE_BUNDLE .*signingTime is missing/);
  const old = await rootAuthority();
  const bygone = await authority({
    subject: 'CN=bygone',
    signer: null,
    keys: old.keys,
    notAfter: signedAt - 1,
  });
  const below = await codeSigner({ signer: bygone });
  t.match(await refusal(await signed({ signer: below }), { trusted: pemOf(bygone) }), /CN=bygone: ended/);
});

t.test('signatures that do not belong', async (t) => {
  const foreign = (await newKeys()).privateKey;
  t.match(await refusal(await signed({ privateKey: foreign })), /E_UPDATE_BUNDLE .*not by the key of/);
  t.match(await refusal(await signed({ digest: Buffer.alloc(32) })), /digest is not that of the manifest/);
  t.match(await refusal(await signed({ certificates: [root] })), /signer's certificate is not in it/);
  t.match(await refusal(await signed({ certificates: Array(9).fill(signer) })), /more than 8 certificates/);
  t.match(await refusal(await signed({ signers: 2 })), /more than one signer/);
  t.match(await refusal(await signed({ signers: 0 })), /E_UPDATE_BUNDLE/);
  t.match(await refusal(await signed({ isDetached: true })), /format "plain"/);
});

t.test('manifests', async (t) => {
  const text = content.toString();
  const faults: readonly (readonly [what: string, from: string | RegExp, to: string, told: RegExp])[] = [
    ['another format', 'format=verity', 'format=crypt', /\[bundle\] format/],
    ['no version', 'version=1.2.3', 'other=1', /\[update\] version: missing/],
    ['a version that is none', /version=1.2.3/g, 'version=1.2', /\[update\] version/],
    ['two versions', 'version=1.2.3', 'version=1.2.4', /differs from \[update\]/],
    ['a tree of another size', /verity-size=.*/, 'verity-size=8192', /verity-size: not the size/],
    ['an absurd size', /verity-size=.*/, 'verity-size=9999999999999', /verity-size/],
    ['a negative size', /verity-size=.*/, 'verity-size=-4096', /verity-size: expected/],
    ['a root hash in capitals', /root-hash=.*/, `root-hash=${'AB'.repeat(32)}`, /root-hash: expected/],
    ['references that are no base64', /references=.*/, 'references=a=b', /references/],
    ['references that are no text', /references=.*/, 'references=//8=', /references: not UTF-8/],
    [
      'too many references',
      /references=.*/,
      `references=${Buffer.alloc(33_000, 97).toString('base64')}`,
      /more than 32768/,
    ],
    ['a hook', '[meta.surfaced]', '[hooks]\nfilename=x\n\n[meta.surfaced]', /a section that bundles/],
    ['a handler', '[meta.surfaced]', '[handler]\nfilename=x\n\n[meta.surfaced]', /a section that bundles/],
    [
      'a second image',
      '[meta.surfaced]',
      '[image.other]\nfilename=x\n\n[meta.surfaced]',
      /a section that bundles/,
    ],
    ['a section twice', '[meta.surfaced]', '[update]\n[meta.surfaced]', /there already/],
    ['a key twice', 'format=verity', 'format=verity\nformat=plain', /there already/],
    ['a value with an escape', 'filename=slot.img', 'filename=slot\\timg', /not plain/],
    ['something else', '[update]', 'hello\n[update]', /line 1: neither/],
  ];
  for (const [what, from, to, told] of faults) {
    const changed = text.replace(from, to);
    t.not(changed, text, what);
    const bytes = await signed({ content: Buffer.from(changed) });
    t.match(await refusal(bytes), told, what);
    t.match(await refusal(bytes), /E_UPDATE_BUNDLE/, what);
  }
  t.equal(
    await refusal(await signed({ content: Buffer.from(`${text}\n[meta.other]\nkey=value\n`) })),
    'taken',
    'more is said',
  );
});

t.test('what is no bundle', async (t) => {
  t.match(await refusal(Buffer.alloc(0)), /too short/);
  t.match(await refusal(Buffer.alloc(100_000)), /does not end as a bundle/);
  t.match(await refusal(Buffer.alloc(100_000, 0xff)), /does not end as a bundle/);
  t.match(await refusal(Buffer.concat([good.subarray(1)])), /not whole blocks/);
  const huge = written(Buffer.alloc(0));
  truncateSync(huge, mostBundleBytes + 1);
  await t.rejects(readBundle(huge, { trusted, at: null }), { code: 'E_UPDATE_BUNDLE', message: /more than/ });
  await t.rejects(readBundle(folder, { trusted, at: null }), {
    code: 'E_UPDATE_BUNDLE',
    message: /not a regular file/,
  });
  await t.rejects(readBundle(path.join(folder, 'none'), { trusted, at: null }), {
    code: 'E_UPDATE_BUNDLE',
    message: /none: .*ENOENT/,
  });
});

t.test('cut anywhere, it is refused', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: good.length - 1 }), async (length) => {
      const told = await refusal(good.subarray(0, length));
      return told !== 'taken';
    }),
    { numRuns: 150 },
  );
  t.pass('150 lengths');
});

t.test('a byte changed in the signature: refused, or it says the same', async (t) => {
  const was = await readBundle(written(good), { trusted, at: null });
  const start = was.payloadBytes + was.verity.treeBytes;
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: start, max: good.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, change) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const file = written(bytes);
        try {
          const bundle = await readBundle(file, { trusted, at: null });
          taken += 1;
          return bundle.manifestSha256 === was.manifestSha256 && bundle.signer.sha256 === was.signer.sha256;
        } catch (error) {
          return error instanceof SurfacedError;
        } finally {
          rmSync(file);
        }
      },
    ),
    { numRuns: 600 },
  );
  t.ok(taken < 60, `${taken} of 600 changed nothing that counts: version numbers and the like`);
});

t.test('noise in place of the signature', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (noise) => {
      const told = await refusal(fileOf(payload, Buffer.from(noise)));
      return told.startsWith('E_UPDATE_BUNDLE');
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test('data that was changed', async (t) => {
  const was = await readBundle(written(good), { trusted, at: null });
  const end = was.payloadBytes + was.verity.treeBytes;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: end - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, change) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const file = written(bytes);
        const told = await checkBundle(file, was, never).then(
          () => 'taken',
          (error: SurfacedError) => error.code,
        );
        rmSync(file);
        return told === 'E_UPDATE_DATA';
      },
    ),
    { numRuns: 200 },
  );
  const bytes = Buffer.from(good);
  bytes[5 * 4096 + 17] = 1;
  await t.rejects(checkBundle(written(bytes), was, never), {
    code: 'E_UPDATE_DATA',
    message: /raucb: the block at byte 20480, or its hash, was changed/,
  });
  await t.rejects(checkBundle(written(good.subarray(0, -8)), was, never), { code: 'E_UPDATE_BUNDLE' });
  const swapped = payloadOf(300).fill('another system', 4096, 8192);
  const theirs = written(fileOf(swapped, good.subarray(end, -8)));
  await t.rejects(
    checkBundle(theirs, was, never),
    { code: 'E_UPDATE_DATA', message: /not the one that was signed/ },
    'other data with a tree of its own',
  );
  const reason = new Error('called off');
  await t.rejects(checkBundle(written(good), was, AbortSignal.abort(reason)), reason);
});

t.test('trees of one, two and three levels', async (t) => {
  for (const blocks of [2, 128, 129, 128 * 128, 128 * 128 + 1]) {
    const large = payloadOf(blocks);
    const signature = await cms({ content: Buffer.from(manifestFor(large)), signer });
    const file = written(fileOf(large, signature));
    const bundle = await readBundle(file, { trusted, at: null });
    await checkBundle(file, bundle, never);
    t.equal(bundle.payloadBytes, blocks * 4096, `${blocks} blocks, tree of ${bundle.verity.treeBytes} bytes`);
    rmSync(file);
  }
  const one = payloadOf(1);
  const signature = await cms({ content: Buffer.from(manifestFor(one)), signer });
  t.match(await refusal(fileOf(one, signature)), /E_UPDATE_BUNDLE/, 'a single block is no squashfs');
});
