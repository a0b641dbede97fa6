/** Bundles made by the tests, without rauc: payload, hash tree, CMS signature and size, each with one thing wrong when asked. */
import { createHash, createPrivateKey, sign as signBytes, webcrypto } from 'node:crypto';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import { authority, ca, make, type Recipe, type Signer, usage } from '../attest/certificates/making.ts';

export const codeSigning = '1.3.6.1.5.5.7.3.3';
/** When bundles are signed, unless said otherwise; certificates are valid a day before and after. */
export const signedAt = Date.UTC(2027, 5, 1);
const block = 4096;

export const rootAuthority = (name = 'CN=update CA'): Promise<Signer> =>
  authority({ subject: name, signer: null });

export const codeSigner = (recipe: Partial<Recipe> & Pick<Recipe, 'signer'>): Promise<Signer> =>
  make({
    subject: 'CN=signer of updates',
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      usage(x509.KeyUsageFlags.digitalSignature),
      new x509.ExtendedKeyUsageExtension([codeSigning], true),
    ],
    ...recipe,
  });

export const caWithPath = ca;
export const pemOf = (...signers: readonly Signer[]): string =>
  signers.map(({ certificate }) => `${certificate.toString('pem')}\n`).join('');

/** DER: tag, length, content. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}
const oid = (text: string): Buffer => {
  const [first = 0, second = 0, ...arcs] = text.split('.').map(Number);
  const bytes = [40 * first + second, ...arcs].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(6, Buffer.from(bytes));
};
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts);
const utcTime = (at: number): Buffer =>
  der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/^..|[-:T]|\.\d+/g, '')}`));
const sha256Id = '2.16.840.1.101.3.4.2.1';
const ids = { data: '1.2.840.113549.1.7.1', signedData: '1.2.840.113549.1.7.2' };

/** What a signature is made of. */
export interface CmsRecipe {
  readonly content: Buffer;
  readonly signer: Signer;
  readonly certificates?: readonly Signer[];
  readonly signedAt?: number | null;
  /** In place of that of the content. */
  readonly digest?: Buffer;
  /** Signed by another key than the certificate's. */
  readonly privateKey?: webcrypto.CryptoKey;
  readonly signers?: number;
  readonly isDetached?: boolean;
}

/** CMS SignedData with SHA-256, as RAUC makes it. */
export async function cms(recipe: CmsRecipe): Promise<Buffer> {
  const { content, signer } = recipe;
  const at = recipe.signedAt === undefined ? signedAt : recipe.signedAt;
  const digest = recipe.digest ?? createHash('sha256').update(content).digest();
  const attribute = (id: string, value: Buffer): Buffer => sequence(oid(id), set(value));
  const attributes = Buffer.concat([
    attribute('1.2.840.113549.1.9.3', oid(ids.data)),
    ...(at === null ? [] : [attribute('1.2.840.113549.1.9.5', utcTime(at))]),
    attribute('1.2.840.113549.1.9.4', der(4, digest)),
  ]);
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', recipe.privateKey ?? signer.keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const isRsa = key.asymmetricKeyType === 'rsa';
  const certificate = Buffer.from(signer.certificate.rawData);
  const info = sequence(
    der(2, Buffer.from([1])),
    sequence(issuerOf(certificate), der(2, Buffer.from(signer.certificate.serialNumber, 'hex'))),
    sequence(oid(sha256Id)),
    der(0xa0, attributes),
    // OpenSSL names RSA without its hash.
    isRsa ? sequence(oid('1.2.840.113549.1.1.1'), der(5)) : sequence(oid('1.2.840.10045.4.3.2')),
    der(4, signBytes('sha256', der(0x31, attributes), key)),
  );
  const certificates = (recipe.certificates ?? [signer]).map((one) => Buffer.from(one.certificate.rawData));
  const data = sequence(
    der(2, Buffer.from([1])),
    set(sequence(oid(sha256Id))),
    sequence(oid(ids.data), ...(recipe.isDetached === true ? [] : [der(0xa0, der(4, content))])),
    der(0xa0, ...certificates),
    set(...Array.from({ length: recipe.signers ?? 1 }, () => info)),
  );
  return sequence(oid(ids.signedData), der(0xa0, data));
}

/** The issuer's Name, the fourth element of a TBSCertificate, cut out of the certificate. */
function issuerOf(certificate: Buffer): Buffer {
  const inside = (at: number): number => at + 2 + Math.max(0, (certificate[at + 1] ?? 0) - 0x80);
  const end = (at: number): number => {
    const first = certificate[at + 1] ?? 0;
    const count = first < 0x80 ? 0 : first - 0x80;
    return at + 2 + count + (count === 0 ? first : certificate.readUIntBE(at + 2, count));
  };
  // Certificate, TBSCertificate, then version, serialNumber and signature are skipped.
  const lengthBytes = (at: number): number => ((certificate[at + 1] ?? 0) < 0x80 ? at + 2 : inside(at));
  let at = lengthBytes(lengthBytes(0));
  for (let skipped = 0; skipped < 3; skipped++) at = end(at);
  return certificate.subarray(at, end(at));
}

const salt = createHash('sha256').update('salt').digest();
const blockHash = (bytes: Buffer): Buffer => createHash('sha256').update(salt).update(bytes).digest();

/** Hash tree of dm-verity, the plain way: level by level, each padded to whole blocks. */
export function hashTree(payload: Buffer): { readonly tree: Buffer; readonly root: Buffer } {
  const hashed = (bytes: Buffer): Buffer => {
    const hashes: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += block) hashes.push(blockHash(bytes.subarray(at, at + block)));
    return Buffer.concat(hashes);
  };
  const levels: Buffer[] = [];
  let level = payload;
  while (level.length > block) {
    const hashes = hashed(level);
    level = Buffer.concat([hashes], Math.ceil(hashes.length / block) * block);
    levels.unshift(level);
  }
  return { tree: Buffer.concat(levels), root: blockHash(level) };
}

export const references = 'apiVersion: surfaced.dev/v1alpha1\nkind: ReferenceSet\n';

/** The manifest of a payload, as RAUC writes it. */
export function manifestFor(payload: Buffer, version = '1.2.3'): string {
  const { tree, root } = hashTree(payload);
  return `[update]
compatible=surfaced-pi-arm64
version=${version}

[bundle]
format=verity
verity-hash=${root.toString('hex')}
verity-salt=${salt.toString('hex')}
verity-size=${tree.length}

[image.rootfs]
filename=slot.img
size=4096
sha256=${'cd'.repeat(32)}
adaptive=block-hash-index;

[meta.surfaced]
version=${version}
root-hash=${'ab'.repeat(32)}
references=${Buffer.from(references).toString('base64')}
`;
}

/** Payload, tree, signature, and its size as 8 bytes. */
export function fileOf(payload: Buffer, signature: Buffer): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(signature.length));
  return Buffer.concat([payload, hashTree(payload).tree, signature, size]);
}

/** A payload that is not the same in any two blocks. */
export const payloadOf = (blocks: number): Buffer => {
  const bytes = Buffer.alloc(blocks * block);
  for (let index = 0; index < blocks; index++) bytes.writeUInt32LE(index + 1, index * block);
  return bytes;
};
