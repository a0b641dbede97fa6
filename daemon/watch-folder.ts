/** Watches a folder and looks at it again when something in it has changed. */
import { type FSWatcher, watch } from 'node:fs';

/** Not every file system tells of changes (NFS, some mounts of Kubernetes): look by oneself now and then. */
const rescanMs = 15_000;
/** Files younger than this may change again within the same tick of their time. */
const settledAfterMs = 1000;

export interface FolderWatch {
  /** Looks again soon. */
  wake(): void;
  /** Resolves when the look that is under way has ended; there is none afterwards. */
  close(): Promise<void>;
}

/**
 * Calls `look` soon after every change, and every 15 seconds; also soon after the start, for what changed between a first
 * look of the caller's and the watch. One look at a time; what happens meanwhile is looked at afterwards. Keeps no process
 * alive.
 */
export function watchFolder(options: {
  readonly folder: string;
  /** What is several events and one change to a person (a save, two files that belong together) is looked at once. */
  readonly debounceMs: number;
  readonly look: () => Promise<void>;
  /** Takes what `look` rejects with; the watch goes on. */
  readonly onError: (error: unknown) => void;
}): FolderWatch {
  const { folder, debounceMs, look, onError } = options;
  let isClosed = false;
  let isLooking: Promise<void> | null = null;
  let isWanted = false;
  function lookNow(): void {
    isWanted = true;
    isLooking ??= (async () => {
      while (isWanted && !isClosed) {
        isWanted = false;
        await look().catch(onError);
      }
      isLooking = null;
    })();
  }
  let debounce: NodeJS.Timeout | null = null;
  const wake = (): void => {
    if (isClosed) return;
    debounce ??= setTimeout(() => {
      debounce = null;
      lookNow();
    }, debounceMs).unref();
  };
  const watching = keepWatching(folder, wake);
  const timer = setInterval(() => {
    watching.renew();
    lookNow();
  }, rescanMs).unref();
  wake();
  return {
    wake,
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      if (debounce) clearTimeout(debounce);
      watching.close();
      await isLooking;
    },
  };
}

/** A watch on the folder that is made again when the folder has been replaced or the watch has failed. */
function keepWatching(folder: string, onEvent: () => void): { renew(): void; close(): void } {
  let watcher: FSWatcher | null = null;
  const close = (): void => {
    watcher?.close();
    watcher = null;
  };
  const renew = (): void => {
    close();
    try {
      watcher = watch(folder, { persistent: false }, onEvent);
      watcher.on('error', close);
    } catch {
      // No watch to be had (limit reached, folder away): the slow look goes on and tries again.
    }
  };
  renew();
  return { renew, close };
}

/**
 * Size, times and inode of a file: equal means unchanged. Empty while it is so young that it may be written again within
 * the same tick of its time: then it must be read again.
 */
export function fileStamp(found: {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
}): string {
  const { size, mtimeMs, ctimeMs, ino } = found;
  return Date.now() - ctimeMs > settledAfterMs ? `${size} ${mtimeMs} ${ctimeMs} ${ino}` : '';
}
