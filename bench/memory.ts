/** Memory of this process: after everything that can be collected was collected, and at its highest. */
import { readFileSync, writeFileSync } from 'node:fs';

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

/**
 * How much higher than before resident memory rises during some work, and how much heap stays after it. Needs
 * `--expose-gc`; Linux only: 5 in clear_refs sets the highest mark back to what is resident now (proc(5)).
 */
export async function memoryOf(work: () => void): Promise<MemoryUse> {
  const before = await settledMemory();
  writeFileSync('/proc/self/clear_refs', '5');
  const [start] = marks();
  work();
  const [, highest] = marks();
  const after = await settledMemory();
  return { heapMib: after.heapMib - before.heapMib, residentMib: highest - start };
}

/** Resident memory now and at its highest, MiB (proc(5), /proc/pid/status). */
function marks(): readonly [now: number, highest: number] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return [field('VmRSS'), field('VmHWM')];
}
