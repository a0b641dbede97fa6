/** Memory of this process after everything that can be collected was collected. */

export interface MemoryUse {
  readonly heapMib: number;
  readonly residentMib: number;
}

const mib = 1 << 20;

/** Needs `--expose-gc`. */
export async function settledMemory(): Promise<MemoryUse> {
  if (globalThis.gc === undefined) throw new Error('start with --expose-gc');
  for (let times = 0; times < 5; times++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heapMib: heapUsed / mib, residentMib: rss / mib };
}
