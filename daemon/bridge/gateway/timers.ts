/** Waiting, with timers that tests can replace. */

/** Runs things later. */
export interface Timers {
  /** Runs `action` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, action: () => void): () => void;
}

/** The machine's own timers. */
export const systemTimers: Timers = {
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Waits; an abort ends the wait early without an error, the caller looks at the signal. */
export function sleep(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = timers.after(delayMs, finish);
    signal.addEventListener('abort', finish);
  });
}

/** Runs `task` with a signal that fires after `limitMs` or with `parent`, whichever is first. */
export async function withLimit<T>(
  timers: Timers,
  limitMs: number,
  parent: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(parent.reason ?? new Error('time is up'));
  if (parent.aborted) abort();
  const cancel = timers.after(Math.max(0, limitMs), abort);
  parent.addEventListener('abort', abort);
  try {
    return await task(controller.signal);
  } finally {
    cancel();
    parent.removeEventListener('abort', abort);
  }
}
