/**
 * The subject of a certificate request (PKCS #10, RFC 2986), read so strictly that no other reader can see another one in
 * the same bytes: who judges by it is not who signs.
 */
import { certificateError, DerReader, tag } from './der.ts';
import { readName } from './name.ts';

/** What a certificate is asked for. */
export interface RequestSubject {
  /** Empty when there is none. */
  readonly commonName: string;
  readonly organizations: readonly string[];
}

const oid = { commonName: '2.5.4.3', organization: '2.5.4.10' } as const;
/** One block and nothing else: readers differ in which of several they take (RFC 7468, section 2). */
const pemPattern =
  /^-----BEGIN CERTIFICATE REQUEST-----\r?\n((?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+)-----END CERTIFICATE REQUEST-----\s*$/;
/** The only alphabet in which names of users are written here; every string type has it alike. */
const plain = /^[\x20-\x7e]*$/;

/**
 * Reads the subject. Whether the sender holds the private key is not checked: who signs does that.
 * @param pem a few KiB at most
 * @throws SurfacedError E_ATTEST_CERTIFICATE naming the field
 */
export function readRequestSubject(pem: string): RequestSubject {
  const field = 'certificate request';
  const base64 = pemPattern.exec(pem)?.[1]?.replaceAll(/\s/g, '') ?? '';
  const der = Buffer.from(base64, 'base64');
  if (der.length === 0 || der.toString('base64') !== base64)
    throw certificateError(field, 'not one PEM block of the type CERTIFICATE REQUEST');
  const outer = new DerReader(der, field);
  const request = outer.inside(field);
  outer.end();
  const info = request.inside(`${field} info`);
  request.take(tag.sequence, 'signature algorithm');
  request.take(tag.bitString, 'signature');
  request.end();
  info.take(tag.integer, 'version');
  const { attributes } = readName(info.take(tag.sequence, 'subject'), 'subject');
  const valuesOf = (wanted: string): string[] =>
    attributes.filter((attribute) => attribute.oid === wanted).map(({ value }) => value);
  const names = valuesOf(oid.commonName);
  const organizations = valuesOf(oid.organization);
  if (names.length > 1) throw certificateError('subject', 'more than one common name');
  for (const value of [...names, ...organizations]) {
    // A `#` begins what is no text, in hex.
    if (!plain.test(value) || value.startsWith('#'))
      throw certificateError('subject', 'a name or an organization that is not plain text');
  }
  return { commonName: names[0] ?? '', organizations };
}
