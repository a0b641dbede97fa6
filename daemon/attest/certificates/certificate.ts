/** An X.509 certificate as far as paths of EKs need it, read from DER by this folder's own reader. */
import { createHash, type KeyObject } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import { certificateError, DerReader, tag, timeOf, wholeBytes } from './der.ts';
import { type Extensions, readExtensions } from './extensions.ts';
import { type Name, readName } from './name.ts';
import { readPublicKey } from './public-key.ts';
import { readSignatureScheme, type SignatureScheme } from './signature.ts';

/** More than any certificate has in the NV memory of a TPM. */
export const mostCertificateBytes = 16 * 1024;

/** A certificate; nothing of it is believed before a path to a root has been checked. */
export interface Certificate {
  /** Hex of SHA-256 over all its bytes. */
  readonly sha256: string;
  /** Hex. */
  readonly serial: string;
  readonly issuer: Name;
  readonly subject: Name;
  /** Unix milliseconds. */
  readonly notBefore: number;
  /** Unix milliseconds; the year 9999 stands for no end. */
  readonly notAfter: number;
  /** SubjectPublicKeyInfo as it stands, DER. */
  readonly spki: Buffer;
  /** Null when this kind of key is not accepted; `keyProblem` then says why. */
  readonly publicKey: KeyObject | null;
  readonly keyProblem: string | null;
  readonly extensions: Extensions;
  /** What is signed, how, and the signature. */
  readonly signed: Buffer;
  readonly scheme: SignatureScheme;
  readonly signature: Buffer;
  /** For messages: the subject, or the serial number where it is empty (in EK certificates it often is). */
  readonly label: string;
}

/** Reads one certificate, all of the bytes. @throws SurfacedError E_ATTEST_CERTIFICATE naming the field */
export function readCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > mostCertificateBytes) {
    throw certificateError('certificate', `${bytes.length} bytes, at most ${mostCertificateBytes}`);
  }
  // A copy: what is checked cannot change while it is held.
  const der = Buffer.from(bytes);
  const whole = new DerReader(der, 'certificate');
  const outer = whole.inside('certificate');
  whole.end();
  const signed = outer.take(tag.sequence, 'tbsCertificate');
  const algorithm = outer.take(tag.sequence, 'signatureAlgorithm');
  const signature = wholeBytes(outer.take(tag.bitString, 'signature'), 'signature');
  outer.end();

  const reader = new DerReader(signed.content, 'tbsCertificate');
  const version = reader.optional(0xa0, 'version');
  const serial = reader.take(tag.integer, 'serialNumber').content.toString('hex');
  const inner = reader.take(tag.sequence, 'signature algorithm');
  // RFC 5280 section 4.1.1.2: only the inner one is covered by the signature.
  if (!inner.bytes.equals(algorithm.bytes))
    throw certificateError('signatureAlgorithm', 'differs inside and outside');
  const issuer = readName(reader.take(tag.sequence, 'issuer'), 'issuer');
  const validity = reader.inside('validity');
  const notBefore = timeOf(validity.next('notBefore'), 'notBefore');
  const notAfter = timeOf(validity.next('notAfter'), 'notAfter');
  validity.end();
  const subject = readName(reader.take(tag.sequence, 'subject'), 'subject');
  const spki = reader.take(tag.sequence, 'subjectPublicKeyInfo').bytes;
  // issuerUniqueID and subjectUniqueID of version 2: nobody uses them.
  reader.optional(0x81, 'issuerUniqueID');
  reader.optional(0x82, 'subjectUniqueID');
  const extensions = reader.optional(0xa3, 'extensions');
  reader.end();
  if (extensions !== null && version?.content.equals(versionThree) !== true) {
    throw certificateError('version', 'extensions need version 3');
  }
  return {
    sha256: createHash('sha256').update(der).digest('hex'),
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    ...tryKey(spki),
    extensions: readExtensions(extensions),
    signed: signed.bytes,
    scheme: readSignatureScheme(algorithm),
    signature,
    label: subject.text === '' ? `certificate ${serial.slice(0, 40)} without a subject` : subject.text,
  };
}

/** INTEGER 2. */
const versionThree = Buffer.from([2, 1, 2]);

function tryKey(spki: Buffer): { publicKey: KeyObject | null; keyProblem: string | null } {
  try {
    return { publicKey: readPublicKey(spki), keyProblem: null };
  } catch (problem) {
    if (!(problem instanceof SurfacedError)) throw problem;
    return { publicKey: null, keyProblem: problem.message };
  }
}
