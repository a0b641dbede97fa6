import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { createTokenCredentials } from '../../../daemon/attest/enrol/client.ts';
import { addressOf, checkChain } from '../../../daemon/attest/enrol/pinned-gateway.ts';
import type { TokenProof } from '../../../daemon/attest/enrol/tokens.ts';
import type { CredentialSource, Credentials } from '../../../daemon/attest/types.ts';
import { type Clock, systemClock } from '../../../daemon/clock.ts';
import { type Log, silentLog } from '../../../daemon/log.ts';
import { generateKeys, type Rig, startRig, surfaceNamed, testClock } from './rig.ts';

const never = () => AbortSignal.timeout(60_000);
const random = () => 0.5;

interface Changes {
  readonly url?: string;
  readonly caPin?: string;
  readonly clock?: Clock;
  readonly log?: Log;
}

function source(t: Test, rig: Rig, token: string, changes: Changes = {}): CredentialSource {
  const { url = rig.url, caPin = rig.authority.pin, clock = systemClock, log = silentLog } = changes;
  const made = createTokenCredentials({ config: { url, caPin }, token, clock, random, log });
  t.teardown(() => made.stop());
  return made;
}
const nextRenewed = (of: CredentialSource): Promise<Credentials> =>
  new Promise((resolve) => {
    const end = of.onRenewed((credentials) => {
      end();
      resolve(credentials);
    });
  });

t.test('a token becomes credentials, once, for all who ask', async (t) => {
  const rig = await startRig(t);
  const client = source(t, rig, await rig.newToken());
  const [first, second] = await Promise.all([client.current(never()), client.current(never())]);
  t.equal(first, second, 'asked for at the same time');
  t.equal(await client.current(never()), first, 'asked for later');
  t.match(first, {
    site: 'site',
    surface: 'desk',
    trust: 'token',
    broker: { host: '127.0.0.1', port: 8883 },
    privateKeyPem: /BEGIN PRIVATE KEY/,
  });
  t.equal(
    new X509Certificate(first.caPem).fingerprint256,
    new X509Certificate(rig.authority.certificatePem).fingerprint256,
  );
  t.equal(new X509Certificate(first.certificatePem).subject, 'CN=desk');
});

t.test('by host name as well as by address', async (t) => {
  const rig = await startRig(t);
  const client = source(t, rig, await rig.newToken(), { url: `https://localhost:${rig.port}` });
  t.same((await client.current(never())).broker, { host: 'localhost', port: 8883 });
});

t.test('a gateway that is not the pinned one is sent nothing', async (t) => {
  const rig = await startRig(t);
  const other = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: systemClock });
  const { certificatePem, privateKeyPem } = await other.serverCertificate(['127.0.0.1']);
  let received = 0;
  const server = createTlsServer({ cert: certificatePem, key: privateKeyPem }, (socket) => {
    socket.on('data', (bytes) => {
      received += bytes.length;
    });
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = source(t, rig, await rig.newToken(), { url });
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_PIN', message: new RegExp(other.pin) });
  t.equal(received, 0);
  t.equal((await rig.tokens.list()).length, 1, 'the token is not spent');
});

t.test('a name that is not in the certificate', async (t) => {
  const rig = await startRig(t, {
    enrol: { listen: '127.0.0.1:0', hosts: ['gateway.example'], certificateTtlSeconds: 600 },
  });
  const client = source(t, rig, await rig.newToken());
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_CERTIFICATE', message: /127\.0\.0\.1/ });
});

t.test('a clock that was never set, or is a century ahead, does no harm', async (t) => {
  const rig = await startRig(t);
  for (const now of [30_000, Date.parse('2100-01-01')]) {
    const client = source(t, rig, await rig.newToken(), { clock: testClock(now) });
    t.equal((await client.current(never())).surface, 'desk');
  }
});

t.test('the chain is checked from end to end', async (t) => {
  const rig = await startRig(t);
  const clock = systemClock;
  const address = { host: '127.0.0.1', port: 1 };
  const der = (pem: string) =>
    pem.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/g)!.map((block) => new X509Certificate(block).raw);
  const [leaf, ca] = der((await rig.authority.serverCertificate(['127.0.0.1'])).certificatePem);
  const expected = { address, pin: rig.authority.pin, now: Date.now() };
  t.match(checkChain([leaf!, ca!], expected), /BEGIN CERTIFICATE/);
  t.throws(() => checkChain([], expected), { code: 'E_GATEWAY_PIN' });
  t.throws(() => checkChain([ca!], expected), { code: 'E_GATEWAY_PIN' }, 'the CA itself is no server');
  t.throws(() => checkChain([leaf!], expected), { code: 'E_GATEWAY_PIN' });
  const elsewhere = { ...expected, address: { host: '127.0.0.2', port: 1 } };
  t.throws(() => checkChain([leaf!, ca!], elsewhere), {
    code: 'E_GATEWAY_CERTIFICATE',
    message: /127\.0\.0\.2/,
  });
  const late = { ...expected, now: Date.parse('2100-01-01') };
  t.throws(() => checkChain([leaf!, ca!], late), { message: /this machine says 2100/ }, 'where it is asked');
  t.match(checkChain([leaf!, ca!], { ...late, now: null }), /BEGIN CERTIFICATE/);
  // Whoever puts the pinned CA beside a certificate of their own must not get through.
  const mine = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock });
  const [forged] = der((await mine.serverCertificate(['127.0.0.1'])).certificatePem);
  t.throws(() => checkChain([forged!, ca!], expected), {
    code: 'E_GATEWAY_CERTIFICATE',
    message: /not signed/,
  });
  // Nor who writes the name and the key identifier of the pinned CA into it.
  const authority = new x509.X509Certificate(new Uint8Array(ca!));
  const keys = await generateKeys({ name: 'ECDSA', namedCurve: 'P-256' });
  const likeness = await x509.X509CertificateGenerator.create({
    subject: 'CN=surfaced gateway',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
    ],
  });
  t.throws(() => checkChain([new Uint8Array(likeness.rawData), ca!], expected), {
    code: 'E_GATEWAY_CERTIFICATE',
    message: /not signed/,
  });
  const token = await rig.newToken();
  const { certificatePem } = await source(t, rig, token).current(never());
  const [client] = der(certificatePem);
  t.throws(() => checkChain([client!, ca!], expected), {
    code: 'E_GATEWAY_CERTIFICATE',
    message: /for servers/,
  });
});

t.test('renewal comes by itself, with a new key', async (t) => {
  const rig = await startRig(t, {
    enrol: { listen: '127.0.0.1:0', hosts: ['127.0.0.1'], certificateTtlSeconds: 4 },
  });
  const client = source(t, rig, await rig.newToken());
  const first = await client.current(never());
  const renewed = await nextRenewed(client);
  t.not(renewed.privateKeyPem, first.privateKeyPem);
  t.equal(await client.current(never()), renewed);
});

t.test('a renewal that fails is tried again', async (t) => {
  const rig = await startRig(t);
  const lines = new PassThrough();
  const client = source(t, rig, await rig.newToken(), { log: pino(lines) });
  await client.current(never());
  rig.registry.set([surfaceNamed('desk', true)]);
  client.renew();
  for await (const line of lines) if (String(line).includes('not renewed')) break;
  rig.registry.set([surfaceNamed('desk')]);
  t.equal((await nextRenewed(client)).surface, 'desk');
});

t.test('when the certificate has run out and the token is spent, the error says what to do', async (t) => {
  const rig = await startRig(t);
  const clock = testClock(Date.now());
  const once = source(t, rig, await rig.newToken('desk', 1), { clock });
  const twice = source(t, rig, await rig.newToken('desk', 2), { clock });
  const before = await twice.current(never());
  await once.current(never());
  clock.advance(600_000);
  await t.rejects(once.current(never()), { code: 'E_CREDENTIALS_ENDED', remedy: /enroll token/ });
  t.not(await twice.current(never()), before, 'a token for two uses serves once more');
});

t.test('a lost answer does not cost the token', async (t) => {
  const rig = await startRig(t);
  // A proxy that cuts the connection, once, when the token has been spent and the answer comes back.
  let isSpent = false;
  let hasCut = false;
  const proxy = createServer((near) => {
    const far = connect(rig.port, '127.0.0.1');
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => {
      if (!isSpent || hasCut) return near.write(bytes);
      hasCut = true;
      return near.destroy();
    });
    near.on('error', () => undefined).on('close', () => far.destroy());
    far.on('error', () => undefined).on('close', () => near.destroy());
  });
  const { prove } = rig.tokens;
  Object.assign(rig.tokens, {
    prove: async (proof: TokenProof) => {
      const proven = await prove(proof);
      const spend = async () => {
        await proven.spend();
        isSpent = true;
      };
      return { ...proven, spend };
    },
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => proxy.close());
  const url = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const client = source(t, rig, await rig.newToken(), { url });
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_UNREACHABLE' });
  t.ok(hasCut);
  t.equal((await client.current(never())).surface, 'desk');
});

t.test('nobody there, an aborted wait, a token that is none', async (t) => {
  const rig = await startRig(t);
  const token = await rig.newToken();
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const lost = source(t, rig, token, { url: `https://127.0.0.1:${port}` });
  await t.rejects(lost.current(never()), { code: 'E_GATEWAY_UNREACHABLE', class: 'retry' });
  const aborted = AbortSignal.abort(new Error('stopped'));
  await t.rejects(source(t, rig, token).current(aborted), { message: 'stopped' });
  await t.rejects(source(t, rig, 'nonsense').current(never()), { code: 'E_TOKEN_REFUSED' });
  t.same(addressOf('https://[::1]'), { host: '::1', port: 443 });
});
