// biome-ignore-all lint/correctness/noUnresolvedImports: these are patterns, which match the paths of all importers
/** Types of the plain JavaScript in this folder, which runs before anything is installed. */

declare module '*/rig/cache.mjs' {
  /** Where the rig keeps what it builds: `$XDG_CACHE_HOME/surfaced/rig`, else below `~/.cache`. */
  export function cacheFolder(environment?: Readonly<Record<string, string | undefined>>): string;
  /** Folder name for a thing built from these inputs: 32 hexadecimal digits. */
  export function keyOf(inputs: readonly (string | Uint8Array)[]): string;
}

declare module '*/kernel/build.mjs' {
  /** Path of the kernel built last by the recipe as it is now, or null; quick. */
  export function findKernel(): string | null;
  /** Path of the kernel, built first when it is missing; rejects with a sentence that says what to do. */
  export function ensureKernel(): Promise<string>;
  /** Builds from the newest source that apt knows, unless that was done before; rejects in the same way. */
  export function buildKernel(): Promise<string>;
  /** The options that a made `.config` lacks or has against the wish of the fragment. */
  export function lostOptions(wanted: string, made: string): string[];
}

declare module '*/adapters/build.mjs' {
  export type AdapterName = 'cuse-i2c' | 'i2c-shim.so' | 'quadrature' | 'smbus-calls';
  /** Why this adapter cannot be compiled here, with the remedy; null: it can. */
  export function adapterMissing(name: AdapterName): string | null;
  /** Path of the adapter, compiled first when its source is new; throws with the compiler's words. */
  export function ensureAdapter(name: AdapterName): string;
  /** Paths of all adapters, their libraries installed first where that is possible. */
  export function ensureAdapters(): Readonly<Record<AdapterName, string>>;
}
