import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readCertificate } from '../../../daemon/attest/certificates/certificate.ts';
import { judgeEkCertificate } from '../../../daemon/attest/certificates/ek-verdict.ts';
import { ekSpkiSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { splitChain, unwrapCertificate } from '../../../daemon/attest/certificates/unwrap.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { authority, der, endorsement, now } from './making.ts';

const root = await authority({ subject: 'CN=Root', signer: null });
const middle = await authority({ subject: 'CN=Middle', signer: root });
const leaf = der(await endorsement({ signer: middle }));
const policy = { mayLeafBeExpired: true, mayRootBeIntermediate: true };
const roots = [readCertificate(der(root))];
const judge = (certificate: Uint8Array, intermediate: Uint8Array) =>
  judgeEkCertificate({ certificate, intermediates: [intermediate], roots, now, policy });

const refusal = { code: 'E_ATTEST_CERTIFICATE' };

/** Whether it ends well or in the one error; anything else is thrown on. */
function endsWell(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_ATTEST_CERTIFICATE') return false;
    throw error;
  }
}

t.test('certificates in NV memory', async (t) => {
  const header = (length: number) => Buffer.from([0x10, 1, 0, length >> 8, length & 255]);
  const padding = Buffer.concat([Buffer.alloc(40, 0xff), Buffer.alloc(40)]);
  for (const [what, contents] of Object.entries({
    plain: [leaf],
    padded: [leaf, padding],
    'with a header': [header(leaf.length), leaf],
    'with a header, padded behind': [header(leaf.length), leaf, padding],
    'with a header, padded within': [header(leaf.length + 80), leaf, padding],
  })) {
    t.strictSame(unwrapCertificate(Buffer.concat(contents)), leaf, what);
  }
  for (const [what, contents] of Object.entries({
    nothing: [],
    'only padding': [padding],
    'more behind': [leaf, Buffer.from([1])],
    'two certificates': [leaf, leaf],
    'cut short': [leaf.subarray(0, -1)],
    'no certificate': [Buffer.from('hello')],
    'half a header': [header(0).subarray(0, 4)],
    'more behind a header': [header(leaf.length), leaf, Buffer.from([1])],
    'a header that lies': [header(leaf.length + 1), leaf],
    'a header for less': [header(leaf.length - 1), leaf],
    'too much': [leaf, Buffer.alloc(16 * 1024)],
    'a certificate that is too long': [Buffer.from([0x30, 0x82, 0x40, 0x00]), Buffer.alloc(16 * 1024)],
  })) {
    t.throws(() => unwrapCertificate(Buffer.concat(contents)), refusal, what);
  }
});

t.test('chains in NV memory', async (t) => {
  const ca = der(middle);
  t.strictSame(splitChain(Buffer.concat([ca, leaf, Buffer.alloc(100, 0xff)])), [ca, leaf]);
  t.strictSame(splitChain(Buffer.alloc(10)), []);
  t.equal(splitChain(Buffer.concat(Array<Buffer>(8).fill(ca))).length, 8);
  t.throws(() => splitChain(Buffer.concat(Array<Buffer>(9).fill(ca))), refusal);
  t.throws(() => splitChain(Buffer.concat([ca, ca.subarray(0, 30)])), refusal);
  t.throws(() => splitChain(Buffer.alloc(64 * 1024 + 1)), refusal);
});

t.test('a certificate cut at any byte', async (t) => {
  const accepted: number[] = [];
  for (let length = 0; length < leaf.length; length++) {
    const cut = leaf.subarray(0, length);
    const isRead = endsWell(() => readCertificate(cut)) || endsWell(() => unwrapCertificate(cut));
    const { isTrusted, problems } = judge(cut, der(middle));
    if (isRead || isTrusted || problems[0]?.code !== 'unreadable') accepted.push(length);
  }
  t.strictSame(accepted, []);
});

t.test('a certificate with any byte changed', async (t) => {
  t.equal(judge(leaf, der(middle)).isTrusted, true, 'unchanged it is trusted');
  const accepted: string[] = [];
  for (const [name, good] of Object.entries({ leaf, middle: der(middle) })) {
    for (let at = 0; at < good.length; at++) {
      const mutant = Buffer.from(good);
      mutant[at] = (mutant[at] ?? 0) ^ (1 << (at % 8));
      endsWell(() => readCertificate(mutant));
      const verdict = name === 'leaf' ? judge(mutant, der(middle)) : judge(leaf, mutant);
      if (verdict.isTrusted) accepted.push(`${name} ${at}`);
    }
  }
  t.strictSame(accepted, []);
});

t.test('any bytes', async () => {
  const patch = fc.record({
    at: fc.nat(leaf.length),
    remove: fc.nat(6),
    insert: fc.uint8Array({ maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(patch, { minLength: 1, maxLength: 3 }), fc.boolean(), (patches, isLeaf) => {
      const good = isLeaf ? leaf : der(middle);
      const mutant = patches.reduce<Buffer>(
        (bytes, { at, remove, insert }) =>
          Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]),
        good,
      );
      endsWell(() => unwrapCertificate(mutant));
      const verdict = isLeaf ? judge(mutant, der(middle)) : judge(leaf, mutant);
      return !verdict.isTrusted || mutant.equals(good);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const reads of [readCertificate, unwrapCertificate, splitChain, ekSpkiSha256])
        endsWell(() => reads(bytes));
      return !judge(bytes, bytes).isTrusted;
    }),
    { numRuns: 300 },
  );
});

const folder = process.env.SURFACED_FIXTURES
  ? path.join(process.env.SURFACED_FIXTURES, 'attest/third-party/ek-roots')
  : null;

t.test(
  'certificates of vendors',
  { skip: folder === null ? 'SURFACED_FIXTURES is not set: those of vendors are read in place only' : false },
  async (t) => {
    const files = readdirSync(folder ?? '').filter((name) => name.endsWith('.pem'));
    const all = new Map(
      files.map((name) => [name, new X509Certificate(readFileSync(path.join(folder ?? '', name))).raw]),
    );
    const at = Date.UTC(2025, 0, 1);
    const known = [...all.values()].map(readCertificate);
    for (const [name, bytes] of all) {
      const certificate = readCertificate(bytes);
      t.ok(certificate.publicKey, `${name}: ${certificate.label}`);
      t.equal(certificate.extensions.basicConstraints?.isAuthority, true);
      // As if it were that of an EK: what is left beside the rules for EKs tells about the link and its issuer.
      const found = judgeEkCertificate({
        certificate: bytes,
        intermediates: [],
        roots: known,
        now: at,
        policy,
      });
      const links = found.problems.map(({ code }) => code).filter((code) => !code.startsWith('leaf-'));
      const isOld = name === 'IFX_RSA_01I.pem';
      const endsHere = ['IFX_RSA_RT.pem', 'STM_ECC_01RT.pem'].includes(name);
      const isSelfSigned = certificate.subject.key === certificate.issuer.key;
      const other = isSelfSigned ? 'root-unknown' : 'issuer-missing';
      t.strictSame(links, isOld ? ['signature-algorithm'] : isSelfSigned || endsHere ? [other] : [], name);
    }
  },
);
