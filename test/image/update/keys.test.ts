import { createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { parseManifest } from '../../../daemon/update/manifest.ts';
import { checkSigner, trustedAuthorities } from '../../../daemon/update/trusted-signer.ts';
import { manifestOf } from '../../../image/update/bundle.ts';
import { signingKey, writeKeyring } from '../../../image/update/keys.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'sd-k-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => path.join(folder, ...names);
const certificateIn = (file: string) =>
  readCertificate(Buffer.from(readFileSync(file, 'utf8').replaceAll(/-----.*-----|\n/g, ''), 'base64'));

t.test('keys are made once, and are good for what they are for', async (t) => {
  const key = await signingKey(null, { XDG_CONFIG_HOME: folder });
  t.same(key, {
    certificate: at('surfaced/signing/signer.pem'),
    privateKey: at('surfaced/signing/signer.key'),
    authorities: at('surfaced/signing/ca.pem'),
  });
  const signer = certificateIn(key.certificate);
  const trusted = trustedAuthorities(readFileSync(key.authorities, 'utf8'));
  for (const years of [0, 9])
    checkSigner({ signer, certificates: [signer], trusted, at: Date.now() + years * 365 * 86_400_000 });
  t.ok((trusted[0]?.notAfter ?? 0) > Date.now() + 29 * 365 * 86_400_000, 'a CA for decades');
  const privateKey = createPrivateKey(readFileSync(key.privateKey));
  t.equal(privateKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.equal(statSync(key.privateKey).mode & 0o777, 0o600);
  t.equal(statSync(at('surfaced/signing')).mode & 0o777, 0o700);
  const was = readFileSync(key.privateKey, 'utf8');
  await signingKey(at('surfaced/signing'), {});
  t.equal(readFileSync(key.privateKey, 'utf8'), was);
});

t.test('keys that are not all there, or at the wrong place', async (t) => {
  mkdirSync(at('half'));
  writeFileSync(at('half/signer.key'), 'x');
  await t.rejects(signingKey(at('half'), {}), {
    code: 'E_IMAGE_ORDER',
    message: /signer.pem and ca.pem is missing/,
  });
  const project = fileURLToPath(new URL('../../..', import.meta.url));
  await t.rejects(signingKey(path.join(project, 'dist/keys'), {}), {
    code: 'E_IMAGE_ORDER',
    message: /repository/,
  });
});

t.test('keys of a release are named by the environment', async (t) => {
  for (const name of ['k', 'c', 'a']) writeFileSync(at(name), '');
  const all = {
    SURFACED_SIGNING_KEY: at('k'),
    SURFACED_SIGNING_CERTIFICATE: at('c'),
    SURFACED_SIGNING_AUTHORITIES: at('a'),
  };
  t.same(await signingKey(null, all), {
    privateKey: at('k'),
    certificate: at('c'),
    authorities: at('a'),
  });
  await t.rejects(signingKey(null, { ...all, SURFACED_SIGNING_AUTHORITIES: '' }), {
    message: /AUTHORITIES is not set/,
  });
  // The toolbox has no module for a key in a token: better now than after all has been built.
  for (const key of [at('none'), 'pkcs11:token=release'])
    await t.rejects(signingKey(null, { ...all, SURFACED_SIGNING_KEY: key }), {
      message: /SURFACED_SIGNING_KEY: there is no/,
    });
});

t.test('the keyring of an image has certificates alone', async (t) => {
  const key = await signingKey(at('own'), {});
  await writeKeyring({ root: at('root'), key });
  t.equal(readFileSync(at('root/etc/rauc/keyring.pem'), 'utf8'), readFileSync(key.authorities, 'utf8'));
  t.equal(statSync(at('root/etc/rauc/keyring.pem')).mode & 0o777, 0o644);
  await t.rejects(
    writeKeyring({ root: at('root'), key: { ...key, authorities: key.privateKey } }),
    /no certificate in it/,
  );
  writeFileSync(at('both.pem'), readFileSync(key.authorities, 'utf8') + readFileSync(key.privateKey, 'utf8'));
  await t.rejects(
    writeKeyring({ root: at('root'), key: { ...key, authorities: at('both.pem') } }),
    /private key/,
  );
});

t.test('the manifest that is given to RAUC has what readers want', async (t) => {
  const parts = { version: '1.2.3', rootHash: 'ab'.repeat(32), references: 'kind: ReferenceSet\n' };
  const text = manifestOf(parts)
    .replace(
      'format=verity',
      `format=verity\nverity-hash=${'0'.repeat(64)}\nverity-salt=${'0'.repeat(64)}\nverity-size=4096`,
    )
    .replace('filename=', `size=1\nsha256=${'0'.repeat(64)}\nfilename=`);
  t.match(parseManifest(Buffer.from(text)), parts);
});
