/**
 * The file beside a reference set that says what may run: lines as sha256sum, sha384sum and sha512sum write them, so
 * that `find ... -exec sha256sum {} +` makes one. The hash is that of IMA (kernel parameter `ima_hash`), not of a bank.
 */
import { SurfacedError } from '../../errors.ts';
import { type ImaEntry, imaPath } from '../logs/ima-entry.ts';
import { asBuffer, shown } from '../logs/log.ts';

/** What is read at most: some twenty times the files that a Raspberry Pi OS Lite runs. */
export const imaContentsLimits = { mostBytes: 16 * 1024 * 1024, mostLines: 200_000 } as const;

/** SHA-1 is not among them: two files can be made that have the same one. */
const algorithmOf: Readonly<Record<number, string>> = { 64: 'sha256', 96: 'sha384', 128: 'sha512' };
const longestLine = 128 + 2 + 2 * 4096;
const form = /^(\\?)([0-9a-f]+) [ *](.+)$/;

/** Contents that may run. */
export interface ImaContents {
  readonly count: number;
  /** Whether the digest of this entry is listed, with its path if that is compared. */
  has(entry: ImaEntry): boolean;
}

/**
 * Reads the file. Paths are bytes; sha256sum escapes a backslash and line ends in them.
 * @param name for messages
 * @throws SurfacedError E_POLICY_SET, with the line
 */
export function parseImaContents(
  bytes: Uint8Array,
  options: { readonly name: string; readonly isPathCompared: boolean },
): ImaContents {
  const { name, isPathCompared } = options;
  const buffer = asBuffer(bytes);
  const { mostBytes, mostLines } = imaContentsLimits;
  const fail = (line: number, what: string): SurfacedError =>
    new SurfacedError('E_POLICY_SET', `${name}:${line} ${what}`);
  if (buffer.length > mostBytes) throw fail(1, `larger than ${mostBytes} bytes`);
  const keys = new Set<string>();
  let line = 0;
  for (let at = 0; at < buffer.length; ) {
    line += 1;
    if (line > mostLines) throw fail(line, `more than ${mostLines} lines`);
    const found = buffer.indexOf(0x0a, at);
    const end = found < 0 ? buffer.length : found;
    if (end - at > longestLine) throw fail(line, `longer than ${longestLine} bytes`);
    // Latin-1 keeps every byte of a path as one character.
    const text = buffer.toString('latin1', at, end);
    at = end + 1;
    const [, mark, digest = '', path = ''] = form.exec(text) ?? [];
    const algorithm = algorithmOf[digest.length];
    if (algorithm === undefined)
      throw fail(line, `expected a SHA-256, SHA-384 or SHA-512 in hex and a path, got "${shown(text, 40)}"`);
    if (/[^ -~\x80-\xff]/.test(path)) throw fail(line, 'the path has a control character');
    keys.add(keyOf(algorithm, digest, isPathCompared ? unescaped(path, mark === '\\') : null));
  }
  return {
    count: keys.size,
    has: ({ file, name: path }) =>
      keys.has(
        keyOf(
          file.algorithm,
          Buffer.from(file.digest).toString('hex'),
          isPathCompared ? Buffer.from(path).toString('latin1') : null,
        ),
      ),
  };
}

/** The kernel writes a blank in a path as an underscore (ima_template_lib.c). */
const keyOf = (algorithm: string, digest: string, path: string | null): string =>
  path === null ? `${algorithm}:${digest}` : `${algorithm}:${digest}:${path.replaceAll(' ', '_')}`;

const meant: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\r': '\r' };
const unescaped = (path: string, isEscaped: boolean): string =>
  isEscaped ? path.replaceAll(/\\[\\nr]/g, (pair) => meant[pair] ?? pair) : path;

/**
 * The line for an entry, or null when its digest is of a hash that is not accepted. Other control characters than line
 * ends, which no line may have, become `?`.
 */
export function imaContentsLine(entry: ImaEntry): Buffer | null {
  const { algorithm, digest } = entry.file;
  if (algorithmOf[2 * digest.length] !== algorithm) return null;
  const name = Buffer.from(entry.name)
    .toString('latin1')
    .replaceAll(/[^ -~\n\r\x80-\xff]/g, '?');
  const escaped = name.replaceAll(/[\\\n\r]/g, (one) =>
    one === '\\' ? '\\\\' : one === '\n' ? '\\n' : '\\r',
  );
  const hex = Buffer.from(digest).toString('hex');
  return Buffer.from(`${escaped === name ? '' : '\\'}${hex}  ${escaped}\n`, 'latin1');
}

/** An entry for a message. */
export const imaEntryText = (entry: ImaEntry): string =>
  `IMA entry ${entry.start.records}, ${shown(imaPath(entry), 200)}`;
