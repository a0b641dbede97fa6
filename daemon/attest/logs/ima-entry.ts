/**
 * The measurement list of the kernel's Integrity Measurement Architecture (Linux security/integrity/ima, see
 * ima_template.c and ima_template_lib.c; Documentation/security/IMA-templates.rst): what an entry is, and what of it
 * a PCR holds. Templates: ima, ima-ng, ima-sig, ima-buf.
 */
import type { HashName } from '../tpm2/index.ts';
import { asBuffer, bankBytes, bankDigest, type LogRecord } from './log.ts';

/** What the reader takes at most: about five times the list of a desktop that has run for weeks. */
export const imaLimits = {
  mostBytes: 16 * 1024 * 1024,
  mostRecords: 100_000,
  /** Of one field: a path has at most 4 KiB, a signature some hundred bytes, a buffer a command line or a key. */
  mostFieldBytes: 64 * 1024,
} as const;

/** The PCR of IMA unless the kernel was built with another one (CONFIG_IMA_MEASURE_PCR_IDX). */
export const imaPcr = 10;

/** The fields of a template in their order. */
export const imaTemplates = {
  ima: ['d', 'n'],
  'ima-ng': ['d-ng', 'n-ng'],
  'ima-sig': ['d-ng', 'n-ng', 'sig'],
  'ima-buf': ['d-ng', 'n-ng', 'buf'],
} as const;

export type ImaTemplate = keyof typeof imaTemplates;

/** Whether entries of this template can be read. */
export const isTemplate = (name: string): name is ImaTemplate => Object.hasOwn(imaTemplates, name);

/** `binary`: binary_runtime_measurements, little-endian. `ascii`: ascii_runtime_measurements, one entry a line. */
export type ImaForm = 'ascii' | 'binary';

/** The digest of a file, in the words of the kernel. */
export interface ImaFileDigest {
  /** The kernel's name of the hash: `sha256`. */
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

/** Whether this can be the digest of a file: whichever hash it is, it is only compared. */
export const isFileDigest = (algorithm: string, digest: Uint8Array): boolean =>
  /^[a-z0-9-]{2,24}$/.test(algorithm) && digest.length >= 16 && digest.length <= 64;

/** What an entry says, as its template says it. Fields that its template does not have are null. */
export interface ImaFields {
  readonly file: ImaFileDigest;
  /** Bytes of the path, or the name of what was measured; the kernel writes a blank as an underscore. */
  readonly name: Uint8Array;
  readonly signature: Uint8Array | null;
  readonly buffer: Uint8Array | null;
}

/** One entry. Its fields are proven as far as a replay gives the quoted PCR: {@link imaDigest} covers all of them. */
export interface ImaEntry extends LogRecord, ImaFields {
  readonly template: ImaTemplate;
  /** As the list has it: SHA-1, or the hash of a bank in the lists of newer kernels. Zero for a violation. */
  readonly listedHash: Uint8Array;
  /** What the kernel has hashed: all the fields. */
  readonly templateData: Uint8Array;
  /** A file was open for writing while it was measured: its digest says nothing, and the PCR was extended with ff. */
  readonly isViolation: boolean;
}

/** What both forms of the list give. */
export type ImaItem = Omit<ImaEntry, keyof LogRecord | 'isViolation'>;

/** The template data of fields. */
export function imaTemplateData(template: ImaTemplate, fields: ImaFields): Buffer {
  const { file, name } = fields;
  // The first template has no lengths, and its name fills 256 bytes (IMA_EVENT_NAME_LEN_MAX + 1).
  if (template === 'ima') {
    const data = Buffer.alloc(file.digest.length + 256);
    data.set(file.digest);
    data.set(name, file.digest.length);
    return data;
  }
  const last = template === 'ima-sig' ? fields.signature : fields.buffer;
  const digestBytes = file.algorithm.length + 2 + file.digest.length;
  const data = Buffer.allocUnsafe(9 + digestBytes + name.length + (last === null ? 0 : 4 + last.length));
  let at = data.writeUInt32LE(digestBytes);
  at += data.write(file.algorithm, at, 'latin1');
  at = data.writeUInt16LE(0x003a, at);
  data.set(file.digest, at);
  at = data.writeUInt32LE(name.length + 1, at + file.digest.length);
  data.set(name, at);
  at = data.writeUInt8(0, at + name.length);
  if (last !== null) data.set(last, data.writeUInt32LE(last.length, at));
  return data;
}

/**
 * How the kernel extends banks other than SHA-1: with their own hash of the template data (since Linux 5.8), or with
 * the SHA-1 one and zeros behind it (before). The second is no better than SHA-1.
 */
export type ImaBankRule = 'own-hash' | 'padded-sha1';

/** What the kernel extended a bank's PCR with for this entry, computed from its template data. */
export function imaDigest(entry: ImaEntry, bank: HashName, rule: ImaBankRule): Buffer {
  const size = bankBytes[bank];
  if (entry.isViolation) return Buffer.alloc(size, 0xff);
  if (rule === 'own-hash') return bankDigest(bank, entry.templateData);
  return Buffer.concat([bankDigest('sha1', entry.templateData), Buffer.alloc(size - bankBytes.sha1)]);
}

/** The path or name of an entry as text; bytes that are no UTF-8 become U+FFFD. Escape it before it is shown. */
export const imaPath = (entry: ImaFields): string => asBuffer(entry.name).toString('utf8');
