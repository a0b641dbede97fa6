import { constants, createDecipheriv, createHmac, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import t from 'tap';
import { algorithm } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { activateCredential } from '../../../daemon/attest/tpm2/commands/attestation.ts';
import { makeCredential, openCredential } from '../../../daemon/attest/tpm2/credential.ts';
import { kdfa } from '../../../daemon/attest/tpm2/kdf.ts';
import type { LoadedObject } from '../../../daemon/attest/tpm2/keys.ts';
import { Session } from '../../../daemon/attest/tpm2/session.ts';
import { publicArea, type RsaPublic } from '../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256, ekEccP256, ekRsa2048, sealed } from '../../../daemon/attest/tpm2/templates.ts';
import { Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { parseCommand } from './reverse.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex, vector } from './vectors.ts';

t.test('for an RSA key: the blob that a TPM opened', async (t) => {
  const values = vector('e2', 'makecred_rsa');
  const key = decode('it', publicArea, values('ekPub'));
  const made = makeCredential(key, values('akName'), values('credential'), () => values('seed'));
  // TPM2B_ID_OBJECT: its size is not part of what makeCredential gives, the command adds it.
  t.same(made.credentialBlob, values('idObject'));
  t.equal(made.secret.length, 256);
  const again = makeCredential(key, values('akName'), values('credential'), () => values('seed'));
  t.notSame(again.secret, made.secret, 'the padding is new every time');
});

t.test('for an ECC key: the blob that a TPM opened, and the secret', async (t) => {
  const values = vector('e2', 'makecred_ecc');
  const key = decode('it', publicArea, values('ekPub'));
  const made = makeCredential(key, values('akName'), values('credential'), () => values('ephemeralPriv'));
  t.same(made.credentialBlob, values('idObject'));
  t.same(made.secret, values('encryptedSecret'));
});

t.test('for AES-256 and SHA-384, as the holder of the private key opens it', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key: RsaPublic = {
    ...ekRsa2048,
    nameAlg: algorithm.sha384,
    symmetric: { algorithm: algorithm.aes, keyBits: 256, mode: algorithm.cfb },
    modulus: Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'),
  };
  const [name, secret] = [hex('000baa'), Buffer.from('a secret of at most 48 bytes')];
  const { credentialBlob, secret: encrypted } = makeCredential(key, name, secret);
  const seed = privateDecrypt(
    {
      key: privateKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha384',
      oaepLabel: Buffer.from('IDENTITY\0'),
    },
    encrypted,
  );
  const none = Buffer.alloc(0);
  const parts = { hash: algorithm.sha384, key: seed, contextV: none };
  const macKey = kdfa({ ...parts, label: 'INTEGRITY', contextU: none, bits: 384 });
  const mac = createHmac('sha384', macKey).update(credentialBlob.subarray(50)).update(name).digest();
  t.same(credentialBlob.subarray(0, 50), Buffer.concat([hex('0030'), mac]));
  const cipherKey = kdfa({ ...parts, label: 'STORAGE', contextU: name, bits: 256 });
  const cipher = createDecipheriv('aes-256-cfb', cipherKey, Buffer.alloc(16));
  t.same(cipher.update(credentialBlob.subarray(50)), Buffer.concat([hex('001c'), secret]));
});

t.test('keys that take no credentials', async (t) => {
  const name = hex('000baa');
  const secret = Buffer.alloc(32);
  const point = decode('it', publicArea, vector('e2', 'makecred_ecc')('ekPub'));
  t.throws(() => makeCredential(akEccP256, name, secret), TpmFormatError, 'a signing key');
  t.throws(() => makeCredential(sealed(null), name, secret), TpmFormatError, 'no key at all');
  t.throws(
    () => makeCredential(ekEccP256, name, secret),
    TpmFormatError,
    'a template: no point of the curve',
  );
  t.throws(() => makeCredential(ekRsa2048, name, secret), TpmFormatError, 'a template: no modulus');
  t.throws(() => makeCredential({ ...point, nameAlg: algorithm.null }, name, secret), TpmFormatError);
  const oddCipher = { ...ekRsa2048, symmetric: { algorithm: algorithm.aes, keyBits: 192, mode: 0x43 } };
  t.throws(() => makeCredential(oddCipher, name, secret), TpmFormatError, 'a cipher that nobody has');
  t.throws(() => makeCredential(point, name, Buffer.alloc(33)), RangeError, 'a secret that is too long');
});

t.test('opening: both keys are named and authorized, the second one by its policy', async (t) => {
  const transport = new ScriptedTpm();
  const loaded = (handle: number): LoadedObject => ({
    handle,
    name: hex('000baa'),
    authValue: Buffer.alloc(0),
    publicArea: ekEccP256,
  });
  const policy = new Session({
    handle: 0x03000000,
    kind: 'policy',
    hash: algorithm.sha256,
    nonceCaller: Buffer.alloc(32),
    nonceTPM: Buffer.alloc(32),
    salt: Buffer.alloc(0),
    bind: null,
  });
  transport.answersAll([activateCredential], hex('0003c0ffee'));
  const credential = { credentialBlob: hex('0102'), secret: hex('0304') };
  const opened = await openCredential(new Tpm({ transport }), {
    object: loaded(0x80000001),
    endorsementKey: loaded(0x80000000),
    policy,
    credential,
  });
  t.same(opened, hex('c0ffee'));
  const { handles, entries, parameters } = parseCommand(transport.sent[0]!);
  t.same(handles, [0x80000001, 0x80000000]);
  t.same(
    entries?.map(({ handle }) => handle),
    [0x40000009, 0x03000000],
  );
  t.same(decode('it', activateCredential.parameters, parameters), credential);
});
