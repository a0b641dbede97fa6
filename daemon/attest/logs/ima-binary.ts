/**
 * One entry of binary_runtime_measurements (ima_measurements_show in ima_fs.c), little-endian: pcr u32 | template
 * hash 20 | length u32, name of the template | length u32, template data: fields, each with a length u32. The first
 * template, `ima`, has no length of the data nor of the digest. Big-endian kernels need `ima_canonical_fmt`.
 */
import {
  type ImaFields,
  type ImaItem,
  imaLimits,
  imaTemplateData,
  isFileDigest,
  isTemplate,
} from './ima-entry.ts';
import { shown } from './log.ts';
import type { LogReader } from './log-reader.ts';

const mostTemplateNameBytes = 64;
const mostDataBytes = 3 * imaLimits.mostFieldBytes;

/**
 * Reads an entry.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function readImaBinary(reader: LogReader, pcr: number): ImaItem {
  const listedPcr = reader.u32('pcr');
  if (listedPcr !== pcr) throw reader.error('pcr', `${listedPcr}, not ${pcr}`);
  const listedHash = reader.take(20, 'template hash');
  const template = reader.sized(mostTemplateNameBytes, 'template').toString('latin1');
  if (!isTemplate(template)) throw reader.error('template', `${shown(template)} is not known`);
  if (template === 'ima') {
    const file = { algorithm: 'sha1', digest: reader.take(20, 'digest') };
    const fields = {
      file,
      name: checkedName(reader, reader.sized(255, 'name')),
      signature: null,
      buffer: null,
    };
    return { ...fields, template, listedHash, templateData: imaTemplateData(template, fields) };
  }
  const templateData = reader.sized(mostDataBytes, 'template data');
  const inner = reader.back(templateData.length);
  const file = readDigest(inner);
  const name = readName(inner);
  const signature = template === 'ima-sig' ? inner.sized(imaLimits.mostFieldBytes, 'signature') : null;
  const buffer = template === 'ima-buf' ? inner.sized(imaLimits.mostFieldBytes, 'buffer') : null;
  inner.done('template data');
  return { file, name, signature, buffer, template, listedHash, templateData };
}

/** d-ng: name of the hash, colon, NUL, digest. */
function readDigest(reader: LogReader): ImaFields['file'] {
  const field = reader.sized(128, 'digest');
  const colon = field.indexOf(':\0');
  const algorithm = field.subarray(0, Math.max(0, colon)).toString('latin1');
  const digest = field.subarray(colon + 2);
  if (colon < 0 || !isFileDigest(algorithm, digest))
    throw reader.error('digest', `${shown(field.toString('latin1'))} is none`);
  return { algorithm, digest };
}

/** n-ng: the name and a NUL. */
function readName(reader: LogReader): Buffer {
  const field = reader.sized(imaLimits.mostFieldBytes, 'name');
  if (field.at(-1) !== 0) throw reader.error('name', 'does not end with a NUL');
  return checkedName(reader, field.subarray(0, -1));
}

function checkedName(reader: LogReader, name: Buffer): Buffer {
  if (name.includes(0)) throw reader.error('name', 'holds a NUL');
  return name;
}
