// biome-ignore-all lint/correctness/noUnresolvedImports: these are patterns, which match the paths of all importers
/** Types of the plain JavaScript in this folder, which runs before anything is installed. */

declare module '*/kernel/make.mjs' {
  /**
   * What the guest boots, made first when it is missing: paths, and the release as `uname -r` says it. Throws with a
   * sentence that says what to do.
   */
  export function ensureGuest(): {
    readonly kernel: string;
    readonly initramfs: string;
    readonly release: string;
  };
}

declare module '*/prepare.mjs' {
  /** Folder of the UEFI firmware. */
  export const firmwareFolder: string;
  /** One sentence that says why the guest cannot run here and what to do about it; null: it can. */
  export function qemuMissing(): string | null;
  /** Installs what is missing where that is allowed and makes the guest; throws with a sentence that says what to do. */
  export function prepareQemu(): void;
}
