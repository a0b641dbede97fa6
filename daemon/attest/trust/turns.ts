/** Work that must not overlap: one at a time for each name, in the order of asking. */
export interface Turns {
  /** Runs `work` after everything that was asked for under this name before; its error is the caller's alone. */
  take<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when nothing is left to run. */
  idle(): Promise<void>;
}

/** Turns without any limit on how many wait: whoever takes them bounds that. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    take: (name, work) => {
      const done = (last.get(name) ?? Promise.resolve()).then(work);
      const settled: Promise<void> = done.then(
        () => undefined,
        () => undefined,
      );
      last.set(name, settled);
      void settled.then(() => {
        if (last.get(name) === settled) last.delete(name);
      });
      return done;
    },
    idle: async () => {
      while (last.size > 0) await Promise.all(last.values());
    },
  };
}
