/** Distinguished names (X.501, RFC 5280 section 4.1.2.4): one form to compare, one to show. */
import { shown } from '../logs/log.ts';
import { DerReader, type Element, oidOf, tag } from './der.ts';

/** A name of a certificate. */
export interface Name {
  /** Equal for equal names: letter case, white space and the string type do not count (RFC 5280, section 7.1). */
  readonly key: string;
  /** For people, safe to print; empty when the name is. */
  readonly text: string;
  /** All attributes as text, in their order; those that are no text in hex. */
  readonly attributes: readonly { readonly oid: string; readonly value: string }[];
}

/** Of a name as it is shown; vendors' need some 150. */
const mostTextCharacters = 400;

const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.23.133.2.1': 'TPMManufacturer',
  '2.23.133.2.2': 'TPMModel',
  '2.23.133.2.3': 'TPMVersion',
};

const decoders: Readonly<Record<number, (content: Buffer) => string>> = {
  [tag.utf8String]: (content) => new TextDecoder('utf-8', { fatal: true }).decode(content),
  [tag.printableString]: (content) => content.toString('latin1'),
  [tag.ia5String]: (content) => content.toString('latin1'),
  [tag.teletexString]: (content) => content.toString('latin1'),
  [tag.bmpString]: (content) => new TextDecoder('utf-16be', { fatal: true }).decode(content),
};

/** Null when it is no text: another type, or bytes that its type does not allow. */
function textOf({ tag: type, content }: Element): string | null {
  try {
    return decoders[type]?.(content) ?? null;
  } catch (problem) {
    if (problem instanceof TypeError) return null;
    throw problem;
  }
}

const comparable = (text: string): string =>
  text.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' ');

/** A Name from its element. @throws SurfacedError E_ATTEST_CERTIFICATE naming `field` */
export function readName(element: Element, field: string): Name {
  const reader = new DerReader(element.content, field);
  const attributes: { oid: string; value: string }[] = [];
  const keys: string[][] = [];
  const texts: string[] = [];
  while (!reader.isAtEnd) {
    const set = reader.inside(field, tag.set);
    const parts: { key: string; text: string }[] = [];
    while (!set.isAtEnd) {
      const pair = set.inside(field);
      const oid = oidOf(pair.take(tag.oid, field), field);
      const value = pair.next(field);
      pair.end();
      const text = textOf(value);
      const hex = `#${value.bytes.toString('hex')}`;
      attributes.push({ oid, value: text ?? hex });
      const printed = shown(text ?? hex).replaceAll(/[,+=]/g, '\\$&');
      parts.push({
        key: JSON.stringify([oid, text === null ? hex : `"${comparable(text)}`]),
        text: `${shortNames[oid] ?? oid}=${printed}`,
      });
    }
    keys.push(parts.map(({ key }) => key).sort());
    texts.push(parts.map(({ text }) => text).join(' + '));
  }
  const text = texts.join(', ');
  const isLong = text.length > mostTextCharacters;
  return {
    key: JSON.stringify(keys),
    text: isLong ? `${text.slice(0, mostTextCharacters)}...` : text,
    attributes,
  };
}
