/** What is measured of a system that starts, and how its own words about itself are read. Pure. */

/** One start; times in milliseconds from the start of the kernel, when its own clock was 0. */
export interface Start {
  /** The kernel's start after power-on: the firmware's part. */
  readonly kernelMs: number;
  /** The panel shows anything. */
  readonly litMs: number;
  /** The gateway has issued the certificate. */
  readonly attestedMs: number;
  /** The panel shows the workload. */
  readonly liveMs: number;
  /** A fader that is moved then has scaled it. */
  readonly scaledMs: number;
  /** Of all memory, ten seconds after the panel was live: what is not available to programs (proc(5), MemAvailable). */
  readonly memoryUsedMib: number;
  /** Of the unit of the daemon, with its page cache. */
  readonly daemonMib: number;
}

/** What does not change from start to start. */
export interface System {
  readonly packages: number;
  readonly kernel: string;
  /** Of the card, without holes. */
  readonly usedBytes: number;
  /** Null: not measured. */
  readonly xzBytes: number | null;
}

/** Both sides, round by round. */
export interface ImageRounds {
  readonly ours: { readonly system: System; readonly starts: readonly Start[] };
  readonly theirs: { readonly system: System; readonly starts: readonly Start[] };
}

const matched = (text: string, pattern: RegExp, what: string): number => {
  const [, value] = pattern.exec(text) ?? [];
  if (value === undefined) throw new Error(`no ${what} in "${text.slice(0, 200)}"`);
  return Number(value);
};

/** Seconds since the kernel's start, of `/proc/uptime` (proc(5)). @throws Error for anything else */
export const uptimeSeconds = (text: string): number => matched(text, /^(\d+\.\d+) \d+\.\d+$/, 'uptime');

/** Of `/proc/meminfo` (proc(5)). @throws Error for anything else */
export const totalKib = (text: string): number => matched(text, /^MemTotal: +(\d+) kB$/m, 'MemTotal');

/** Of `/proc/meminfo` (proc(5)). @throws Error for anything else */
export const availableKib = (text: string): number =>
  matched(text, /^MemAvailable: +(\d+) kB$/m, 'MemAvailable');
