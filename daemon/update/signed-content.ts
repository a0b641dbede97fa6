/**
 * The signature of a bundle: CMS SignedData (RFC 5652) with the manifest inside. The reader of certificates does DER; CMS
 * adds a few elements. Only what RAUC writes is read: DER, one signer, signed attributes, SHA-2.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Certificate, readCertificate } from '../attest/certificates/certificate.ts';
import { DerReader, type Element, oidOf, tag, timeOf } from '../attest/certificates/der.ts';
import { readName } from '../attest/certificates/name.ts';
import { isSignedBy, readSignatureScheme, type SignatureScheme } from '../attest/certificates/signature.ts';
import { bundleError } from './manifest.ts';

/** Certificates that one signature may bring along. */
const mostCertificates = 8;

const ids = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  rsaEncryption: '1.2.840.113549.1.1.1',
} as const;

const digests: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Content whose signature is that of `signer`; whether the signer is anybody has not been looked at. */
export interface SignedContent {
  readonly content: Buffer;
  readonly signer: Certificate;
  /** All certificates that came with the signature, the signer's too. */
  readonly certificates: readonly Certificate[];
  /** When the signer says that it was signed, Unix milliseconds. */
  readonly signedAt: number;
}

interface SignerInfo {
  readonly digestId: string;
  readonly attributes: Element;
  readonly scheme: SignatureScheme;
  readonly signature: Buffer;
  /** Whether a certificate is the one that is named. */
  readonly names: (certificate: Certificate) => boolean;
}

/** Reads a signature and checks that it is one over its content. @throws SurfacedError E_UPDATE_BUNDLE, E_ATTEST_CERTIFICATE */
export function readSignedContent(der: Buffer): SignedContent {
  const whole = new DerReader(der, 'signature');
  const info = whole.inside('ContentInfo');
  whole.end();
  if (oidOf(info.take(tag.oid, 'contentType'), 'contentType') !== ids.signedData)
    throw bundleError('signature', 'not CMS SignedData: an encrypted bundle, or none');
  const outer = info.inside('content', 0xa0);
  info.end();
  const data = outer.inside('SignedData');
  outer.end();
  data.take(tag.integer, 'version');
  data.take(tag.set, 'digestAlgorithms');
  const content = contentOf(data.inside('encapContentInfo'));
  const certificates = certificatesOf(data.optional(0xa0, 'certificates'));
  data.optional(0xa1, 'crls');
  const signers = data.inside('signerInfos', tag.set);
  data.end();
  const signer = signerInfoOf(signers.inside('SignerInfo'));
  if (!signers.isAtEnd) throw bundleError('signature', 'more than one signer');
  const certificate = certificates.find(signer.names);
  if (certificate === undefined) throw bundleError('signature', "the signer's certificate is not in it");
  return { content, signer: certificate, certificates, signedAt: check(content, signer, certificate) };
}

function contentOf(info: DerReader): Buffer {
  if (oidOf(info.take(tag.oid, 'eContentType'), 'eContentType') !== ids.data)
    throw bundleError('signature', 'its content is not plain data');
  const explicit = info.optional(0xa0, 'eContent');
  info.end();
  if (explicit === null)
    throw bundleError('signature', 'the manifest is not inside it: a bundle in the format "plain"');
  const inner = new DerReader(explicit.content, 'eContent');
  const { content } = inner.take(tag.octetString, 'eContent');
  inner.end();
  return content;
}

function certificatesOf(set: Element | null): Certificate[] {
  const found: Certificate[] = [];
  const reader = new DerReader(set?.content ?? Buffer.alloc(0), 'certificates');
  while (!reader.isAtEnd) {
    if (found.length === mostCertificates)
      throw bundleError('signature', `more than ${mostCertificates} certificates`);
    found.push(readCertificate(reader.take(tag.sequence, 'certificate').bytes));
  }
  return found;
}

function signerInfoOf(info: DerReader): SignerInfo {
  info.take(tag.integer, 'SignerInfo version');
  const names = identifierOf(info.next('sid'));
  const digestId = algorithmOf(info.take(tag.sequence, 'digestAlgorithm'), 'digestAlgorithm');
  const attributes = info.take(0xa0, 'signedAttrs');
  const scheme = schemeOf(info.take(tag.sequence, 'signatureAlgorithm'), digestId);
  const signature = info.take(tag.octetString, 'signature value').content;
  info.optional(0xa1, 'unsignedAttrs');
  info.end();
  return { digestId, attributes, scheme, signature, names };
}

/** By issuer and serial number, or by key identifier. */
function identifierOf(sid: Element): SignerInfo['names'] {
  if (sid.tag === 0x80) {
    const key = sid.content.toString('hex');
    return ({ extensions }) => extensions.subjectKeyIdentifier === key;
  }
  if (sid.tag !== tag.sequence) throw bundleError('signature', 'its signer is named in an unknown way');
  const reader = new DerReader(sid.content, 'sid');
  const issuer = readName(reader.take(tag.sequence, 'sid issuer'), 'sid issuer').key;
  const serial = reader.take(tag.integer, 'sid serialNumber').content.toString('hex');
  reader.end();
  return (certificate) => certificate.serial === serial && certificate.issuer.key === issuer;
}

const algorithmOf = (element: Element, field: string): string =>
  oidOf(new DerReader(element.content, field).take(tag.oid, field), field);

/** RFC 5652 lets RSA be named without its hash, and OpenSSL does so. */
function schemeOf(element: Element, digestId: string): SignatureScheme {
  const hash = digests[digestId];
  const scheme: SignatureScheme =
    algorithmOf(element, 'signatureAlgorithm') === ids.rsaEncryption && hash !== undefined
      ? { kind: 'rsa', hash }
      : readSignatureScheme(element);
  if (hash === undefined || scheme.kind === 'refused' || scheme.hash !== hash)
    throw bundleError('signature', 'made in a way that is not accepted: SHA-256 or longer, RSA or ECDSA');
  return scheme;
}

/** Checks content against attributes and attributes against signature; the time of signing. */
function check(content: Buffer, signer: SignerInfo, certificate: Certificate): number {
  const values = attributesOf(signer.attributes);
  const value = (id: string, name: string): Element => {
    const found = values.get(id);
    if (found === undefined) throw bundleError('signature', `${name} is missing among what is signed`);
    return found;
  };
  if (oidOf(value(ids.contentType, 'contentType'), 'contentType') !== ids.data)
    throw bundleError('signature', 'contentType is not that of the content');
  const digest = createHash(digests[signer.digestId] ?? 'sha256')
    .update(content)
    .digest();
  const said = value(ids.messageDigest, 'messageDigest');
  if (
    said.tag !== tag.octetString ||
    said.content.length !== digest.length ||
    !timingSafeEqual(said.content, digest)
  )
    throw bundleError('signature', 'its digest is not that of the manifest: one of them was changed');
  const signedAt = timeOf(value(ids.signingTime, 'signingTime'), 'signingTime');
  // RFC 5652 section 5.4: what is signed is the SET OF, not the implicit tag in its place.
  const signed = Buffer.concat([Buffer.from([tag.set]), signer.attributes.bytes.subarray(1)]);
  const { publicKey, keyProblem } = certificate;
  if (publicKey === null) throw bundleError('signature', `${certificate.label}: ${keyProblem}`);
  if (!isSignedBy(publicKey, { scheme: signer.scheme, signed, signature: signer.signature }))
    throw bundleError('signature', `not by the key of ${certificate.label}`);
  return signedAt;
}

function attributesOf(set: Element): ReadonlyMap<string, Element> {
  const values = new Map<string, Element>();
  const reader = new DerReader(set.content, 'signedAttrs');
  while (!reader.isAtEnd) {
    const attribute = reader.inside('attribute');
    const id = oidOf(attribute.take(tag.oid, 'attribute'), 'attribute');
    const inner = attribute.inside(`attribute ${id}`, tag.set);
    attribute.end();
    if (values.has(id)) throw bundleError('signature', `attribute ${id} stands twice`);
    values.set(id, inner.next());
    if (id !== ids.contentType && id !== ids.messageDigest && id !== ids.signingTime) continue;
    inner.end();
  }
  return values;
}
