/**
 * Reads RAUC bundles of the format `verity` without rauc. Such a file is, one after the other (RAUC, Reference, "verity
 * Format"): a squashfs, its dm-verity hash tree, a CMS signature with the manifest inside, and the size of that signature
 * as 8 bytes, big-endian. The manifest has the root of the tree, so the signature covers everything.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SurfacedError } from '../errors.ts';
import { blockBytes, checkHashTree, treeBytesFor } from './hash-tree.ts';
import { bundleError, type Manifest, parseManifest } from './manifest.ts';
import { readSignedContent } from './signed-content.ts';
import { checkSigner, trustedAuthorities } from './trusted-signer.ts';

/** RAUC takes no larger signature either. */
const mostSignatureBytes = 64 * 1024;
/** More than an image of a slot can need, whatever it is compressed to. */
export const mostBundleBytes = 1024 ** 3;

/** A bundle whose signature is good and whose signer is trusted. Of its payload nothing has been read. */
export interface Bundle extends Manifest {
  /** Of the whole file. */
  readonly bytes: number;
  /** Of the squashfs, the first thing in it; the hash tree follows. */
  readonly payloadBytes: number;
  /** SHA-256 of the manifest in hex: names exactly this content, however often it is signed. */
  readonly manifestSha256: string;
  readonly signer: {
    /** Subject of the certificate, safe to print. */
    readonly name: string;
    /** SHA-256 of the certificate in hex. */
    readonly sha256: string;
  };
  /** When the signer says that it was signed, Unix milliseconds. */
  readonly signedAt: number;
  /** By what the dates of the certificates were judged: the clock that was given, or the signer's own word. */
  readonly datesJudgedBy: 'clock' | 'signing time';
}

/**
 * Reads the end of a bundle and checks its signature.
 * @param options.trusted PEM of the CAs that signers may be of
 * @param options.at when certificates must be valid; null: the clock is not set, and they must have been at the time of
 *   signing, as RAUC judges with `use-bundle-signing-time`
 * @throws SurfacedError E_UPDATE_BUNDLE for what is not a bundle or is broken, E_UPDATE_SIGNER for one of somebody else
 */
export async function readBundle(
  file: string,
  options: { readonly trusted: string; readonly at: Date | null },
): Promise<Bundle> {
  const authorities = trustedAuthorities(options.trusted);
  return withFile(file, async (handle, bytes) => {
    const { signature, dataBytes } = await endOf(handle, bytes);
    const { content, signer, certificates, signedAt } = asBundle(() => readSignedContent(signature));
    const at = options.at?.getTime() ?? signedAt;
    checkSigner({ signer, certificates, trusted: authorities, at });
    const manifest = parseManifest(content);
    const payloadBytes = dataBytes - manifest.verity.treeBytes;
    if (payloadBytes <= blockBytes || treeBytesFor(payloadBytes) !== manifest.verity.treeBytes)
      throw bundleError('manifest, [bundle] verity-size', 'not the size of a hash tree for this file');
    return {
      ...manifest,
      bytes,
      payloadBytes,
      manifestSha256: createHash('sha256').update(content).digest('hex'),
      signer: { name: signer.label, sha256: signer.sha256 },
      signedAt,
      datesJudgedBy: options.at === null ? ('signing time' as const) : ('clock' as const),
    };
  });
}

/**
 * Reads all of a bundle's payload and compares it with the hash tree, and that with the manifest. Holds a fiftieth of the
 * file in memory at most.
 * @throws SurfacedError E_UPDATE_DATA with the place of the first difference, E_UPDATE_BUNDLE when the file is another by
 *   now; the reason of the signal
 */
export async function checkBundle(file: string, bundle: Bundle, signal: AbortSignal): Promise<void> {
  await withFile(file, async (handle, bytes) => {
    if (bytes !== bundle.bytes) throw bundleError('file', `${bytes} bytes, and it had ${bundle.bytes}`);
    const { hash, salt } = bundle.verity;
    const tree = { payloadBytes: bundle.payloadBytes, rootHash: hash, salt: Buffer.from(salt, 'hex') };
    await checkHashTree(handle, tree, signal);
  });
}

/** Opens a file, and says in every error which. */
async function withFile<Value>(
  file: string,
  work: (handle: FileHandle, bytes: number) => Promise<Value>,
): Promise<Value> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw bundleError('file', 'not a regular file');
      return await work(handle, found.size);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof SurfacedError)
      throw new SurfacedError(cause.code, `${file}: ${cause.message}`, { cause });
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw bundleError(file, `cannot be read (${code})`, cause);
  }
}

async function endOf(
  handle: FileHandle,
  bytes: number,
): Promise<{ readonly signature: Buffer; readonly dataBytes: number }> {
  if (bytes > mostBundleBytes) throw bundleError('file', `more than ${mostBundleBytes} bytes`);
  if (bytes < 2 * blockBytes) throw bundleError('file', `${bytes} bytes: too short for a bundle`);
  const size = (await piece(handle, bytes - 8, 8)).readBigUInt64BE();
  if (size === 0n || size > mostSignatureBytes)
    throw bundleError('file', 'does not end as a bundle does: it was cut, or it is something else');
  const dataBytes = bytes - 8 - Number(size);
  if (dataBytes <= 0 || dataBytes % blockBytes !== 0)
    throw bundleError('file', `its payload is not whole blocks of ${blockBytes} bytes`);
  return { signature: await piece(handle, dataBytes, Number(size)), dataBytes };
}

async function piece(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, at);
  if (bytesRead !== length) throw bundleError('file', 'became shorter while it was read');
  return bytes;
}

/** The reader of DER has an error of its own, which speaks of keys of TPMs. */
function asBundle<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof SurfacedError) || cause.code !== 'E_ATTEST_CERTIFICATE') throw cause;
    throw bundleError('signature', cause.message, cause);
  }
}
