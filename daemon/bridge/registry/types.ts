/** The gateway's list of surfaces, whatever it is kept in. */
import type { ControlSurface } from '../../config/schema.ts';

export interface Registry {
  list(): readonly ControlSurface[];
  get(name: string): ControlSurface | null;
  /** Files or objects that could not be read, each with what is wrong with it; their last good version stays. */
  problems(): readonly { readonly source: string; readonly message: string }[];
  /** Called after any change, with the names that were added, changed or removed. */
  onChange(listener: (names: readonly string[]) => void): void;
  close(): Promise<void>;
}
