import t from 'tap';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import {
  algorithm,
  curve,
  type EccPublic,
  makeCredential,
  nameOfPublic,
  type ObjectAttribute,
  type Public,
  publicKeyOf,
  type RsaPublic,
} from '../../../daemon/attest/tpm2/index.ts';
import { akEccP256, ekEccP256High, srkEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { judgeKeys, type KeyJudgement } from '../../../daemon/attest/verifier/keys.ts';
import type { KeyRules } from '../../../daemon/attest/verifier/types.ts';
import { authority, der, endorsement, now, type Signer } from '../certificates/making.ts';
import {
  type AttestationKind,
  attestationKeys,
  eccKey,
  ek,
  encodePublic,
  otherEk,
  rsaEk,
} from './paper-tpm.ts';
import { caseOf, rulesOf } from './world.ts';

const ak = attestationKeys['ECDSA P-256']().area as EccPublic;
const akRsa = attestationKeys.RSASSA().area as RsaPublic;
const ekP256 = ek.area;
const ekRsa = rsaEk().area;
const { claims } = caseOf();

const judge = (
  changes: { ek?: Public; ak?: Public; claims?: Partial<typeof claims>; rules?: Partial<KeyRules> } = {},
): KeyJudgement => {
  const ekPublic = encodePublic(changes.ek ?? ekP256);
  const akPublic = encodePublic(changes.ak ?? ak);
  let approvedEkSha256: string | null = null;
  try {
    approvedEkSha256 = ekPublicSha256(changes.ek ?? ekP256);
  } catch {
    // No key at all: nothing could have been approved.
  }
  return judgeKeys(
    { ...claims, ekPublic, akPublic, ...changes.claims },
    { ...rulesOf(), approvedEkSha256, ...changes.rules },
  );
};
const check = ({ checks }: KeyJudgement, name: string) => checks.find((one) => one.name === name);
const but = (area: { attributes: ReadonlySet<ObjectAttribute> }, ...left: ObjectAttribute[]) =>
  new Set([...area.attributes].filter((name) => !left.includes(name)));
const and = (area: { attributes: ReadonlySet<ObjectAttribute> }, ...more: ObjectAttribute[]) =>
  new Set([...area.attributes, ...more]);

t.test('good keys of every kind', async (t) => {
  for (const kind of Object.keys(attestationKeys) as AttestationKind[])
    for (const endorsementKey of [ekP256, ekRsa]) {
      const key = attestationKeys[kind]().area;
      const judged = judge({ ak: key, ek: endorsementKey });
      t.match(judged, { isAcceptable: true, mayBeApproved: true, hasTrustedCertificate: false }, kind);
      t.equal(judged.akName, nameOfPublic(key).toString('hex'));
      t.equal(judged.ekSha256, ekPublicSha256(endorsementKey));
      t.ok(makeCredential(judged.ek!, Buffer.from(judged.akName!, 'hex'), Buffer.alloc(32)));
    }
  t.match(
    judge({ ek: { ...ekEccP256High, x: ekP256.x, y: ekP256.y } }),
    { isAcceptable: true },
    'high range',
  );
});

type Row = readonly [what: string, area: Public, reason: RegExp];
const aes = { algorithm: algorithm.aes, keyBits: 128, mode: algorithm.cfb };
const changed = (bytes: Uint8Array, at: number, value: number) => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] = value;
  return copy;
};
const p521 = { curve: curve.p521, x: Buffer.alloc(66), y: Buffer.alloc(66) };

const ekRows: readonly Row[] = [
  ...(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'decrypt'] as const).map(
    (name): Row => [
      `without ${name}`,
      { ...ekP256, attributes: but(ekP256, name) },
      new RegExp(`${name} not set`),
    ],
  ),
  ['that signs', { ...ekP256, attributes: and(ekP256, 'sign') }, /sign is set/],
  ['named by SHA-1', { ...ekP256, nameAlg: algorithm.sha1 }, /nameAlg: 0x0004/],
  ['named by SHA-512', { ...ekP256, nameAlg: algorithm.sha512 }, /nameAlg: 0x000d/],
  ['named by nothing', { ...ekP256, nameAlg: algorithm.null }, /nameAlg: 0x0010/],
  ['named by what is no hash', { ...ekRsa, nameAlg: 0x1234 }, /nameAlg: 0x1234/],
  ['without a cipher', { ...ekP256, symmetric: null }, /symmetric: missing/],
  ['with AES-192', { ...ekP256, symmetric: { ...aes, keyBits: 192 } }, /AES-192/],
  ['with another mode', { ...ekP256, symmetric: { ...aes, mode: 0x42 } }, /mode 0x0042/],
  ['with a scheme', { ...ekP256, scheme: { algorithm: algorithm.ecdh, hash: algorithm.sha256 } }, /scheme/],
  ['with a KDF', { ...ekP256, kdf: { algorithm: 0x20, hash: algorithm.sha256 } }, /kdf/],
  ['with a point off its curve', { ...ekP256, x: changed(ekP256.x, 5, 1) }, /no valid public key/],
  ['with a coordinate that is too long', { ...ekP256, x: Buffer.alloc(33, 1) }, /33 bytes/],
  ['without coordinates', { ...ekP256, x: Buffer.alloc(0), y: Buffer.alloc(0) }, /no valid public key/],
  ['on another curve', { ...ekP256, ...p521 }, /curve: 0x0005/],
  ['on a curve that is not known', { ...ekP256, curve: 0x10 }, /curve: 0x0010/],
  ['of 1024 bits', { ...ekRsa, keyBits: 1024, modulus: ekRsa.modulus.subarray(0, 128) }, /keyBits: 1024/],
  ['whose modulus is short', { ...ekRsa, modulus: ekRsa.modulus.subarray(1) }, /modulus/],
  ['whose modulus begins with a zero', { ...ekRsa, modulus: changed(ekRsa.modulus, 0, 0) }, /modulus/],
  ['whose modulus is even', { ...ekRsa, modulus: changed(ekRsa.modulus, -1, 2) }, /modulus/],
  ['without a modulus', { ...ekRsa, modulus: Buffer.alloc(0) }, /modulus/],
  ['that encrypts nothing', { ...ekRsa, exponent: 1 }, /exponent: 1/],
  ['with exponent 3', { ...ekRsa, exponent: 3 }, /exponent: 3/],
  [
    'that is sealed data',
    {
      type: algorithm.keyedHash,
      nameAlg: algorithm.sha256,
      attributes: ekP256.attributes,
      authPolicy: Buffer.alloc(0),
      scheme: null,
      unique: Buffer.alloc(32),
    },
    /type: 0x0008/,
  ],
  [
    'that is symmetric',
    {
      type: algorithm.symCipher,
      nameAlg: algorithm.sha256,
      attributes: ekP256.attributes,
      authPolicy: Buffer.alloc(0),
      symmetric: aes,
      unique: Buffer.alloc(32),
    },
    /type: 0x0025/,
  ],
  ['that is an attestation key', ak, /decrypt not set/],
];

const akRows: readonly Row[] = [
  ...(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const).map(
    (name): Row => [`without ${name}`, { ...ak, attributes: but(ak, name) }, new RegExp(`${name} not set`)],
  ),
  ['that decrypts', { ...ak, attributes: and(ak, 'decrypt') }, /decrypt is set/],
  ['named by SHA-1', { ...ak, nameAlg: algorithm.sha1 }, /nameAlg: 0x0004/],
  ['named by nothing', { ...ak, nameAlg: algorithm.null }, /nameAlg: 0x0010/],
  ['with a cipher', { ...ak, symmetric: aes }, /symmetric/],
  ['without a scheme', { ...ak, scheme: null }, /scheme: 0x0010/],
  ['with ECDH', { ...ak, scheme: { algorithm: algorithm.ecdh, hash: algorithm.sha256 } }, /scheme: 0x0019/],
  [
    'that signs SHA-1',
    { ...ak, scheme: { algorithm: algorithm.ecdsa, hash: algorithm.sha1 } },
    /hash 0x0004/,
  ],
  [
    'that signs no hash',
    { ...ak, scheme: { algorithm: algorithm.ecdsa, hash: algorithm.null } },
    /hash 0x0010/,
  ],
  [
    'with OAEP',
    { ...akRsa, scheme: { algorithm: algorithm.oaep, hash: algorithm.sha256 } },
    /scheme: 0x0017/,
  ],
  ['with RSAES', { ...akRsa, scheme: { algorithm: algorithm.rsaes, hash: null } }, /scheme: 0x0015/],
  [
    'that signs SHA-1 by RSA',
    { ...akRsa, scheme: { algorithm: algorithm.rsassa, hash: algorithm.sha1 } },
    /hash 0x0004/,
  ],
  ['of 1024 bits', { ...akRsa, keyBits: 1024, modulus: akRsa.modulus.subarray(0, 128) }, /keyBits: 1024/],
  ['of other bits than its modulus', { ...akRsa, keyBits: 4096 }, /modulus/],
  ['with exponent 1', { ...akRsa, exponent: 1 }, /exponent: 1/],
  ['on another curve', { ...ak, ...p521 }, /curve: 0x0005/],
  ['with a point off its curve', { ...ak, y: changed(ak.y, 5, 1) }, /no valid public key/],
  ['that is a storage key', { ...srkEccP256, x: ak.x, y: ak.y }, /sign not set/],
  ['that is an endorsement key', ekP256, /sign not set/],
];

t.test('endorsement keys that are refused', async (t) => {
  for (const [what, area, reason] of ekRows) {
    const judged = judge({ ek: area });
    t.match(check(judged, 'ek-public'), { outcome: 'failed', reason }, what);
    t.match(judged, { isAcceptable: false, mayBeApproved: false, ek: null }, what);
    t.match(
      check(judged, 'ek-public')?.reason,
      /^ekPublic|no valid public key|bytes/,
      `${what}: names the field`,
    );
    t.equal(check(judged, 'ek-certificate')?.outcome, 'skipped');
  }
});

t.test('attestation keys that are refused', async (t) => {
  for (const [what, area, reason] of akRows) {
    const judged = judge({ ak: area });
    t.match(check(judged, 'ak-public'), { outcome: 'failed', reason }, what);
    t.match(judged, { isAcceptable: false, mayBeApproved: false, ak: null }, what);
    t.match(check(judged, 'ek-public'), { outcome: 'passed' }, what);
  }
});

t.test('areas that are cut, longer, or none', async (t) => {
  for (const [field, name, whole] of [
    ['ekPublic', 'ek-public', claims.ekPublic],
    ['akPublic', 'ak-public', claims.akPublic],
  ] as const) {
    for (let length = 0; length < whole.length; length++) {
      const judged = judge({ claims: { [field]: whole.subarray(0, length) } });
      t.match(
        check(judged, name),
        { outcome: 'failed', reason: new RegExp(`^${field}`) },
        `${field} cut at ${length}`,
      );
    }
    const longer = judge({ claims: { [field]: Buffer.concat([whole, Buffer.alloc(1)]) } });
    t.match(check(longer, name), { outcome: 'failed', reason: new RegExp(`^${field}: .*1 bytes too many`) });
    t.match(check(judge({ claims: { [field]: Buffer.alloc(100_000, 0xff) } }), name), { outcome: 'failed' });
  }
});

t.test('a key that nobody has approved can be shown to a person, and is not accepted', async (t) => {
  const unknown = judge({ rules: { approvedEkSha256: null } });
  t.match(unknown, { isAcceptable: false, mayBeApproved: true, ekSha256: ekPublicSha256(ekP256) });
  t.match(check(unknown, 'ek-approved'), { outcome: 'failed', reason: /no surface is approved/ });
  const other = judge({ rules: { approvedEkSha256: ekPublicSha256(otherEk.area) } });
  t.match(other, { isAcceptable: false, mayBeApproved: true });
  t.notOk(judge({ ak: { ...ak, scheme: null }, rules: { approvedEkSha256: null } }).mayBeApproved);
});

const keyOf = (area: Public): x509.PublicKey =>
  new x509.PublicKey(publicKeyOf(area).export({ type: 'spki', format: 'der' }));
const root = await authority({ subject: 'CN=Root', signer: null });
const middle = await authority({ subject: 'CN=Vendor', signer: root });
const certificate = await endorsement({ signer: middle, publicKey: keyOf(ekP256) });
const expired = await endorsement({
  signer: middle,
  publicKey: keyOf(ekP256),
  notAfter: now - 1,
  notBefore: now - 9,
});
const foreign = await endorsement({ signer: middle, publicKey: keyOf(otherEk.area) });
const roots = [readCertificate(der(root))];

t.test('certificates of endorsement keys', async (t) => {
  const judged = (leaf: Signer | Uint8Array | null, rules: Partial<KeyRules> = {}, chain = [der(middle)]) => {
    const ekCertificate = leaf === null || leaf instanceof Uint8Array ? leaf : der(leaf);
    return judge({ claims: { ekCertificate, ekChain: chain }, rules: { roots, now, ...rules } });
  };
  const required = { isCertificateRequired: true };

  for (const rules of [{}, required]) {
    const trusted = judged(certificate, rules);
    t.match(trusted, {
      isAcceptable: true,
      hasTrustedCertificate: true,
      certificateSummary: 'leads to CN=Root',
    });
    const wrong = judged(foreign, rules);
    t.match(check(wrong, 'ek-certificate'), { outcome: 'failed', reason: /its key is not that of ekPublic/ });
    t.match(wrong, { isAcceptable: false, hasTrustedCertificate: false, mayBeApproved: false });
  }
  const rows: readonly [
    string,
    Signer | Uint8Array | null,
    Partial<KeyRules>,
    Buffer[] | undefined,
    RegExp,
  ][] = [
    ['none', null, {}, undefined, /none was sent/],
    ['no chain', certificate, {}, [], /CN=Vendor/],
    ['no roots', certificate, { roots: [] }, undefined, /./],
    ['too late', expired, {}, undefined, /notAfter/],
    ['too early', certificate, { now: now - 1e12 }, undefined, /notBefore/],
    ['garbage', Buffer.from('garbage'), {}, undefined, /EK certificate, DER/],
    ['nothing', Buffer.alloc(0), {}, undefined, /EK certificate, DER/],
    ['an enormous one', Buffer.alloc(1_000_000, 0x30), {}, undefined, /at most 16384/],
  ];
  for (const [what, leaf, rules, chain, reason] of rows) {
    const optional = judged(leaf, rules, chain);
    t.match(check(optional, 'ek-certificate'), { outcome: 'skipped', reason }, what);
    t.match(
      optional,
      { isAcceptable: true, hasTrustedCertificate: false },
      `${what}: approval stands for it`,
    );
    const demanded = judged(leaf, { ...rules, ...required }, chain);
    t.match(check(demanded, 'ek-certificate'), { outcome: 'failed', reason }, `${what}, and one is demanded`);
    t.match(demanded, { isAcceptable: false, mayBeApproved: false }, what);
  }
  const lenient = { certificates: { mayLeafBeExpired: true, mayRootBeIntermediate: false }, ...required };
  const accepted = judged(expired, lenient);
  t.match(accepted, { isAcceptable: true, hasTrustedCertificate: true });
  t.match(accepted.certificateSummary, /leads to CN=Root \(accepted: .*notAfter/);
  t.ok(
    judged(certificate, required, [Buffer.from('x'), der(middle)]).isAcceptable,
    'an unreadable one aside',
  );
});

t.test('an attestation key of any kind is no endorsement key, whatever the certificate says', async (t) => {
  const leaf = await endorsement({ signer: middle, publicKey: keyOf(eccKey(akEccP256).area) });
  const judged = judge({
    ek: ak,
    claims: { ekCertificate: der(leaf), ekChain: [der(middle)] },
    rules: { roots, now },
  });
  t.match(judged, { isAcceptable: false, hasTrustedCertificate: false });
});
