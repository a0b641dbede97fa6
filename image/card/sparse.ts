/** Putting the card together: parts are copied to their places, and what is empty stays a hole in the file. */
import { type FileHandle, open } from 'node:fs/promises';

const chunkBytes = 4 * 2 ** 20;
/** Holes are found in this step, that of the file systems which the image is kept on. */
const blockBytes = 4_096;
const empty = Buffer.alloc(chunkBytes);
const isEmpty = (bytes: Buffer): boolean => bytes.equals(empty.subarray(0, bytes.length));

/** Writes those blocks of `chunk` that are not empty, neighbours in one go. */
async function writeSparse(target: FileHandle, chunk: Buffer, position: number): Promise<void> {
  if (isEmpty(chunk)) return;
  let from: number | null = null;
  for (let at = 0; at <= chunk.length; at += blockBytes) {
    const block = chunk.subarray(at, at + blockBytes);
    const isHole = isEmpty(block);
    if (!isHole && from === null) from = at;
    if (isHole && from !== null) {
      await target.write(chunk, from, at - from, position + from);
      from = null;
    }
  }
  if (from !== null) await target.write(chunk, from, chunk.length - from, position + from);
}

/** Copies all of `source` into `target` from byte `position` on; resolves with the number of bytes. */
export async function copySparse(source: string, target: FileHandle, position: number): Promise<number> {
  const file = await open(source, 'r');
  try {
    const buffer = Buffer.alloc(chunkBytes);
    let at = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, chunkBytes, at);
      if (bytesRead === 0) return at;
      await writeSparse(target, buffer.subarray(0, bytesRead), position + at);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
