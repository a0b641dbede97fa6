import { X509Certificate } from 'node:crypto';
import t from 'tap';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { createKey } from '../../../daemon/attest/enrol/exchange.ts';
import { readToken, tokenProof } from '../../../daemon/attest/enrol/token-proof.ts';
import { gatewaySchema } from '../../../daemon/config/schema.ts';
import { generateKeys, type Rig, rawClient, startRig, strangeHex, surfaceNamed } from './rig.ts';

type Client = ReturnType<typeof rawClient>;

/** Both steps with a token, by hand. */
async function enrol(client: Client, token: string, key = createKey()) {
  const { id, key: secret } = readToken(token)!;
  const begun = await client.post('begin', { v: 1, kind: 'token', tokenId: id });
  const { csrPem, hash } = await key;
  const proof = tokenProof(secret, Buffer.from(begun.json.nonce ?? '', 'hex'), hash).toString('hex');
  const body = { v: 1, session: begun.json.session, csr: csrPem, proof };
  return { body, reply: await client.post('finish', body) };
}
const code = (reply: { json: { error?: { code: string } } }) => reply.json.error?.code;

t.test('a token gives a certificate that says what the token was for', async (t) => {
  const rig = await startRig(t);
  const { reply } = await enrol(rawClient(rig, t), await rig.newToken());
  t.equal(reply.status, 200);
  const { certificate, notAfter, now, ...rest } = reply.json;
  t.match(rest, {
    site: 'site',
    surface: 'desk',
    trust: 'token',
    broker: { host: '127.0.0.1', port: 8883 },
    ca: rig.authority.certificatePem,
  });
  t.equal(now, rig.clock.now());
  t.ok(notAfter - now <= 600_000 && notAfter - now > 598_000, 'ten minutes at most');
  const leaf = new X509Certificate(certificate);
  t.ok(leaf.verify(new X509Certificate(rig.authority.certificatePem).publicKey));
  const identity = rig.authority.identify(leaf.raw)!;
  t.match(identity, { site: 'site', surface: 'desk', trust: 'token', notAfter });
  const { evidence, serial } = identity;
  t.same(rig.audit.events, [
    { kind: 'certificate', surface: 'desk', trust: 'token', evidence, serial, notAfter },
  ]);
});

t.test('no certificate leaves a gateway that cannot write it down', async (t) => {
  const rig = await startRig(t);
  const [token, key] = [await rig.newToken(), createKey()];
  rig.audit.isBroken = true;
  const { reply } = await enrol(rawClient(rig, t), token, key);
  t.equal(reply.status, 503);
  t.equal(code(reply), 'E_AUDIT_WRITE');
  t.notMatch(JSON.stringify(reply.json), /CERTIFICATE/);
  rig.audit.isBroken = false;
  t.equal((await enrol(rawClient(rig, t), token, key)).reply.status, 200, 'the same key may ask again');
});

t.test('a token counts once', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  const first = await enrol(rawClient(rig, t), token);
  t.equal(first.reply.status, 200);
  const second = await enrol(rawClient(rig, t), token);
  t.equal(code(second.reply), 'E_TOKEN_SPENT');
  t.equal(second.reply.status, 401);
});

t.test('of many who finish at once with one token, one succeeds', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  const replies = await Promise.all(Array.from({ length: 12 }, () => enrol(rawClient(rig, t), token)));
  const codes = replies.map(({ reply }) => (reply.status === 200 ? 'issued' : code(reply)));
  t.same(codes.toSorted(), [...Array(11).fill('E_TOKEN_SPENT'), 'issued']);
});

t.test('the key that a token was spent for may ask again: its answer may have been lost', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  const key = createKey();
  t.equal((await enrol(rawClient(rig, t), token, key)).reply.status, 200);
  t.equal((await enrol(rawClient(rig, t), token, key)).reply.status, 200);
  t.equal(code((await enrol(rawClient(rig, t), token)).reply), 'E_TOKEN_SPENT', 'another key may not');
});

t.test('a nonce counts once, on its own connection, for two minutes', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const { body } = await enrol(client, await rig.newToken());
  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION', 'replayed');

  const token = await rig.newToken();
  const { id, key } = readToken(token)!;
  const begin = async () => {
    const { json } = await client.post('begin', { v: 1, kind: 'token', tokenId: id });
    const { csrPem, hash } = await createKey();
    const proof = tokenProof(key, Buffer.from(json.nonce, 'hex'), hash).toString('hex');
    return { v: 1, session: json.session, csr: csrPem, proof };
  };
  t.equal(code(await rawClient(rig, t).post('finish', await begin())), 'E_ENROL_SESSION', 'other connection');
  const late = await begin();
  rig.clock.advance(120_000);
  t.equal(code(await client.post('finish', late)), 'E_ENROL_SESSION', 'too late');
  const replaced = await begin();
  await begin();
  t.equal(code(await client.post('finish', replaced)), 'E_ENROL_SESSION', 'a later begin takes its place');
  t.equal((await client.post('finish', await begin())).status, 200, 'none of this has spent the token');
});

t.test('an unknown token and a wrong proof look alike', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  const unknown = await enrol(rawClient(rig, t), `zzzzzz.${'a'.repeat(32)}`);
  const wrong = await enrol(rawClient(rig, t), `${token.slice(0, 7)}${'a'.repeat(32)}`);
  t.equal(code(unknown.reply), 'E_TOKEN_REFUSED');
  t.same(wrong.reply, unknown.reply);
  t.equal((await enrol(rawClient(rig, t), token)).reply.status, 200, 'a wrong proof does not spend it');
});

t.test('a proof holds for one key only', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const { id, key } = readToken(await rig.newToken())!;
  const { json } = await client.post('begin', { v: 1, kind: 'token', tokenId: id });
  const mine = await createKey();
  const proof = tokenProof(key, Buffer.from(json.nonce, 'hex'), mine.hash).toString('hex');
  const other = { v: 1, session: json.session, csr: (await createKey()).csrPem, proof };
  t.equal(code(await client.post('finish', other)), 'E_TOKEN_REFUSED');
});

t.test('who may not have a certificate gets none, and keeps the token', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  rig.registry.set([surfaceNamed('desk', true)]);
  t.equal(code((await enrol(rawClient(rig, t), token)).reply), 'E_SURFACE_REVOKED');
  rig.registry.set([]);
  t.equal(code((await enrol(rawClient(rig, t), token)).reply), 'E_SURFACE_UNKNOWN');
  rig.registry.set([surfaceNamed('desk')]);
  t.equal((await enrol(rawClient(rig, t), token)).reply.status, 200);
  const old = await rig.newToken();
  rig.clock.advance(3_600_000);
  t.equal(code((await enrol(rawClient(rig, t), old)).reply), 'E_TOKEN_SPENT', 'ran out');
});

t.test('without `identity: token` no token helps', async (t) => {
  const rig = await startRig(t, { policy: gatewaySchema.shape.policy.parse({ identity: 'tpm' }) });
  const begun = await rawClient(rig, t).post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' });
  t.equal(begun.status, 403);
  t.equal(code(begun), 'E_ENROL_POLICY');
  t.match(begun.json.error.remedy, /policy\.identity: token/);
  t.equal(code(await rawClient(rig, t).post('begin', { v: 1, kind: 'renew' })), 'E_ENROL_CERTIFICATE');
});

t.test('only a self-signed request for a P-256 key is accepted', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const tryCsr = async (csr: string) => {
    const { json } = await client.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' });
    return client.post('finish', { v: 1, session: json.session, csr, proof: strangeHex() });
  };
  const sign = (algorithm: { name: string; namedCurve?: string }, hash: string) =>
    generateKeys(algorithm).then((keys) =>
      x509.Pkcs10CertificateRequestGenerator.create({
        name: 'CN=x',
        keys,
        signingAlgorithm: { name: algorithm.name, hash },
      }),
    );
  const p384 = await sign({ name: 'ECDSA', namedCurve: 'P-384' }, 'SHA-384');
  const ed25519 = await sign({ name: 'Ed25519' }, 'SHA-512');
  const good = Buffer.from(new Uint8Array(x509.PemConverter.decode((await createKey()).csrPem)[0]!));
  good[good.length - 1]! ^= 1;
  const forged = x509.PemConverter.encode(new Uint8Array(good), 'CERTIFICATE REQUEST');
  for (const csr of [p384.toString('pem'), ed25519.toString('pem'), forged, 'nonsense', '']) {
    t.equal(code(await tryCsr(csr)), 'E_ENROL_CSR', csr.slice(28, 60));
  }
});

t.test('renewal over mutual TLS', async (t) => {
  const rig = await startRig(t);
  const { csrPem, privateKeyPem, hash } = await createKey();
  const key = Promise.resolve({ csrPem, privateKeyPem, hash });
  const { reply } = await enrol(rawClient(rig, t), await rig.newToken(), key);
  const tls = { cert: reply.json.certificate as string, key: privateKeyPem };
  const renew = async (client: Client) => {
    const begun = await client.post('begin', { v: 1, kind: 'renew' });
    if (begun.status !== 200) return begun;
    return client.post('finish', { v: 1, session: begun.json.session, csr: (await createKey()).csrPem });
  };
  const evidenceOf = (rig: Rig, pem: string) =>
    rig.authority.identify(new X509Certificate(pem).raw)?.evidence;

  const renewed = await renew(rawClient(rig, t, tls));
  t.equal(renewed.status, 200);
  t.match(renewed.json, { surface: 'desk', trust: 'token' });
  t.equal(evidenceOf(rig, renewed.json.certificate), evidenceOf(rig, reply.json.certificate));
  t.not(renewed.json.certificate, reply.json.certificate);

  t.equal(code(await renew(rawClient(rig, t))), 'E_ENROL_CERTIFICATE', 'no certificate');
  const server = await rig.authority.serverCertificate(['desk']);
  const asServer = { cert: server.certificatePem, key: server.privateKeyPem };
  t.equal(code(await renew(rawClient(rig, t, asServer))), 'E_ENROL_CERTIFICATE', 'a server certificate');
  const foreign = await startRig(t);
  t.equal(
    code(await renew(rawClient(foreign, t, tls))),
    'E_ENROL_CERTIFICATE',
    'the certificate of another gateway',
  );

  const open = rawClient(rig, t, tls);
  const begun = await open.post('begin', { v: 1, kind: 'renew' });
  rig.registry.set([surfaceNamed('desk', true)]);
  const finish = { v: 1, session: begun.json.session, csr: (await createKey()).csrPem };
  t.equal(code(await open.post('finish', finish)), 'E_SURFACE_REVOKED', 'revoked in between');
  rig.registry.set([]);
  t.equal(code(await renew(open)), 'E_SURFACE_UNKNOWN');
  rig.registry.set([surfaceNamed('desk')]);
  t.equal((await renew(open)).status, 200);
  rig.clock.advance(600_000);
  t.equal(code(await renew(open)), 'E_ENROL_CERTIFICATE', 'ran out while the connection stayed open');
});

t.test('the first who ask too often are told to wait; others are served', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const statuses = new Set<number>();
  for (let i = 0; i < 70; i++)
    statuses.add((await client.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' })).status);
  t.same([...statuses], [200, 429]);
  t.equal((await client.send('GET', '/healthz', '', 'text/plain')).status, 200);
  rig.clock.advance(10_000);
  t.equal((await client.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' })).status, 200);
});
