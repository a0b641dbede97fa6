import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  parseSigner,
  readSigners,
  readSigningKey,
  signSet,
  verifySet,
} from '../../../daemon/attest/policy/signature.ts';
import { alice, bob, messageOf, rejectionOf } from './sets.ts';

const text = Buffer.from('a set\n');
const keyOf = (who: typeof alice) => createPrivateKey(who.privatePem);
const signers = [parseSigner(bob.publicPem, 'bob'), parseSigner(alice.publicPem, 'alice')];
const fault = (bytes: Uint8Array, signature: Uint8Array | string) =>
  messageOf(() => verifySet(bytes, Buffer.from(signature), signers), 'E_POLICY_SET');

t.test('a signature names its signer and fits one content', async (t) => {
  const signature = signSet(text, keyOf(alice));
  t.match(signature, /^\{.*\}\n$/, 'one line');
  t.equal(verifySet(text, Buffer.from(signature), signers), alice.sha256);
  t.match(fault(Buffer.from('a Set\n'), signature), /not for this content/);
  t.match(
    messageOf(() => verifySet(text, Buffer.from(signature), signers.slice(0, 1)), 'E_POLICY_SET'),
    new RegExp(`signed by ${alice.sha256}, who is not`),
  );
  const renamed = signature.replace(alice.sha256, bob.sha256);
  t.match(fault(text, renamed), /not for this content/, 'the name in the file is only a hint');
});

t.test('what was signed for something else is no signature', async (t) => {
  const good = JSON.parse(signSet(text, keyOf(alice))) as object;
  const signature = sign(null, text, keyOf(alice)).toString('base64');
  t.match(fault(text, JSON.stringify({ ...good, signature })), /not for this content/);
  const labelled = Buffer.concat([Buffer.from('surfaced/reference-set/v1\0'), text]);
  const other = sign(null, labelled, keyOf(alice)).toString('base64');
  t.equal(fault(text, JSON.stringify({ ...good, signature: other })), '', 'as docs/policy.md says');
});

t.test('what is no signature is told', async (t) => {
  const good = JSON.parse(signSet(text, keyOf(alice))) as object;
  t.match(fault(text, ''), /not the JSON/);
  t.match(fault(text, 'null'), /is not one: the whole/);
  t.match(fault(text, JSON.stringify({ ...good, v: 2 })), /is not one: v/);
  t.match(fault(text, JSON.stringify({ ...good, signature: 'AA==' })), /is not one: signature/);
  t.match(fault(text, JSON.stringify({ ...good, more: 1 })), /is not one/);
  const { signature } = good as { signature: string };
  // Of the last digit only two bits count.
  const last = signature.at(-3) ?? '';
  const twin = String.fromCharCode(last.charCodeAt(0) + 1);
  const other = `${signature.slice(0, -3)}${twin}==`;
  t.same(Buffer.from(other, 'base64'), Buffer.from(signature, 'base64'));
  t.match(fault(text, JSON.stringify({ ...good, signature: other })), /is not one: signature/);
});

t.test('no changed byte of content or signature passes', async () => {
  const signature = Buffer.from(signSet(text, keyOf(alice)));
  const changed = (bytes: Buffer, at: number, by: number) => {
    const copy = Buffer.from(bytes);
    copy[at % copy.length]! ^= by;
    return copy;
  };
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, by, isContent) => {
      if (isContent) return fault(changed(text, at, by), signature) !== '';
      // The line end is not part of the JSON, and JSON does not mind which blank is there.
      const json = signature.subarray(0, -1);
      return fault(text, changed(json, at, by)) !== '';
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => fault(text, bytes) !== ''));
  fc.assert(fc.property(fc.json(), (json) => fault(text, json.slice(0, 1000)) !== ''));
});

t.test('keys are Ed25519, and of the right half', async (t) => {
  const rsa = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const folder = t.testdir({
    'a.pem': alice.privatePem,
    'a.pub': alice.publicPem,
    'ec.pem': rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'ec.pub': rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    'no.pem': 'hello',
  });
  const signer = (name: string) =>
    rejectionOf(readSigners([path.join(folder, name)]), 'E_POLICY_SET', 'E_CFG_READ');
  const key = (name: string) => rejectionOf(readSigningKey(path.join(folder, name)), 'E_POLICY_SET');
  t.equal((await readSigners([path.join(folder, 'a.pub')]))[0]?.sha256, alice.sha256);
  t.match(await signer('a.pem'), /a\.pem: a private key/);
  t.match(await signer('ec.pub'), /ec\.pub: a key for ec, not for Ed25519/);
  t.match(await signer('no.pem'), /no\.pem: not a public key in PEM/);
  t.match(await signer('missing'), /cannot be read \(ENOENT\)/);
  t.equal((await readSigningKey(path.join(folder, 'a.pem'))).type, 'private');
  t.match(await key('a.pub'), /a\.pub: not a private key/);
  t.match(await key('ec.pem'), /a key for ec/);
});
