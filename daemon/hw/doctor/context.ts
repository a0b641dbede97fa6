import type { BootConfig } from './boot-config.ts';
import type { Machine } from './machine.ts';
import type { Program } from './processes.ts';
import type { Wants } from './wants.ts';

/** What the looks need beside the machine. */
export interface LookContext {
  readonly machine: Machine;
  /** Null: there is no config. */
  readonly wants: Wants | null;
  /** Null: there is no config.txt. */
  readonly boot: BootConfig | null;
  readonly programs: readonly Program[];
}
