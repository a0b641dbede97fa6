/** Reads files that somebody else has written: a huge or endless one does no harm. */
import { open } from 'node:fs/promises';
import { SurfacedError } from '../errors.ts';

const firstBytes = 64 * 1024;

/**
 * The bytes of a file; never more memory than three times `mostBytes`.
 * @throws SurfacedError E_CFG_READ; E_CFG_INVALID when it is larger
 */
export async function readBounded(file: string, mostBytes: number): Promise<Buffer> {
  let bytes = Buffer.alloc(Math.min(firstBytes, mostBytes + 1));
  let length = 0;
  try {
    const handle = await open(file, 'r');
    try {
      for (;;) {
        const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
        length += bytesRead;
        if (bytesRead === 0 || length > mostBytes) break;
        if (length === bytes.length) {
          const larger = Buffer.alloc(Math.min(2 * bytes.length, mostBytes + 1));
          larger.set(bytes);
          bytes = larger;
        }
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SurfacedError('E_CFG_READ', `${file}: cannot be read (${code})`, { cause });
  }
  if (length > mostBytes) throw new SurfacedError('E_CFG_INVALID', `${file}: larger than ${mostBytes} bytes`);
  return bytes.subarray(0, length);
}
