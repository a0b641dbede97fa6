/**
 * The three functions of the reflect-metadata proposal that `@peculiar/x509` (through tsyringe) calls while it
 * is loaded. A whole polyfill would be one more package on the Pi for these.
 */

type Metadata = Map<unknown, unknown>;

const store = new WeakMap<object, Metadata>();

const functions = {
  getOwnMetadata: (key: unknown, target: object): unknown => store.get(target)?.get(key),
  getMetadata: (key: unknown, target: object): unknown => {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
      const found = store.get(at);
      if (found?.has(key)) return found.get(key);
    }
    return undefined;
  },
  defineMetadata: (key: unknown, value: unknown, target: object): void => {
    const own = store.get(target) ?? new Map<unknown, unknown>();
    store.set(target, own.set(key, value));
  },
};

// A real polyfill that somebody else has loaded stays.
for (const [name, value] of Object.entries(functions)) {
  if (!(name in Reflect)) {
    Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
  }
}
