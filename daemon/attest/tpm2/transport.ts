/** The seam between the client and what carries its bytes. */

/** Carries one command at a time to a TPM. */
export interface Transport {
  /** For messages, e.g. `/dev/tpmrm0` or `swtpm 127.0.0.1:2321`. */
  readonly name: string;
  /**
   * True when handles are virtual and all that this transport loaded is flushed at its close, as the resource manager of
   * Linux does it.
   */
  readonly hasResourceManager: boolean;
  /**
   * Sends a whole command and resolves to the whole response. Nothing is cancelled half-way: a command that takes longer
   * than `mostMs` milliseconds is given up, and the connection with it; the next command opens a new one.
   * @throws TpmTransportError
   */
  exchange(command: Uint8Array, mostMs: number): Promise<Uint8Array>;
  /** May be called twice. */
  close(): Promise<void>;
}

/** No TPM answered, or what did was cut off. */
export class TpmTransportError extends Error {
  override readonly name = 'TpmTransportError';
}

/** Largest command and response that any TPM of the PC Client profile takes (TPM_PT_MAX_COMMAND_SIZE). */
export const mostMessageBytes = 4096;
/** Tag, size and code: what every command and response begins with. */
export const headerBytes = 10;
