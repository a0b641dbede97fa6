/** Lines of a file, one at a time, in constant memory. */
import { open } from 'node:fs/promises';
import { LineError, mostLineBytes } from './record.ts';

/** One line. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without the newline. */
  readonly bytes: Buffer;
  /** Where the next line begins, bytes from the start of the file. */
  readonly end: number;
  /** False for what stands behind the last newline. */
  readonly isWhole: boolean;
}

const newline = 10;
const chunkBytes = 65_536;

/**
 * All lines of a file.
 * @throws LineError when one is longer than {@link mostLineBytes}; errors of the file system
 */
export async function* linesOf(file: string): AsyncGenerator<Line, void, void> {
  const handle = await open(file, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    let number = 1;
    let end = 0;
    while (true) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const { bytesRead } = await handle.read(chunk, 0, chunkBytes, null);
      if (bytesRead === 0) break;
      const read = chunk.subarray(0, bytesRead);
      let start = 0;
      for (let at = read.indexOf(newline); at >= 0; at = read.indexOf(newline, start)) {
        const bytes = joined(rest, read.subarray(start, at));
        rest = Buffer.alloc(0);
        start = at + 1;
        end += bytes.length + 1;
        yield { number, bytes, end, isWhole: true };
        number++;
      }
      rest = joined(rest, read.subarray(start));
    }
    if (rest.length > 0) yield { number, bytes: rest, end: end + rest.length, isWhole: false };
  } finally {
    await handle.close();
  }
}

/** @throws LineError */
function joined(rest: Buffer, more: Buffer): Buffer {
  if (rest.length + more.length > mostLineBytes)
    throw new LineError(`a line has more than ${mostLineBytes} bytes`);
  return rest.length === 0 ? more : Buffer.concat([rest, more]);
}
