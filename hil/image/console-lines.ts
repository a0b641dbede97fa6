/** What a machine writes on its console, line by line. */
import { EventEmitter, once } from 'node:events';

/** So many lines are part of the error of who waits in vain. */
const linesShown = 25;

/** Lines of a console, kept from its start; emits nothing but to who waits. */
export class ConsoleLines {
  /** Without colours, carriage returns and line feeds. */
  readonly lines: string[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);
  #rest = '';
  #end: string | null = null;

  /** Takes what was written, in any pieces. */
  write(text: string): void {
    const [rest = '', ...ended] = (this.#rest + text).split('\n').toReversed();
    this.#rest = rest;
    if (ended.length === 0) return;
    this.lines.push(...ended.toReversed().map(plain));
    this.#events.emit('change');
  }

  /** Says that nothing more comes, and why. */
  end(reason: string): void {
    this.#end ??= reason;
    this.#events.emit('change');
  }

  /**
   * The first line that matches, from line number `from` on. Rejects with the last lines when the console ends before, the
   * time is over or the signal fires.
   */
  async waitFor(
    pattern: RegExp,
    {
      from,
      timeoutMs,
      signal,
    }: { readonly from: number; readonly timeoutMs: number; readonly signal: AbortSignal | null },
  ): Promise<{ readonly line: string; readonly number: number }> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const over = signal === null ? timeout : AbortSignal.any([signal, timeout]);
    for (let next = from; ; ) {
      for (; next < this.lines.length; next++) {
        const line = this.lines[next] ?? '';
        if (pattern.test(line)) return { line, number: next };
      }
      if (this.#end !== null) throw this.#problem(pattern, this.#end);
      await once(this.#events, 'change', { signal: over }).catch((cause: unknown) => {
        throw this.#problem(pattern, timeout.aborted ? `${timeoutMs / 1000} s are over` : 'aborted', cause);
      });
    }
  }

  #problem(pattern: RegExp, reason: string, cause?: unknown): Error {
    const last = this.lines.slice(-linesShown).join('\n');
    return new Error(`No line matches ${pattern}: ${reason}. The last lines of the console:\n${last}`, {
      cause,
    });
  }
}

/** Without colours and what else moves the cursor (ECMA-48, control sequences). */
const plain = (line: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would act on
  line.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[78])|[\r\x07\x08]/g, '');
