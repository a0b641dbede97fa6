/** Extensions of certificates (RFC 5280 section 4.2; TCG EK Credential Profile, section 3), as far as paths of EKs need them. */
import { booleanOf, certificateError, DerReader, type Element, oidOf, smallInteger, tag } from './der.ts';
import { type Name, readName } from './name.ts';

/** What the TPM's manufacturer says of it in the subjectAltName; texts of a certificate, to be shown with care. */
export interface TpmIdentity {
  /** 2.23.133.2.1, for instance `id:49465800`: four ASCII characters in hex. */
  readonly manufacturer: string | null;
  /** 2.23.133.2.2. */
  readonly model: string | null;
  /** 2.23.133.2.3, for instance `id:20191023`. */
  readonly version: string | null;
}

const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

/** Bits of keyUsage, RFC 5280 section 4.2.1.3. */
export type KeyUsage = (typeof keyUsages)[number];

/** What a certificate's extensions say; null: the extension is not there. */
export interface Extensions {
  readonly basicConstraints: { readonly isAuthority: boolean; readonly pathLength: number | null } | null;
  readonly keyUsage: ReadonlySet<KeyUsage> | null;
  /** OIDs. */
  readonly extendedKeyUsage: readonly string[] | null;
  readonly tpm: TpmIdentity | null;
  /** Hex. */
  readonly subjectKeyIdentifier: string | null;
  /** Hex; null also when the issuer is named in another way only. */
  readonly authorityKeyIdentifier: string | null;
  /** OIDs of extensions that nothing here takes into account although the issuer, or their meaning, demands it. */
  readonly unhandled: readonly string[];
}

/** OIDs that this folder compares with. */
export const oid = {
  subjectDirectoryAttributes: '2.5.29.9',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  anyExtendedKeyUsage: '2.5.29.37.0',
  /** tcg-kp-EKCertificate. */
  endorsementKeyPurpose: '2.23.133.8.1',
} as const;

/**
 * May be critical without being looked into: any policy is good here (RFC 5280, section 6.1.1 (c), (e)), which
 * critical policies of vendors' CAs need, and the attributes of a TPM's specification change no trust.
 */
const harmless: readonly string[] = [oid.certificatePolicies, oid.subjectDirectoryAttributes];
/** Take trust away, whether critical or not, and are not computed here. */
const restricting: readonly string[] = [oid.nameConstraints];

/** An Extensions element of a TBSCertificate; null: none. @throws SurfacedError E_ATTEST_CERTIFICATE */
export function readExtensions(element: Element | null): Extensions {
  const values = new Map<string, DerReader>();
  const unhandled: string[] = [];
  const reader = element === null ? null : new DerReader(element.content, 'extensions').inside('extensions');
  while (reader !== null && !reader.isAtEnd) {
    const one = reader.inside('extension');
    const id = oidOf(one.take(tag.oid, 'extension'), 'extension');
    const critical = one.optional(tag.boolean, `extension ${id}`);
    const isCritical = critical !== null && booleanOf(critical, `extension ${id}`);
    const value = one.take(tag.octetString, `extension ${id}`).content;
    one.end();
    if (values.has(id)) throw certificateError(`extension ${id}`, 'stands twice');
    values.set(id, new DerReader(value, nameOf(id)));
    const isHandled = id in names || harmless.includes(id);
    if (restricting.includes(id) || (isCritical && !isHandled)) unhandled.push(id);
  }
  const read = <T>(id: keyof typeof names, how: (reader: DerReader, field: string) => T): T | null => {
    const found = values.get(id);
    if (found === undefined) return null;
    const result = how(found, nameOf(id));
    found.end();
    return result;
  };
  return {
    basicConstraints: read(oid.basicConstraints, readBasicConstraints),
    keyUsage: read(oid.keyUsage, readKeyUsage),
    extendedKeyUsage: read(oid.extendedKeyUsage, readPurposes),
    tpm: read(oid.subjectAltName, readTpmIdentity),
    subjectKeyIdentifier: read(oid.subjectKeyIdentifier, (from, field) =>
      from.take(tag.octetString, field).content.toString('hex'),
    ),
    authorityKeyIdentifier: read(oid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    unhandled,
  };
}

const names = {
  [oid.subjectKeyIdentifier]: 'subjectKeyIdentifier',
  [oid.keyUsage]: 'keyUsage',
  [oid.subjectAltName]: 'subjectAltName',
  [oid.basicConstraints]: 'basicConstraints',
  [oid.authorityKeyIdentifier]: 'authorityKeyIdentifier',
  [oid.extendedKeyUsage]: 'extendedKeyUsage',
} as const;

const nameOf = (id: string): string => (names as Record<string, string>)[id] ?? `extension ${id}`;

function readBasicConstraints(reader: DerReader, field: string) {
  const inner = reader.inside(field);
  const flag = inner.optional(tag.boolean, field);
  const pathLength = inner.optional(tag.integer, field);
  inner.end();
  return {
    isAuthority: flag !== null && booleanOf(flag, field),
    pathLength: pathLength === null ? null : smallInteger(pathLength, field),
  };
}

function readKeyUsage(reader: DerReader, field: string): ReadonlySet<KeyUsage> {
  const { content } = reader.take(tag.bitString, field);
  if (content.length < 1 || content.length > 3 || (content[0] ?? 8) > 7) {
    throw certificateError(field, 'no valid BIT STRING');
  }
  const has = (bit: number) => ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  return new Set(keyUsages.filter((_, bit) => has(bit)));
}

function readPurposes(reader: DerReader, field: string): readonly string[] {
  const inner = reader.inside(field);
  const purposes: string[] = [];
  while (!inner.isAtEnd) purposes.push(oidOf(inner.take(tag.oid, field), field));
  return purposes;
}

function readAuthorityKeyIdentifier(reader: DerReader, field: string): string | null {
  const inner = reader.inside(field);
  const key = inner.optional(0x80, field);
  while (!inner.isAtEnd) inner.next(field);
  return key === null ? null : key.content.toString('hex');
}

/** The directoryName among the names; other names of a TPM say nothing that is used here. */
function readTpmIdentity(reader: DerReader, field: string): TpmIdentity | null {
  const inner = reader.inside(field);
  const found: Name[] = [];
  while (!inner.isAtEnd) {
    const name = inner.next(field);
    if (name.tag !== 0xa4) continue;
    const explicit = new DerReader(name.content, field);
    found.push(readName(explicit.take(tag.sequence, field), field));
    explicit.end();
  }
  const attributes = found.flatMap((name) => name.attributes);
  const value = (id: string) => attributes.find((attribute) => attribute.oid === id)?.value ?? null;
  const tpm = {
    manufacturer: value('2.23.133.2.1'),
    model: value('2.23.133.2.2'),
    version: value('2.23.133.2.3'),
  };
  return tpm.manufacturer === null && tpm.model === null && tpm.version === null ? null : tpm;
}
