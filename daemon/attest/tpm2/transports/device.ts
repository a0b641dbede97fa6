/** A TPM behind the kernel's resource manager, /dev/tpmrm0 (Linux drivers/char/tpm/tpm-dev-common.c, tpm2-space.c). */
import { type FileHandle, open } from 'node:fs/promises';
import { mostMessageBytes, TpmTransportError, type Transport } from '../transport.ts';

/** Where the resource manager of the first TPM is. */
export const defaultDevice = '/dev/tpmrm0';

/** What opening may fail with, in words that help. */
const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such device: is the TPM connected, and its overlay in config.txt?',
  EACCES: 'this user may not open it: add it to the group tss',
  EBUSY: 'another program has it: use the resource manager, /dev/tpmrm0',
};

/**
 * Opens the device when the first command comes, and anew after each failure. One write is one command, and blocks a
 * thread of libuv's pool, never the event loop, until the TPM has answered; one read takes the response. The kernel
 * flushes what was loaded through a file when it is closed.
 */
export function tpmDevice(path: string = defaultDevice): Transport {
  let file: FileHandle | null = null;

  /** Closes once the kernel is through with what it is at: never between a write and its read. */
  const abandon = (): void => {
    const abandoned = file;
    file = null;
    // Nothing can be done about a descriptor that does not close.
    void abandoned?.close().catch(() => {});
  };
  const opened = async (): Promise<FileHandle> => {
    if (file !== null) return file;
    try {
      file = await open(path, 'r+');
      return file;
    } catch (problem) {
      const { code, message } = problem as NodeJS.ErrnoException;
      throw new TpmTransportError(`${path}: ${remedies[code ?? ''] ?? message}`, { cause: problem });
    }
  };

  return {
    name: path,
    hasResourceManager: true,
    async exchange(command, mostMs) {
      const target = await opened();
      const response = Buffer.alloc(mostMessageBytes);
      const exchanged = (async () => {
        const { bytesWritten } = await target.write(command, 0, command.length, null);
        if (bytesWritten !== command.length)
          throw new Error(`${bytesWritten} of ${command.length} bytes were written`);
        const { bytesRead } = await target.read(response, 0, response.length, null);
        if (bytesRead === 0) throw new Error('the TPM gave no response');
        return response.subarray(0, bytesRead);
      })();
      try {
        return await within(exchanged, mostMs);
      } catch (problem) {
        abandon();
        throw new TpmTransportError(`${path}: ${(problem as Error).message}`, { cause: problem });
      }
    },
    async close() {
      const closing = file;
      file = null;
      await closing?.close();
    },
  };
}

async function within<Value>(value: Promise<Value>, mostMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${mostMs} ms`)), mostMs);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
