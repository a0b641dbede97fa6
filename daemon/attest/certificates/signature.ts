/** Signatures on certificates: RSA (PKCS #1 v1.5 and PSS, RFC 4055) and ECDSA (RFC 5758) with SHA-2, nothing older. */
import { constants, type KeyObject, verify } from 'node:crypto';
import { DerReader, type Element, oidOf, smallInteger, tag } from './der.ts';

const hashes: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const pss = '1.2.840.113549.1.1.10';
const mgf1 = '1.2.840.113549.1.1.8';

const plain: Readonly<Record<string, { readonly keyType: 'rsa' | 'ec'; readonly hash: string }>> = {
  '1.2.840.113549.1.1.11': { keyType: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { keyType: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { keyType: 'rsa', hash: 'sha512' },
  '1.2.840.10045.4.3.2': { keyType: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { keyType: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { keyType: 'ec', hash: 'sha512' },
};

/** Refused ones by name, so that the reason can be told. */
const broken: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'MD2 with RSA',
  '1.2.840.113549.1.1.4': 'MD5 with RSA',
  '1.2.840.113549.1.1.5': 'SHA-1 with RSA',
  '1.3.14.3.2.29': 'SHA-1 with RSA',
  '1.2.840.10045.4.1': 'ECDSA with SHA-1',
  '1.2.840.10040.4.3': 'DSA with SHA-1',
};

/** How a certificate is signed. */
export type SignatureScheme =
  | { readonly kind: 'rsa' | 'ec'; readonly hash: string }
  | { readonly kind: 'pss'; readonly hash: string; readonly saltBytes: number }
  /** Not accepted; `what` says it in words. */
  | { readonly kind: 'refused'; readonly what: string };

/** The scheme that an AlgorithmIdentifier names. @throws SurfacedError E_ATTEST_CERTIFICATE */
export function readSignatureScheme(element: Element): SignatureScheme {
  const field = 'signatureAlgorithm';
  const reader = new DerReader(element.content, field);
  const id = oidOf(reader.take(tag.oid, field), field);
  if (id === pss) return readPss(reader, field);
  const known = plain[id];
  if (known === undefined) return { kind: 'refused', what: broken[id] ?? `algorithm ${id}` };
  // RFC 4055 section 5 has NULL for RSA, and missing is accepted too; RFC 5758 wants nothing for ECDSA.
  reader.optional(tag.null, field);
  reader.end();
  return { kind: known.keyType, hash: known.hash };
}

/** Whether `signature` over `signed` is that of `key`. */
export function isSignedBy(
  key: KeyObject,
  { scheme, signed, signature }: { scheme: SignatureScheme; signed: Buffer; signature: Buffer },
): boolean {
  if (scheme.kind === 'refused') return false;
  if (key.asymmetricKeyType !== (scheme.kind === 'ec' ? 'ec' : 'rsa')) return false;
  if (scheme.kind !== 'pss') return verify(scheme.hash, signed, key, signature);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(scheme.hash, signed, { key, padding, saltLength: scheme.saltBytes }, signature);
}

/** RSASSA-PSS-params: what is left out stands for SHA-1, and so is refused. */
function readPss(reader: DerReader, field: string): SignatureScheme {
  const refused: SignatureScheme = { kind: 'refused', what: 'RSASSA-PSS with parameters other than SHA-2' };
  if (reader.isAtEnd) return refused;
  const inner = reader.inside(field);
  reader.end();
  const hashField = inner.optional(0xa0, field);
  const maskField = inner.optional(0xa1, field);
  const saltField = inner.optional(0xa2, field);
  const trailer = inner.optional(0xa3, field);
  inner.end();
  if (hashField === null || maskField === null || trailer !== null) return refused;
  const hash = hashes[algorithmOf(hashField, field).id];
  const mask = algorithmOf(maskField, field);
  if (hash === undefined || mask.id !== mgf1) return refused;
  if (hashes[oidOf(mask.rest.inside(field).take(tag.oid, field), field)] !== hash) return refused;
  const salt =
    saltField === null ? 20 : smallInteger(new DerReader(saltField.content, field).next(field), field);
  return salt > 512 ? refused : { kind: 'pss', hash, saltBytes: salt };
}

function algorithmOf(explicit: Element, field: string): { readonly id: string; readonly rest: DerReader } {
  const rest = new DerReader(explicit.content, field).inside(field);
  return { id: oidOf(rest.take(tag.oid, field), field), rest };
}
