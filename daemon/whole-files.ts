/** Files that a running gateway reads: each is there whole or not at all, and belongs to whom the gateway runs as. */
import { randomBytes } from 'node:crypto';
import { chmod, chown, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ErrorCode, SurfacedError } from './errors.ts';

/** What goes wrong with a file, in the words of what it is for. */
export const fileError = (code: ErrorCode, file: string, cause: unknown): SurfacedError =>
  new SurfacedError(code, `${file}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`, { cause });

/** Replaces a file; a link keeps pointing where it did. @throws SurfacedError with the code */
export async function replaceFile(file: string, text: string, code: ErrorCode): Promise<void> {
  try {
    const target = await realpath(file);
    const { mode } = await stat(target);
    await writeBeside(target, { text, like: target, mode: mode & 0o777 }, code);
  } catch (cause) {
    throw cause instanceof SurfacedError ? cause : fileError(code, file, cause);
  }
}

/**
 * Writes a file in one step, so that the gateway never reads half of it.
 * @param options.like its owner gets the file, too: whoever writes may be root, and the gateway must be able to read it
 * @throws SurfacedError with the code
 */
export async function writeBeside(
  file: string,
  { text, like, mode }: { readonly text: string; readonly like: string; readonly mode: number },
  code: ErrorCode,
): Promise<void> {
  const beside = besideOf(file);
  try {
    await writeFile(beside, text, { flag: 'wx' });
    await putInPlace({ beside, file, like, mode });
  } catch (cause) {
    throw fileError(code, file, cause);
  }
}

/** A name in the same folder that nobody takes for a file that counts. */
export const besideOf = (file: string): string =>
  path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}`);

/** Gives what was written beside its owner, mode and name; it is gone when that fails. */
export async function putInPlace({
  beside,
  file,
  like,
  mode,
}: {
  readonly beside: string;
  readonly file: string;
  readonly like: string;
  readonly mode: number;
}): Promise<void> {
  try {
    const [{ uid, gid }, fresh] = await Promise.all([stat(like), stat(beside)]);
    if (fresh.uid !== uid || fresh.gid !== gid) await chown(beside, uid, gid);
    await chmod(beside, mode);
    await rename(beside, file);
  } catch (cause) {
    await unlink(beside);
    throw cause;
  }
}
