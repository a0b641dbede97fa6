import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import t from 'tap';
import { createKey } from '../../../daemon/attest/enrol/exchange.ts';
import { errorAnswer } from '../../../daemon/attest/enrol/messages.ts';
import { evidenceJson, keyClaimsJson } from '../../../daemon/attest/evidence/evidence.ts';
import { errorTable, SurfacedError } from '../../../daemon/errors.ts';
import { type Rig, rawClient, startRig, strangeHex } from './rig.ts';
import { newClaims, someEvidence } from './stand-in.ts';

const runs = { numRuns: 120 };

/** Whatever was sent: a refusal in words, never a failure, never a certificate. */
async function isRefused(
  rig: Rig,
  client: ReturnType<typeof rawClient>,
  path: string,
  body: string,
  type: string,
) {
  // Every request gets fresh permits, else only the rate limit is tried.
  rig.clock.advance(1000);
  const { status, json } = await client.send('POST', path, body, type);
  const { error } = errorAnswer.parse(json);
  return status >= 400 && status < 500 && Object.hasOwn(errorTable, error.code) && error.remedy.length > 0;
}

t.test('random bodies', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const path = fc.constantFrom('/v1/attest/begin', '/v1/attest/finish');
  const type = fc.constantFrom('application/json', 'text/plain', 'application/octet-stream', '');
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constant('{"__proto__":{"v":1}}'),
    fc.constant('['.repeat(4000)),
    fc.string({ minLength: 8193, maxLength: 9000 }),
  );
  await fc.assert(
    fc.asyncProperty(path, body, type, (...sent) => isRefused(rig, client, ...sent)),
    runs,
  );
});

t.test('bodies that are nearly right', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const odd = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.nat(), { maxLength: 3 }));
  const finish = fc.record(
    {
      v: fc.oneof(fc.constant(1), odd),
      session: fc.oneof(fc.constant(strangeHex()), odd),
      csr: fc.oneof(
        fc.constant('-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----'),
        odd,
      ),
      proof: fc.oneof(fc.constant(strangeHex()), odd),
      extra: odd,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(finish, (body) =>
      isRefused(rig, client, '/v1/attest/finish', JSON.stringify(body), 'application/json'),
    ),
    runs,
  );
});

t.test('random requests for certificates behind a good nonce', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const pem = fc
    .uint8Array({ maxLength: 600 })
    .map(
      (bytes) =>
        `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE REQUEST-----`,
    );
  await fc.assert(
    fc.asyncProperty(fc.oneof(pem, fc.string()), async (csr) => {
      rig.clock.advance(1000);
      const { json } = await client.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' });
      const body = JSON.stringify({ v: 1, session: json.session, csr, proof: strangeHex() });
      return isRefused(rig, client, '/v1/attest/finish', body, 'application/json');
    }),
    runs,
  );
});

/** A value in which one field, however deep, is something else or missing. */
function spoilt(value: object): fc.Arbitrary<object> {
  const paths: string[][] = [];
  const walk = (part: unknown, path: string[]): void => {
    if (path.length > 0) paths.push(path);
    if (typeof part === 'object' && part !== null)
      for (const [key, inner] of Object.entries(part)) walk(inner, [...path, key]);
  };
  walk(value, []);
  const odd = fc.oneof(
    fc.constantFrom(undefined, null, -1, 1e99, {}, [], '=', 'AAA', '\u0000', 'A'.repeat(20_000)),
    fc.string(),
    fc.json(),
    fc.double(),
  );
  return fc.tuple(fc.constantFrom(...paths), odd).map(([path, replacement]) => {
    const copy = structuredClone(value);
    let owner = copy as Record<string, unknown>;
    for (const key of path.slice(0, -1)) owner = owner[key] as Record<string, unknown>;
    owner[path.at(-1)!] = replacement;
    return copy;
  });
}

t.test('claims of a TPM that are nearly right', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const { ekSha256: _, ...claims } = await newClaims();
  const good = {
    v: 1,
    kind: 'tpm',
    claims: keyClaimsJson({ ...claims, ekChain: [Buffer.alloc(9)] }),
    firmware: '1',
  };
  await fc.assert(
    fc.asyncProperty(spoilt(good), (body) =>
      isRefused(rig, client, '/v1/attest/begin', JSON.stringify(body), 'application/json'),
    ),
    runs,
  );
});

t.test('evidence that is nearly right', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  const { ekSha256, ...claims } = await newClaims();
  rig.attesting.approved.set(ekSha256, 'desk');
  const begin = { v: 1, kind: 'tpm', claims: keyClaimsJson(claims), firmware: '1' };
  const good = {
    v: 1,
    session: '',
    csr: (await createKey()).csrPem,
    evidence: evidenceJson(someEvidence(64)),
  };
  const before = rig.audit.events.length;
  await fc.assert(
    fc.asyncProperty(spoilt(good.evidence), async (evidence) => {
      rig.clock.advance(1000);
      const { json } = await client.post('begin', begin);
      // What still has the right form is for the verifier to judge.
      rig.attesting.refusal = new SurfacedError('E_ENROL_EVIDENCE', 'attest: not as signed');
      const body = JSON.stringify({ ...good, session: json.session, evidence });
      return isRefused(rig, client, '/v1/attest/finish', body, 'application/json');
    }),
    runs,
  );
  t.equal(rig.audit.events.length, before, 'no certificate');
});

t.test('other paths, plain HTTP, TLS 1.2 and bytes that are no TLS', async (t) => {
  const rig = await startRig(t);
  const client = rawClient(rig, t);
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/v1/attest/begin'],
    ['PUT', '/v1/attest/finish'],
    ['POST', '/v1/attest/%ff'],
    ['POST', '/../../etc/passwd'],
  ] as const) {
    const { status } = await client.send(method, path, '', 'application/json');
    t.ok(status === 404 || status === 400, `${method} ${path}: ${status}`);
  }
  const options = { host: '127.0.0.1', port: rig.port, rejectUnauthorized: false } as const;
  const old = connect({ ...options, maxVersion: 'TLSv1.2' });
  t.match(await new Promise((resolve) => old.once('error', resolve)), { code: /PROTOCOL_VERSION/ });
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(3000, 255)]) {
    const plain = connectPlain(rig.port, '127.0.0.1', () => plain.end(bytes));
    plain.on('error', () => undefined).resume();
    await new Promise((resolve) => plain.once('close', resolve));
  }
  t.same((await client.send('GET', '/healthz', '', 'text/plain')).json, { ok: true }, 'still there');
});
