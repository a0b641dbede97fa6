/** Certificates in the NV memory of a TPM: what surrounds the DER there is taken off, within bounds. */
import { asBuffer } from '../logs/log.ts';
import { mostCertificateBytes } from './certificate.ts';
import { certificateError, DerReader, tag } from './der.ts';

/** More than the 256 indices of a chain can sensibly hold for the six certificates of a path. */
const mostChainBytes = 64 * 1024;
/** Longest chain that is split; no path is longer than six. */
const mostChainCertificates = 8;

/** What some indices begin with, as in the days of TPM 1.2; a u16 with the length follows. */
const storedHeader = Buffer.from([0x10, 0x01, 0x00]);

/**
 * The DER of the certificate that an NV index of at most 16 KiB holds: after an optional header with its length, exactly
 * one SEQUENCE, and then only padding of 00 or ff. The bytes are a view of `contents`.
 * @throws SurfacedError E_ATTEST_CERTIFICATE
 */
export function unwrapCertificate(contents: Uint8Array): Buffer {
  const field = 'EK certificate in NV memory';
  const all = viewOf(contents, field, mostCertificateBytes + storedHeader.length + 2);
  const [certificate] = split(withoutHeader(all, field), field, 1);
  if (certificate === undefined) throw certificateError(field, 'only padding: the index was never filled');
  return certificate;
}

/**
 * The certificates of a chain blob (NV indices 01c00100 to 01c001ff one after the other, at most 64 KiB): at most 8,
 * padded at the end only. None is a chain too.
 * @throws SurfacedError E_ATTEST_CERTIFICATE
 */
export function splitChain(contents: Uint8Array): readonly Buffer[] {
  const field = 'certificate chain in NV memory';
  return split(viewOf(contents, field, mostChainBytes), field, mostChainCertificates);
}

function viewOf(contents: Uint8Array, field: string, mostBytes: number): Buffer {
  if (contents.length > mostBytes)
    throw certificateError(field, `${contents.length} bytes, at most ${mostBytes}`);
  return asBuffer(contents);
}

function withoutHeader(bytes: Buffer, field: string): Buffer {
  if (!bytes.subarray(0, 3).equals(storedHeader)) return bytes;
  if (bytes.length < 5) throw certificateError(field, 'ends within its header');
  const length = bytes.readUInt16BE(3);
  if (length > bytes.length - 5) {
    throw certificateError(field, `its header announces ${length} bytes, ${bytes.length - 5} are there`);
  }
  if (!isPadding(bytes.subarray(5 + length))) throw certificateError(field, 'more than padding behind it');
  return bytes.subarray(5, 5 + length);
}

function split(bytes: Buffer, field: string, mostCertificates: number): Buffer[] {
  const found: Buffer[] = [];
  let rest = bytes;
  while (!isPadding(rest)) {
    if (found.length === mostCertificates) {
      throw certificateError(
        field,
        `more than padding behind ${mostCertificates === 1 ? 'it' : `${mostCertificates} certificates`}`,
      );
    }
    const certificate = new DerReader(rest, field).take(tag.sequence, field).bytes;
    if (certificate.length > mostCertificateBytes) {
      throw certificateError(
        field,
        `a certificate of ${certificate.length} bytes, at most ${mostCertificateBytes}`,
      );
    }
    found.push(certificate);
    rest = rest.subarray(certificate.length);
  }
  return found;
}

const isPadding = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0x00 || byte === 0xff);
