/** What a port reports. */
export interface PortHandlers {
  /** Bytes from the device, as they come; the array is only lent for the call. */
  readonly onData: (bytes: Uint8Array) => void;
  /** The device went away. Called at most once, and not after `close`. */
  readonly onClosed: (problem: Error) => void;
}

/** An open line of bytes to a panel. */
export interface Port {
  /** Queues bytes; never blocks and never throws. A lost device is reported by `onClosed`. */
  write(bytes: Uint8Array): void;
  /** Bytes that the device has not taken yet; the writer of frames waits for 0, so that the newest wins. */
  readonly pendingBytes: number;
  /** What the line carries, for pacing; null when it is faster than a panel needs. */
  readonly bytesPerSecond: number | null;
  /** Gives queued bytes {@link flushTimeoutMs} to leave, then closes; may be called twice. */
  close(): Promise<void>;
}

/** Opens a port by its path; rejects with a `SurfacedError`. */
export type OpenPort = (path: string, handlers: PortHandlers) => Promise<Port>;

/** How long `close` waits for a device that is slow to take its last bytes. */
export const flushTimeoutMs = 500;

/** Resolves when `done` does, at the latest after {@link flushTimeoutMs}. */
export async function flushOrTimeout(done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, flushTimeoutMs);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}
