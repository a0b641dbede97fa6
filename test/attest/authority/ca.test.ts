import { X509Certificate } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { generateKeys, testClock } from '../enrol/rig.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const p256 = { name: 'ECDSA', namedCurve: 'P-256' };
const publicKey = async () => x509.PublicKey.create((await generateKeys(p256)).publicKey);

t.test('made once, kept, and the same for two who start at once', async (t) => {
  const stateDir = path.join(t.testdir(), 'state');
  const open = () => loadAuthority({ stateDir, site: 'site', clock: testClock(now) });
  const [a, b] = await Promise.all([open(), open()]);
  t.equal(a.pin, b.pin);
  t.equal((await open()).certificatePem, a.certificatePem);
  t.match(a.pin, /^sha256:[0-9a-f]{64}$/);
  const mode = async (file: string) => (await stat(file)).mode & 0o777;
  t.equal(await mode(stateDir), 0o700);
  t.equal(await mode(path.join(stateDir, 'ca.pem')), 0o600);
  t.ok(new X509Certificate(a.certificatePem).ca);
});

t.test('what is wrong with a CA file is said, and the file is left alone', async (t) => {
  const stateDir = t.testdir();
  const file = path.join(stateDir, 'ca.pem');
  const clock = testClock(now);
  const open = (at = clock) => loadAuthority({ stateDir, site: 'site', clock: at });
  const good = await open().then(() => readFile(file, 'utf8'));
  const otherDir = t.testdir({ other: {} });
  await loadAuthority({ stateDir: path.join(otherDir, 'other'), site: 'site', clock });
  const other = await readFile(path.join(otherDir, 'other', 'ca.pem'), 'utf8');
  const keyOf = (text: string) => text.slice(text.indexOf('-----BEGIN PRIVATE'));
  const certificateOf = (text: string) => text.slice(0, text.indexOf('-----BEGIN PRIVATE'));
  for (const [text, message] of [
    ['', /no CERTIFICATE/],
    ['garbage', /no CERTIFICATE/],
    [certificateOf(good), /no PRIVATE KEY/],
    [good.slice(0, good.length / 2), /ca\.pem: /],
    [certificateOf(good) + keyOf(other), /does not belong/],
  ] as const) {
    await writeFile(file, text);
    await t.rejects(open(), { code: 'E_CA_BROKEN', message });
    t.equal(await readFile(file, 'utf8'), text);
  }
  await writeFile(file, good);
  await t.rejects(open(testClock(now + 3651 * 86_400_000)), {
    code: 'E_CA_BROKEN',
    message: /ended on 2035/,
  });
  await chmod(file, 0o600);
  await t.rejects(loadAuthority({ stateDir: path.join(file, 'below'), site: 'site', clock }), {
    code: 'E_STATE_DIR',
  });
});

t.test('certificates have the names, uses and life that were asked for', async (t) => {
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: testClock(now) });
  const ca = new X509Certificate(authority.certificatePem);
  const server = await authority.serverCertificate(['gateway.example', '10.0.0.7', '::1']);
  const leaf = new X509Certificate(server.certificatePem);
  t.ok(leaf.verify(ca.publicKey) && leaf.checkIssued(ca) && !leaf.ca);
  t.equal(leaf.checkHost('gateway.example'), 'gateway.example');
  t.equal(leaf.checkIP('10.0.0.7'), '10.0.0.7');
  t.same(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  t.equal(Date.parse(leaf.validFrom), 0);
  t.equal(authority.identify(leaf.raw), null);

  const request = {
    surface: 'desk',
    lifeMs: 600_000,
    trust: 'token',
    level: null,
    ekSha256: null,
    evidence: 'token-a_1',
  } as const;
  const issued = await authority.issue({ ...request, publicKey: await publicKey() });
  const client = new X509Certificate(issued.certificatePem);
  t.ok(client.verify(ca.publicKey) && !client.ca);
  t.same(client.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  t.equal(Date.parse(client.validFrom), now - 60_000);
  t.equal(Date.parse(client.validTo), now + 600_000);
  t.equal(client.subjectAltName, 'URI:surfaced://site/desk?trust=token&evidence=token-a_1');
  t.match(issued.serial, /^[4-7][0-9a-f]{31}$/);
  t.same(authority.identify(client.raw), {
    site: 'site',
    surface: 'desk',
    trust: 'token',
    level: null,
    ekSha256: null,
    evidence: 'token-a_1',
    issuedAt: now,
    notAfter: now + 600_000,
    serial: issued.serial,
  });
});

t.test('a CA that several gateways share is read from its file, and never made', async (t) => {
  const stateDir = path.join(t.testdir(), 'own');
  const shared = path.join(t.testdirName, 'ca', 'ca.pem');
  const open = () => loadAuthority({ stateDir, shared, site: 'site', clock: testClock(now) });
  await t.rejects(open(), { code: 'E_CA_BROKEN', message: /shards\.ca: .*ca\.pem is not there/ });
  const made = await loadAuthority({ stateDir: path.dirname(shared), site: 'site', clock: testClock(now) });
  t.equal((await open()).pin, made.pin);
});

t.test('identity is read strictly', async (t) => {
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: testClock(now) });
  const keys = await generateKeys(p256);
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
  const uri = 'surfaced://site/desk?trust=token&evidence=1';
  const url = (value: string) => ({ type: 'url', value }) as const;
  const make = async (change: {
    names?: x509.JsonGeneralNames;
    usages?: string[];
    isCa?: boolean;
    subject?: string;
  }) => {
    const { names = [url(uri)], usages = [clientAuth], isCa = false, subject = 'CN=desk' } = change;
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: subject,
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.BasicConstraintsExtension(isCa),
        new x509.ExtendedKeyUsageExtension(usages),
        new x509.SubjectAlternativeNameExtension(names),
      ],
    });
    return authority.identify(new Uint8Array(certificate.rawData));
  };
  t.match(await make({}), { surface: 'desk' });
  for (const [why, change] of Object.entries({
    'other site': { names: [url(uri.replace('site', 'other'))] },
    'other scheme': { names: [url(uri.replace('surfaced', 'spiffe'))] },
    'more behind it': { names: [url(`${uri}&trust=tpm`)] },
    'a line more': { names: [url(`${uri}\n`)] },
    'unknown trust': { names: [url(uri.replace('token', 'root'))] },
    'capital letters': { names: [url(uri.replace('desk', 'Desk'))] },
    'a path': { names: [url(uri.replace('desk', 'desk/..'))] },
    'two names': { names: [url(uri), url(uri)] },
    'a host name beside it': { names: [url(uri), { type: 'dns', value: 'desk' }] },
    'a host name only': { names: [{ type: 'dns', value: uri }] },
    'use as server too': { usages: [clientAuth, serverAuth] },
    'other use': { usages: [serverAuth] },
    'a CA': { isCa: true },
    'other subject': { subject: 'CN=desk2' },
    'more subject': { subject: 'CN=desk,O=x' },
  } satisfies Record<string, Parameters<typeof make>[0]>)) {
    t.equal(await make(change), null, why);
  }
});

t.test('bytes that are no certificate are nobody', async (t) => {
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: testClock(now) });
  const good = new X509Certificate(
    (
      await authority.issue({
        surface: 'desk',
        lifeMs: 600_000,
        trust: 'token',
        level: null,
        ekSha256: null,
        evidence: '1',
        publicKey: await publicKey(),
      })
    ).certificatePem,
  ).raw;
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => authority.identify(bytes) === null));
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Uint8Array.from(good);
      bytes[at]! ^= change;
      // Who it names is either what was signed or nothing that could be taken for it by mistake.
      const identity = authority.identify(bytes);
      return identity === null || identity.site === 'site';
    }),
  );
  t.pass('never throws');
});
