import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AgentOptions } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { createKey } from '../../../daemon/attest/enrol/exchange.ts';
import {
  beginAnswer,
  errorAnswer,
  finishAnswer,
  maxEvidenceBytes,
  maxRequestBytes,
} from '../../../daemon/attest/enrol/messages.ts';
import { channelBinding } from '../../../daemon/attest/evidence/binding.ts';
import { challengeSchema, evidenceJson, keyClaimsJson } from '../../../daemon/attest/evidence/evidence.ts';
import { gatewaySchema } from '../../../daemon/config/schema.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { type Reply, type Rig, rawClient, startRig } from './rig.ts';
import { newClaims, someEvidence } from './stand-in.ts';

type Client = ReturnType<typeof rawClient>;
type Claims = Awaited<ReturnType<typeof newClaims>>;

const code = (reply: Reply): string | undefined => reply.json.error?.code;
const policy = gatewaySchema.shape.policy.parse({ identity: 'tpm' });
const request = (claims: Claims) => {
  const { ekSha256: _, ...shown } = claims;
  return { v: 1, kind: 'tpm', claims: keyClaimsJson(shown), firmware: '1.2.3' };
};
const begin = (client: Client, claims: Claims) => client.post('begin', request(claims));

/** Where `desk` is approved for the TPM that the claims are of. */
async function startAttesting(t: Test): Promise<{ rig: Rig; claims: Claims }> {
  const rig = await startRig(t, { policy });
  const claims = await newClaims();
  rig.attesting.approved.set(claims.ekSha256, 'desk');
  return { rig, claims };
}

async function finishBody(begun: Reply, key = createKey(), logBytes = 100) {
  const { csrPem } = await key;
  return {
    v: 1,
    session: begun.json.session,
    csr: csrPem,
    evidence: evidenceJson(someEvidence(logBytes)),
  };
}

/** Both steps; the certificate is for the key. */
async function attest(client: Client, claims: Claims, key = createKey()): Promise<Reply> {
  const begun = await begin(client, claims);
  return begun.status === 200 ? client.post('finish', await finishBody(begun, key)) : begun;
}

t.test('evidence that holds gives a certificate that says what holds', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const client = rawClient(rig, t);
  const begun = await begin(client, claims);
  t.equal(begun.status, 200);
  const { nonce, challenge } = beginAnswer.parse(begun.json);
  t.equal(Buffer.from(challenge!.nonce).toString('hex'), nonce, 'one nonce');
  t.match(rig.attesting.begins, [
    {
      claims: { ekPublic: Buffer.from(claims.ekPublic), ekCertificate: null },
      firmware: '1.2.3',
      address: '127.0.0.1',
      isRenewal: false,
    },
  ]);
  const reply = await client.post('finish', await finishBody(begun));
  t.equal(reply.status, 200);
  const answer = finishAnswer.parse(reply.json);
  t.match(answer, { site: 'site', surface: 'desk', trust: 'tpm', level: 1 });
  t.ok(answer.notAfter - rig.clock.now() <= 600_000, 'ten minutes at most');
  const { ekSha256 } = claims;
  const identity = rig.authority.identify(new X509Certificate(answer.certificate).raw)!;
  t.match(identity, { surface: 'desk', trust: 'tpm', level: 1, ekSha256, evidence: 'ev-1' });
  t.match(rig.audit.events, [
    { kind: 'certificate', surface: 'desk', trust: 'tpm', evidence: 'ev-1', serial: identity.serial },
  ]);
  const { begun: judged } = rig.attesting.finishes[0]!;
  t.same(judged.challenge, challengeSchema.parse(begun.json.challenge), 'what was begun is finished');
});

t.test('a TPM that nobody approved gets the salt of its code and nothing else', async (t) => {
  const { rig } = await startAttesting(t);
  const reply = await begin(rawClient(rig, t), await newClaims());
  t.equal(reply.status, 403);
  t.equal(code(reply), 'E_ENROL_QUARANTINE');
  t.same(errorAnswer.parse(reply.json).pairing, { salt: rig.attesting.salt.toString('hex') });
  t.same(Object.keys(reply.json), ['error', 'pairing']);
});

t.test('evidence is bound to the key of the request and to the connection', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const key = createKey();
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: rig.port,
    ca: rig.authority.certificatePem,
    minVersion: 'TLSv1.3',
  });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  const post = async (path: string, json: unknown) => {
    const body = JSON.stringify(json);
    socket.write(
      `POST /v1/attest/${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return JSON.parse(answer.toString().split('\r\n\r\n')[1] ?? '');
  };
  const json = await post('begin', request(claims));
  await post('finish', await finishBody({ status: 200, json }, key));
  const { answer } = rig.attesting.finishes[0]!;
  t.same(Buffer.from(answer.keySha256), Buffer.from((await key).hash));
  const channel = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  t.same(Buffer.from(answer.channel), channel, 'RFC 9266');
  t.same(channelBinding, { label: 'EXPORTER-Channel-Binding', bytes: 32 });
});

t.test('a nonce counts once, on its connection, for two minutes, and the latest begin counts', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const client = rawClient(rig, t);
  const body = await finishBody(await begin(client, claims));
  t.equal((await client.post('finish', body)).status, 200);
  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION', 'replayed');
  const elsewhere = await finishBody(await begin(client, claims));
  t.equal(code(await rawClient(rig, t).post('finish', elsewhere)), 'E_ENROL_SESSION', 'other connection');
  const late = await finishBody(await begin(client, claims));
  rig.clock.advance(120_000);
  t.equal(code(await client.post('finish', late)), 'E_ENROL_SESSION', 'too late');
  const replaced = await finishBody(await begin(client, claims));
  t.equal(code(await begin(client, await newClaims())), 'E_ENROL_QUARANTINE');
  t.equal(code(await client.post('finish', replaced)), 'E_ENROL_SESSION', 'replaced, though by a refusal');
  t.equal(rig.attesting.finishes.length, 1, 'nothing of it was judged');
});

t.test('without evidence there is nothing to judge, and the nonce is used', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const client = rawClient(rig, t);
  const { evidence: _, ...bare } = await finishBody(await begin(client, claims));
  const reply = await client.post('finish', { ...bare, proof: 'a'.repeat(64) });
  t.equal(code(reply), 'E_ENROL_REQUEST');
  t.match(reply.json.error.message, /^evidence: missing/);
  t.equal(code(await client.post('finish', bare)), 'E_ENROL_SESSION');
});

t.test('every refusal of the verifier arrives with its own code', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const client = rawClient(rig, t);
  const refusals = [
    ['E_ENROL_EVIDENCE', 403],
    ['E_ENROL_EPOCH', 409],
    ['E_ENROL_BUSY', 503],
    ['E_SURFACE_REVOKED', 403],
    ['E_AUDIT_WRITE', 503],
  ] as const;
  for (const [refusal, status] of refusals) {
    rig.attesting.refusal = new SurfacedError(refusal, 'pcr-values: PCR 9 is another');
    const reply = await attest(client, claims);
    t.match(reply, { status, json: { error: { code: refusal, message: /PCR 9/ } } });
  }
  rig.attesting.refusal = null;
  rig.audit.isBroken = true;
  t.equal(code(await attest(client, claims)), 'E_AUDIT_WRITE', 'a certificate that is not written down');
  t.same(rig.audit.events, [], 'no certificate in all this');
});

t.test('renewal is fresh evidence over the certificate of the same TPM', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const key = createKey();
  const first = await attest(rawClient(rig, t), claims, key);
  const tls = { cert: first.json.certificate as string, key: (await key).privateKeyPem };
  const client = rawClient(rig, t, tls);
  t.equal((await attest(client, claims)).status, 200);
  t.equal(rig.attesting.begins.at(-1)?.isRenewal, true);

  const other = await newClaims();
  rig.attesting.approved.set(other.ekSha256, 'lab');
  await attest(client, other);
  t.equal(rig.attesting.begins.at(-1)?.isRenewal, false, 'the certificate of another TPM');
  await client.post('begin', {
    ...request(claims),
    claims: { ...keyClaimsJson(claims), ekPublic: 'AAAA' },
  });
  t.equal(rig.attesting.begins.at(-1)?.isRenewal, false, 'a key that cannot be read');

  const bare = await client.post('begin', { v: 1, kind: 'renew' });
  t.equal(bare.status, 403);
  t.equal(code(bare), 'E_ENROL_KIND');
  t.match(bare.json.error.message, /fresh evidence/);

  const foreign = await startRig(t, { policy });
  foreign.attesting.approved.set(claims.ekSha256, 'desk');
  await attest(rawClient(foreign, t, tls), claims);
  t.equal(foreign.attesting.begins.at(-1)?.isRenewal, false, 'the certificate of another gateway');
  rig.clock.advance(600_000);
  await attest(client, claims);
  t.equal(rig.attesting.begins.at(-1)?.isRenewal, false, 'ran out while the connection stayed open');
});

t.test('with tokens allowed, both kinds work', async (t) => {
  const rig = await startRig(t);
  const claims = await newClaims();
  rig.attesting.approved.set(claims.ekSha256, 'desk');
  t.equal((await attest(rawClient(rig, t), claims)).status, 200);
  const begun = await rawClient(rig, t).post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' });
  t.equal(begun.status, 200);
});

t.test('large bodies are taken of those who have begun with an approved TPM', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const largeLog = 5 * 1024 * 1024;
  const client = rawClient(rig, t);
  const body = await finishBody(await begin(client, claims), createKey(), largeLog);
  t.equal((await client.post('finish', body)).status, 200, 'evidence with five megabytes of log');
  t.equal(rig.attesting.finishes[0]!.answer.evidence.logs.ima?.bytes.length, largeLog);

  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION', 'nothing is begun any more');
  t.equal(code(await rawClient(rig, t).post('finish', body)), 'E_ENROL_SESSION', 'nothing was ever begun');
  await begin(client, await newClaims());
  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION', 'in quarantine');
  await begin(client, claims);
  rig.clock.advance(120_000);
  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION', 'too late');
  const padded = Buffer.alloc(maxRequestBytes + 1, ' ');
  const tooLong = await client.send('POST', '/v1/attest/begin', padded, 'application/json');
  t.equal(tooLong.status, 413, 'begin is always small');
  t.equal(rig.attesting.finishes.length, 1);
});

t.test('a token never comes with a large body', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  await client.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' });
  const reply = await client.send('POST', '/v1/attest/finish', Buffer.alloc(200_000), 'application/json');
  t.equal(code(reply), 'E_ENROL_REQUEST');
  t.match(reply.json.error.message, /larger than 131072 bytes/);
});

/** A request whose body is promised and does not come; resolves when the gateway has looked at its header. */
async function promise(
  t: Test,
  rig: Rig,
  { claims, headers, tls = {} }: { claims: Claims; headers: string; tls?: ConnectionOptions },
): Promise<{ socket: TLSSocket; answer: string }> {
  const socket = connect({ host: '127.0.0.1', port: rig.port, ca: rig.authority.certificatePem, ...tls });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  const body = JSON.stringify(request(claims));
  socket.write(
    `POST /v1/attest/begin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, 'data');
  // RFC 9110, section 10.1.1: the answer says that the body may come, and so that there is a place for it.
  socket.write(
    `POST /v1/attest/finish HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`,
  );
  let answer = '';
  while (!answer.includes('\r\n\r\n')) answer += String(((await once(socket, 'data')) as [Buffer])[0]);
  return { socket, answer };
}

t.test('a body must say how long it is, and be short enough', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const refused = async (headers: string): Promise<string> => {
    const { socket, answer } = await promise(t, rig, { claims, headers });
    return / [45]\d\d /.test(answer) ? answer : String(((await once(socket, 'data')) as [Buffer])[0]);
  };
  t.match(await refused('transfer-encoding: chunked'), /HTTP\/1\.1 400 .*content-length: missing/s);
  t.match(await refused(`content-length: ${maxEvidenceBytes + 1}`), /HTTP\/1\.1 413 /);
  t.equal(rig.attesting.finishes.length, 0);
});

/** Many TPMs, networks to come from, and bodies that do not come. */
async function startUploads(t: Test) {
  const { rig, claims } = await startAttesting(t);
  const others = await Promise.all([1, 2, 3, 4].map(() => newClaims()));
  for (const { ekSha256 } of others) rig.attesting.approved.set(ekSha256, `s-${ekSha256.slice(0, 8)}`);
  const headers = `content-length: ${maxEvidenceBytes}`;
  return {
    rig,
    claims,
    others,
    /** Holds a place, from an address. */
    hold: async (of: Claims, localAddress: string) =>
      (await promise(t, rig, { claims: of, headers, tls: { localAddress } as ConnectionOptions })).socket,
    /** Sends long logs from an address; the code of the refusal. */
    sends: async (of: Claims, tls: AgentOptions, logBytes = 200_000) => {
      const client = rawClient(rig, t, tls);
      return code(
        await client.post('finish', await finishBody(await begin(client, of), createKey(), logBytes)),
      );
    },
  };
}
const [here, there] = ['127.0.0.2', '127.0.0.3'];

t.test('a few large bodies at a time, fewer from one network, one for each TPM', async (t) => {
  const { rig, claims, others, hold, sends } = await startUploads(t);
  const [first, second, third, fourth] = others as [Claims, Claims, Claims, Claims];
  const held = await hold(first, here);
  t.equal(await sends(first, { localAddress: here }), 'E_ENROL_BUSY', 'a TPM whose evidence is on its way');
  t.equal(await sends(first, { localAddress: there }), undefined, 'that is not known to be its own');
  t.equal(await sends(claims, { localAddress: here }), undefined, 'another TPM');

  await hold(second, here);
  t.equal(await sends(claims, { localAddress: here }), 'E_ENROL_BUSY', 'too many from one network');
  t.equal(await sends(claims, { localAddress: here }, 100), undefined, 'short logs need no place');
  t.equal(await sends(claims, { localAddress: there }), undefined, 'from another network');

  await Promise.all([hold(third, there), hold(fourth, there)]);
  t.equal(await sends(claims, { localAddress: '127.0.0.4' }), 'E_ENROL_BUSY', 'too many from everywhere');
  const key = await createKey();
  const enrolled = await attest(rawClient(rig, t), claims, Promise.resolve(key));
  const certified = { cert: enrolled.json.certificate, key: key.privateKeyPem };
  t.equal(await sends(claims, certified), undefined, 'but surfaces with a certificate have their own places');
  t.equal(await sends(first, certified), 'E_ENROL_BUSY', 'it must be that of the TPM');

  const gone = once(held, 'close');
  held.destroy();
  await gone;
  // When the gateway hears of it is not known here; each network may ask some times only.
  let network = 0;
  while ((await sends(claims, { localAddress: `127.0.1.${++network}` })) !== undefined);
  t.pass('who goes away frees the place');
});

t.test('who hardly sends makes room for who waits', async (t) => {
  const { rig, claims, others, hold, sends } = await startUploads(t);
  const [first, second] = others as [Claims, Claims];
  const slow = await hold(first, here);
  rig.clock.advance(4000);
  const faster = await hold(second, here);
  t.equal(await sends(claims, { localAddress: here }), 'E_ENROL_BUSY', 'both are given some time');
  rig.clock.advance(2000);
  const closed = once(slow, 'close');
  t.equal(await sends(claims, { localAddress: here }), undefined);
  await closed;
  t.equal(faster.closed, false, 'nobody else is closed');
});

t.test('who has sent everything is not slow, however long it is judged', async (t) => {
  const { rig, claims, sends } = await startUploads(t);
  let judged = () => {};
  rig.attesting.judging = new Promise((resolve) => {
    judged = resolve;
  });
  const first = sends(claims, { localAddress: here });
  while (rig.attesting.finishes.length === 0) await new Promise(setImmediate);
  rig.clock.advance(60_000);
  t.equal(await sends(claims, { localAddress: here }), 'E_ENROL_BUSY');
  judged();
  t.equal(await first, undefined);
});

t.test('a gateway that dies between the steps: the surface begins again', async (t) => {
  const { rig, claims } = await startAttesting(t);
  const begun = await begin(rawClient(rig, t), claims);
  const body = await finishBody(begun);
  // The same state folder and the same CA, another process.
  const next = await startRig(t, { policy }, rig.config.stateDir);
  next.attesting.approved.set(claims.ekSha256, 'desk');
  t.equal(next.authority.pin, rig.authority.pin);
  const client = rawClient(next, t);
  t.equal(code(await client.post('finish', body)), 'E_ENROL_SESSION');
  t.equal((await attest(client, claims)).status, 200);
});
