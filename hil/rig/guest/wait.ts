/** Waiting for what the kernel makes in its own time and announces to nobody here. */
import { setTimeout as pause } from 'node:timers/promises';

const everyMs = 5;

/** Looks until there is something; rejects after the time with a sentence that says what did not come. */
export async function waitFor<T>(what: string, timeoutMs: number, look: () => T | null): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = look();
    if (seen !== null) return seen;
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs / 1000} s`);
    await pause(everyMs);
  }
}
