/** How often a process woke up. */
import { readdirSync, readFileSync } from 'node:fs';

/** Voluntary context switches so far of all threads that a process has now (proc(5), /proc/pid/task/tid/status). */
export function wakeUps(pid: number): number {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).reduce((sum, thread) => {
    const status = readFileSync(`${folder}/${thread}/status`, 'utf8');
    return sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
  }, 0);
}
