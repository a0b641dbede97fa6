import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import t from 'tap';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { ekPublicSha256, ekSpkiSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { readSignatureScheme } from '../../../daemon/attest/certificates/signature.ts';
import { algorithm, curve } from '../../../daemon/attest/tpm2/index.ts';
import { judge, middle, refuses } from './judging.ts';
import { authority, der, ekPurpose, endorsement, purpose, tpmName, usage } from './making.ts';

const { keyEncipherment } = x509.KeyUsageFlags;

t.test('signature algorithms', async (t) => {
  const ecdsaSha256 = Buffer.from('2a8648ce3d040302', 'hex');
  const mixed = der(await endorsement({ signer: middle }));
  mixed[mixed.lastIndexOf(ecdsaSha256) + 7] = 3;
  const verdict = judge(mixed);
  refuses(t, verdict, 'unreadable');
  t.match(verdict.problems[0]?.text, /signatureAlgorithm: differs inside and outside/);

  const keys = await webcrypto.subtle.generateKey(
    { name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  );
  const pss = await authority({ subject: 'CN=PSS', signer: null, keys });
  const leaf = await endorsement({ signer: pss });
  t.strictSame(judge(leaf, { roots: [pss], chain: [] }).problems, []);
  const withoutParameters = Buffer.from('06092a864886f70d01010a', 'hex');
  const scheme = readSignatureScheme({ tag: 0x30, content: withoutParameters, bytes: withoutParameters });
  t.equal(scheme.kind, 'refused', 'what RSASSA-PSS leaves out is SHA-1');
});

t.test('RSA keys, their odd names, and pins', async (t) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const oaep = Buffer.from(spki);
  oaep[oaep.indexOf(Buffer.from('2a864886f70d010101', 'hex')) + 8] = 7;
  const extensions = [usage(keyEncipherment), purpose(ekPurpose), tpmName()];
  const leaf = await endorsement({ signer: middle, publicKey: new x509.PublicKey(oaep), extensions });
  const verdict = judge(leaf);
  t.strictSame(verdict.problems, []);
  t.equal(verdict.ekSpkiSha256, ekSpkiSha256(spki), 'RSAES-OAEP in the certificate');
  const common = {
    nameAlg: algorithm.sha256,
    attributes: new Set<never>(),
    authPolicy: Buffer.alloc(0),
  };
  const { n = '' } = publicKey.export({ format: 'jwk' });
  const area = {
    ...common,
    type: algorithm.rsa,
    symmetric: null,
    scheme: null,
    keyBits: 2048,
    exponent: 0,
    modulus: Buffer.from(n, 'base64url'),
  };
  t.equal(ekPublicSha256(area), verdict.ekSpkiSha256, 'the TPM says the same');

  const ecc = await endorsement({ signer: middle });
  const jwk = new X509Certificate(der(ecc)).publicKey.export({ format: 'jwk' });
  const [x, y] = [jwk.x, jwk.y].map((value) => Buffer.from(String(value), 'base64url'));
  const point = {
    ...common,
    type: algorithm.ecc,
    symmetric: null,
    scheme: null,
    kdf: null,
    curve: curve.p256,
    x: x ?? Buffer.alloc(0),
    y: y ?? Buffer.alloc(0),
  };
  t.equal(ekPublicSha256(point), judge(ecc).ekSpkiSha256);

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  refuses(
    t,
    judge(await endorsement({ signer: middle, publicKey: new x509.PublicKey(small), extensions })),
    'key-refused',
  );
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  t.throws(() => ekSpkiSha256(koblitz), { code: 'E_ATTEST_CERTIFICATE', message: /curve 1\.3\.132\.0\.10/ });
});
