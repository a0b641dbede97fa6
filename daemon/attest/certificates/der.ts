/**
 * A reader of DER (ITU-T X.690) for certificates that others wrote: definite minimal lengths, tags of one byte,
 * every read within its parent. There is no generic recursion, so depth is bounded by what the callers read.
 */
import { SurfacedError } from '../../errors.ts';
import { asBuffer, shown } from '../logs/log.ts';

/** Tags of X.690, as the byte that stands in the encoding. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The one error of this folder, E_ATTEST_CERTIFICATE: which field of a certificate, and what is wrong with it. */
export function certificateError(field: string, what: string, options?: ErrorOptions): SurfacedError {
  return new SurfacedError('E_ATTEST_CERTIFICATE', `${field}: ${what}`, options);
}

/** One element: views of the bytes that were read, not copies. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly bytes: Buffer;
}

/** Reads elements one after the other; what does not fit throws E_ATTEST_CERTIFICATE naming the field. */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #field: string;
  #at = 0;

  constructor(bytes: Uint8Array, field: string) {
    this.#bytes = asBuffer(bytes);
    this.#field = field;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next element, whatever it is. */
  next(field = this.#field): Element {
    const start = this.#at;
    const id = this.#byte(field);
    if ((id & 0x1f) === 0x1f) throw certificateError(field, 'a tag of several bytes');
    const length = this.#length(field);
    const from = this.#at;
    if (length > this.#bytes.length - from) {
      throw certificateError(field, `${length} bytes announced, ${this.#bytes.length - from} are left`);
    }
    this.#at += length;
    return {
      tag: id,
      content: this.#bytes.subarray(from, this.#at),
      bytes: this.#bytes.subarray(start, this.#at),
    };
  }

  /** The next element, which must have this tag. */
  take(expected: number, field: string): Element {
    const element = this.next(field);
    if (element.tag === expected) return element;
    throw certificateError(field, `tag 0x${element.tag.toString(16)} instead of 0x${expected.toString(16)}`);
  }

  /** The next element if it has this tag, else null and nothing is read. */
  optional(expected: number, field: string): Element | null {
    return this.#bytes[this.#at] === expected ? this.take(expected, field) : null;
  }

  /** A reader for what the next SEQUENCE (or what other tag is given) holds. */
  inside(field: string, expected: number = tag.sequence): DerReader {
    return new DerReader(this.take(expected, field).content, field);
  }

  /** Nothing may be left. */
  end(): void {
    if (!this.isAtEnd) throw certificateError(this.#field, `${this.#bytes.length - this.#at} bytes too many`);
  }

  #byte(field: string): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw certificateError(field, 'missing, the bytes end here');
    this.#at += 1;
    return byte;
  }

  #length(field: string): number {
    const first = this.#byte(field);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw certificateError(field, `a length of ${count} bytes`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte(field);
    if (length < 0x80 || length < 256 ** (count - 1))
      throw certificateError(field, 'a length that is not minimal');
    return length;
  }
}

/** An OBJECT IDENTIFIER in dotted form; arcs may be as long as those of UUIDs (2.25). */
export function oidOf({ content }: Element, field: string): string {
  const last = content.at(-1);
  if (last === undefined || last >= 0x80 || content.length > 64)
    throw certificateError(field, 'no valid OID');
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of content) {
    if (arc === 0n && byte === 0x80) throw certificateError(field, 'an OID that is not minimal');
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const head = arcs[0] ?? 0n;
  const root = head < 40n ? 0n : head < 80n ? 1n : 2n;
  return [root, head - root * 40n, ...arcs.slice(1)].join('.');
}

/** A BIT STRING of whole bytes, as keys and signatures are. */
export function wholeBytes({ content }: Element, field: string): Buffer {
  if (content[0] !== 0) throw certificateError(field, 'a BIT STRING that is not whole bytes');
  return content.subarray(1);
}

/** A BOOLEAN; what is not zero is true, also where it is not the 0xff of DER. */
export function booleanOf({ content }: Element, field: string): boolean {
  if (content.length !== 1) throw certificateError(field, 'a BOOLEAN of several bytes');
  return content[0] !== 0;
}

/** An INTEGER from 0 to 2^31 - 1. */
export function smallInteger({ content }: Element, field: string): number {
  const isNegative = (content[0] ?? 0x80) >= 0x80;
  if (isNegative || content.length > 4)
    throw certificateError(field, 'a number that is negative or too large');
  return content.readUIntBE(0, content.length);
}

/**
 * UTCTime or GeneralizedTime as RFC 5280 (section 4.1.2.5) allows them, in Unix milliseconds. 99991231235959Z, which
 * stands for "no end" in EK certificates, is simply that time.
 */
export function timeOf(element: Element, field: string): number {
  const text = element.content.toString('latin1');
  const pattern = element.tag === tag.utcTime ? /^(\d{2})(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/;
  const found = pattern.exec(text);
  const isTime = element.tag === tag.utcTime || element.tag === tag.generalizedTime;
  if (found === null || !isTime) throw certificateError(field, `no valid time, ${shown(text)}`);
  const [, year = '', rest = ''] = found;
  const full = year.length === 4 ? year : `${Number(year) < 50 ? '20' : '19'}${year}`;
  const iso = `${full}-${rest.replace(/^(..)(..)(..)(..)(..)$/, '$1-$2T$3:$4:$5')}.000Z`;
  const at = Date.parse(iso);
  if (Number.isNaN(at) || new Date(at).toISOString() !== iso) {
    throw certificateError(field, `no valid time, ${shown(text)}`);
  }
  return at;
}
