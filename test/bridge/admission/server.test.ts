import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import { makeServerCertificate } from '../../../daemon/attest/authority/server-certificate.ts';
import { readRequestSubject } from '../../../daemon/attest/certificates/request.ts';
import type { TrustState } from '../../../daemon/attest/trust/types.ts';
import { startAdmission } from '../../../daemon/bridge/admission/server.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { createAuthority } from '../pki.ts';
import { admissionOf, binding, clientKubelet, csr, nodePem, review, trustOf, uid } from './reviews.ts';

const host = 'surfaced-admission.surfaced.svc';

async function newServer(
  t: Test,
  fields: Readonly<Record<string, unknown>> = {},
  states: Record<string, TrustState> = {},
) {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-admission-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const stateDir = path.join(folder, 'state');
  const authority = await loadAuthority({ stateDir, site: 'home', clock: systemClock });
  const admission = admissionOf({
    listen: '127.0.0.1:0',
    nodes: [{ node: 'pi-7', surface: 'desk' }],
    ...fields,
  });
  let renew = (): void => undefined;
  const options = { authority, hosts: admission.hosts, clock: systemClock, log: silentLog };
  const kept = await makeServerCertificate(options);
  const next = await authority.serverCertificate(['renewed.svc', ...admission.hosts]);
  const certificate = {
    first: kept.first,
    keep: (onRenewed: (renewed: typeof next) => void) => {
      renew = () => onRenewed(next);
      return () => undefined;
    },
  };
  const parts = {
    admission,
    trust: trustOf(states),
    readSubject: readRequestSubject,
    certificate,
    log: silentLog,
  };
  const server = await startAdmission(parts);
  t.teardown(() => server.close());
  return { server, caPem: authority.certificatePem, renew: () => renew(), parts };
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A request as an API server sends it: to the Service's name, with the CA of the registration. */
const post = (port: number, ca: string, body: unknown, more: RequestOptions = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const to = { host: '127.0.0.1', port, ca, servername: host, method: 'POST', path: '/admit?timeout=5s' };
    const sent = httpsRequest({ ...to, agent: false, headers, ...more }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer || '{}') as Answer['body'] });
      });
    });
    sent.on('error', reject).end(text);
  });

const scheduled = (node: string) =>
  review({ resource: 'pods', subResource: 'binding', namespace: 'shop', object: binding(node) });

t.test("over HTTPS with the gateway's CA, while trust changes", async (t) => {
  const states: Record<string, TrustState> = { desk: 'trusted' };
  const { server, caPem, renew } = await newServer(t, {}, states);
  const ask = (body: unknown) => post(server.port, caPem, body);
  t.same(await ask(scheduled('pi-7')), {
    status: 200,
    body: {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid, allowed: true, auditAnnotations: { surface: 'desk', state: 'trusted' } },
    },
  });
  states.desk = 'failed';
  t.match(await ask(scheduled('pi-7')), {
    status: 200,
    body: { response: { uid, allowed: false, status: { code: 403, reason: 'Forbidden' } } },
  });
  const object = csr(await nodePem('pi-7'), clientKubelet);
  const certificate = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', object };
  t.match(await ask(review(certificate)), { status: 200, body: { response: { allowed: false } } });
  t.match(server.health(), { ok: true });

  const other = await createAuthority('other');
  await t.rejects(post(server.port, other.caPem, scheduled('pi-7')), 'another CA');
  const toAnother = { servername: 'renewed.svc' };
  await t.rejects(post(server.port, caPem, scheduled('pi-7'), toAnother), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  renew();
  t.match(
    await post(server.port, caPem, scheduled('amd64-1'), toAnother),
    { status: 200 },
    'the new certificate',
  );
});

function withoutKubectl(): string | false {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs kubectl';
  }
}

t.test(
  "Go's client, which API servers use, takes the certificate and the answer",
  { skip: withoutKubectl() },
  async (t) => {
    const { server, caPem } = await newServer(t, {}, { desk: 'trusted' });
    const folder = t.testdir({ 'ca.pem': caPem, 'review.json': JSON.stringify(scheduled('pi-7')) });
    const run = (name: string) => {
      const to = ['--server', `https://127.0.0.1:${server.port}`, '--tls-server-name', name];
      // Without a token it would ask for a user name.
      const ca = ['--certificate-authority', path.join(folder, 'ca.pem'), '--token', 'none'];
      const what = ['create', '--raw', '/admit?timeout=5s', '-f', path.join(folder, 'review.json')];
      const env = { ...process.env, KUBECONFIG: '/dev/null' };
      return promisify(execFile)('kubectl', [...to, ...ca, ...what], { env, timeout: 60_000 });
    };
    t.match(JSON.parse((await run(host)).stdout), { response: { uid, allowed: true } });
    await t.rejects(run('another.svc'), {
      message: /certificate is valid for surfaced-admission.surfaced.svc/,
    });
  },
);

t.test('what is no review gets an error, which the API server takes for a refusal', async (t) => {
  const { server, caPem } = await newServer(t);
  const ask = (body: unknown, more: RequestOptions = {}) => post(server.port, caPem, body, more);
  for (const body of [
    '',
    '{',
    '[]',
    'null',
    '{"__proto__":{}}',
    { ...scheduled('pi-7'), apiVersion: 'admission.k8s.io/v1beta1' },
  ])
    t.match(await ask(body), { status: 400, body: { message: /./ } });
  const chunked = { headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' } };
  t.match(await ask(scheduled('amd64-1'), chunked), { status: 200 });
  t.match(
    await ask('x'.repeat(8_000_000), chunked),
    { status: 413 },
    'too long, which only the reading shows',
  );
  t.match(await ask('x', { headers: { 'content-type': 'application/json', 'content-length': 8_000_000 } }), {
    status: 413,
  });
  t.match(await ask('x', { headers: { 'content-type': 'text/plain', 'content-length': 1 } }), {
    status: 400,
  });
  t.match(await ask('', { method: 'GET' }), { status: 404 });
  t.match(await ask(scheduled('x'), { path: '/' }), { status: 404 });

  const large = { ...scheduled('amd64-1'), filling: 'x'.repeat(6 * 1024 * 1024) };
  t.match(await ask(large), { status: 200, body: { response: { allowed: true } } });
});

t.test('bodies that are under way are bounded all together, and given up', async (t) => {
  const { server, caPem } = await newServer(t);
  const announced = 7 * 1024 * 1024;
  const hanging = Array.from({ length: 9 }, () => {
    const to = {
      host: '127.0.0.1',
      port: server.port,
      ca: caPem,
      servername: host,
      method: 'POST',
      path: '/admit',
    };
    const headers = {
      'content-type': 'application/json',
      'content-length': announced,
      expect: '100-continue',
    };
    const sent = httpsRequest({ ...to, agent: false, headers });
    sent.on('error', () => undefined);
    sent.flushHeaders();
    return sent;
  });
  await Promise.all(hanging.map((sent) => new Promise((resolve) => sent.once('continue', resolve))));
  const body = { ...scheduled('amd64-1'), filling: 'x'.repeat(2 * 1024 * 1024) };
  t.match(await post(server.port, caPem, body), { status: 503 });
  t.match(await post(server.port, caPem, scheduled('amd64-1')), { status: 200 }, 'a small one fits');
  for (const sent of hanging) sent.destroy();
  let answer = await post(server.port, caPem, body);
  while (answer.status === 503) answer = await post(server.port, caPem, body);
  t.equal(answer.status, 200, 'the room is given back');
});

t.test('the API server shows a certificate where `clientCa` asks for one', async (t) => {
  const clients = await createAuthority('clients');
  const folder = t.testdir({ 'ca.pem': clients.caPem, 'none.pem': 'x' });
  const { server, caPem, renew, parts } = await newServer(t, { clientCa: path.join(folder, 'ca.pem') });
  const { keyPem: key, certificatePem: cert } = await clients.client('api-server');
  const stranger = await (await createAuthority('others')).client('api-server');
  const strange = { key: stranger.keyPem, cert: stranger.certificatePem };
  for (const when of ['at first', 'after a renewal']) {
    t.match(await post(server.port, caPem, scheduled('amd64-1'), { key, cert }), { status: 200 }, when);
    await t.rejects(post(server.port, caPem, scheduled('amd64-1')), `${when}: none`);
    await t.rejects(post(server.port, caPem, scheduled('amd64-1'), strange), `${when}: of another CA`);
    renew();
  }
  const admission = { ...parts.admission, clientCa: path.join(folder, 'none.pem') };
  await t.rejects(startAdmission({ ...parts, admission }), { code: 'E_ADMISSION', message: /clientCa/ });
});

t.test('an end, and starts that fail', async (t) => {
  const { server, parts } = await newServer(t);
  const taken = { ...parts.admission, listen: `127.0.0.1:${server.port}` };
  await t.rejects(startAdmission({ ...parts, admission: taken }), { code: 'E_LISTEN' });
  await t.rejects(startAdmission({ ...parts, admission: { ...taken, nodes: [] } }), { code: 'E_ADMISSION' });
  const idle = connect(server.port, '127.0.0.1');
  const ended = new Promise((resolve) => idle.once('close', resolve));
  idle.on('error', () => undefined);
  await new Promise((resolve) => idle.once('connect', resolve));
  await server.close();
  await ended;
  t.pass('nobody keeps it open');
});
