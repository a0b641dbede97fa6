import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { judgeEkCertificate } from '../../../daemon/attest/certificates/ek-verdict.ts';
import { ekSpkiSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { codes, judge, middle, refuses, root, strict } from './judging.ts';
import {
  authority,
  ca,
  der,
  ekExtensions,
  ekPurpose,
  endorsement,
  newKeys,
  now,
  purpose,
  type Signer,
  tpmName,
  usage,
} from './making.ts';

const day = 24 * 60 * 60 * 1000;
const { keyCertSign, keyAgreement, keyEncipherment, digitalSignature } = x509.KeyUsageFlags;

t.test('a good chain', async (t) => {
  const leaf = await endorsement({ signer: middle });
  const verdict = judge(leaf);
  t.strictSame(verdict.problems, []);
  t.equal(verdict.isTrusted, true);
  t.strictSame(
    verdict.path.map(({ subject, issuer }) => [subject, issuer]),
    [
      ['', 'CN=Middle, O=Vendor'],
      ['CN=Middle, O=Vendor', 'CN=Root'],
      ['CN=Root', 'CN=Root'],
    ],
  );
  t.strictSame(verdict.tpm, { manufacturer: 'id:49465800', model: 'SLB9670', version: 'id:0007' });
  t.equal(verdict.ekSpkiSha256, ekSpkiSha256(new Uint8Array(leaf.certificate.publicKey.rawData)));
  t.equal(verdict.ekPublicKey?.asymmetricKeyType, 'ec');
});

t.test("swtpm's chain", async (t) => {
  const folder = new URL('../tpm2/live/state/', import.meta.url);
  const read = (name: string) => readFileSync(new URL(name, folder));
  const request = {
    certificate: read('ek_rsa_cert.der'),
    intermediates: [new X509Certificate(read('issuercert.pem')).raw],
    roots: [readCertificate(new X509Certificate(read('swtpm-localca-rootca-cert.pem')).raw)],
    now,
    policy: strict,
  };
  const verdict = judgeEkCertificate(request);
  t.strictSame(verdict.problems, []);
  t.equal(verdict.isTrusted, true);
  t.strictSame(verdict.tpm, { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' });
  t.equal(judgeEkCertificate({ ...request, now: Date.UTC(9999, 0, 1) }).isTrusted, true, 'its end is no end');
  const without = judgeEkCertificate({ ...request, intermediates: [] });
  refuses(t, without, 'issuer-missing');
  t.match(
    without.problems[0]?.text,
    /CN=edge-pi-0001, issuer: .*"CN=swtpm-localca" with the key identifier 8190018f/,
  );
});

t.test('rules for the EK certificate', async (t) => {
  const of = (...extensions: x509.Extension[]) => endorsement({ signer: middle, extensions });
  const end = new x509.BasicConstraintsExtension(false, undefined, true);
  refuses(t, judge(await of(ca(), usage(keyAgreement), purpose(ekPurpose))), 'leaf-is-authority');
  refuses(
    t,
    judge(await of(end, usage(keyAgreement | keyCertSign), purpose(ekPurpose))),
    'leaf-is-authority',
  );
  refuses(
    t,
    judge(await of(end, usage(digitalSignature), purpose('1.3.6.1.5.5.7.3.1'))),
    'leaf-key-usage',
    'leaf-purpose',
  );
  refuses(
    t,
    judge(await of(end, usage(keyAgreement), purpose('1.3.6.1.5.5.7.3.1'), tpmName())),
    'leaf-purpose',
  );
  refuses(t, judge(await of(end, usage(keyAgreement))), 'leaf-purpose');
  refuses(t, judge(await of(end, usage(keyEncipherment), purpose(ekPurpose))), 'leaf-key-usage');
  const unknown = new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]));
  refuses(t, judge(await of(...ekExtensions(), unknown)), 'critical-extension');
  const harmless = new x509.Extension('1.2.3.4', false, new Uint8Array([5, 0]));
  t.equal(judge(await of(...ekExtensions(), harmless)).isTrusted, true);
  t.equal(judge(await of(end, usage(keyAgreement), tpmName())).isTrusted, true, 'no purpose, but a TPM');
  refuses(t, judge(await of(...ekExtensions(), end)), 'unreadable');
});

t.test('time', async (t) => {
  const ended = await endorsement({ signer: middle, notBefore: now - 9 * day, notAfter: now - day });
  refuses(t, judge(ended), 'expired');
  const allowed = judge(ended, { policy: { ...strict, mayLeafBeExpired: true } });
  t.equal(allowed.isTrusted, true);
  t.match(allowed.problems, [{ code: 'expired', field: 'notAfter', isAllowed: true }]);
  const later = await endorsement({ signer: middle, notBefore: now + day, notAfter: now + 2 * day });
  refuses(t, judge(later, { policy: { ...strict, mayLeafBeExpired: true } }), 'not-yet-valid');
  const oldMiddle = await authority({ subject: 'CN=Old', signer: root, notBefore: 0, notAfter: now - 1000 });
  const below = await endorsement({ signer: oldMiddle });
  refuses(t, judge(below, { chain: [oldMiddle], policy: { ...strict, mayLeafBeExpired: true } }), 'expired');
});

t.test('rules for authorities', async (t) => {
  const through = async (...extensions: x509.Extension[]) => {
    const weak = await authority({ subject: 'CN=Weak', signer: root, extensions });
    return judge(await endorsement({ signer: weak }), { chain: [weak] });
  };
  refuses(t, await through(usage(keyCertSign)), 'not-an-authority');
  refuses(
    t,
    await through(new x509.BasicConstraintsExtension(false), usage(keyCertSign)),
    'not-an-authority',
  );
  refuses(t, await through(ca(), usage(digitalSignature)), 'authority-key-usage');
  refuses(t, await through(ca(), usage(keyCertSign), purpose('1.3.6.1.5.5.7.3.1')), 'authority-purpose');
  const constraint = new x509.Extension('2.5.29.30', false, new Uint8Array([0x30, 0]));
  refuses(t, await through(ca(), usage(keyCertSign), constraint), 'critical-extension');
  const policies = new x509.CertificatePolicyExtension(['2.23.133.1'], true);
  t.equal((await through(ca(0), usage(keyCertSign), purpose(ekPurpose), policies)).isTrusted, true);

  const narrow = await authority({
    subject: 'CN=Narrow',
    signer: root,
    extensions: [ca(0), usage(keyCertSign)],
  });
  const under = await authority({ subject: 'CN=Under', signer: narrow });
  refuses(t, judge(await endorsement({ signer: under }), { chain: [under, narrow] }), 'path-length');
  // A certificate for a renewed key of the same CA is self-issued and does not count.
  const renewed = await authority({ subject: 'CN=Narrow', signer: narrow });
  t.equal(judge(await endorsement({ signer: renewed }), { chain: [renewed, narrow] }).isTrusted, true);
});

t.test('links', async (t) => {
  refuses(t, judge(await endorsement({ signer: middle, hash: 'SHA-1' })), 'signature-algorithm');
  const stranger = { ...middle, keys: await newKeys() };
  refuses(t, judge(await endorsement({ signer: stranger })), 'signature');
  const misnamed = await endorsement({ signer: middle, issuer: 'CN=Nobody' });
  refuses(t, judge(misnamed), 'issuer-missing');
  t.match(judge(misnamed).problems[0], {
    certificate: /without a subject/,
    field: 'issuer',
    text: /"CN=Nobody"/,
  });
  const odd = await endorsement({ signer: middle, issuer: 'CN=MIDDLE, O=vendor' });
  t.equal(judge(odd).isTrusted, true, 'letter case of names does not count');

  const identified = (id: string) => [...ekExtensions(), new x509.AuthorityKeyIdentifierExtension(id)];
  const named = await authority({
    subject: 'CN=Named',
    signer: root,
    extensions: [ca(), usage(keyCertSign), new x509.SubjectKeyIdentifierExtension('0102')],
  });
  const fitting = await endorsement({ signer: named, extensions: identified('0102') });
  t.equal(judge(fitting, { chain: [named] }).isTrusted, true);
  const other = await endorsement({ signer: named, extensions: identified('0103') });
  refuses(t, judge(other, { chain: [named] }), 'key-identifier');
});

t.test('search', async (t) => {
  const leaf = await endorsement({ signer: middle });
  const impostors = await Promise.all([1, 2, 3].map(() => authority({ subject: middle.name, signer: root })));
  t.equal(judge(leaf, { chain: [...impostors, middle, middle] }).isTrusted, true, 'the right one of several');
  refuses(t, judge(leaf, { chain: impostors }), 'signature', 'signature', 'signature');
  refuses(t, judge(leaf, { chain: [middle, root], roots: [] }), 'root-unknown');
  refuses(t, judge(leaf, { roots: [middle], chain: [] }), 'root-not-self-signed');
  const accepting = { roots: [middle], chain: [], policy: { ...strict, mayRootBeIntermediate: true } };
  t.equal(judge(leaf, accepting).isTrusted, true);

  const selfSigned = await endorsement({ signer: null, subject: 'CN=EK' });
  refuses(t, judge(selfSigned), 'root-unknown');
  refuses(t, judge(selfSigned, { roots: [selfSigned] }), 'root-unknown');

  const a = await authority({ subject: 'CN=A', signer: { ...middle, name: 'CN=B' } });
  const b = await authority({ subject: 'CN=B', keys: middle.keys, signer: a });
  refuses(t, judge(await endorsement({ signer: a }), { chain: [a, b] }), 'loop');

  const again = await authority({ subject: 'CN=A', keys: a.keys, signer: b });
  const twice = judge(await endorsement({ signer: a }), { chain: [a, b, again] });
  refuses(t, twice, 'loop');
  t.equal(twice.path.length, 3, 'the same name and key do not stand twice in a path');

  const long: Signer[] = [];
  for (let i = 0; i < 5; i++)
    long.push(await authority({ subject: `CN=Level ${i}`, signer: long.at(-1) ?? root }));
  const deep = await endorsement({ signer: long[4] ?? root });
  refuses(t, judge(deep, { chain: long }), 'path-too-long');
  t.equal(
    judge(await endorsement({ signer: long[3] ?? root }), { chain: long }).isTrusted,
    true,
    'six are enough',
  );
  const first = await endorsement({ signer: root });
  t.equal(judge(first, { chain: [] }).path.length, 2, 'issued by the root itself');

  const broken = judgeEkCertificate({
    certificate: der(leaf),
    intermediates: [Buffer.from('nonsense'), der(middle), ...Array<Buffer>(16).fill(der(root))],
    roots: [readCertificate(der(root))],
    now,
    policy: strict,
  });
  t.equal(broken.isTrusted, true, 'what the path does not need does no harm');
  t.strictSame(codes(broken), ['unreadable', 'too-many-certificates']);
});

t.test('many certificates of one name cost no more than 32 signatures', async (t) => {
  const namesakes: Signer[] = [];
  for (let i = 0; i < 33; i++) namesakes.push(await authority({ subject: 'CN=Same', signer: null }));
  const by = async (index: number) =>
    judge(await endorsement({ signer: namesakes[index] ?? root }), { roots: namesakes });
  t.equal((await by(31)).isTrusted, true);
  const verdict = await by(32);
  t.equal(verdict.isTrusted, false);
  t.strictSame(codes(verdict).slice(31), ['signature', 'too-many-certificates']);
});
