/**
 * Environments of U-Boot: names and values in a block of a fixed size, as `env import -c` reads it, as fw_printenv(1)
 * reads it, and as U-Boot keeps its own (env/common.c): CRC-32 of all that follows in little-endian order, then
 * `name=value` texts, each ended by a zero byte, and one more zero byte; zeros to the end.
 */
import { crc32 } from 'node:zlib';

const checksumBytes = 4;

/** What an environment holds, in its order. */
export type Environment = ReadonlyMap<string, string>;

/**
 * The block of an environment.
 * @param bytes its size, with the checksum
 * @throws RangeError for a name or value that it cannot hold, or when the block is too small
 */
export function encodeEnvironment(variables: Environment, bytes: number): Buffer {
  const texts = [...variables].map(([name, value]) => {
    if (!/^[^=\0]+$/.test(name) || value.includes('\0'))
      throw new RangeError(`${name}: no variable of U-Boot`);
    return `${name}=${value}\0`;
  });
  const data = Buffer.from(`${texts.join('')}\0`);
  if (data.length > bytes - checksumBytes)
    throw new RangeError(`${data.length} bytes of variables are too many for a block of ${bytes}`);
  const block = Buffer.alloc(bytes);
  data.copy(block, checksumBytes);
  block.writeUInt32LE(crc32(block.subarray(checksumBytes)));
  return block;
}

/** Reads a block; null when its checksum is wrong. Texts without `=` are passed over, as U-Boot does it. */
export function decodeEnvironment(block: Buffer): Map<string, string> | null {
  if (block.length <= checksumBytes) return null;
  const data = block.subarray(checksumBytes);
  if (block.readUInt32LE() !== crc32(data)) return null;
  return variablesIn(data);
}

/** The texts up to the first empty one. */
function variablesIn(data: Buffer): Map<string, string> {
  const variables = new Map<string, string>();
  for (const text of data.toString('utf8').split('\0')) {
    if (text === '') break;
    const at = text.indexOf('=');
    if (at > 0) variables.set(text.slice(0, at), text.slice(at + 1));
  }
  return variables;
}

/**
 * The environment that is built into a U-Boot. An environment that is found on a card or in flash takes its place as a
 * whole, so one that changes a single variable has to have all others too.
 * @throws Error when the program has none
 */
export function builtInEnvironment(program: Buffer): Map<string, string> {
  // Of all boards; other texts of the program that look so are none of an environment.
  const start = program.indexOf('bootcmd=bootflow scan');
  if (start < 0 || program[start - 1] !== 0)
    throw new Error('this U-Boot has no built-in environment that is known here');
  return variablesIn(program.subarray(start));
}
