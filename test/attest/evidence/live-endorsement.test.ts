/** Which endorsement key is the identity of a TPM, whatever its maker left in its NV memory. */
import { randomBytes } from 'node:crypto';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { ekPublicSha256, keySha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { ekKinds } from '../../../daemon/attest/evidence/ek-profile.ts';
import { readEkSha256 } from '../../../daemon/attest/evidence/tpm-prover.ts';
import {
  akEccP256,
  algorithm,
  defineNv,
  ekEccP256,
  ekEccP256High,
  ekRsa2048,
  encodePublic,
  handle,
  makePrimary,
  type NvAttribute,
  nvIndexAt,
  nvType,
  objectsCommands,
  type Public,
  permanent,
  publicKeyOf,
  readNv,
  swtpm,
  Tpm,
  TpmTransportError,
  writeNv,
} from '../../../daemon/attest/tpm2/index.ts';
import { authority, der, endorsement, type Signer } from '../certificates/making.ts';
import { SoftwareTpm } from '../tpm2/live/swtpm.ts';
import { akOf, answerOf, type Bench, checkProof, code, ekOf, live, proveOnce, signal } from './live-bench.ts';

const owner = permanent(handle.owner);
const hierarchy = permanent(handle.endorsement);

/** What a maker writes into its TPMs. */
async function fill(
  tpm: Tpm,
  index: number,
  contents: Uint8Array,
  set: readonly NvAttribute[] = open,
): Promise<void> {
  const nvPublic = {
    index,
    nameAlg: algorithm.sha256,
    attributes: { type: nvType.ordinary, set: new Set(set) },
    authPolicy: Buffer.alloc(0),
    dataSize: contents.length,
  };
  await defineNv(tpm, owner, nvPublic, Buffer.alloc(0));
  const made = await nvIndexAt(tpm, index);
  if (made === null) throw new Error('it was made');
  await writeNv(tpm, made, contents, { by: owner });
}
const open: readonly NvAttribute[] = ['ownerWrite', 'ownerRead', 'authRead', 'noDA'];

/** The key that the TPM makes from a template. */
const areaOf = (tpm: Tpm, template: Public): Promise<Public> =>
  tpm.scope(async (scope) => (await makePrimary(scope, { hierarchy, template })).publicArea);

const maker: Promise<Signer> = authority({ subject: 'CN=maker', signer: null });

/** A certificate for a key of the TPM. */
async function certificateFor(area: Public): Promise<Buffer> {
  const spki = publicKeyOf(area).export({ type: 'spki', format: 'der' });
  return der(await endorsement({ signer: await maker, publicKey: new x509.PublicKey(spki) }));
}

const certify = async (tpm: Tpm, index: number, template: Public): Promise<Buffer> => {
  const certificate = await certificateFor(await areaOf(tpm, template));
  await fill(tpm, index, certificate);
  return certificate;
};

/** Claims that prove themselves. */
async function proven(t: Parameters<typeof checkProof>[0], { prover }: Bench) {
  const proof = await proveOnce(prover);
  checkProof(t, proof);
  t.equal(prover.ekSha256, ekPublicSha256(ekOf(proof.claims)));
  return proof.claims;
}

const kindAt = (index: number) => {
  const kind = ekKinds.find(({ certificate }) => certificate === index);
  if (kind === undefined) throw new Error(`no kind at ${index.toString(16)}`);
  return kind;
};

live('no certificate: an ECC key of the low range', 'new', async (t, bench) => {
  const claims = await proven(t, bench);
  t.strictSame(claims.ekPublic, encodePublic(await areaOf(bench.tpm, ekEccP256)));
  t.same([claims.ekCertificate, claims.ekChain], [null, []]);
  t.same(bench.warnings, [], 'which is nothing to warn of');
});

for (const index of [0x01c0000a, 0x01c00014, 0x01c00012, 0x01c00016]) {
  const { name, template } = kindAt(index);
  live(`the key whose certificate is there: ${name}`, 'new', async (t, bench) => {
    const certificate = await certify(bench.tpm, index, template);
    const claims = await proven(t, bench);
    t.strictSame(claims.ekCertificate, certificate);
    t.strictSame(claims.ekPublic, encodePublic(await areaOf(bench.tpm, template)));
    t.same(bench.warnings, []);
  });
}

live('the P-384 key of the high range is the one that was certified', 'known', async (t, { tpm }) => {
  const index = await nvIndexAt(tpm, 0x01c00016);
  if (index === null) throw new Error('the state has it');
  const certified = readCertificate(await readNv(tpm, index)).publicKey;
  if (certified === null) throw new Error('P-384 is known');
  t.equal(ekPublicSha256(await areaOf(tpm, kindAt(0x01c00016).template)), keySha256(certified));
});

live('ECC before RSA, low range before high range', 'known', async (t, bench) => {
  const { tpm, log, bus } = bench;
  await certify(tpm, 0x01c00014, ekEccP256High);
  const now = () => readEkSha256(new Tpm({ transport: bus }), log, signal);
  const [rsa, ecc] = [await areaOf(tpm, ekRsa2048), await areaOf(tpm, ekEccP256)].map(ekPublicSha256);
  t.equal(await now(), rsa, 'RSA of the low range before ECC of the high range');
  await certify(tpm, 0x01c0000a, ekEccP256);
  t.equal(await now(), ecc);
});

live('a certificate for another key is left out', 'known', async (t, bench) => {
  await fill(bench.tpm, 0x01c0000a, await certificateFor(await areaOf(bench.tpm, ekEccP256High)));
  const claims = await proven(t, bench);
  t.strictSame(claims.ekPublic, encodePublic(await areaOf(bench.tpm, ekRsa2048)));
  t.match(bench.warnings, [
    { msg: 'an endorsement key is left out', kind: 'ECC P-256, low range', reason: /for another key/ },
  ]);
});

live('certificates of other keys in every place', 'new', async (t, bench) => {
  const other = await certificateFor(await areaOf(bench.tpm, akEccP256));
  for (const index of [0x01c0000a, 0x01c00002, 0x01c00014, 0x01c00012, 0x01c00016])
    await fill(bench.tpm, index, other);
  const claims = await proven(t, bench);
  t.equal(claims.ekCertificate, null, 'more keys are tried than a TPM has room for');
  t.equal(bench.warnings.length, 5);
});

live('broken certificates are reported and left out', 'known', async (t, bench) => {
  const { tpm } = bench;
  const good = await certificateFor(await areaOf(tpm, ekEccP256));
  await fill(tpm, 0x01c0000a, good.subarray(0, good.length - 1));
  await fill(tpm, 0x01c00014, Buffer.alloc(700, 0xff));
  const claims = await proven(t, bench);
  t.equal(ekOf(claims).type, algorithm.rsa, 'the next one is taken');
  t.match(bench.warnings, [
    { msg: 'a certificate in the TPM is broken and is left out', index: '0x01c0000a' },
  ]);
});

live('indices that were never written, are too large or are not for everybody', 'new', async (t, bench) => {
  const { tpm } = bench;
  const nvPublic = {
    nameAlg: algorithm.sha256,
    attributes: { type: nvType.ordinary, set: new Set(open) },
    authPolicy: Buffer.alloc(0),
    dataSize: 100,
  };
  await defineNv(tpm, owner, { ...nvPublic, index: 0x01c0000a }, Buffer.alloc(0));
  await fill(tpm, 0x01c00002, randomBytes(10), ['ownerWrite', 'authRead', 'noDA', 'readStClear']);
  const certificate = await certificateFor(await areaOf(tpm, ekEccP256High));
  await fill(tpm, 0x01c00014, certificate, ['ownerWrite', 'ownerRead', 'noDA']);
  const claims = await proven(t, bench);
  t.strictSame(claims.ekCertificate, certificate, 'what the owner may read is read as the owner');
  t.match(bench.warnings, [
    { msg: 'an NV index of the TPM is left out', index: '0x01c0000a', reason: /NV_UNINITIALIZED/ },
    { msg: 'a certificate in the TPM is broken and is left out', index: '0x01c00002' },
  ]);
});

live('a certificate with a header and padding', 'new', async (t, bench) => {
  const certificate = await certificateFor(await areaOf(bench.tpm, ekEccP256));
  const head = Buffer.from('1001000000', 'hex');
  head.writeUInt16BE(certificate.length, 3);
  await fill(bench.tpm, 0x01c0000a, Buffer.concat([head, certificate, Buffer.alloc(200, 0xff)]));
  t.strictSame((await proven(t, bench)).ekCertificate, certificate);
});

live('the chain, over several indices', 'new', async (t, bench) => {
  const { tpm, prover } = bench;
  await certify(tpm, 0x01c0000a, ekEccP256);
  const root = await maker;
  const middle = await authority({ subject: 'CN=middle', signer: root });
  const [one, two] = [der(middle), der(root)];
  const all = Buffer.concat([one, two, Buffer.alloc(50)]);
  await fill(tpm, 0x01c00100, all.subarray(0, 300));
  await fill(tpm, 0x01c00101, all.subarray(300, 700));
  await fill(tpm, 0x01c001ff, all.subarray(700));
  t.strictSame((await prover.claims(signal)).ekChain, [one, two], 'cut anywhere');
});

live('a chain of which one is broken', 'new', async (t, bench) => {
  const { tpm, prover, warnings } = bench;
  await certify(tpm, 0x01c0000a, ekEccP256);
  const root = der(await maker);
  const padded = Buffer.concat([root, Buffer.alloc(20, 0xff)]);
  await fill(tpm, 0x01c00100, padded);
  await fill(tpm, 0x01c00101, Buffer.from('3003020101', 'hex'));
  await fill(tpm, 0x01c00102, randomBytes(40).fill(0x31, 0, 1));
  await fill(tpm, 0x01c00103, padded);
  t.strictSame((await prover.claims(signal)).ekChain, [root, root], 'the others are sent');
  t.match(warnings, [{ index: '0x01c00101' }, { index: '0x01c00102' }]);
});

live('a nonce and a template of the maker', 'new', async (t, bench) => {
  const { tpm } = bench;
  const nonce = randomBytes(20);
  const template: Public = {
    ...ekEccP256,
    x: Buffer.concat([nonce, Buffer.alloc(12)]),
  };
  await certify(tpm, 0x01c0000a, template);
  await fill(tpm, 0x01c0000b, nonce);
  const claims = await proven(t, bench);
  t.strictSame(claims.ekPublic, encodePublic(await areaOf(tpm, template)), 'nonce');
});

live('a template of the maker', 'new', async (t, bench) => {
  const { tpm } = bench;
  await certify(tpm, 0x01c0000a, ekEccP256High);
  await fill(tpm, 0x01c0000c, encodePublic(ekEccP256High));
  t.strictSame((await proven(t, bench)).ekPublic, encodePublic(await areaOf(tpm, ekEccP256High)));
});

live('a template that says nothing, and one that nobody could use', 'known', async (t, bench) => {
  const { tpm } = bench;
  await certify(tpm, 0x01c0000a, ekEccP256);
  await fill(tpm, 0x01c0000c, randomBytes(30).fill(0xee, 0, 2));
  t.equal(ekOf(await proven(t, bench)).type, algorithm.ecc, 'that of the profile counts');
  await fill(tpm, 0x01c00004, encodePublic({ ...ekRsa2048, authPolicy: Buffer.alloc(32, 1) }));
  const index = await nvIndexAt(tpm, 0x01c0000a);
  if (index === null) throw new Error('it was made');
  await writeNv(tpm, index, Buffer.alloc(index.nvPublic.dataSize), { by: owner });
  const now = await readEkSha256(new Tpm({ transport: bench.bus }), bench.log, signal);
  t.equal(
    now,
    ekPublicSha256(await areaOf(tpm, kindAt(0x01c00016).template)),
    'the one of the high range is left',
  );
  t.match(bench.warnings.at(-1), { kind: 'RSA 2048, low range', reason: /PolicyA nor PolicyB/ });
});

/** Keeps a key in the TPM, or takes one away that is kept. */
const keep = (tpm: Tpm, template: Public, persistentHandle: number): Promise<void> =>
  tpm.scope(async (scope) => {
    const objectHandle = await makePrimary(scope, { hierarchy, template });
    const handles = { auth: owner, objectHandle };
    await scope.execute(objectsCommands.evictControl, { handles, parameters: { persistentHandle } });
  });
const takeAway = async (tpm: Tpm, persistentHandle: number): Promise<void> => {
  const handles = { auth: owner, objectHandle: permanent(persistentHandle) };
  await tpm.execute(objectsCommands.evictControl, { handles, parameters: { persistentHandle } });
};

live('a persistent key is used where it is the right one', 'known', async (t, bench) => {
  const { tpm, bus } = bench;
  // The RSA key of the state is at 81010001.
  const before = await proven(t, bench);
  t.equal(
    bus.count(code.createPrimary),
    2,
    'only the attestation key is made: for the claims and for the proof',
  );
  await takeAway(tpm, 0x81010001);
  const after = await proven(t, bench);
  t.same(after, before, 'taken away: it is made');
  t.equal(bus.count(code.createPrimary), 4);
});

live('persistent keys of other kinds are none of ours', 'known', async (t, bench) => {
  await takeAway(bench.tpm, 0x81010001);
  await keep(bench.tpm, akEccP256, 0x81010001);
  await keep(bench.tpm, ekEccP256, 0x81010002);
  t.equal(ekOf(await proven(t, bench)).type, algorithm.rsa);
});

live('a TPM without elliptic curves', 'new', async (t, bench) => {
  bench.bus.before = async (asked, command) => {
    // CreatePrimary: handle, 4 + 9 bytes of authorization, sensitive 2 + 4, and then the public area.
    const isEcc = asked === code.createPrimary && command.readUInt16BE(10 + 4 + 13 + 6 + 2) === algorithm.ecc;
    return isEcc ? answerOf(0x2ca) : null;
  };
  const claims = await proven(t, bench);
  t.same([ekOf(claims).type, akOf(claims).type], [algorithm.rsa, algorithm.rsa]);
});

live('a TPM that answers no more is not taken for another', 'known', async (t, { prover, bus, warnings }) => {
  for (const asked of [0x17a, 0x169, code.nvRead, code.createPrimary]) {
    bus.before = async (given) => {
      if (given === asked) throw new TpmTransportError('nobody answers');
      return null;
    };
    await t.rejects(prover.claims(signal), { code: 'E_TPM_OPEN' });
    bus.before = async (given) => (given === asked ? answerOf(0x921) : null);
    await t.rejects(prover.claims(signal), { code: 'E_TPM_LOCKOUT' });
    t.equal(prover.ekSha256, null);
  }
  bus.before = null;
  t.equal(ekOf(await prover.claims(signal)).type, algorithm.rsa);
  t.same(warnings, []);
});

live('another TPM in the place of the one that was', 'new', async (t, bench) => {
  const { prover, bus, chip } = bench;
  const before = await proven(t, bench);
  const first = prover.ekSha256;
  const other = await SoftwareTpm.begin({ state: null });
  try {
    await prover.close();
    bus.inner = swtpm(other.address);
    await t.rejects(proveOnce(prover), { code: 'E_TPM', message: /not the one that it was/ });
    t.notSame((await proven(t, bench)).ekPublic, before.ekPublic, 'the next time it is known as itself');
    t.not(prover.ekSha256, first);
    await prover.close();
  } finally {
    bus.inner = swtpm(chip.address);
    await other.end();
  }
});
