/** A TPM as its user sees it: one command at a time, sent again where that helps, nothing left loaded. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from './commands/definition.ts';
import { flushContext } from './commands/objects.ts';
import { type Call, Message } from './message.ts';
import { exhaustedCodes, retryCodes, TpmError } from './response-codes.ts';
import type { Session } from './session.ts';
import { headerBytes, mostMessageBytes, TpmTransportError, type Transport } from './transport.ts';
import { Reader, TpmFormatError } from './wire.ts';

/** Runs commands; the same for a {@link Tpm} and for a {@link Scope} of it. */
export interface Executor {
  /**
   * Runs one command, after those that were asked for before.
   * @throws TpmError when the TPM refuses it; TpmTransportError when none answers; TpmSessionError when the answer is
   *   not the TPM's; TpmFormatError when it makes no sense; the reason of the signal
   */
  execute<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    call: Call<HandleName, Parameters>,
  ): Promise<Result>;
}

/** How long a TPM that says "again" is asked again. */
export interface Patience {
  /** Pause before the first repetition, milliseconds, at least 1; doubled each time. */
  readonly firstMs: number;
  /** Longest pause, milliseconds. */
  readonly longestMs: number;
  /** Sum of all pauses of one command, milliseconds. */
  readonly totalMs: number;
}

/** What Linux does itself for about 2.5 s (drivers/char/tpm/tpm-interface.c, tpm_transmit), for longer. */
const ordinaryPatience: Patience = { firstMs: 20, longestMs: 2000, totalMs: 60_000 };

export interface TpmOptions {
  readonly transport: Transport;
  readonly patience?: Patience;
}

/** A TPM behind a transport. */
export class Tpm implements Executor {
  readonly #transport: Transport;
  readonly #patience: Patience;
  /** Resolves when the last command that was asked for is done; never rejects. */
  #last: Promise<void> = Promise.resolve();
  /** Handles that could not be flushed when they should have been. */
  readonly #leftovers = new Set<number>();

  constructor({ transport, patience = ordinaryPatience }: TpmOptions) {
    this.#transport = transport;
    this.#patience = patience;
  }

  /** What it is connected through, for messages. */
  get name(): string {
    return this.#transport.name;
  }

  execute<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    call: Call<HandleName, Parameters>,
  ): Promise<Result> {
    return this.#whenFree(async () => (await this.#run(command, call, null)).result, null);
  }

  /**
   * Runs `work` with a scope, and flushes whatever was loaded or started in it, whether it throws or not. The signal
   * releases whoever waits in the scope at once; a command that the TPM is at is still waited for, before the flushing.
   * Once `work` is done the scope takes no more commands: whatever they loaded would stay.
   * @throws what `work` throws; the reason of the signal
   */
  async scope<Value>(
    work: (scope: Scope) => Promise<Value>,
    signal: AbortSignal | null = null,
  ): Promise<Value> {
    const scope = new Scope(this, (command, call, onDone) =>
      this.#whenFree(async () => {
        const done = await this.#run(command, call, signal);
        onDone(done);
        return done.result;
      }, signal),
    );
    try {
      return await work(scope);
    } finally {
      scope.end();
      const flushed = this.#whenFree(() => this.#flush([...scope.take(), ...this.#leftovers]), null);
      if (signal?.aborted !== true) await flushed;
    }
  }

  /** Ends the connection after all that was asked for. May be called twice. */
  async close(): Promise<void> {
    await this.#whenFree(async () => {
      if (!this.#transport.hasResourceManager) await this.#flush([...this.#leftovers]);
      this.#leftovers.clear();
    }, null);
    await this.#transport.close();
  }

  /** Never rejects: what cannot be flushed now is tried again at the next end of a scope, or when room is needed. */
  async #flush(handles: readonly number[]): Promise<void> {
    for (const handle of handles) this.#leftovers.add(handle);
    for (const handle of handles)
      try {
        await this.#runOnce(flushContext, { handles: {}, parameters: { flushHandle: handle } }, null);
        this.#leftovers.delete(handle);
      } catch (problem) {
        // Nobody answers: each of the others could take as long again.
        if (problem instanceof TpmTransportError) return;
        // Gone already: the TPM was reset, or the connection was and all that was loaded with it.
        if (problem instanceof TpmError && problem.is('HANDLE', 'VALUE')) this.#leftovers.delete(handle);
      }
  }

  /** Waits for its turn; the signal releases who waits, and keeps work that has not begun from beginning. */
  #whenFree<Value>(work: () => Promise<Value>, signal: AbortSignal | null): Promise<Value> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const result = this.#last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#last = result.then(
      () => {},
      () => {},
    );
    return signal === null ? result : unlessAborted(result, signal);
  }

  async #run<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    call: Call<HandleName, Parameters>,
    signal: AbortSignal | null,
  ): Promise<Done<Result>> {
    try {
      return await this.#runOnce(command, call, signal);
    } catch (problem) {
      const isFull = problem instanceof TpmError && exhaustedCodes.has(problem.decoded.base);
      if (!isFull || this.#leftovers.size === 0) throw problem;
    }
    await this.#flush([...this.#leftovers]);
    return this.#runOnce(command, call, signal);
  }

  async #runOnce<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    call: Call<HandleName, Parameters>,
    signal: AbortSignal | null,
  ): Promise<Done<Result>> {
    const message = new Message(command, call);
    const bytes = message.encode();
    const { firstMs, longestMs, totalMs } = this.#patience;
    let waitedMs = 0;
    for (let pauseMs = Math.max(1, firstMs); ; pauseMs = Math.min(pauseMs * 2, longestMs)) {
      const response = await this.#transport.exchange(bytes, command.mostMs);
      const code = responseCode(command.name, response);
      if (code === 0) return this.#decoded(command, message, response);
      const error = new TpmError(command.name, code, command);
      if (!retryCodes.has(error.decoded.base) || waitedMs + pauseMs > totalMs) throw error;
      await pause(pauseMs, undefined, signal === null ? {} : { signal });
      waitedMs += pauseMs;
    }
  }

  /**
   * What was loaded by a command whose response is no good must not stay. A handle that the TPM gives anew stands for
   * nothing old any more.
   */
  #decoded<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    message: Message<HandleName, Parameters, Result>,
    response: Uint8Array,
  ): Done<Result> {
    const hasHandle = command.returnsHandle && response.length >= headerBytes + 4;
    const handle = hasHandle ? new Reader(response.subarray(headerBytes)).u32() : null;
    try {
      const done = message.decode(response);
      if (handle !== null) this.#leftovers.delete(handle);
      return done;
    } catch (problem) {
      if (handle !== null) this.#leftovers.add(handle);
      throw problem;
    }
  }
}

/** What a command gave, and the sessions that ended with it. */
interface Done<Result> {
  readonly result: Result;
  readonly ended: readonly Session[];
}

/** The value, or a rejection as soon as the signal says so. */
async function unlessAborted<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise, reject } = rejectable();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([value, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function rejectable(): { readonly promise: Promise<never>; readonly reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_, onReject) => {
    reject = onReject;
  });
  return { promise, reject };
}

/**
 * The response code of a response that is whole.
 * @throws TpmTransportError
 */
function responseCode(name: string, response: Uint8Array): number {
  if (response.length < headerBytes || response.length > mostMessageBytes)
    throw new TpmTransportError(`${name}: a response of ${response.length} bytes`);
  const reader = new Reader(response);
  const tag = reader.u16();
  const size = reader.u32();
  const code = reader.u32();
  if (size !== response.length)
    throw new TpmTransportError(`${name}: a response of ${response.length} bytes that says it has ${size}`);
  if (tag !== 0x8001 && tag !== 0x8002)
    throw new TpmFormatError(`${name}: response tag 0x${tag.toString(16)}`);
  if (code !== 0 && (size !== headerBytes || tag !== 0x8001))
    throw new TpmFormatError(`${name}: an error response of ${size} bytes`);
  return code;
}

type Run = <HandleName extends string, Parameters, Result>(
  command: Command<HandleName, Parameters, Result>,
  call: Call<HandleName, Parameters>,
  /** Called while the next command still waits, also when nobody waits for the result any more. */
  onDone: (done: Done<Result>) => void,
) => Promise<Result>;

/** Remembers what is loaded in it, so that nothing stays. */
export class Scope implements Executor {
  /** The TPM; what is loaded through it directly outlives the scope. */
  readonly tpm: Tpm;
  readonly #run: Run;
  readonly #loaded = new Set<number>();
  #isOver = false;

  constructor(tpm: Tpm, run: Run) {
    this.tpm = tpm;
    this.#run = run;
  }

  execute<HandleName extends string, Parameters, Result>(
    command: Command<HandleName, Parameters, Result>,
    call: Call<HandleName, Parameters>,
  ): Promise<Result> {
    if (this.#isOver) return Promise.reject(new Error(`${command.name} in a scope that is over`));
    return this.#run(command, call, ({ result, ended }) => {
      for (const { handle } of ended) this.#loaded.delete(handle);
      if (command.returnsHandle) this.#loaded.add((result as { readonly handle: number }).handle);
      if (command.code === flushContext.code)
        this.#loaded.delete((call.parameters as { readonly flushHandle: number }).flushHandle);
    });
  }

  /** Flushes one thing before the scope ends: a TPM has room for three. */
  async flush(handle: number): Promise<void> {
    await this.execute(flushContext, { handles: {}, parameters: { flushHandle: handle } });
  }

  /** Takes no more commands. */
  end(): void {
    this.#isOver = true;
  }

  /** What is still loaded, the last first; forgotten here. */
  take(): readonly number[] {
    const handles = [...this.#loaded].reverse();
    this.#loaded.clear();
    return handles;
  }
}
