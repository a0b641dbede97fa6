/**
 * The dm-verity hash tree of a bundle (Linux, Documentation/admin-guide/device-mapper/verity.rst, version 1): SHA-256 over
 * salt and block of 4096 bytes; 128 hashes fill a block of the level above; the tree stands behind the data, the topmost
 * level first.
 */
import { hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { SurfacedError } from '../errors.ts';

/** Of data and of the tree. */
export const blockBytes = 4096;
const hashBytes = 32;
const hashesInBlock = blockBytes / hashBytes;
const pieceBytes = 256 * blockBytes;

/** Bytes of each level's blocks, the lowest first. */
function levelsFor(dataBytes: number): number[] {
  const levels: number[] = [];
  for (let blocks = dataBytes / blockBytes; blocks > 1; ) {
    blocks = Math.ceil(blocks / hashesInBlock);
    levels.push(blocks * blockBytes);
  }
  return levels;
}

/** Bytes of the tree over so many bytes of data, a multiple of 4096. */
export const treeBytesFor = (dataBytes: number): number =>
  levelsFor(dataBytes).reduce((sum, level) => sum + level, 0);

/**
 * Compares data at the start of a file with the tree behind it, and that with its root.
 * @throws SurfacedError E_UPDATE_DATA with the place of the first difference; the reason of the signal
 */
export async function checkHashTree(
  file: FileHandle,
  tree: { readonly payloadBytes: number; readonly rootHash: string; readonly salt: Buffer },
  signal: AbortSignal,
): Promise<void> {
  const { payloadBytes, rootHash, salt } = tree;
  const levels = levelsFor(payloadBytes);
  // Each block is hashed together with the salt: it stands before the place for the block.
  const salted = Buffer.alloc(salt.length + blockBytes);
  salt.copy(salted);
  let below = { at: 0, bytes: payloadBytes };
  let end = payloadBytes + treeBytesFor(payloadBytes);
  for (const bytes of levels) {
    end -= bytes;
    const computed = await hashesOf(file, below, salted, signal);
    await compare(file, { at: end, computed: Buffer.concat([computed], bytes), below }, signal);
    below = { at: end, bytes };
  }
  if ((await hashesOf(file, below, salted, signal)).toString('hex') !== rootHash)
    throw dataError('its hash tree is not the one that was signed');
}

interface Area {
  readonly at: number;
  readonly bytes: number;
}

const dataError = (what: string): SurfacedError => new SurfacedError('E_UPDATE_DATA', what);

/** The hashes of all blocks of an area, one after the other. */
async function hashesOf(file: FileHandle, area: Area, salted: Buffer, signal: AbortSignal): Promise<Buffer> {
  const hashes = Buffer.alloc((area.bytes / blockBytes) * hashBytes);
  let count = 0;
  await inPieces(file, area, signal, (piece) => {
    for (let at = 0; at < piece.length; at += blockBytes) {
      piece.copy(salted, salted.length - blockBytes, at, at + blockBytes);
      hash('sha256', salted, 'buffer').copy(hashes, hashBytes * count);
      count += 1;
    }
  });
  return hashes;
}

async function compare(
  file: FileHandle,
  level: { readonly at: number; readonly computed: Buffer; readonly below: Area },
  signal: AbortSignal,
): Promise<void> {
  const { at, computed, below } = level;
  let done = 0;
  await inPieces(file, { at, bytes: computed.length }, signal, (piece) => {
    const part = computed.subarray(done, done + piece.length);
    if (!piece.equals(part)) {
      const first = done + piece.findIndex((byte, index) => byte !== part[index]);
      const block = below.at + Math.floor(first / hashBytes) * blockBytes;
      throw dataError(
        `the block at byte ${Math.min(block, below.at + below.bytes)}, or its hash, was changed`,
      );
    }
    done += piece.length;
  });
}

async function inPieces(
  file: FileHandle,
  { at, bytes }: Area,
  signal: AbortSignal,
  use: (piece: Buffer) => void,
): Promise<void> {
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, bytes));
  for (let done = 0; done < bytes; ) {
    signal.throwIfAborted();
    const wanted = Math.min(piece.length, bytes - done);
    const { bytesRead } = await file.read(piece, 0, wanted, at + done);
    // A short read in the middle of a block would be hashed as if it were one.
    if (bytesRead !== wanted) throw dataError('it became shorter while it was read');
    use(piece.subarray(0, wanted));
    done += wanted;
  }
}
