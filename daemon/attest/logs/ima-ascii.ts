/**
 * One line of ascii_runtime_measurements: `10 <template hash> <template> <digest> <name> [<signature or buffer>]`.
 * The kernel writes blanks in names as underscores, but not line ends: a name with one breaks its line in two, which
 * is refused here. Prefer the binary form, which has no such names.
 */
import {
  type ImaFields,
  type ImaFileDigest,
  type ImaItem,
  imaLimits,
  imaTemplateData,
  imaTemplates,
  isFileDigest,
  isTemplate,
} from './ima-entry.ts';
import { shown } from './log.ts';
import type { LogReader } from './log-reader.ts';

/** A signature or buffer in hex, a path, a digest and the template hash. */
const mostLineBytes = 4 * imaLimits.mostFieldBytes;

/**
 * Reads a line.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function readImaAscii(reader: LogReader, pcr: number): ImaItem {
  const bytes = reader.line(mostLineBytes, 'line');
  const fail = (field: string, what: string) => reader.error(field, what, bytes.length + 1);
  // One character a byte: names are any bytes, and go back to them below.
  const line = bytes.toString('latin1');
  const parts = line.split(' ', 7);
  const [pcrText = '', hash = '', template = '', digest = '', name = '', extraHex = ''] = parts;
  if (pcrText !== String(pcr)) throw fail('pcr', `${shown(pcrText)}, not ${pcr}`);
  if (!isTemplate(template)) throw fail('template', `${shown(template)} is not known`);
  if (parts.length !== 3 + imaTemplates[template].length)
    throw fail('fields', `not the number that ${template} has`);
  const listedHash = fromHex(hash);
  if (listedHash === null || ![20, 32, 48, 64].includes(listedHash.length))
    throw fail('template hash', `${shown(hash)} is none`);
  const file = template === 'ima' ? plainDigest(digest) : namedDigest(digest);
  if (file === null) throw fail('digest', `${shown(digest)} is none`);
  if (
    name.includes('\0') ||
    name.length > imaLimits.mostFieldBytes ||
    (template === 'ima' && name.length > 255)
  )
    throw fail('name', `${shown(name)} cannot be one`);
  const extra = fromHex(extraHex);
  if (extra === null || extra.length > imaLimits.mostFieldBytes)
    throw fail(template === 'ima-sig' ? 'signature' : 'buffer', 'not hex, or too long');
  const fields: ImaFields = {
    file,
    name: Buffer.from(name, 'latin1'),
    signature: template === 'ima-sig' ? extra : null,
    buffer: template === 'ima-buf' ? extra : null,
  };
  return { ...fields, template, listedHash, templateData: imaTemplateData(template, fields) };
}

/** Name of a hash (crypto/hash_info.c in the kernel), colon, hex. */
function namedDigest(text: string): ImaFileDigest | null {
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, Math.max(0, colon));
  const digest = fromHex(text.slice(colon + 1));
  return digest !== null && isFileDigest(algorithm, digest) ? { algorithm, digest } : null;
}

/** The first template has SHA-1 without a name. */
function plainDigest(text: string): ImaFileDigest | null {
  const digest = fromHex(text);
  return digest?.length === 20 ? { algorithm: 'sha1', digest } : null;
}

/** Bytes of hex, or null. */
function fromHex(text: string): Buffer | null {
  // Node stops at what is no hex.
  const bytes = Buffer.from(text, 'hex');
  return 2 * bytes.length === text.length ? bytes : null;
}
