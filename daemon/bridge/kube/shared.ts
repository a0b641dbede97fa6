/** Things that several users share and the last user ends. */
export class Shared<Value extends { stop(): Promise<void> }> {
  readonly #held = new Map<string, { readonly value: Value; uses: number }>();
  readonly #ending = new Set<Promise<void>>();

  /** The value of this key and how to give it back. */
  take(key: string, make: () => Value): { readonly value: Value; release(): void } {
    const held = this.#held.get(key) ?? { value: make(), uses: 0 };
    this.#held.set(key, held);
    held.uses++;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      held.uses--;
      if (held.uses === 0) this.#end(key, held.value);
    };
    return { value: held.value, release };
  }

  /** The value of this key if somebody holds it. */
  peek(key: string): Value | undefined {
    return this.#held.get(key)?.value;
  }

  get values(): readonly Value[] {
    return [...this.#held.values()].map((held) => held.value);
  }

  async stop(): Promise<void> {
    for (const [key, held] of [...this.#held]) this.#end(key, held.value);
    await Promise.all(this.#ending);
  }

  #end(key: string, value: Value): void {
    if (this.#held.get(key)?.value !== value) return;
    this.#held.delete(key);
    const ending = value.stop().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
